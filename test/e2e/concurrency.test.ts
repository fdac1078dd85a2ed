import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { request } from 'node:https';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { QdrantClient } from '@qdrant/js-client-rest';
import t from 'tap';
import { openHttp2, openTls, talk } from '../support/clients/sockets.ts';
import { prepare } from '../support/clients/tutorial.ts';
import { message, type RawReply, rawClient, unary } from '../support/clients/unary.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { shortened } from '../support/generators/runs.ts';
import { FILE_MS } from '../support/patience.ts';
import { growthDuring, startGatewayProcess } from '../support/process/gateway-process.ts';
import { stopwatch } from '../support/reference.ts';
import { collectionToken, makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const MIB = 1 << 20;
// Gigabytes pass through here; a busy machine takes its time.
t.setTimeout(FILE_MS);
/** More than the bound on memory; test/soak/transfers.soak.ts takes more. */
const DOWNLOAD_MIB = shortened(128, 88);
const DOWNLOAD = DOWNLOAD_MIB * MIB;
const BIG_ANSWER = 64 * MIB;
const BIG_UPSERT_MIB = shortened(128, 88);
/** Far below what is sent through: above this much more memory a message or body must have been held. */
const BOUND_MIB = 80;
/** The same for an answer of 64 MiB. */
const ANSWER_BOUND_MIB = 56;

const GET = '/qdrant.Collections/Get';
const FOREIGN = 'Forbidden: Access to collection private is required';
const NONE = 'Must provide an API key or an Authorization bearer token';

/** An upsert of so many points of about a mebibyte each. */
function upsertOf(points: number): Buffer {
  const payload = message({ 1: 'text', 2: message({ 4: 'x'.repeat(MIB) }) });
  const vectors = message({ 1: message({ 1: Buffer.alloc(16) }) });
  const point = message({ 1: message({ 1: 7 }), 3: payload, 4: vectors });
  const field = message({ 3: point });
  return Buffer.concat([message({ 1: 'cities' }), ...Array.from({ length: points }, () => field)]);
}

/** Counts and hashes what comes, without keeping it; answers a search with one big message. */
function onGrpc(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
  const path = headers[':path'];
  if (path !== '/qdrant.Points/Upsert' && path !== '/qdrant.Points/Search') return false;
  stream.on('error', () => undefined);
  stream.resume();
  stream.once('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    if (path === '/qdrant.Points/Upsert') stream.end(Buffer.alloc(5));
    else pipeline(Readable.from(bigAnswer()), stream).catch(() => stream.destroy());
  });
  return true;
}

function* bigAnswer(): Iterable<Buffer> {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(BIG_ANSWER, 1);
  yield head;
  for (let sent = 0; sent < BIG_ANSWER; sent += MIB) yield Buffer.alloc(MIB, 1);
}

/** Bytes that differ from place to place, so that nothing can get lost or change places. */
function* numbered(total: number): Iterable<Buffer> {
  for (let at = 0; at < total; at += MIB) {
    const chunk = Buffer.alloc(MIB, at / MIB);
    chunk.writeUInt32BE(at / MIB, 0);
    yield chunk;
  }
}

function hashOf(chunks: Iterable<Buffer>): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

const NUMBERED = hashOf(numbered(DOWNLOAD));

function onRest(incoming: IncomingMessage, response: ServerResponse): boolean {
  if (incoming.url !== '/collections/cities/snapshots/large') return false;
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': DOWNLOAD });
  pipeline(Readable.from(numbered(DOWNLOAD)), response).catch(() => response.destroy());
  return true;
}

const upstream = await startFakeQdrant({ onGrpc, onRest });
const gateway = await startGatewayProcess(upstream);
const client = rawClient(gateway);
t.teardown(async () => {
  client.close();
  await gateway.close();
  await upstream.close();
});
await prepare(new QdrantClient({ url: upstream.restUrl, checkCompatibility: false }));
const writer = { 'api-key': collectionToken('rw', 'cities') };
const reader = { 'api-key': collectionToken('r', 'cities') };
const skip = gateway.residentBytes() > 0 ? false : 'no /proc to read memory from';
// The first calls load code and grow pools; what is measured comes after them.
for (let at = 0; at < 100; at += 1) {
  for (const one of [writer, reader]) await unary(client, GET, message({ 1: 'cities' }), one);
}

