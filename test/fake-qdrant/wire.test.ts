import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { Readable } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { type FakeQdrantOptions, startFakeQdrant } from '../support/fake-qdrant/main.ts';
import type { Recorder } from '../support/fake-qdrant/recorder.ts';

type Reply = { status: string; message: string; encoding: string | undefined; messages: Buffer[]; compressed: boolean };

function framed(message: Buffer, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

async function call(
  session: ClientHttp2Session,
  path: string,
  body: Buffer,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', ...headers });
  const seen: Record<string, string | undefined> = {};
  const note = (block: Record<string, unknown>): void => {
    for (const [name, value] of Object.entries(block)) {
      seen[name] = String(value);
    }
  };
  stream.on('response', note);
  stream.on('trailers', note);
  stream.end(body);
  const chunks: Buffer[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer);
  }
  let rest = Buffer.concat(chunks);
  const compressed = rest[0] === 1;
  const messages: Buffer[] = [];
  while (rest.length >= 5) {
    const end = 5 + rest.readUInt32BE(1);
    messages.push(rest.subarray(5, end));
    rest = rest.subarray(end);
  }
  const message = decodeURIComponent(seen['grpc-message'] ?? '');
  return { status: seen['grpc-status'] ?? '', message, encoding: seen['grpc-encoding'], messages, compressed };
}

async function started(test: Test, options: FakeQdrantOptions = {}) {
  const fake = await startFakeQdrant(options);
  const session = connect(fake.grpcUrl);
  test.teardown(async () => {
    session.destroy();
    await fake.close();
  });
  await fetch(`${fake.restUrl}/collections/docs`, { method: 'PUT', body: '{"vectors":{"size":1,"distance":"Dot"}}' });
  return { fake, session };
}

