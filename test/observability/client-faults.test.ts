import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import * as x509 from '@peculiar/x509';
import t, { type Test } from 'tap';
import { CLIENT_PREFACE, FrameType } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { writeHeaders, writePing, writeRstStream, writeSettings } from '../../src/http2/write-frames.ts';
import { CLIENT_FAULTS } from '../../src/net/connections.ts';
import { askAdmin, type Supervised, seriesOf, startSupervised } from '../support/admin-gateway.ts';
import { newCa } from '../support/client-certificates.ts';
import { H2Client } from '../support/clients/h2-client.ts';
import { openRawRecords } from '../support/clients/key-updates.ts';
import { openHttp2, openPlain, openTls, talk } from '../support/clients/sockets.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { KEYS } from '../support/gateway.ts';
import { until } from '../support/until.ts';

/*
 * What a client sends that never becomes a request is in no other counter: each kind of it counts once, and what is sound
 * counts nothing.
 */

const TIMEOUT_MS = 1000;
const LIMITS = {
  'gateway.limits.header_timeout_ms': TIMEOUT_MS,
  'gateway.limits.tls_handshake_timeout_ms': TIMEOUT_MS,
  'gateway.limits.header_bytes': 8192,
  'gateway.limits.header_count': 20,
  'service.enable_cors': true,
};

/** Everything that is counted, `protocol fault` to how often; what is zero left out. */
async function counted({ admin }: Supervised): Promise<Record<string, number>> {
  const found = [...seriesOf((await askAdmin(admin, '/metrics')).text)].flatMap(([name, value]) => {
    const [, protocol, fault] = /^client_faults_total\{protocol="(\w+)",fault="(\w+)"\}$/.exec(name) ?? [];
    return protocol !== undefined && value > 0 ? [[`${protocol} ${fault}`, value] as const] : [];
  });
  return Object.fromEntries(found);
}

type Port = 'rest' | 'grpc';
type Open = 'plain' | 'tls' | 'h2';
/** Sends `bytes` on a connection of its own and waits for its end. */
type Case = readonly [name: string, port: Port, open: Open, bytes: string | Buffer, fault: string];

const GET = 'GET /collections HTTP/1.1\r\nhost: x\r\n';
const POST = `POST /collections/a/points/query HTTP/1.1\r\nhost: x\r\napi-key: ${KEYS.admin}\r\n`;
const many = Array.from({ length: 30 }, (_, i) => `x-${i}: y\r\n`).join('');
const preflight = (method: string): string =>
  `OPTIONS / HTTP/1.1\r\nhost: x\r\norigin: http://a\r\naccess-control-request-method: ${method}\r\nconnection: close\r\n\r\n`;
const preface = Buffer.concat([CLIENT_PREFACE, writeSettings([])]);
const head = (streamId: number, fields: readonly HeaderField[], end = true): Buffer =>
  writeHeaders(
    streamId,
    encodeHeaders([[':method', 'GET'], [':scheme', 'https'], [':path', '/healthz'], [':authority', 'x'], ...fields]),
    end,
  );
const after = (...frames: readonly Buffer[]): Buffer => Buffer.concat([preface, ...frames]);
const ping = writePing(Buffer.alloc(8), false);
const resets = Array.from({ length: 3000 }, (_, i) => [head(2 * i + 1, []), writeRstStream(2 * i + 1, 8)]).flat();

/** Of HTTP/1, on a port without TLS. */
const PLAIN: readonly Case[] = [
  ['no request line', 'rest', 'plain', 'no request at all\r\n\r\n', 'rest head'],
  ['an unknown method', 'rest', 'plain', `FETCH / HTTP/1.1\r\nhost: x\r\n\r\n`, 'rest head'],
  ['a request line with two readings', 'rest', 'plain', 'GET  /  HTTP/1.1\r\nhost: x\r\n\r\n', 'rest head'],
  ['a request for a tunnel', 'rest', 'plain', 'CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n', 'rest head'],
  ['two hosts', 'rest', 'plain', `${GET}host: y\r\n\r\n`, 'rest head'],
  ['two framings', 'rest', 'plain', `${POST}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`, 'rest head'],
  ['a version of its own', 'rest', 'plain', 'GET / HTTP/2.0\r\nhost: x\r\n\r\n', 'rest head'],
  ['too many fields', 'rest', 'plain', `${GET}${many}\r\n`, 'rest head_size'],
  ['a head too large', 'rest', 'plain', `${GET}x: ${'y'.repeat(20_000)}\r\n\r\n`, 'rest head_size'],
  ['a chunk that is none', 'rest', 'plain', `${POST}transfer-encoding: chunked\r\n\r\nzz\r\n`, 'rest body'],
  ['a preflight for a method that is none', 'rest', 'plain', preflight('FETCH'), 'rest preflight'],
  ['half a head, and no more', 'rest', 'plain', GET, 'rest timeout'],
  ['nothing', 'rest', 'plain', '', 'rest timeout'],
  ['HTTP/1 to the port of gRPC', 'grpc', 'plain', `${GET}\r\n`, 'grpc not_http2'],
];