t.test('a hundred calls at once on one connection are judged one by one', async (test) => {
  const gateway = await startGateway();
  const client = rawClient(gateway);
  test.teardown(async () => {
    client.close();
    await gateway.close();
  });
  await prepare(new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false }));
  const kinds: readonly [headers: Record<string, string>, collection: string, code: number, text: string][] = [
    [{ 'api-key': KEYS.admin }, 'private', 0, ''],
    [{ 'api-key': KEYS.readOnly }, 'private', 0, ''],
    [{ 'api-key': collectionToken('r', 'cities') }, 'private', 7, FOREIGN],
    [{ 'api-key': collectionToken('prw', 'cities') }, 'cities', 0, ''],
    [{ authorization: `Bearer ${collectionToken('rw', 'private')}` }, 'private', 0, ''],
    [{}, 'cities', 16, NONE],
    [{ 'api-key': 'wrong' }, 'cities', 16, 'Invalid API key or JWT'],
    [{ 'api-key': makeToken({ exp: 1 }) }, 'cities', 7, 'ExpiredSignature'],
    [{ 'api-key': makeToken({ access: [] }) }, 'private', 7, FOREIGN],
    [{ 'api-key': KEYS.alt }, 'missing', 5, "Not found: Collection `missing` doesn't exist!"],
  ];
  for (let round = 0; round < 5; round += 1) {
    gateway.upstream.recorder.clear();
    const calls = Array.from({ length: 100 }, (_, at) => kinds[(at * 7 + round) % kinds.length] ?? kinds[0]);
    const replies = await Promise.all(
      calls.map(async (kind) => {
        const [headers = {}, collection = ''] = kind ?? [];
        const { code, message: said } = await unary(client, GET, message({ 1: collection }), headers);
        // grpc-js leaves %3A as it is where the stand-in writes it.
        return [code, said.replaceAll('%3A', ':')];
      }),
    );
    test.same(
      replies,
      calls.map((kind) => [kind?.[2], kind?.[3]]),
    );
    const { recorder } = gateway.upstream;
    test.equal(recorder.grpc.length, 50, 'only what is allowed reaches upstream');
    test.equal(recorder.connections.grpc, round === 0 ? 1 : 0, 'over one connection');
  }
});

const REST_KINDS: readonly [headers: Record<string, string>, collection: string, status: number, text: RegExp][] = [
  [{ 'api-key': KEYS.admin }, 'private', 200, /"status":"ok"/],
  [{ 'api-key': KEYS.readOnly }, 'cities', 200, /"status":"ok"/],
  [{ 'api-key': collectionToken('r', 'cities') }, 'private', 403, new RegExp(FOREIGN)],
  [{ 'api-key': collectionToken('prw', 'cities') }, 'cities', 200, /"status":"ok"/],
  [{ authorization: `Bearer ${collectionToken('rw', 'private')}` }, 'private', 200, /"status":"ok"/],
  [{}, 'cities', 401, new RegExp(`^${NONE}$`)],
  [{ 'api-key': 'wrong' }, 'cities', 401, /^Invalid API key or JWT$/],
  [{ 'api-key': makeToken({ exp: 1 }) }, 'cities', 403, /^ExpiredSignature$/],
  [{ 'api-key': KEYS.admin }, 'missing', 404, /doesn't exist/],
];

t.test('a hundred requests at once on one HTTP/2 connection are judged one by one', async (test) => {
  const own = await startGateway({ settings: { 'service.alt_api_key': null } });
  test.teardown(() => own.close());
  await prepare(new QdrantClient({ url: own.upstream.restUrl, checkCompatibility: false }));
  const session = await openHttp2(own.rest.port, own.ca);
  own.upstream.recorder.clear();
  await Promise.all(
    Array.from({ length: 100 }, async (_, at) => {
      const [headers, collection, status, expected] = REST_KINDS[at % REST_KINDS.length] ?? [{}, '', 0, /$^/];
      const body = at % 2 === 0 ? '{"limit":1}' : undefined;
      const path = body === undefined ? `/collections/${collection}` : `/collections/${collection}/points/scroll`;
      const stream = session.request({ ':method': body === undefined ? 'GET' : 'POST', ':path': path, ...headers });
      let seen = 0;
      stream.once('response', (head) => {
        seen = Number(head[':status']);
      });
      stream.end(body);
      test.match(await text(stream), expected, `${at}: ${path}`);
      test.equal(seen, status, `${at}: ${path}`);
    }),
  );
  session.close();
  test.equal(own.upstream.recorder.rest.length, 56, 'only what is allowed reaches upstream');
});

t.test('pipelined requests are each judged by their own credential and answered in order', async (test) => {
  const own = await startGateway({ settings: { 'service.alt_api_key': null } });
  test.teardown(() => own.close());
  await prepare(new QdrantClient({ url: own.upstream.restUrl, checkCompatibility: false }));
  const socket = await openTls(own.rest.port, { ca: own.ca });
  const heads = [...REST_KINDS, ...REST_KINDS].map(([headers, collection], at, { length }) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const last = at === length - 1 ? 'connection: close\r\n' : '';
    return `GET /collections/${collection} HTTP/1.1\r\nhost: localhost\r\n${lines.join('')}${last}\r\n`;
  });
  const { received, closed } = await talk(socket, heads.join(''));
  const statuses = [...received.toString().matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  test.same(
    statuses,
    [...REST_KINDS, ...REST_KINDS].map(([, , status]) => status),
  );
  test.ok(closed);
});

t.test('a token seen for the first time may come with a large message on a connection in use', async (test) => {
  const gateway = await startGateway();
  const client = rawClient(gateway);
  test.teardown(async () => {
    client.close();
    await gateway.close();
  });
  await prepare(new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false }));
  // From here on the client knows the window of upstream, which is larger than the one it began with.
  test.match(await unary(client, GET, message({ 1: 'cities' }), { 'api-key': KEYS.admin }), { code: 0 });
  for (const [name, claims, expected] of [
    ['global manage', { access: 'm' }, { code: 0, message: '' }],
    ['one collection', { access: [{ collection: 'cities', access: 'r' }] }, { code: 0, message: '' }],
    ['another collection', { access: [{ collection: 'private', access: 'r' }] }, { code: 7 }],
    ['an expiry that is over', { exp: 1 }, { code: 7, message: 'ExpiredSignature' }],
  ] as const) {
    for (const size of [40_000, 65_000, 70_000, 300_000, 3 * MIB]) {
      const headers = { 'api-key': makeToken({ ...claims, sub: `${name} ${size}` }) };
      const body = message({ 1: 'cities', 1000: Buffer.alloc(size) });
      test.match(await unary(client, '/qdrant.Points/Count', body, headers), expected, `${name}, ${size} bytes`);
    }
  }
});

