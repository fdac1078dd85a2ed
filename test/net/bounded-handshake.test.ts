import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  connect as connectTls,
  createServer as createTlsServer,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import t, { type Test } from 'tap';
import { Guard } from '../../src/lifetime/guard.ts';
import { HandshakeBudget } from '../../src/limits/handshake-budget.ts';
import { WorkScheduler } from '../../src/limits/work-scheduler.ts';
import { BoundedHandshakes } from '../../src/net/bounded-handshake.ts';
import { carrierOf, clientAddressOf } from '../../src/net/client-address.ts';
import { runCerts } from '../support/certs.ts';
import { newCa } from '../support/client-certificates.ts';
import { openRawRecords, type RawRecords } from '../support/clients/key-updates.ts';
import { until } from '../support/until.ts';

/* Handshakes that ask for certificates, below a listener: which bytes OpenSSL gets, and when. */

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-bounded-handshake-'));
const { ca, cert, key } = await runCerts(folder);
const root = await newCa('root');
const good = await root.issue();
const other = await (await newCa('other')).issue();

/** A port whose connections begin in `begin`. */
async function portOf(
  t: Test,
  tls: TlsServer,
  budget: HandshakeBudget,
  scheduler = new WorkScheduler((error) => t.fail(String(error))),
  maxBytes = 16_384,
) {
  const faults: string[] = [];
  const handshakes = new BoundedHandshakes(tls, {
    maxBytes,
    budget,
    now: () => 0,
    faulted: (fault) => faults.push(fault),
    scheduler,
  });
  const server = createServer((socket) => {
    const end = (): void => void socket.destroy();
    const guard = new Guard({ fail: end, cut: end }, 'rest_listener', (error) => t.fail(String(error)));
    socket.on('error', end);
    handshakes.begin(socket, guard);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = server.address();
  return { handshakes, faults, port: typeof address === 'object' && address ? address.port : 0 };
}

/** A TLS server that echoes, and what it found out about each connection. */
async function echo(t: Test, budget: HandshakeBudget, scheduler = new WorkScheduler((error) => t.fail(String(error)))) {
  const seen: { native: boolean; address: string; authorized: boolean }[] = [];
  const tls = createTlsServer({
    ...{
      cert: readFileSync(cert),
      key: readFileSync(key),
      ca: root.cert,
      requestCert: true,
      rejectUnauthorized: false,
    },
  });
  const { handshakes, faults, port } = await portOf(t, tls, budget, scheduler);
  let bytes = 0;
  tls.prependListener('connection', (one: EventEmitter) => {
    one.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
  });
  tls.on('secureConnection', (socket: TLSSocket) => {
    handshakes.done(socket);
    const carrier = carrierOf(socket);
    seen.push({
      ...{ native: socket.remoteAddress !== undefined, address: clientAddressOf(carrier as Socket).address },
      authorized: socket.authorized,
    });
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  const open = (client: { readonly cert?: string; readonly key?: string }, localAddress = '127.0.0.1') =>
    connectTls({
      ...{ port, host: '127.0.0.1', servername: 'localhost', ca: readFileSync(ca), localAddress },
      ...(client.cert !== undefined && { cert: client.cert, key: client.key }),
    }).on('error', () => undefined);
  const ask = async (client: { readonly cert?: string; readonly key?: string }, from?: string) => {
    const socket = open(client, from);
    socket.write('hello');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return answer.toString();
  };
  return { seen, faults, open, ask, port, fed: () => bytes };
}

t.test('bytes pass in both directions, many at once, and each side may end first', async (t) => {
  const { open, faults } = await echo(t, new HandshakeBudget());
  const large = Buffer.alloc(3_000_000, 'abcdefg');
  const socket = open(good);
  const got: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => got.push(chunk)).end(large);
  await once(socket, 'end');
  t.ok(Buffer.concat(got).equals(large));
  t.same(faults, []);
});

t.test('each connection passes through the stream, whatever its network has shown before', async (t) => {
  const { seen, ask } = await echo(t, new HandshakeBudget());
  const clients = [
    [other, '127.0.0.1', false],
    [{}, '127.0.0.1', false],
    [good, '127.0.0.1', true],
    [good, '127.0.0.1', true],
    [good, '127.0.0.2', true],
    [other, '127.0.0.1', false],
    [good, '127.0.0.1', true],
  ] as const;
  for (const [client, from] of clients) t.equal(await ask(client, from), 'hello');
  t.same(
    seen,
    clients.map(([, address, authorized]) => ({ native: false, address, authorized })),
  );
});

t.test('records without content are bounded, before OpenSSL has them', async (t) => {
  for (const [sentence, isEnded, send] of [
    ['KeyUpdates by the thousand', true, ({ carrier, keyUpdates }) => carrier.write(keyUpdates(3000))],
    ['as many as any client sends', false, ({ carrier, keyUpdates }) => carrier.write(keyUpdates(200))],
  ] as readonly (readonly [string, boolean, (client: RawRecords) => void])[]) {
    const { seen, faults, port, fed } = await echo(t, new HandshakeBudget());
    const client = await openRawRecords({ port, ca: readFileSync(ca) });
    t.teardown(() => void client.socket.destroy());
    const before = fed();
    send(client);
    if (isEnded) await until(() => client.socket.destroyed, 'it has ended');
    // 27 bytes each: OpenSSL gets no more than are allowed, and those of one look.
    else await until(() => fed() - before === 200 * 27, 'all are fed');
    t.ok(fed() - before <= 27 * (256 + 64), `${sentence}: ${fed() - before} bytes`);
    t.strictSame(faults, isEnded ? ['tls_records'] : [], sentence);
    t.equal(seen.length, 1);
  }
});

t.test('the records of many connections take turns with everything else', async (t) => {
  const { port, fed, faults } = await echo(t, new HandshakeBudget());
  const clients = await Promise.all(Array.from({ length: 20 }, () => openRawRecords({ port, ca: readFileSync(ca) })));
  t.teardown(() => {
    for (const { socket } of clients) socket.destroy();
  });
  const bursts = clients.map(({ keyUpdates }) => keyUpdates(250));
  const all = fed() + bursts.reduce((sum, { length }) => sum + length, 0);
  for (const [at, { carrier }] of clients.entries()) carrier.write(bursts[at] ?? '');
  let most = 0;
  for (let before = fed(), turns = 0; fed() < all && turns < 100_000; turns += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, fed() - before);
    before = fed();
  }
  t.equal(fed(), all, 'all are fed');
  // Four units each, of 200 in a turn; the last piece may go beyond, and one that comes by itself.
  t.ok(most <= 27 * 64 * 6, `${most / 27} in one turn`);
  t.same(faults, []);
});

/** A scheduler under which everything waits until it is let go. */
class Held extends WorkScheduler {
  readonly #kept: (() => void)[] = [];
  isHolding = false;

  override get crowded(): boolean {
    return this.isHolding;
  }

  override wait(resume: () => void): void {
    if (this.isHolding) this.#kept.push(resume);
    else super.wait(resume);
  }

  get kept(): number {
    return this.#kept.length;
  }

  letGo(): void {
    this.isHolding = false;
    for (const resume of this.#kept.splice(0)) resume();
  }
}

t.test('the end of a client that has sent all passes no byte that waits', async (t) => {
  for (const end of ['close_notify', 'the end of TCP alone'] as const) {
    const scheduler = new Held((error) => t.fail(String(error)));
    const { port, faults } = await echo(t, new HandshakeBudget(), scheduler);
    const carrier = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const socket = connectTls({ socket: carrier, servername: 'localhost', ca: readFileSync(ca) });
    socket.on('error', () => undefined);
    const got: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => got.push(chunk));
    await once(socket, 'session');
    scheduler.isHolding = true;
    socket.write('all that there is');
    await until(() => scheduler.kept === 1, 'the bytes wait');
    if (end === 'close_notify') socket.end();
    else carrier.end();
    // The end is there, and Node tells of it on a paused socket, too.
    for (let turn = 0; turn < 500; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    scheduler.letGo();
    await until(() => Buffer.concat(got).toString() === 'all that there is', end);
    t.same(faults, []);
    socket.destroy();
  }
});

t.test('records of one byte each, and large ones, pass in any number', async (t) => {
  const { open, faults } = await echo(t, new HandshakeBudget());
  const socket = open({});
  const got: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => got.push(chunk));
  await once(socket, 'secureConnect');
  const sent: Buffer[] = [];
  for (let at = 0; at < 2000; at += 1) {
    const piece = Buffer.alloc(at % 100 === 99 ? 40_000 : 1, at % 251);
    sent.push(piece);
    socket.write(piece);
  }
  socket.end();
  await once(socket, 'end');
  t.ok(Buffer.concat(got).equals(Buffer.concat(sent)));
  t.same(faults, []);
});

t.test('certificates wait while the budget is used up; clients without any do not', async (t) => {
  const budget = new HandshakeBudget();
  budget.charge('127.0.0.1', 1e9, 0);
  const { seen, ask } = await echo(t, budget);
  const waiting = ask(good);
  t.equal(await ask({}), 'hello');
  t.same(
    seen.map(({ authorized }) => authorized),
    [false],
    'the one with a certificate is not done',
  );
  budget.charge('127.0.0.1', -1e9, 0);
  t.equal(await waiting, 'hello', 'it was only late');
});

/** The messages of a client's first bytes, as records or as one. */
const hello = Buffer.concat([Buffer.from('0100012c', 'hex'), Buffer.alloc(300, 1)]);
const certificates = Buffer.concat([Buffer.from('0b000fa0', 'hex'), Buffer.alloc(4000, 2)]);
const record = (...messages: readonly Buffer[]): Buffer => {
  const content = Buffer.concat(messages);
  const head = Buffer.from('1603030000', 'hex');
  head.writeUInt16BE(content.length, 3);
  return Buffer.concat([head, content]);
};

t.test('certificates that come with a ClientHello wait as those behind it', async (t) => {
  for (const [name, bytes] of [
    ['in a record of its own', Buffer.concat([record(hello), record(certificates)])],
    ['in the same record', record(hello, certificates)],
  ] as const) {
    const budget = new HandshakeBudget();
    budget.charge('127.0.0.1', 1e9, 0);
    const given: number[] = [];
    const tls = new EventEmitter() as TlsServer;
    tls.on('connection', (one: EventEmitter & { resume(): void }) => {
      one.on('data', (chunk: Buffer) => given.push(chunk.length));
      one.resume();
    });
    const { port } = await portOf(t, tls, budget);
    const socket = connect(port, '127.0.0.1');
    socket.write(bytes);
    await until(() => given.length > 0, 'the hello is given');
    t.same(given, [309], name);
    budget.charge('127.0.0.1', -1e9, 0);
    await until(() => given.length > 1, 'the certificates are given');
    t.equal(given[0] ?? 0 + (given[1] ?? 0), 309, `${name}: later`);
    socket.destroy();
  }
});

t.test('more bytes than the bound end the connection, and no more than those are given', async (t) => {
  for (const pieces of [1, 40]) {
    let given = 0;
    const tls = new EventEmitter() as TlsServer;
    tls.on('connection', (one: EventEmitter & { resume(): void }) => {
      one.on('data', (chunk: Buffer) => {
        given += chunk.length;
      });
      one.resume();
    });
    const { port, faults } = await portOf(t, tls, new HandshakeBudget(), undefined, 4096);
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    socket.write(record(hello));
    for (let piece = 0; piece < pieces; piece += 1) socket.write(Buffer.alloc(40_000 / pieces, 22));
    await once(socket.resume(), 'close');
    t.equal(given, 4096, `${pieces} pieces`);
    t.same(faults, ['handshake_size']);
  }
});
