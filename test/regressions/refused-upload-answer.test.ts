// A large upload that was refused ended in a reset when its client, busy with sending, read the answer late: after a megabyte
// of what still came the connection was closed, and the answer lost. What comes is read on, whatever the answer was.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { recordingUpstream, startGateway, testCertificate } from '../rest/lane-fixture.ts';

const certificate = await testCertificate();
const MB = 1 << 20;

interface Case {
  readonly name: string;
  readonly head: string;
  /** The answer comes before the client has sent more than the head. */
  readonly first?: true;
  readonly status: number;
}

const put = (key: string, length: number, more = '') =>
  `PUT /collections/b/points HTTP/1.1\r\nhost: localhost\r\napi-key: ${key}\r\ncontent-length: ${length}\r\n${more}\r\n`;

const CASES: readonly Case[] = [
  { name: 'a wrong key', head: put('wrong', 16 * MB), status: 401 },
  { name: 'a collection that is not listed', head: put('listA', 16 * MB), status: 403 },
  { name: 'the last request of its connection', head: put('listA', 16 * MB, 'connection: close\r\n'), status: 403 },
  { name: 'more than is thrown away', head: put('listA', 1_024 * MB), status: 403 },
  { name: 'a body that stood still', head: put('main', 16 * MB), first: true, status: 408 },
  { name: 'a head with two lengths', head: put('main', 16 * MB, 'content-length: 5\r\n'), status: 400 },
  { name: 'a head that no parser takes', head: put('main', 16 * MB, 'x y: z\r\n'), status: 400 },
];

for (const relayed of [true, false]) {
  for (const tls of [true, false]) {
    const lane = `${relayed ? 'relay' : 'lane'}${tls ? ', TLS' : ''}`;
    t.test(`a client that sends 10 MB before it reads gets its answer (${lane})`, async (t) => {
      const upstream = await recordingUpstream();
      const options = { relayed, limits: { body_idle_timeout_ms: 300 }, ...(tls ? { tls: certificate } : {}) };
      const gateway = await startGateway(upstream.port, options);
      t.teardown(async () => {
        await gateway.close();
        await upstream.close();
      });
      for (const { name, head, first = false, status } of CASES) {
        const socket: Socket = tls
          ? connectTls({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false })
          : connect(gateway.port, '127.0.0.1');
        const failed = new Promise<string>((resolve) => socket.once('error', ({ message }) => resolve(message)));
        await once(socket, tls ? 'secureConnect' : 'connect');
        const before = gateway.outcomes.length;
        socket.write(head);
        while (first && gateway.outcomes.length === before) await new Promise((resolve) => setImmediate(resolve));
        const sent = new Promise<string>((resolve) => socket.write(Buffer.alloc(10 * MB), () => resolve('sent')));
        t.equal(await Promise.race([sent, failed]), 'sent', `${name}: all of it is taken`);
        const answer = once(socket, 'data').then(([chunk]) => String(chunk).slice(0, 12));
        t.equal(await Promise.race([answer, failed]), `HTTP/1.1 ${status}`, name);
        socket.destroy();
      }
      t.strictSame(gateway.faults, []);
      t.ok(upstream.received.length <= 1, 'only of the body that stood still, upstream has heard');
    });
  }
}
