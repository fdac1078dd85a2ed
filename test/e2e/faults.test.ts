import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { request } from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { restClient, restOutcome, trust } from '../support/clients/official.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { openHttp2, openTls } from '../support/clients/sockets.ts';
import { message, metadataOf, rawClient, same, unary } from '../support/clients/unary.ts';
import { type FakeQdrantOptions, startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS, startGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { collectionToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const admin = { 'api-key': KEYS.admin };
const writer = { 'api-key': collectionToken('rw', 'cities') };
const LIST = '/qdrant.Collections/List';
const UNREACHABLE = 'upstream is not reachable';
const EMPTY = Buffer.alloc(0);

async function started(test: Test, options: TestGatewayOptions = {}) {
  const gateway = await startGateway(options);
  trust(gateway.ca);
  const client = rawClient(gateway);
  test.teardown(async () => {
    client.close();
    await gateway.close();
  });
  return { gateway, client };
}

/** Two ports that were free a moment ago, and an upstream that can come and go on them. */
async function place() {
  const first = await startFakeQdrant();
  const { restUrl, grpcUrl } = first;
  await first.close();
  const ports = { restPort: Number(restUrl.split(':')[2]), grpcPort: Number(grpcUrl.split(':')[2]) };
  const start = (options: FakeQdrantOptions = {}) => startFakeQdrant({ ...options, ...ports });
  return { start, settings: { 'gateway.upstream.rest_url': restUrl, 'gateway.upstream.grpc_url': grpcUrl } };
}

t.test('with upstream absent the gateway starts, says so, and needs no restart when it comes', async (test) => {
  const { start, settings } = await place();
  const { gateway, client } = await started(test, { settings });
  for (let round = 0; round < 3; round += 1) {
    const rest = await ask(gateway, 'GET', '/collections', admin);
    test.equal(rest.status, 502);
    test.equal(rest.headers['content-type'], 'application/json');
    test.match(rest.headers['x-request-id'], /^[0-9a-f-]{36}$/);
    test.match(JSON.parse(rest.body), { status: { error: UNREACHABLE }, time: Number });
    test.match(await unary(client, LIST, EMPTY, admin), { code: 14, message: UNREACHABLE });
    test.match(await unary(client, '/qdrant.Points/Count', message({ 1: 'cities' }), writer), { code: 14 });
  }
  const official = restClient(gateway, KEYS.admin);
  test.same(await restOutcome(official.getCollections()), [502, UNREACHABLE]);
  test.equal((await ask(gateway, 'GET', '/collections')).status, 401, 'who may not ask is told first');
  test.match(await unary(client, LIST, EMPTY), { code: 16 });
  test.equal((await ask(gateway, 'PUT', '/collections/cities/points', writer, '{}')).status, 502);
  const upstream = await start();
  test.teardown(() => upstream.close());
  test.equal((await ask(gateway, 'GET', '/collections', admin)).status, 200);
  test.match(await unary(client, LIST, EMPTY, admin), { code: 0 });
  test.equal(await restOutcome(official.getCollections()), 'ok');
});

t.test('with upstream absent a large body is refused and the client is not left waiting', async (test) => {
  const { settings } = await place();
  const { gateway, client } = await started(test, { settings });
  const big = 'x'.repeat(8 << 20);
  for (const length of [{ 'content-length': String(big.length) }, { 'transfer-encoding': 'chunked' }]) {
    const answer = ask(gateway, 'PUT', '/collections/cities/points', { ...admin, ...length }, big);
    // The answer, or the end of the connection while the client still writes: never silence.
    const outcome = await answer.then(({ status }) => status).catch((error: NodeJS.ErrnoException) => error.code);
    test.ok([502, 'EPIPE', 'ECONNRESET'].includes(outcome ?? ''), String(outcome));
  }
  const upsert = message({ 1: 'cities', 1000: Buffer.alloc(8 << 20) });
  test.match(await unary(client, '/qdrant.Points/Upsert', upsert, admin), { code: 14 });
  test.match(await unary(client, LIST, EMPTY, admin), { code: 14 });
});

t.test('upstream that restarts is found again by clients that stayed connected', async (test) => {
  const { start, settings } = await place();
  let upstream = await start();
  test.teardown(() => upstream.close());
  const { gateway, client } = await started(test, { settings });
  const rest = restClient(gateway, KEYS.admin);
  for (let round = 0; round < 3; round += 1) {
    test.equal(await restOutcome(rest.getCollections()), 'ok');
    test.match(await unary(client, LIST, EMPTY, admin), { code: 0 });
    await upstream.close();
    test.same(await restOutcome(rest.getCollections()), [502, UNREACHABLE], 'while it is away');
    test.match(await unary(client, LIST, EMPTY, admin), { code: 14 }, 'while it is away');
    upstream = await start();
    test.equal(await restOutcome(rest.getCollections()), 'ok', 'at once when it is back');
    const { code } = await unary(client, LIST, EMPTY, admin);
    test.ok(code === 0 || code === 14, `at most one call is lost, code ${code}`);
    test.match(await unary(client, LIST, EMPTY, admin), { code: 0 });
  }
});

t.test('upstream that restarts unseen costs an idle connection at most one call', async (test) => {
  const { start, settings } = await place();
  let upstream = await start();
  test.teardown(() => upstream.close());
  const { gateway, client } = await started(test, { settings });
  const rest = restClient(gateway, KEYS.admin);
  for (let round = 0; round < 3; round += 1) {
    test.match(await unary(client, LIST, EMPTY, admin), { code: 0 });
    test.equal(await restOutcome(rest.getCollections()), 'ok');
    await upstream.close();
    upstream = await start();
    const codes: number[] = [];
    for (let call = 0; call < 3; call += 1) codes.push((await unary(client, LIST, EMPTY, admin)).code);
    test.ok(codes.slice(1).every((code) => code === 0) && [0, 14].includes(codes[0] ?? -1), `gRPC ${codes}`);
    const answers: unknown[] = [];
    for (let call = 0; call < 3; call += 1) answers.push(await restOutcome(rest.getCollections()));
    test.same(answers.slice(1), ['ok', 'ok']);
  }
});

/** Begins an answer of a megabyte, ends the connection after a quarter of it. */
function brokenRest(incoming: IncomingMessage, response: ServerResponse): boolean {
  const chunked = incoming.url?.includes('chunked') === true;
  if (incoming.url?.startsWith('/collections/cities/snapshots/') !== true) return false;
  response.writeHead(200, chunked ? {} : { 'content-length': 1 << 20 });
  response.write(Buffer.alloc(1 << 18, 1), () => response.socket?.destroy());
  return true;
}

t.test('an answer that breaks off upstream breaks off at the client, never a short success', async (test) => {
  const { gateway } = await started(test, { upstream: { onRest: brokenRest } });
  for (const name of ['sized', 'chunked']) {
    const path = `/collections/cities/snapshots/${name}`;
    await test.rejects(ask(gateway, 'GET', path, admin), { code: 'ECONNRESET' }, `${name} over HTTP/1.1`);
    const session = await openHttp2(gateway.rest.port, gateway.ca);
    const stream = session.request({ ':path': path, ...admin });
    await test.rejects(text(stream), { code: 'ERR_HTTP2_STREAM_ERROR' }, `${name} over HTTP/2`);
    const other = session.request({ ':path': '/collections', ...admin });
    test.match(JSON.parse(await text(other)), { status: 'ok' }, 'the connection goes on');
    session.close();
  }
});

t.test('a stream that breaks off upstream ends with an error, never with success', async (test) => {
  const onGrpc = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean => {
    if (headers[':path'] !== '/qdrant.StorageRead/ReadBytesStream') return false;
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.write(Buffer.of(0, 0, 0, 0, 1, 7));
    setImmediate(() => setImmediate(() => stream.session?.destroy()));
    return true;
  };
  const { client } = await started(test, { upstream: { onGrpc } });
  for (let round = 0; round < 5; round += 1) {
    const body = Buffer.from(message({ 1: 'cities' }));
    const path = '/qdrant.StorageRead/ReadBytesStream';
    const stream = client.makeServerStreamRequest(path, same, same, body, metadataOf(admin));
    stream.on('data', () => undefined);
    const [error] = await once(stream, 'error').catch((reason: unknown) => [reason]);
    test.ok([14, 13, 2].includes(error.code), `code ${error.code} ${error.details}`);
    test.match(await unary(client, LIST, EMPTY, admin), { code: 0 }, 'the next call works');
  }
});

t.test('upstream that asks clients to go lets open calls finish, and the next ones work', async (test) => {
  const streams: ServerHttp2Stream[] = [];
  const onGrpc = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean => {
    if (headers[':path'] !== '/qdrant.Points/Count') return false;
    streams.push(stream);
    stream.resume();
    return true;
  };
  const { client } = await started(test, { upstream: { onGrpc } });
  const open = unary(client, '/qdrant.Points/Count', message({ 1: 'cities' }), admin);
  await until(() => streams.length === 1, 'the call reaches upstream');
  const [stream] = streams;
  stream?.session?.close();
  const next = [];
  for (let call = 0; call < 5; call += 1) next.push((await unary(client, LIST, EMPTY, admin)).code);
  test.same(next, [0, 0, 0, 0, 0]);
  stream?.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream?.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream?.end(Buffer.alloc(5));
  test.match(await open, { code: 0 });
});

t.test('a client that leaves within an upload takes the upstream request along', async (test) => {
  const { gateway, client } = await started(test);
  const { recorder } = gateway.upstream;
  const path = '/collections/cities/snapshots/upload';
  const part = Buffer.alloc(1 << 20);
  const leavers = {
    'HTTP/1.1 with a length': async () => {
      const socket = await openTls(gateway.rest.port, { ca: gateway.ca });
      const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\napi-key: ${KEYS.admin}\r\ncontent-length: 10485760\r\n`;
      socket.write(`${head}content-type: multipart/form-data; boundary=b\r\n\r\n`);
      socket.write(part);
      return () => socket.destroy();
    },
    'HTTP/1.1 chunked': async () => {
      const headers = { ...admin, 'content-type': 'multipart/form-data; boundary=b', 'transfer-encoding': 'chunked' };
      const to = { host: 'localhost', port: gateway.rest.port, ca: gateway.ca, agent: false as const };
      const sending = request({ ...to, path, method: 'POST', headers });
      sending.on('error', () => undefined).write(part);
      return () => sending.destroy();
    },
    'HTTP/2': async () => {
      const session = await openHttp2(gateway.rest.port, gateway.ca);
      session.on('error', () => undefined);
      const headers = { ':method': 'POST', ':path': path, 'content-type': 'multipart/form-data; boundary=b' };
      const stream = session.request({ ...headers, ...admin });
      stream.on('error', () => undefined).write(part);
      return () => session.destroy();
    },
  };
  for (const [name, begin] of Object.entries(leavers)) {
    recorder.clear();
    const leave = await begin();
    await until(() => (recorder.rest[0]?.received.length ?? 0) > 0, `${name}: the upload reaches upstream`);
    leave();
    await until(() => recorder.rest[0]?.state === 'aborted', `${name}: upstream sees it end`);
    test.equal(recorder.rest[0]?.received.sha256, undefined, `${name}: not taken for a whole body`);
    test.equal((await ask(gateway, 'GET', '/collections', admin)).status, 200);
  }
  test.match(await unary(client, LIST, EMPTY, admin), { code: 0 });
});

t.test('a gRPC client that leaves within a message leaves no whole message behind', async (test) => {
  const streams: { stream: ServerHttp2Stream; ended: boolean }[] = [];
  const onGrpc = (stream: ServerHttp2Stream): boolean => {
    const entry = { stream, ended: false };
    streams.push(entry);
    stream
      .on('error', () => undefined)
      .on('end', () => {
        entry.ended = stream.rstCode === 0 && !stream.aborted;
      });
    stream.resume();
    return true;
  };
  const { gateway } = await started(test, { upstream: { onGrpc } });
  for (const credential of [admin, writer]) {
    streams.length = 0;
    const session = await openHttp2(gateway.grpc.port, gateway.ca);
    session.on('error', () => undefined);
    const head = { ':method': 'POST', ':path': '/qdrant.Points/Upsert', 'content-type': 'application/grpc' };
    const stream = session.request({ ...head, te: 'trailers', ...credential });
    stream.on('error', () => undefined);
    const whole = Buffer.concat([Buffer.alloc(5), message({ 1: 'cities', 1000: Buffer.alloc(200_000) })]);
    whole.writeUInt32BE(whole.length - 5, 1);
    stream.write(whole.subarray(0, 150_000));
    await until(() => streams.length === 1, 'the call begins upstream');
    session.destroy();
    await until(() => streams[0]?.stream.closed === true, 'it ends upstream');
    test.equal(streams[0]?.ended, false);
  }
});

/** A server with one answer for every request. */
async function saying(test: Test, answer: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    answer(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  test.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('upstream that talks nonsense is a broken upstream, on both protocols', async (test) => {
  const kinds: Readonly<Record<string, (socket: Socket) => void>> = {
    'says nonsense': (socket) => socket.once('data', () => socket.write('nonsense\r\n\r\n'.repeat(10))),
    'hangs up at once': (socket) => socket.destroy(),
    'hangs up when asked': (socket) => socket.once('data', () => socket.end()),
    'answers like a web server': (socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 99 no\r\ncontent-length: -1\r\n\r\n')),
  };
  for (const [name, answer] of Object.entries(kinds)) {
    const url = await saying(test, answer);
    const settings = { 'gateway.upstream.rest_url': url, 'gateway.upstream.grpc_url': url };
    const { gateway, client } = await started(test, { settings });
    const rest = await ask(gateway, 'GET', '/collections', admin);
    test.equal(rest.status, 502, name);
    test.match(JSON.parse(rest.body), { status: { error: /^upstream / } });
    const { code, message: said } = await unary(client, LIST, EMPTY, admin);
    test.equal(code, 14, `${name}: ${said}`);
    const filtered = await unary(client, LIST, EMPTY, writer);
    test.equal(filtered.code, 14, `${name}, filtered: ${filtered.message}`);
    test.equal((await ask(gateway, 'GET', '/collections', writer)).status, 502, `${name}, filtered`);
  }
});

t.test('upstream that says nothing is waited for only so long', async (test) => {
  const url = await saying(test, (socket) => socket.resume());
  const settings = {
    'gateway.upstream.rest_url': url,
    'gateway.upstream.response_header_timeout_ms': 400,
    'gateway.upstream.grpc_url': url,
  };
  const { gateway, client } = await started(test, { settings });
  const rest = await ask(gateway, 'GET', '/collections', admin);
  test.equal(rest.status, 504);
  test.match(JSON.parse(rest.body), { status: { error: 'upstream did not answer in time' } });
  test.match(await unary(client, LIST, EMPTY, admin, 400), { code: 4 });
});

t.test('a gateway that stops ends open calls and takes no new ones', async (test) => {
  const streams: ServerHttp2Stream[] = [];
  const onGrpc = (stream: ServerHttp2Stream): boolean => streams.push(stream) > 0;
  const gateway = await startGateway({ upstream: { onGrpc } });
  const client = rawClient(gateway);
  const open = unary(client, LIST, EMPTY, admin);
  await until(() => streams.length === 1, 'the call reaches upstream');
  await gateway.close();
  const { code } = await open;
  test.ok(code === 14 || code === 13, `code ${code}: cut off, never a success`);
  await test.rejects(ask(gateway, 'GET', '/collections', admin), { code: 'ECONNREFUSED' });
  client.close();
});