/** On a port with TLS. */
const SECURE: readonly Case[] = [
  ['HTTP without TLS', 'rest', 'plain', `${GET}\r\n`, 'rest not_tls'],
  ['HTTP/2 without TLS', 'grpc', 'plain', preface, 'grpc not_tls'],
  ['no byte of a handshake', 'rest', 'plain', '', 'rest timeout'],
  ['no byte of a handshake for gRPC', 'grpc', 'plain', '', 'grpc timeout'],
  ['no request line within TLS', 'rest', 'tls', 'no request at all\r\n\r\n', 'rest head'],
  ['no preface', 'rest', 'h2', `${GET}\r\n${' '.repeat(100)}`, 'rest connection'],
  ['a frame that may not be there', 'rest', 'h2', after(head(2, [])), 'rest connection'],
  ['a flood of pings', 'rest', 'h2', after(...Array<Buffer>(50_000).fill(ping)), 'rest flood'],
  ['a flood of resets', 'rest', 'h2', after(...resets), 'rest flood'],
  ['no preface for gRPC', 'grpc', 'h2', 'no preface of any kind at all', 'grpc connection'],
  ['no byte of a preface', 'grpc', 'h2', '', 'grpc timeout'],
  ['a frame of gRPC that may not be there', 'grpc', 'h2', after(head(2, [])), 'grpc connection'],
  ['a flood of pings for gRPC', 'grpc', 'h2', after(...Array<Buffer>(5000).fill(ping)), 'grpc flood'],
  ['a header block far too large', 'grpc', 'h2', after(head(1, [['x', 'y'.repeat(15_000)]])), 'grpc head_size'],
];

async function send(gateway: Supervised, [, port, open, bytes]: Case): Promise<void> {
  const { port: number } = gateway[port];
  const ALPNProtocols = open === 'h2' ? ['h2'] : ['http/1.1'];
  const socket = open === 'plain' ? await openPlain(number) : await openTls(number, { ca: gateway.ca, ALPNProtocols });
  await talk(socket, bytes, 10_000);
}

async function soundRequests(gateway: Supervised): Promise<void> {
  const headers = { 'api-key': KEYS.admin };
  const answer = await fetch(`${gateway.rest.url}/collections`, { headers }).catch(() => undefined);
  await answer?.arrayBuffer();
  const client = rawClient(gateway);
  await unary(client, '/qdrant.Collections/Get', message({ 1: 'a' }), headers);
  await unary(client, '/qdrant.Collections/Get', message({ 1: 'a' }), { 'api-key': 'wrong' });
  client.close();
  if (gateway.rest.url.startsWith('http:')) await talk(await openPlain(gateway.rest.port), preflight('PUT'), 10_000);
  // Who only leaves has done nothing wrong.
  for (const port of ['rest', 'grpc'] as const) (await openPlain(gateway[port].port)).destroy();
  if (gateway.rest.url.startsWith('https')) return;
  const partial = await openPlain(gateway.rest.port);
  partial.write(GET, () => partial.resetAndDestroy());
  await new Promise((resolve) => partial.once('close', resolve));
}

async function countEach(
  t: Test,
  gateway: Supervised,
  cases: readonly Case[],
  before: Readonly<Record<string, number>> = {},
): Promise<void> {
  const expected: Record<string, number> = { ...before };
  for (const one of cases) {
    const [name, , , , fault] = one;
    expected[fault] = (expected[fault] ?? 0) + 1;
    await send(gateway, one);
    await until(async () => ((await counted(gateway))[fault] ?? 0) >= (expected[fault] ?? 0), `${name}: ${fault}`);
    t.strictSame(await counted(gateway), expected, name);
  }
}

for (const relay of [true, false]) {
  t.test(`without TLS each fault counts once, REST ${relay ? 'relayed' : 'by Fastify'}`, async (t) => {
    const gateway = await startSupervised({ settings: { ...LIMITS, 'gateway.rest.relay': relay } });
    t.teardown(gateway.close);
    await soundRequests(gateway);
    t.strictSame(await counted(gateway), {}, 'sound requests and clients that leave count nothing');
    const ending = await openPlain(gateway.rest.port);
    ending.end(GET);
    await new Promise((resolve) => ending.resume().once('close', resolve));
    t.strictSame(await counted(gateway), { 'rest head': 1 }, 'half a head, and an end');
    await countEach(t, gateway, PLAIN, { 'rest head': 1 });
  });
}

t.test('with TLS each fault counts once, HTTP/2 included', async (t) => {
  const gateway = await startSupervised({
    settings: { ...LIMITS, 'service.enable_tls': true },
  });
  t.teardown(gateway.close);
  const session = await openHttp2(gateway.rest.port, gateway.ca);
  const stream = session.request({ ':path': '/collections', 'api-key': KEYS.admin });
  stream.resume().end();
  await new Promise((resolve) => stream.once('close', resolve));
  session.destroy();
  await soundRequests(gateway);
  const leaving = await openTls(gateway.grpc.port, { ca: gateway.ca, ALPNProtocols: ['h2'] });
  leaving.destroy();
  t.strictSame(await counted(gateway), {}, 'sound requests and clients that leave count nothing');
  await countEach(t, gateway, SECURE);
});

