import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { Guard } from '../../../src/lifetime/guard.ts';
import { HandshakeBudget } from '../../../src/limits/handshake-budget.ts';
import { WorkScheduler } from '../../../src/limits/work-scheduler.ts';
import { clientAddressOf } from '../../../src/net/client-address.ts';
import { streamBelow } from '../../../src/net/tls/internals.ts';
import { readingTls } from '../../../src/net/tls/reading.ts';
import { runCerts } from '../../support/certs.ts';
import { newCa } from '../../support/client-certificates.ts';
import { openRawRecords } from '../../support/clients/key-updates.ts';
import { until } from '../../support/until.ts';

/* Connections below a listener that are read record by record: which bytes OpenSSL gets, and when. */

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-bounded-handshake-'));
const { ca, cert, key } = await runCerts(folder);
const root = await newCa('root');
const good = await root.issue();
const other = await (await newCa('other')).issue();

interface Scene {
  readonly budget?: HandshakeBudget;
  readonly scheduler?: WorkScheduler;
  /** Certificates are asked for. Default: true. */
  readonly asks?: boolean;
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
}

interface Seen {
  readonly address: string | undefined;
  readonly authorized: boolean;
}

/** A TLS server that echoes, what it found out about each connection, and the bytes that OpenSSL got behind handshakes. */
async function echo(t: Test, scene: Scene = {}) {
  const { budget = new HandshakeBudget(), asks = true, maxVersion = 'TLSv1.3' } = scene;
  const { scheduler = new WorkScheduler((error) => t.fail(String(error))) } = scene;
  const seen: Seen[] = [];
  const faults: string[] = [];
  const failed: string[] = [];
  let bytes = 0;
  const tls = createTlsServer({
    ...{ cert: readFileSync(cert), key: readFileSync(key), ca: root.cert, maxVersion },
    ...{ requestCert: asks, rejectUnauthorized: false },
  });
  tls.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    failed.push(error.message);
    socket.on('error', () => undefined).destroy();
  });
  tls.on('secureConnection', (socket: TLSSocket) => {
    const handle = streamBelow(socket)._handle as { readBuffer: (bytes: Uint8Array) => void };
    const read = handle.readBuffer.bind(handle);
    handle.readBuffer = (piece) => {
      bytes += piece.length;
      read(piece);
    };
    seen.push({ address: clientAddressOf(socket).address, authorized: socket.authorized });
    socket.allowHalfOpen = true;
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  const faulted = (fault: string): void => void faults.push(fault);
  const begin = readingTls(tls, { maxBytes: 16_384, budget, now: () => 0, faulted, scheduler, timeoutMs: 60_000 });
  const server = createServer((socket) => {
    const end = (): void => void socket.destroy();
    const guard = new Guard({ fail: end, cut: end }, 'rest_listener', (error) => t.fail(String(error)));
    socket.on('error', end);
    begin(socket, guard);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
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
  return { seen, faults, failed, open, ask, port, fed: () => bytes };
}

t.test('bytes pass in both directions, many at once, and each side may end first', async (t) => {
  const { open, faults } = await echo(t);
  const large = Buffer.alloc(3_000_000, 'abcdefg');
  const socket = open(good);
  const got: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => got.push(chunk)).end(large);
  await once(socket, 'end');
  t.ok(Buffer.concat(got).equals(large));
  t.same(faults, []);
});

t.test('certificates are verified as by the server, and the address of the client is known', async (t) => {
  const { seen, ask } = await echo(t);
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
    clients.map(([, address, authorized]) => ({ address, authorized })),
  );
});

/** Records that OpenSSL got without content end a connection beyond so many; 27 bytes each. */
const MOST_EMPTY = 64;
const KEY_UPDATE = 27;

t.test('records without content are bounded, before OpenSSL has them', async (t) => {
  const cases: readonly (readonly [string, KeyUpdates: number, content: number, rounds: number, isEnded: boolean])[] = [
    ['KeyUpdates by the thousand', 3000, 0, 1, true],
    ['as many as any client sends', MOST_EMPTY, 0, 1, false],
    ['a few beside each kilobyte of content', 20, 1000, 40, true],
    ['one beside each byte of content', 1, 1, 3 * MOST_EMPTY, true],
    ['content of one byte a record', 0, 1, 3000, false],
    ['content of a kilobyte a record', 0, 1000, 500, false],
  ];
  for (const asks of [true, false]) {
    for (const [sentence, updates, content, rounds, isEnded] of cases) {
      const { seen, faults, port, fed } = await echo(t, { asks });
      const client = await openRawRecords({ port, ca: readFileSync(ca) });
      t.teardown(() => void client.socket.destroy());
      const sent = Buffer.concat(
        Array.from({ length: rounds }, () =>
          Buffer.concat([
            client.keyUpdates(updates),
            ...(content > 0 ? [client.content(Buffer.alloc(content, 'a'))] : []),
          ]),
        ),
      );
      client.carrier.write(sent);
      if (isEnded) await until(() => client.carrier.destroyed, 'it has ended');
      else await until(() => fed() === sent.length, 'all are fed');
      const most = (MOST_EMPTY + 1) * KEY_UPDATE + Math.ceil((MOST_EMPTY + 1) / Math.max(1, updates)) * (content + 22);
      if (isEnded) t.ok(fed() <= most, `${sentence}: ${fed()} of ${sent.length} bytes`);
      t.strictSame(faults, isEnded ? ['tls_records'] : [], sentence);
      t.equal(seen.length, 1);
    }
  }
});

t.test('the records of many connections take turns with everything else', async (t) => {
  const { port, fed, faults } = await echo(t);
  const clients = await Promise.all(Array.from({ length: 20 }, () => openRawRecords({ port, ca: readFileSync(ca) })));
  t.teardown(() => {
    for (const { socket } of clients) socket.destroy();
  });
  const bursts = clients.map(({ keyUpdates }) => keyUpdates(MOST_EMPTY));
  const all = fed() + bursts.reduce((sum, { length }) => sum + length, 0);
  for (const [at, { carrier }] of clients.entries()) carrier.write(bursts[at] ?? '');
  let most = 0;
  for (let before = fed(), turns = 0; fed() < all && turns < 100_000; turns += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, fed() - before);
    before = fed();
  }
  t.equal(fed(), all, 'all are fed');
  // Four units each, of 200 in a turn; one more of each connection that comes by itself.
  t.ok(most <= KEY_UPDATE * (2 * 50 + 20), `${most / KEY_UPDATE} in one turn`);
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
    const { port, faults } = await echo(t, { scheduler });
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
  const { open, faults } = await echo(t);
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
  const { seen, ask } = await echo(t, { budget });
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

t.test('content of TLS 1.2 passes in any records', async (t) => {
  const { open, faults } = await echo(t, { maxVersion: 'TLSv1.2' });
  const socket = open({});
  const got: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => got.push(chunk));
  for (let at = 0; at < 500; at += 1) socket.write('x');
  await until(() => Buffer.concat(got).length === 500, 'all of it');
  t.same(faults, []);
  socket.destroy();
});

t.test('each side may end its half first, by TLS or by TCP', async (t) => {
  for (const end of ['close_notify', 'the end of TCP alone'] as const) {
    const { port, faults } = await echo(t, { asks: false });
    const carrier = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const socket = connectTls({ socket: carrier, servername: 'localhost', ca: readFileSync(ca) });
    socket.on('error', () => undefined);
    const got: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => got.push(chunk));
    await once(socket, 'secureConnect');
    await new Promise((written) => socket.write(Buffer.alloc(300_000, 'b'), written));
    if (end === 'close_notify') socket.end();
    else carrier.end();
    await until(() => Buffer.concat(got).length === 300_000, end);
    await until(() => socket.readableEnded || socket.destroyed, `${end}: the other end`);
    t.same(faults, []);
    socket.destroy();
  }
});