// The stand-in records when bytes arrive, not when the client has sent them.
async function until(recorder: Recorder, holds: (recorder: Recorder) => boolean): Promise<void> {
  for (let turn = 0; turn < 2000 && !holds(recorder); turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const docs = Buffer.from('0a04646f6373', 'hex');
const exists = '/qdrant.Collections/CollectionExists';

t.test('every method of the operation table is served', async (test) => {
  const { session } = await started(test);
  for (const { path, collectionField } of GRPC_OPERATIONS) {
    const request = collectionField === 1 ? docs : Buffer.alloc(0);
    const { status, message } = await call(session, path, framed(request));
    // INVALID_ARGUMENT, NOT_FOUND and ALREADY_EXISTS come from the method itself: the message names only a collection.
    test.ok(['0', '3', '5', '6'].includes(status), `${path}: ${status} ${message}`);
  }
  for (const path of ['/qdrant.Collections/Nope', '/qdrant.PointsInternal/Sync', '/qdrant.collections/Get']) {
    test.match(await call(session, path, framed(docs)), { status: '12', message: '', messages: [] }, path);
  }
});

t.test('messages are framed and compressed as gRPC says', async (test) => {
  const { session } = await started(test);
  const gzip = { 'grpc-encoding': 'gzip' };
  const cases: [string, Buffer, Record<string, string>, string][] = [
    ['a plain message', framed(docs), {}, '0'],
    ['a compressed message', framed(gzipSync(docs), 1), gzip, '0'],
    ['a plain message where gzip is named', framed(docs), gzip, '0'],
    ['a compressed message where nothing is named', framed(gzipSync(docs), 1), {}, '13'],
    ['another coding', framed(docs), { 'grpc-encoding': 'zstd' }, '12'],
    ['a flag over 1', framed(docs, 5), {}, '13'],
    ['no message', Buffer.alloc(0), {}, '13'],
    ['a message cut off', framed(docs).subarray(0, 8), {}, '13'],
    ['bytes behind the message', Buffer.concat([framed(docs), Buffer.from('xy')]), {}, '13'],
    ['a message that is no protobuf', framed(Buffer.from('0aff', 'hex')), {}, '13'],
    ['an empty name', framed(Buffer.alloc(0)), {}, '3'],
    ['a name with a slash', framed(Buffer.from('0a03612f62', 'hex')), {}, '3'],
  ];
  for (const [name, body, headers, status] of cases) {
    test.equal((await call(session, exists, body, headers)).status, status, name);
  }
});

t.test('answers are compressed only where asked for on both sides', async (test) => {
  const { session } = await started(test, { compress: true });
  const accepting = await call(session, exists, framed(docs), { 'grpc-accept-encoding': 'identity, gzip' });
  test.match(accepting, { status: '0', encoding: 'gzip', compressed: true });
  const [message] = accepting.messages;
  test.same(gunzipSync(message ?? Buffer.alloc(0)).subarray(0, 4), Buffer.from('0a020801', 'hex'));
  test.match(await call(session, exists, framed(docs)), { status: '0', compressed: false });
});

t.test('a message of 65 MiB is taken, counted and kept only in part', async (test) => {
  const { fake, session } = await started(test);
  const padding = 65 << 20;
  const tag = Buffer.from([0xa2, 0x06]);
  const length = Buffer.from([0x80, 0x80, 0x80 | ((padding >> 14) & 0x7f), (padding >> 21) & 0x7f]);
  const body = framed(Buffer.concat([docs, tag, length, Buffer.alloc(padding, 1)]));
  fake.recorder.clear();
  test.equal((await call(session, exists, body)).status, '0');
  const [record] = fake.recorder.grpc;
  test.equal(record?.received.length, body.length);
  test.equal(record?.received.sha256, createHash('sha256').update(body).digest('hex'));
  test.equal(record?.messages[0]?.length, 1 << 20);
  test.ok(fake.recorder.bytes >= body.length);
});

t.test('files are streamed in chunks of a mebibyte', async (test) => {
  const { session } = await started(test);
  const path = Buffer.from('segments/large.dat');
  const request = Buffer.concat([docs, Buffer.from([0x1a, path.length]), path, Buffer.from('2880808004', 'hex')]);
  const reply = await call(session, '/qdrant.StorageRead/ReadBytesStream', framed(request));
  test.same([reply.status, reply.messages.length], ['0', 3]);
  const total = reply.messages.reduce((sum, { length }) => sum + length, 0);
  test.ok(total > 2.5 * (1 << 20) && total < 2.6 * (1 << 20));
});

t.test('reflection answers each message while the stream is open', async (test) => {
  const { session } = await started(test);
  for (const version of ['v1', 'v1alpha']) {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const stream = session.request({ ':method': 'POST', ':path': path });
    stream.write(framed(Buffer.from('3a012a', 'hex')));
    const [chunk] = (await once(stream, 'data')) as [Buffer];
    test.match(chunk.toString('latin1'), 'qdrant.StorageRead', version);
    stream.end();
    stream.resume();
    const [trailers] = await once(stream, 'trailers');
    test.match(trailers, { 'grpc-status': '0' });
  }
});

t.test('a request is recorded as it was on the wire', async (test) => {
  const { fake, session } = await started(test);
  fake.recorder.clear();
  test.same([fake.recorder.bytes, fake.recorder.rest, fake.recorder.grpc], [0, [], []]);
  const { port } = new URL(fake.restUrl);
  const socket = connectSocket(Number(port), '127.0.0.1');
  const head = 'POST //x/../y%2f?a=%zz HTTP/1.1\r\nHost: h\r\nX-Odd:  Two\r\nContent-Length: 10\r\n\r\n';
  socket.write(`${head}abc`);
  await until(fake.recorder, ({ rest }) => rest[0]?.received.length === 3);
  const [record] = fake.recorder.rest;
  test.same(
    { ...record, received: record?.received.length, body: record?.body.toString() },
    {
      method: 'POST',
      target: '//x/../y%2f?a=%zz',
      rawHeaders: ['Host', 'h', 'X-Odd', 'Two', 'Content-Length', '10'],
      received: 3,
      state: 'receiving',
      body: 'abc',
    },
  );
  test.equal(fake.recorder.bytes, head.length + 3);
  socket.destroy();
  await until(fake.recorder, ({ rest }) => rest[0]?.state === 'aborted');
  test.equal(record?.state, 'aborted');
  test.equal(fake.recorder.bytes, head.length + 3, 'a closed connection still counts');
  await call(session, exists, framed(docs), { 'grpc-timeout': '5S', 'x-odd': 'v' });
  const [grpc] = fake.recorder.grpc;
  test.match(grpc, { path: exists, messages: [docs], compressed: [false], state: 'complete' });
  const at = grpc?.metadata.indexOf('grpc-timeout') ?? -1;
  test.same(grpc?.metadata.slice(at, at + 4), ['grpc-timeout', '5S', 'x-odd', 'v']);
});

t.test('an upload runs through without being kept', async (test) => {
  const { fake } = await started(test);
  const piece = Buffer.alloc(1 << 20, 5);
  const expected = createHash('sha256');
  function* pieces() {
    for (let count = 0; count < 64; count += 1) {
      expected.update(piece);
      yield piece;
    }
  }
  fake.recorder.clear();
  const response = await fetch(`${fake.restUrl}/collections/docs/snapshots/upload`, {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
    body: Readable.toWeb(Readable.from(pieces())) as ReadableStream,
    duplex: 'half',
  } as RequestInit);
  test.equal(response.status, 200);
  const [record] = fake.recorder.rest;
  test.equal(record?.received.length, 64 << 20);
  test.equal(record?.received.sha256, expected.digest('hex'));
  test.equal(record?.body.length, 1 << 20);
});

t.test('hooks may answer in its place', async (test) => {
  const { fake, session } = await started(test, {
    onRest: (request, response) => {
      if (request.url !== '/broken') {
        return false;
      }
      response.writeHead(503).end('broken');
      return true;
    },
    onGrpc: (stream, headers) => {
      if (headers['x-break'] === undefined) {
        return false;
      }
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' }, { endStream: true });
      return true;
    },
  });
  const broken = await fetch(`${fake.restUrl}/broken`);
  test.same([broken.status, await broken.text()], [503, 'broken']);
  test.equal((await fetch(`${fake.restUrl}/healthz`)).status, 200);
  test.equal((await call(session, exists, framed(docs), { 'x-break': '1' })).status, '14');
  test.equal((await call(session, exists, framed(docs))).status, '0');
});