t.test('a stream that is reset for its head counts, and its connection goes on', async (t) => {
  const gateway = await startSupervised({ settings: { ...LIMITS, 'service.enable_tls': true } });
  t.teardown(gateway.close);
  for (const port of ['rest', 'grpc'] as const) {
    const client = await H2Client.connect(gateway[port].port, { ca: gateway.ca });
    client.send(head(1, [['bad name', 'x']]), head(3, []));
    for (const id of [1, 3]) {
      await client.until((frames) => frames.find(({ streamId, type }) => streamId === id && type !== FrameType.DATA));
    }
    client.close();
  }
  t.strictSame(await counted(gateway), { 'rest stream': 1, 'grpc stream': 1 });
});

t.test('PROXY headers that are missed, and those of others than proxies', async (t) => {
  const proxies = { 'gateway.trusted_proxies': '127.0.0.1', 'gateway.proxy_protocol': 'require' };
  const gateway = await startSupervised({ settings: { ...LIMITS, ...proxies, 'service.enable_tls': false } });
  t.teardown(gateway.close);
  for (const port of ['rest', 'grpc'] as const) {
    await talk(await openPlain(gateway[port].port), `${GET}\r\n`);
    const stranger = connect({ port: gateway[port].port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    await talk(stranger, 'PROXY UNKNOWN\r\n\r\n');
  }
  t.strictSame(await counted(gateway), {
    ...{ 'rest proxy_header': 1, 'rest proxy_untrusted': 1, 'rest head': 1 },
    ...{ 'grpc proxy_header': 1, 'grpc proxy_untrusted': 1, 'grpc connection': 1 },
  });
});

t.test('more certificates than a handshake may have', async (t) => {
  const stranger = await newCa('stranger');
  const caFile = join(mkdtempSync(join(tmpdir(), 'qdrant-gateway-faults-')), 'ca.pem');
  writeFileSync(caFile, stranger.cert);
  const asked = { 'service.verify_https_client_certificate': true, 'gateway.grpc_client_certificates': true };
  const settings = { ...LIMITS, ...asked, 'service.enable_tls': true, 'tls.ca_cert': caFile };
  const gateway = await startSupervised({ settings });
  t.teardown(gateway.close);
  const padding = (size: number) => [new x509.Extension('1.2.3.4', false, Buffer.alloc(size))];
  for (const port of ['rest', 'grpc'] as const) {
    for (const [size, localAddress] of [
      [17_000, '127.0.0.1'],
      [8000, '127.0.0.2'],
    ] as const) {
      const { cert, key } = await stranger.issue({ extensions: padding(size) });
      const to = { port: gateway[port].port, host: '127.0.0.1', servername: 'localhost', localAddress };
      const socket = connectTls({ ...to, ca: gateway.ca, cert, key, ALPNProtocols: ['h2'] });
      socket.on('error', () => undefined).write(preface);
      await Promise.race([once(socket, 'close'), once(socket, 'data')]);
      socket.destroy();
    }
  }
  t.strictSame(await counted(gateway), { 'rest handshake_size': 1, 'grpc handshake_size': 1 });
});

t.test('KeyUpdates one after the other end their connection only', async (t) => {
  const gateway = await startSupervised({ settings: { 'service.enable_tls': true } });
  t.teardown(gateway.close);
  for (const port of ['rest', 'grpc'] as const) {
    const to = { port: gateway[port].port, ca: gateway.ca, ALPNProtocols: ['h2'] };
    const [few, many] = await Promise.all([openRawRecords(to), openRawRecords(to)]);
    t.teardown(() => void few.socket.destroy());
    few.carrier.write(few.keyUpdates(32));
    many.carrier.write(many.keyUpdates(5000));
    await until(() => many.carrier.destroyed, `${port}: it has ended`);
    t.notOk(few.socket.destroyed, `${port}: as many as any client sends`);
  }
  t.strictSame(await counted(gateway), { 'rest tls_records': 1, 'grpc tls_records': 1 });
});

t.test('the kinds are those of the table, and each has been seen above', async (t) => {
  const seen = new Set([...PLAIN, ...SECURE].map(([, , , , fault]) => fault)).add('rest stream').add('grpc stream');
  const others = ['proxy_header', 'proxy_untrusted', 'handshake_size', 'tls_records'];
  for (const port of ['rest', 'grpc']) for (const fault of others) seen.add(`${port} ${fault}`);
  const all = Object.entries(CLIENT_FAULTS).flatMap(([port, faults]) => faults.map((fault) => `${port} ${fault}`));
  t.strictSame([...seen].sort(), all.sort());
  const gateway = await startSupervised();
  t.teardown(gateway.close);
  const page = (await askAdmin(gateway.admin, '/metrics')).text;
  const series = [...seriesOf(page).keys()].filter((name) => name.startsWith('client_faults_total'));
  t.equal(series.length, all.length, 'each has a series from the start');
});