t.test('an upsert of 64 MiB by an rw token passes whole', async (test) => {
  const body = upsertOf(64);
  upstream.recorder.clear();
  const reply = await unary(client, '/qdrant.Points/Upsert', body, writer);
  test.match(reply, { code: 0, message: '' });
  const framed = Buffer.concat([Buffer.alloc(5), body]);
  framed.writeUInt32BE(body.length, 1);
  test.equal(upstream.recorder.grpc[0]?.received.sha256, hashOf([framed]));
});

t.test('a larger upsert passes in bounded memory', { skip }, async (test) => {
  const body = upsertOf(BIG_UPSERT_MIB);
  let reply: RawReply | undefined;
  const took = stopwatch();
  const growth = await growthDuring(gateway, async () => {
    reply = await unary(client, '/qdrant.Points/Upsert', body, writer);
  });
  test.comment(`${BIG_UPSERT_MIB} MiB upsert: +${growth} MiB in ${took()}`);
  test.match(reply, { code: 0, message: '' });
  test.ok(growth < BOUND_MIB, `${growth} MiB`);
  upstream.recorder.clear();
  const denied = await unary(client, '/qdrant.Points/Upsert', body, reader);
  test.match(denied, { code: 7, message: 'Forbidden: Write access to collection cities is required' });
  test.equal(upstream.recorder.grpc.length, 0);
});

t.test('an answer of 64 MiB passes in bounded memory', { skip }, async (test) => {
  let reply: RawReply | undefined;
  const took = stopwatch();
  const growth = await growthDuring(gateway, async () => {
    reply = await unary(client, '/qdrant.Points/Search', message({ 1: 'cities' }), reader);
  });
  test.comment(`64 MiB answer: +${growth} MiB in ${took()}`);
  test.equal(reply?.code, 0);
  test.equal(reply?.body.length, BIG_ANSWER);
  test.ok(reply?.body.equals(Buffer.alloc(BIG_ANSWER, 1)), 'the same bytes');
  test.ok(growth < ANSWER_BOUND_MIB, `${growth} MiB`);
});

