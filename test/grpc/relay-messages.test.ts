import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { Flag, FrameType } from '../../src/http2/frames.ts';
import type { HeaderField } from '../../src/http2/hpack.ts';
import { writeData, writePing, writeRstStream, writeWindowUpdate } from '../../src/http2/write-frames.ts';
import { framed, H2Client, naming } from '../support/clients/h2-client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { CREDENTIALS } from '../support/invariants.ts';

const GET = '/qdrant.Collections/Get';
const UPSERT = '/qdrant.Points/Upsert';
const LIST = '/qdrant.Collections/List';
const MORE = '13 more than one message in a unary call';
const GZIP: HeaderField = ['grpc-encoding', 'gzip'];
const PIECE = 16_384;

const key = (name: keyof typeof CREDENTIALS): HeaderField => ['api-key', CREDENTIALS[name]];
const gateway = await startGateway({ tls: false });
t.teardown(() => gateway.close());

/** A message that names a collection in front of a field upstream does not know. */
function large(bytes: Buffer, collection = 'mine'): Buffer {
  const length = [0, 7, 14, 21].map((shift) => ((bytes.length >>> shift) & 0x7f) | (shift < 21 ? 0x80 : 0));
  return Buffer.concat([naming(collection), Buffer.from([0xfa, 0x3e, ...length]), bytes]);
}

/** Bytes that hardly compress. */
function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0, state = 1; at < size; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

async function connect(to: TestGateway = gateway): Promise<H2Client> {
  to.upstream.recorder.clear();
  const client = await H2Client.connect(to.grpc.port);
  t.teardown(() => client.close());
  return client;
}

/** Sends bytes and waits until the gateway has taken them: it answers PING in order. */
async function say(client: H2Client, ...parts: readonly Buffer[]): Promise<void> {
  const acks = (): number =>
    client.frames.filter(({ type, flags }) => type === FrameType.PING && (flags & Flag.ACK) !== 0).length;
  const before = acks();
  client.send(...parts, writePing(Buffer.alloc(8), false));
  await client.until(() => (acks() > before ? true : undefined));
}

function data(streamId: number, bytes: Buffer, ends: boolean): Buffer[] {
  const count = Math.max(1, Math.ceil(bytes.length / PIECE));
  return Array.from({ length: count }, (_, at) =>
    writeData(streamId, bytes.subarray(at * PIECE, (at + 1) * PIECE), ends && at === count - 1),
  );
}

const calls = (): string[] => gateway.upstream.recorder.grpc.map(({ path, state }) => `${path} ${state}`);

t.test('the end of a message goes upstream with the end of its stream', async (t) => {
  for (const name of ['reader', 'readOnly'] as const) {
    const client = await connect();
    await say(client, client.headers(1, GET, [key(name)]), writeData(1, framed(naming('mine')), false));
    t.same(calls(), [], `${name}: nothing while another message may come`);
    client.send(writeData(1, Buffer.alloc(0), true));
    t.match(await client.status(1), /^5 /, `${name}: served`);
    await say(client, client.headers(3, GET, [key(name)]), writeData(3, framed(naming('mine')), false));
    client.send(client.headers(3, GET, [], true));
    t.match(await client.status(3), /^(reset 1|5 )/, `${name}: trailers end it, too`);
    client.close();
  }
});

t.test('a call that may not go on is refused before its stream ends', async (t) => {
  const client = await connect();
  await say(client, client.headers(1, GET, [key('reader')]), writeData(1, framed(naming('other')), false));
  t.match(await client.status(1), /^7 /);
  t.same(calls(), []);
});

const one = framed(naming('mine'));
const SECONDS: readonly (readonly [string, readonly (readonly Buffer[])[]])[] = [
  ['in the same frame', [[writeData(1, Buffer.concat([one, one]), true)]]],
  ['in the next frame', [[writeData(1, one, false), writeData(1, one, true)]]],
  ['in a later burst', [[writeData(1, one, false)], [writeData(1, one, true)]]],
  ['one byte of it', [[writeData(1, one, false)], [writeData(1, Buffer.of(0), false)]]],
  ['one byte in the frame that ends', [[writeData(1, Buffer.concat([one, Buffer.of(9)]), true)]]],
  ['an empty one', [[writeData(1, one, false)], [writeData(1, Buffer.alloc(5), true)]]],
];

t.test('a second message of a unary call is refused, and nothing goes upstream', async (t) => {
  for (const name of ['reader', 'readOnly'] as const) {
    for (const [where, bursts] of SECONDS) {
      const client = await connect();
      client.send(client.headers(1, GET, [key(name)]));
      for (const burst of bursts) await say(client, ...burst);
      t.equal(await client.status(1), MORE, `${name}, ${where}`);
      t.same(calls(), [], `${name}, ${where}: nothing upstream`);
      client.close();
    }
  }
});

t.test('of a large message that a second one follows upstream never sees the end', async (t) => {
  for (const name of ['writer', 'readOnly'] as const) {
    const client = await connect();
    const path = name === 'writer' ? UPSERT : GET;
    client.send(client.headers(1, path, [key(name)]));
    await client.stream(1, framed(large(noise(200_000))), false);
    await say(client);
    client.send(writeData(1, one, true));
    t.equal(await client.status(1), MORE, name);
    const [record, ...others] = gateway.upstream.recorder.grpc;
    t.same(others, []);
    t.not(record?.state, 'complete', name);
    t.ok((record?.received.length ?? 0) <= 200_000, 'the frame that completes the message is not there');
    t.same(record?.messages, [], 'nor anything to run');
    client.close();
  }
});

