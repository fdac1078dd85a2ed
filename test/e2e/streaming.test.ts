import type { ServerHttp2Stream } from 'node:http2';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { type ClientReadableStream, type ServiceError, status } from '@grpc/grpc-js';
import { QdrantClient } from '@qdrant/js-client-rest';
import t, { type Test } from 'tap';
import { prepare } from '../support/clients/tutorial.ts';
import { message, metadataOf, rawClient, same, unary } from '../support/clients/unary.ts';
import { KEYS, startGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { collectionToken, makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
const READ_STREAM = '/qdrant.StorageRead/ReadBytesStream';
const LARGE_FILE = message({ 1: 'cities', 3: 'segments/large.dat', 4: 0, 5: 5 << 20 });
const reader = { 'api-key': collectionToken('r', 'cities') };

async function started(test: Test, options: TestGatewayOptions = {}) {
  const gateway = await startGateway(options);
  const client = rawClient(gateway);
  test.teardown(async () => {
    client.close();
    await gateway.close();
  });
  await prepare(new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false }));
  gateway.upstream.recorder.clear();
  return { gateway, client, recorder: gateway.upstream.recorder };
}

/** How a stream ended, and what came before. */
async function ended(
  stream: ClientReadableStream<Buffer>,
): Promise<{ code: number; text: string; messages: Buffer[] }> {
  const messages: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<{ code: number; text: string }>();
  stream.on('data', (one: Buffer) => messages.push(one));
  stream.on('error', (error: ServiceError) => resolve({ code: error.code, text: error.details }));
  stream.on('end', () => resolve({ code: 0, text: '' }));
  return { ...(await promise), messages };
}

/** The names in `ServerReflectionResponse`: field 6 holds repeated field 1, each with a name in field 1. */
function servicesOf(answer: Buffer): string[] {
  return fieldsOf(answer, 6)
    .flatMap((list) => fieldsOf(list, 1))
    .flatMap((service) => fieldsOf(service, 1))
    .map((name) => name.toString());
}

function fieldsOf(bytes: Uint8Array, wanted: number): Buffer[] {
  const found: Buffer[] = [];
  const reading = new BinaryReader(bytes);
  while (reading.pos < reading.len) {
    const [field, type] = reading.tag();
    if (field === wanted) found.push(Buffer.from(reading.bytes()));
    else reading.skip(type, field);
  }
  return found;
}

t.test('reflection goes both ways, message by message, for any valid credential', async (test) => {
  const { client, recorder } = await started(test);
  for (const path of [REFLECTION, REFLECTION.replace('.v1.', '.v1alpha.')]) {
    for (const credential of [KEYS.admin, KEYS.readOnly, collectionToken('r', 'cities'), makeToken({ access: [] })]) {
      recorder.clear();
      const stream = client.makeBidiStreamRequest(path, same, same, metadataOf({ 'api-key': credential }));
      const answers: Buffer[] = [];
      stream.on('data', (one: Buffer) => answers.push(one));
      const end = Promise.withResolvers<void>();
      stream.on('end', end.resolve).on('error', end.reject);
      for (let asked = 1; asked <= 5; asked += 1) {
        stream.write(Buffer.from(message({ 7: '' })));
        // The next question is only asked once this one was answered.
        await until(() => answers.length === asked, `answer ${asked}`);
      }
      stream.end();
      await end.promise;
      test.equal(recorder.grpc[0]?.messages.length, 5);
      const services = servicesOf(answers[4] ?? Buffer.alloc(0));
      test.ok(services.includes('qdrant.Points') && services.length > 4, path);
    }
    const none = client.makeBidiStreamRequest(path, same, same, metadataOf({}));
    test.match(await ended(none), { code: status.UNAUTHENTICATED, text: /^Must provide an API key/, messages: [] });
  }
});

