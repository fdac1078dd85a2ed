import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { encodeHeaders } from '../../src/http2/hpack.ts';
import { writeData, writeHeaders } from '../../src/http2/write-frames.ts';
import { PieceBudget } from '../../src/limits/body-pieces.ts';
import { WorkScheduler } from '../../src/limits/work-scheduler.ts';
import { Connections } from '../../src/net/connections.ts';
import { LINGER_BYTES, Linger } from '../../src/rest/http1/linger.ts';
import { RequestGate } from '../../src/rest/http1/request-gate.ts';
import { SocketHold } from '../../src/rest/http1/socket-hold.ts';
import { recordingUpstream, startGateway, testCertificate } from '../rest/lane-fixture.ts';
import { H2Client } from '../support/clients/h2-client.ts';
import { outcome, restFields } from '../support/invariants-http2.ts';
import { until } from '../support/until.ts';

/**
 * A body in pieces of one byte (chunks of HTTP/1, DATA frames of HTTP/2) cost its sender next to nothing and each piece its
 * microseconds here: eight strangers made all other clients wait for seconds. A piece has a price now, whatever it carries.
 */
const CHUNK = '1\r\nx\r\n';
const HEAD = 'PUT /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n';
const GET = 'GET /b HTTP/1.1\r\nhost: x\r\n\r\n';
/** More than `WorkScheduler` does in one turn, with the slice that used it up. */
const MOST_OF_A_TURN = 200 + 32;

/** A gate before a parser that counts what it gets. */
function gateOn(
  test: Test,
  scheduler: WorkScheduler,
): { readonly gate: RequestGate; readonly fed: Buffer[]; readonly pieces: () => number } {
  const socket = new Socket();
  test.teardown(() => socket.destroy());
  const fed: Buffer[] = [];
  const parser = { data: (bytes: Buffer) => void fed.push(Buffer.from(bytes)), end: () => undefined };
  const report = (error: unknown) => test.fail('a fault of ours', { error });
  const gate = new RequestGate(socket, parser, { maxHeadBytes: 16_384, scheduler, report });
  const pieces = () => Buffer.concat(fed).toString('latin1').split('x\r\n').length - 1;
  return { gate, fed, pieces };
}

const STREAMS: readonly (readonly [name: string, head: string])[] = [
  ['a body that is followed', HEAD],
  ['a body behind a head that cannot be followed', HEAD.replace(' /a', '  /a')],
];

for (const [name, head] of STREAMS) {
  t.test(`others are served between slices of ${name}`, async (t) => {
    const scheduler = new WorkScheduler((error) => t.fail('a fault of ours', { error }));
    const [tiny, other] = [gateOn(t, scheduler), gateOn(t, scheduler)];
    const bytes = Buffer.from(`${head}${CHUNK.repeat(1_500)}0\r\n\r\n`, 'latin1');
    tiny.gate.take(bytes);
    t.ok(tiny.pieces() <= MOST_OF_A_TURN, `${tiny.pieces()} chunks before others are looked at`);
    other.gate.take(Buffer.from(GET));
    t.equal(Buffer.concat(other.fed).toString(), GET, 'the request of the other is read meanwhile');
    let before = tiny.pieces();
    let most = 0;
    await until(async () => {
      for (let turn = 0; turn < 50; turn += 1) {
        await nextTurn();
        most = Math.max(most, tiny.pieces() - before);
        before = tiny.pieces();
      }
      return before >= 1_500;
    }, 'all chunks are read in the end');
    t.ok(most <= MOST_OF_A_TURN, `${most} chunks at most in one turn`);
    await until(() => Buffer.concat(tiny.fed).length === bytes.length, 'the rest');
    t.ok(Buffer.concat(tiny.fed).equals(bytes), 'every byte, in its order');
  });
}

t.test('a connection with many tiny pieces is slowed down, one with a few or with large ones is not', async (t) => {
  const slowed = (perSecond: number, seconds: number): number => {
    const budget = new PieceBudget(0);
    let times = 0;
    for (let at = 1; at <= seconds * perSecond; at += 1) if (budget.take(1, (at * 1_000) / perSecond)) times += 1;
    return times;
  };
  t.equal(slowed(100, 60), 0, 'a hundred a second, for a minute');
  t.equal(slowed(500, 60), 0, 'five hundred a second');
  t.ok(slowed(20_000, 5) > 450, 'a flood of them each 200');
  const requests = new PieceBudget(0);
  for (let at = 0; at < 10_000; at += 1) {
    requests.begun();
    if (requests.take(4, 0)) t.fail('requests with small bodies are paid for as requests');
  }
});

