import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { ADMIN_TOKEN, askAdmin, startSupervised } from '../support/admin-gateway.ts';

/* O14: clients without a token fill the admin port, and keep at it. Probes and operators are served all the same. */

type Gateway = Awaited<ReturnType<typeof startSupervised>>;
interface Attack {
  readonly name: string;
  readonly tls?: true;
  /** The bytes that each connection begins with. */
  readonly sends: string;
  /** The address that the attacker has; the probes come from 127.0.0.1. */
  readonly from?: string;
}

const HEAD = 'GET /metrics HTTP/1.1\r\nhost: localhost\r\n';
const ATTACKS: readonly Attack[] = [
  { name: 'connections that send nothing', sends: '' },
  { name: 'half heads', sends: 'GET /-/live HTTP/1.1\r\nhost: localhost\r\nx-a: ' },
  { name: 'requests whose answers are not read', sends: `${HEAD}\r\n` },
  {
    name: 'a wrong token, and a body that does not come',
    sends: `POST /-/reload HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\ncontent-length: 9\r\n\r\n`,
  },
  { name: 'half heads from another address', sends: HEAD, from: '127.0.0.2' },
  { name: 'handshakes that do not go on', tls: true, sends: '' },
  { name: 'half heads after a handshake', tls: true, sends: HEAD },
];
const ROUNDS = 15;
const EACH_ROUND = 40;

async function attack(t: Test, gateway: Gateway, { tls, sends, from = '127.0.0.1' }: Attack) {
  const sockets: Socket[] = [];
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  return async (): Promise<void> => {
    const opened = Array.from({ length: EACH_ROUND }, () => {
      const plain = connect({ port: gateway.admin, host: '127.0.0.1', localAddress: from });
      const socket = tls && sends ? connectTls({ socket: plain, ca: gateway.ca, servername: 'localhost' }) : plain;
      sockets.push(plain);
      for (const one of [plain, socket]) one.on('error', () => undefined);
      // Nothing is read of an answer.
      const ready = once(socket, tls && sends ? 'secureConnect' : 'connect').then(
        () => socket.pause().write(sends),
        () => false,
      );
      return Promise.race([ready, once(plain, 'close')]);
    });
    await Promise.all(opened);
  };
}

for (const one of ATTACKS) {
  t.test(`the admin port is filled: ${one.name}`, async (t) => {
    const tls = one.tls ? { 'service.enable_tls': true, 'gateway.admin.enable_tls': true } : {};
    const gateway = await startSupervised({ settings: { 'gateway.admin.token': ADMIN_TOKEN, ...tls } });
    t.teardown(gateway.close);
    const more = one.tls ? { ca: gateway.ca } : {};
    const wave = await attack(t, gateway, one);
    const statuses = new Set<string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      await wave();
      for (const [path, token] of [
        ['/-/ready', {}],
        ['/metrics', { token: ADMIN_TOKEN }],
        ['/-/status', { token: ADMIN_TOKEN }],
      ] as const) {
        const told = await askAdmin(gateway.admin, path, { ...token, ...more }).then(
          ({ status }) => status,
          (error: NodeJS.ErrnoException) => error.code ?? error.message,
        );
        statuses.add(`${path} ${told}`);
      }
    }
    t.strictSame(
      [...statuses],
      ['/-/ready 200', '/metrics 200', '/-/status 200'],
      `${ROUNDS * EACH_ROUND} connections`,
    );
  });
}