t.test('a server stream passes message by message, and is refused whole', async (test) => {
  const { client, recorder } = await started(test);
  const call = (headers: Record<string, string>, collection = 'cities') => {
    const request = message({ 1: collection, 3: 'segments/large.dat', 4: 0, 5: 5 << 20 });
    return client.makeServerStreamRequest(READ_STREAM, same, same, Buffer.from(request), metadataOf(headers));
  };
  for (const headers of [reader, { 'api-key': KEYS.readOnly }]) {
    const { code, messages } = await ended(call(headers));
    test.equal(code, 0);
    test.same(
      messages.map(({ length }) => length >> 19),
      [2, 2, 1],
    );
  }
  recorder.clear();
  const text = 'Forbidden: Access to collection private is required';
  test.match(await ended(call(reader, 'private')), { code: 7, text, messages: [] });
  test.match(await ended(call({})), { code: 16, messages: [] });
  test.equal(recorder.grpc.length, 0);
  test.match(await ended(call({ 'api-key': KEYS.admin }, 'missing')), { code: 5, messages: [] });
});

/** Takes every call, begins an answer with one message if asked to, and never ends it. */
function hangingUpstream(begins: boolean): {
  streams: ServerHttp2Stream[];
  onGrpc: (stream: ServerHttp2Stream) => boolean;
} {
  const streams: ServerHttp2Stream[] = [];
  const onGrpc = (stream: ServerHttp2Stream): boolean => {
    streams.push(stream);
    stream.on('error', () => undefined);
    stream.resume();
    if (begins) {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.write(Buffer.of(0, 0, 0, 0, 1, 7));
    }
    return true;
  };
  return { streams, onGrpc };
}

for (const credential of [KEYS.admin, collectionToken('rw', 'cities')]) {
  const who = credential === KEYS.admin ? 'the admin key' : 'a token';
  t.test(`a call cancelled after its first message is cancelled upstream, with ${who}`, async (test) => {
    const { streams, onGrpc } = hangingUpstream(true);
    const { client } = await started(test, { upstream: { onGrpc } });
    const metadata = metadataOf({ 'api-key': credential });
    const stream = client.makeServerStreamRequest(READ_STREAM, same, same, Buffer.from(LARGE_FILE), metadata);
    const first = Promise.withResolvers<Buffer>();
    stream.once('data', first.resolve);
    const over = ended(stream);
    test.same(await first.promise, Buffer.of(7));
    stream.cancel();
    test.match(await over, { code: status.CANCELLED });
    await until(() => streams[0]?.closed === true, 'the stream ends upstream');
    test.equal(streams[0]?.rstCode, 8, 'CANCEL');
  });

  t.test(`a deadline that passes ends the call upstream, with ${who}`, async (test) => {
    const { streams, onGrpc } = hangingUpstream(false);
    const { client, recorder } = await started(test, { upstream: { onGrpc } });
    const headers = { 'api-key': credential };
    const reply = await unary(client, '/qdrant.Collections/Get', message({ 1: 'cities' }), headers, 250);
    test.equal(reply.code, status.DEADLINE_EXCEEDED);
    await until(() => streams[0]?.closed === true, 'the stream ends upstream');
    const { metadata = [] } = recorder.grpc[0] ?? {};
    test.match(metadata[metadata.indexOf('grpc-timeout') + 1], /^[0-9]+m$/);
  });

  t.test(`a bidirectional call cancelled while it is open is cancelled upstream, with ${who}`, async (test) => {
    const streams: ServerHttp2Stream[] = [];
    const onGrpc = (stream: ServerHttp2Stream): boolean => streams.push(stream) === 0;
    const { client } = await started(test, { upstream: { onGrpc } });
    const stream = client.makeBidiStreamRequest(REFLECTION, same, same, metadataOf({ 'api-key': credential }));
    const first = Promise.withResolvers<Buffer>();
    stream.once('data', first.resolve).on('error', () => undefined);
    stream.write(Buffer.from(message({ 7: '' })));
    await first.promise;
    stream.cancel();
    await until(() => streams[0]?.closed === true, 'the stream ends upstream');
    test.equal(streams[0]?.rstCode, 8, 'CANCEL');
    const reply = await unary(client, '/qdrant.Collections/Get', message({ 1: 'cities' }), { 'api-key': credential });
    test.equal(reply.code, 0, 'the connection goes on');
  });
}