t.test('a socket that is held is not resumed by others, and then stands as they left it', async (t) => {
  const socket = new Socket();
  t.teardown(() => socket.destroy());
  const hold = new SocketHold(socket);
  hold.set(true);
  socket.resume();
  t.ok(socket.isPaused(), 'held');
  hold.set(false);
  t.notOk(socket.isPaused(), 'let go');
  socket.pause();
  hold.set(true);
  hold.set(false);
  t.ok(socket.isPaused(), 'paused by another all along');
});

t.test('a body that is thrown away may have few pieces, or many bytes', async (t) => {
  const linger = new Linger(0, false);
  let pieces = 0;
  while (pieces < LINGER_BYTES && linger.take(1, 0)) pieces += 1;
  t.equal(pieces, LINGER_BYTES / 1_024 - 1);
});

t.test('small DATA frames of a refused request slow down, those without bytes end in a flood', async (t) => {
  const upstream = await recordingUpstream();
  const certificate = await testCertificate();
  const faults: string[] = [];
  const connections = new Connections((error) => t.fail('a fault of ours', { error }));
  const gateway = await startGateway(upstream.port, {
    tls: certificate,
    connections: Object.assign(connections, { fault: (fault: string) => faults.push(fault) }),
  });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const send = async (frame: Buffer): Promise<H2Client> => {
    const client = await H2Client.connect(gateway.port, { ca: Buffer.from(certificate.issuer) });
    const head = encodeHeaders(restFields('/collections/a/points', [], 'PUT'));
    client.send(writeHeaders(1, head, false), ...Array.from({ length: 10_000 }, () => frame));
    return client;
  };
  const tiny = await send(writeData(1, Buffer.from('x'), false));
  t.equal(await outcome(tiny, 1), 'status 401', 'one byte each');
  t.equal(tiny.closed, false, 'not ended: a caller may send such a body');
  t.strictSame(faults, []);
  const empty = await send(writeData(1, Buffer.alloc(0), false));
  t.match(await outcome(empty, -1), /goaway 11|closed/, 'no bytes are a flood');
  t.strictSame(faults, ['flood']);
  for (const client of [tiny, empty]) client.close();
});

t.test('a caller whose body comes in tiny pieces is served', async (t) => {
  const upstream = await recordingUpstream();
  const cert = await testCertificate();
  const gateways = [
    await startGateway(upstream.port, { relayed: true }),
    await startGateway(upstream.port, { relayed: false }),
    await startGateway(upstream.port, { tls: cert }),
  ];
  t.teardown(async () => {
    for (const gateway of gateways) await gateway.close();
    await upstream.close();
  });
  const [relayed, plain, tls] = gateways;
  const body = 'y'.repeat(2_000);
  for (const gateway of [relayed, plain]) {
    for (const [key, status] of [
      ['main', 200],
      ['wrong', 401],
    ] as const) {
      const socket = connect(gateway?.port ?? 0, '127.0.0.1');
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1'))).on('error', () => undefined);
      const head = `PUT /collections/a/points HTTP/1.1\r\nhost: x\r\napi-key: ${key}\r\ntransfer-encoding: chunked\r\n\r\n`;
      socket.write(`${head}${[...body].map((byte) => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n${GET}`);
      await until(() => text.split('HTTP/1.1 ').length - 1 === 2, 'both requests are answered');
      t.match(text, new RegExp(`^HTTP/1.1 ${status} `), `${key} is answered ${status}`);
      socket.destroy();
    }
  }
  const session = connectHttp2(`https://127.0.0.1:${tls?.port}`, { rejectUnauthorized: false });
  session.on('error', () => undefined);
  const stream = session.request({ ':method': 'PUT', ':path': '/collections/a/points', 'api-key': 'main' });
  for (const byte of body) stream.write(byte);
  stream.end();
  const [head] = await once(stream, 'response');
  stream.resume();
  t.equal(head[':status'], 200, 'over HTTP/2');
  session.destroy();
  const bodies = upstream.received.filter(({ method }) => method === 'PUT').map((one) => one.body.toString());
  t.strictSame(bodies, [body, body, body]);
});