/** The first record of a client, with its message. */
async function helloOf(): Promise<Buffer> {
  const sent: Buffer[] = [];
  const below = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, written) {
      sent.push(chunk);
      written();
    },
  });
  const client = connectTls({ socket: below, servername: 'localhost' }).on('error', () => undefined);
  await until(() => sent.length > 0, 'the hello');
  client.destroy();
  return Buffer.concat(sent);
}

t.test('a hello in many records is read; records of a handshake are bounded, and take turns', async (t) => {
  const hello = (await helloOf()).subarray(5);
  const record = (content: Buffer): Buffer => Buffer.concat([Buffer.from([22, 3, 1, 0, content.length]), content]);
  const bytes = Array.from(hello, (_, at) => record(hello.subarray(at, at + 1)));
  // More than a message may have, in records of one byte.
  const endless = Buffer.concat([Buffer.from([1, 1, 255, 0]), Buffer.alloc(100_000)]);
  for (const asks of [true, false]) {
    for (const [sentence, records, isRead] of [
      ['byte by byte', bytes, true],
      ['without an end', Array.from(endless, (_, at) => record(endless.subarray(at, at + 1))), false],
    ] as const) {
      const { port, faults } = await echo(t, { asks });
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      let got = 0;
      socket.on('data', ({ length }: Buffer) => {
        got += length;
      });
      socket.write(Buffer.concat(records));
      if (isRead) await until(() => got > 100, sentence);
      else await until(() => faults.length > 0, sentence);
      t.equal(got > 100, isRead, sentence);
      t.match(faults, isRead ? [] : [/^(?:tls_records|handshake_size)$/], sentence);
      socket.destroy();
    }
  }
});

t.test('what is no handshake fails, and is told once', async (t) => {
  for (const [sentence, bytes] of [
    ['a record of nothing', Buffer.from('160301000400000000', 'hex')],
    ['nothing at all', Buffer.from([22])],
  ] as const) {
    const { port, failed, seen } = await echo(t);
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    socket.end(bytes);
    await once(socket.resume(), 'close');
    await until(() => failed.length > 0, sentence);
    t.equal(failed.length, 1, sentence);
    t.equal(seen.length, 0);
  }
});