t.test('a client that goes away takes its upstream connection along', async (test) => {
  const { streams, onGrpc } = hangingUpstream(true);
  const { gateway, recorder } = await started(test, { upstream: { onGrpc } });
  const client = rawClient(gateway);
  const metadata = metadataOf({ 'api-key': KEYS.admin });
  const stream = client.makeServerStreamRequest(READ_STREAM, same, same, Buffer.from(LARGE_FILE), metadata);
  const over = ended(stream);
  await until(() => streams.length === 1, 'the call reaches upstream');
  const open = recorder.openConnections;
  stream.cancel();
  client.close();
  await over;
  await until(() => recorder.openConnections < open, 'its connection is closed');
  test.pass();
});

const gzipped = { 'grpc-internal-encoding-request': 'gzip' };

async function gzipCases(test: Test, gateway: TestGateway): Promise<void> {
  const client = rawClient(gateway, { 'grpc.default_compression_algorithm': 2 });
  test.teardown(() => client.close());
  const { recorder } = gateway.upstream;
  // PointsScroll: collection 1, offset 3 ... padding in an unknown field, so that compressing is worth it.
  const scroll = (name: string) => message({ 1: name, 1000: 'x'.repeat(200_000) });
  const path = '/qdrant.Points/Scroll';
  for (const credential of [KEYS.admin, collectionToken('r', 'cities')]) {
    recorder.clear();
    const reply = await unary(client, path, scroll('cities'), { 'api-key': credential });
    test.match(reply, { code: 0 });
    test.same(recorder.grpc[0]?.compressed, [true]);
    test.equal(recorder.grpc[0]?.messages[0]?.length, scroll('cities').length);
  }
  recorder.clear();
  test.match(await unary(client, path, scroll('private'), reader), {
    code: 7,
    message: 'Forbidden: Access to collection private is required',
  });
  const lookup = message({ 1: 'cities', 14: message({ 1: 'private' }), 1000: 'x'.repeat(200_000) });
  test.match(await unary(client, '/qdrant.Points/Query', lookup, reader), { code: 7 });
  test.equal(recorder.grpc.length, 0);
}

t.test('gzipped requests are judged like plain ones', async (test) => {
  const { gateway } = await started(test);
  await gzipCases(test, gateway);
});

t.test('gzipped requests and gzipped answers', async (test) => {
  const { gateway, client } = await started(test, { upstream: { compress: true } });
  await gzipCases(test, gateway);
  const list = await unary(client, '/qdrant.Collections/List', Buffer.alloc(0), { ...reader, ...gzipped });
  test.equal(list.code, 0);
  test.match(list.body.toString('latin1'), 'cities');
  test.notMatch(list.body.toString('latin1'), 'private');
  const get = await unary(client, '/qdrant.Collections/Get', message({ 1: 'cities' }), reader);
  test.equal(get.code, 0);
  test.ok(get.body.length > 0);
});

// The official client compresses by default, so this is an ordinary large upsert.
t.test('a large gzipped upsert by an rw token is judged like a plain one', async (test) => {
  const { gateway, client } = await started(test);
  const compressing = rawClient(gateway, { 'grpc.default_compression_algorithm': 2 });
  test.teardown(() => compressing.close());
  const writer = { 'api-key': collectionToken('rw', 'cities') };
  const upsert = message({ 1: 'cities', 1000: Buffer.alloc(24 << 20) });
  // No point is in it: upstream says so, and the gateway has passed it on.
  const answer = { code: 3, message: 'Bad request: Empty update request' };
  test.match(await unary(client, '/qdrant.Points/Upsert', upsert, writer), answer, 'plain');
  const reply = await unary(compressing, '/qdrant.Points/Upsert', upsert, writer);
  test.match(reply, answer, 'gzipped');
});