t.test('messages of global manage callers pass unchanged, unless `nesting_guard` is `all`', async (t) => {
  const client = await connect();
  client.send(client.headers(1, GET, [key('admin')]), writeData(1, Buffer.concat([one, one]), true));
  t.match(await client.status(1), /^5 /);
  t.same(calls(), [`${GET} complete`]);
  const guarded = await startGateway({ tls: false, settings: { 'gateway.limits.nesting_guard': 'all' } });
  t.teardown(() => guarded.close());
  const second = await connect(guarded);
  second.send(second.headers(1, GET, [key('admin')]), writeData(1, Buffer.concat([one, one]), true));
  t.equal(await second.status(1), MORE);
  t.same(guarded.upstream.recorder.grpc, []);
});

t.test('calls that share the first window of a connection do not wait for each other', async (t) => {
  const client = await connect();
  const message = framed(large(noise(100_000)));
  client.send(client.headers(1, UPSERT, [key('writer')]), client.headers(3, UPSERT, [key('writer')]));
  client.send(...data(1, message.subarray(0, 32_768), false), ...data(3, message.subarray(0, 32_767), false));
  const opened = await client.until((frames) =>
    frames.some(({ type, streamId }) => type === FrameType.WINDOW_UPDATE && streamId === 0) ? true : undefined,
  );
  t.ok(opened, 'the window is opened again');
  client.close();
});

/** 4 MB that inflate slowly, and 8 MiB that hardly take anything on the wire. */
const zipped = framed(gzipSync(large(noise(4_000_000)), { level: 1 }), 1);
const dense = framed(gzipSync(large(Buffer.alloc(8 << 20))), 1);

async function served(t: Test, client: H2Client, streamId: number, what: string): Promise<void> {
  client.call(streamId, LIST, Buffer.alloc(0), [key('reader')]);
  t.equal(await client.status(streamId), '0', what);
}

t.test('a compressed message is inflated beside other calls', async (t) => {
  for (const [what, bytes] of [
    ['4 MB of noise', zipped],
    ['8 MiB of zeroes', dense],
  ] as const) {
    for (const name of ['writer', 'readOnly'] as const) {
      const path = name === 'writer' ? UPSERT : GET;
      const client = await connect();
      client.send(client.headers(1, path, [key(name), GZIP]));
      await client.stream(1, bytes);
      await served(t, client, 3, 'another call goes on');
      t.match(await client.status(1), /^5 /, `${name}, ${what}: served`);
      const record = gateway.upstream.recorder.grpc.find((call) => call.path === path);
      t.match({ state: record?.state, length: record?.received.length }, { state: 'complete', length: bytes.length });
      client.close();
    }
  }
});

t.test('a compressed message that names another collection at its end is refused', async (t) => {
  const hidden = framed(gzipSync(Buffer.concat([large(Buffer.alloc(8 << 20)), naming('other')])), 1);
  const client = await connect();
  client.send(client.headers(1, UPSERT, [key('writer'), GZIP]));
  await client.stream(1, hidden);
  t.match(await client.status(1), /^7 /);
  t.notOk(calls().includes(`${UPSERT} complete`), 'upstream never has a whole one');
  await served(t, client, 3, 'the connection goes on');
  client.send(client.headers(5, UPSERT, [key('writer'), GZIP]), ...data(5, Buffer.concat([dense, one]), true));
  t.equal(await client.status(5), MORE, 'a message behind it');
  client.send(client.headers(7, UPSERT, [key('writer'), GZIP]), ...data(7, dense.subarray(0, -9), true));
  t.match(await client.status(7), /^13 /, 'cut');
  t.notOk(calls().includes(`${UPSERT} complete`), 'upstream never has a whole one');
});

t.test('a call that is reset while its message is inflated takes nothing with it', async (t) => {
  const client = await connect();
  client.send(writeWindowUpdate(0, 1 << 20));
  for (let id = 1; id < 81; id += 2) {
    client.send(client.headers(id, UPSERT, [key('writer'), GZIP]), ...data(id, dense, true));
    if (id % 4 === 1) await say(client);
    client.send(writeRstStream(id, 8));
  }
  await served(t, client, 101, 'the connection goes on');
  t.notOk(calls().includes(`${UPSERT} complete`), 'upstream never has a whole one');
  client.close();
});

t.test('a connection that drains waits for a message that is being inflated', async (t) => {
  const draining = await startGateway({ tls: false });
  const client = await connect(draining);
  await served(t, client, 1, 'upstream is connected');
  client.send(client.headers(3, UPSERT, [key('writer'), GZIP]), ...data(3, dense, true));
  await say(client);
  const closed = draining.close();
  t.match(await client.status(3), /^(5|14) /);
  await closed;
});

t.test('when upstream is lost while a message is inflated the call ends', async (t) => {
  const client = await connect();
  client.call(1, GET, naming('mine'), [key('reader')]);
  await client.status(1);
  client.send(client.headers(3, UPSERT, [key('writer'), GZIP]), ...data(3, dense, true));
  gateway.upstream.recorder.dropConnections();
  t.match(await client.status(3), /^(reset 7|14 |5 )/);
});