t.test('a client that does not read its answer holds up upstream, not the memory', { skip }, async (test) => {
  const session = await openHttp2(gateway.grpc.port, gateway.ca);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/qdrant.Points/Search',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...reader,
  });
  stream.on('error', () => undefined);
  const request = message({ 1: 'cities' });
  const growth = await growthDuring(gateway, async () => {
    stream.end(Buffer.concat([Buffer.of(0, 0, 0, 0, request.length), request]));
    await until(() => stream.readableLength > 0, 'the answer begins');
    const small = await unary(client, GET, message({ 1: 'cities' }), reader);
    test.equal(small.code, 0, 'others go on');
  });
  test.ok(growth < ANSWER_BOUND_MIB, `${growth} MiB`);
  let length = 0;
  for await (const chunk of stream) length += chunk.length;
  test.equal(length, BIG_ANSWER + 5, 'read to its end later');
  session.close();
});

t.test('small calls go on while a big one is under way on the same connection', async (test) => {
  let over = false;
  const big = unary(client, '/qdrant.Points/Upsert', upsertOf(shortened(64, 32)), writer).finally(() => {
    over = true;
  });
  let before = 0;
  for (let at = 0; at < 40; at += 1) {
    const { code } = await unary(client, GET, message({ 1: at % 2 === 0 ? 'cities' : 'private' }), reader);
    test.equal(code, at % 2 === 0 ? 0 : 7);
    before += over ? 0 : 1;
  }
  test.comment(`${before} of 40 small calls ended before the big one`);
  test.match(await big, { code: 0 });
  test.ok(before > 0);
});

function agentOptions(path: string, method: string, headers: Record<string, string | number>) {
  return { host: 'localhost', port: gateway.rest.port, ca: gateway.ca, agent: false as const, path, method, headers };
}

t.test(`an upload of ${DOWNLOAD_MIB} MiB passes in constant memory`, { skip }, async (test) => {
  upstream.recorder.clear();
  const head = Buffer.from('--b\r\ncontent-disposition: form-data; name="snapshot"; filename="a"\r\n\r\n');
  const tail = Buffer.from('\r\n--b--\r\n');
  const headers = {
    'api-key': KEYS.admin,
    'content-type': 'multipart/form-data; boundary=b',
    'content-length': head.length + DOWNLOAD + tail.length,
  };
  const parts = function* (): Iterable<Buffer> {
    yield head;
    yield* numbered(DOWNLOAD);
    yield tail;
  };
  const answered = Promise.withResolvers<number | undefined>();
  const took = stopwatch();
  const growth = await growthDuring(gateway, async () => {
    const sending = request(agentOptions('/collections/cities/snapshots/upload', 'POST', headers), (response) => {
      response.resume();
      response.once('end', () => answered.resolve(response.statusCode));
    });
    sending.once('error', answered.reject);
    await pipeline(Readable.from(parts()), sending);
    await answered.promise;
  });
  test.comment(`${DOWNLOAD_MIB} MiB upload: +${growth} MiB in ${took()}`);
  test.equal(await answered.promise, 200);
  test.equal(upstream.recorder.rest[0]?.received.sha256, hashOf(parts()));
  test.ok(growth < BOUND_MIB, `${growth} MiB`);
});

t.test(`a download of ${DOWNLOAD_MIB} MiB passes in constant memory`, { skip }, async (test) => {
  const hash = createHash('sha256');
  let length = 0;
  const took = stopwatch();
  const growth = await growthDuring(gateway, async () => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const headers = { 'api-key': KEYS.readOnly };
    request(agentOptions('/collections/cities/snapshots/large', 'GET', headers), (response) => {
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        hash.update(chunk);
      });
      response.once('error', reject).once('end', resolve);
    })
      .once('error', reject)
      .end();
    await promise;
  });
  test.comment(`${DOWNLOAD_MIB} MiB download: +${growth} MiB in ${took()}`);
  test.equal(length, DOWNLOAD);
  test.equal(hash.digest('hex'), NUMBERED);
  test.ok(growth < BOUND_MIB, `${growth} MiB`);
});

t.test('a download over HTTP/2 passes in constant memory', { skip }, async (test) => {
  const session = await openHttp2(gateway.rest.port, gateway.ca);
  const hash = createHash('sha256');
  const took = stopwatch();
  const growth = await growthDuring(gateway, async () => {
    const stream = session.request({ ':path': '/collections/cities/snapshots/large', 'api-key': KEYS.admin });
    for await (const chunk of stream) hash.update(chunk);
    test.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  });
  session.close();
  test.comment(`${DOWNLOAD_MIB} MiB download over HTTP/2: +${growth} MiB in ${took()}`);
  test.equal(hash.digest('hex'), NUMBERED);
  test.ok(growth < BOUND_MIB, `${growth} MiB`);
});
