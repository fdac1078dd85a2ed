import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { ReceiveWindow } from '../../../src/grpc/unary/unary-call.ts';
import { UnaryConnection } from '../../../src/grpc/unary/unary-connection.ts';
import { ErrorCode, Flag, type Frame, FrameType, SettingId } from '../../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../../src/http2/hpack.ts';
import {
  writeData,
  writeFrameHeader,
  writeGoaway,
  writeHeaders,
  writePing,
  writeRstStream,
  writeSettings,
  writeWindowUpdate,
} from '../../../src/http2/write-frames.ts';
import { NO_CREDENTIAL } from '../../../src/upstream/credential.ts';
import { framed } from '../../support/clients/h2-client.ts';
import { runs } from '../../support/generators/runs.ts';
import { inPatience } from '../../support/reference.ts';
import { answer, OK_END, OK_HEAD } from '../relay-fixture.ts';
import { LIST, startOwnCalls } from './own-calls.ts';

const BROKEN = { kind: 'denial', code: 'upstream_broken', grpc: 14 };
const UNREACHABLE = { kind: 'denial', code: 'upstream_unreachable', grpc: 14 };
const TOO_LARGE = { kind: 'denial', code: 'answer_too_large' };
const EMPTY = { kind: 'message', message: Buffer.alloc(0) };
const GZIP_HEAD: readonly HeaderField[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
  ['grpc-encoding', 'gzip'],
];

function zipped(content: Buffer, announced?: number): Buffer {
  const bytes = framed(gzipSync(content));
  bytes[0] = 1;
  if (announced !== undefined) bytes.writeUInt32BE(announced, 1);
  return bytes;
}

/** `data`, its head before it and trailers behind it, on stream 1. */
function whole(data: Buffer, head: readonly HeaderField[] | Buffer = OK_HEAD, end: Buffer = OK_END): Buffer {
  const first = Buffer.isBuffer(head) ? head : encodeHeaders(head);
  return Buffer.concat([writeHeaders(1, first, false), writeData(1, data, false), writeHeaders(1, end, true)]);
}

function only(...fields: readonly HeaderField[]): Buffer {
  return writeHeaders(1, encodeHeaders([[':status', '200'], ...fields]), true);
}

const announced = (length: string): readonly HeaderField[] => [
  [':status', '200'],
  ['content-length', length],
];
const refused = (grpc: number, message: string) => ({ kind: 'denial', code: 'upstream_refused', grpc, message });
const TEXT = Buffer.alloc(200_000, 'a list of collections ');
const announcing = (bytes: number): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes, 1);
  return prefix;
};

/** Answers of upstream, what becomes of the call, and of the connection. */
const ANSWERS: readonly (readonly [name: string, bytes: Buffer, outcome: object, connections: 1 | 2])[] = [
  ['a message', whole(framed(Buffer.from('abc'))), { kind: 'message', message: Buffer.from('abc') }, 1],
  ['an empty message', whole(framed(Buffer.alloc(0))), EMPTY, 1],
  [
    'a gzip message, inflated at once',
    whole(zipped(Buffer.from('abc')), GZIP_HEAD),
    { message: Buffer.from('abc') },
    1,
  ],
  ['a gzip message that takes its time', whole(zipped(TEXT), GZIP_HEAD), { kind: 'message', message: TEXT }, 1],
  ['a message of a gzip stream that is not compressed', whole(framed(Buffer.alloc(0)), GZIP_HEAD), EMPTY, 1],
  ['trailers only', only(['grpc-status', '5'], ['grpc-message', 'no']), refused(5, 'no'), 1],
  [
    'a message in percent codes',
    only(['grpc-status', '7'], ['grpc-message', 'a%20%C3%BC%0a%']),
    refused(7, 'a ü\n%'),
    1,
  ],
  [
    'a refusal behind the head',
    whole(Buffer.alloc(0), OK_HEAD, encodeHeaders([['grpc-status', '12']])),
    refused(12, ''),
    1,
  ],
  [
    'a refusal for some seconds',
    only(['grpc-status', '8'], ['retry-after', '20']),
    { ...refused(8, ''), retryAfter: 20 },
    1,
  ],
  [
    'a refusal until a date',
    only(['grpc-status', '8'], ['retry-after', 'Sun, 29 Nov 2026 18:30:00 GMT']),
    { ...refused(8, ''), retryAfter: undefined },
    1,
  ],
  ['UNAVAILABLE', only(['grpc-status', '14']), UNREACHABLE, 1],
  ['DEADLINE_EXCEEDED', only(['grpc-status', '4']), { code: 'upstream_timeout' }, 1],
  ['a status that does not exist', only(['grpc-status', '99']), BROKEN, 1],
  ['success without a message', only(['grpc-status', '0']), BROKEN, 1],
  ['no status', whole(framed(Buffer.alloc(0)), OK_HEAD, encodeHeaders([['x-a', 'b']])), BROKEN, 1],
  ['an HTTP error', writeHeaders(1, encodeHeaders([[':status', '502']]), true), BROKEN, 1],
  [
    'DATA that ends the answer',
    Buffer.concat([writeHeaders(1, OK_HEAD, false), writeData(1, framed(Buffer.alloc(0)), true)]),
    BROKEN,
    1,
  ],
  ['half a message', whole(framed(Buffer.from('abc')).subarray(0, 6)), BROKEN, 1],
  ['two messages', whole(Buffer.alloc(10)), BROKEN, 1],
  ['a flag that does not exist', whole(Buffer.from([2, 0, 0, 0, 0])), BROKEN, 1],
  ['compressed in a way that was not said', whole(zipped(TEXT)), BROKEN, 1],
  ['gzip that is none', whole(Buffer.concat([Buffer.from([1, 0, 0, 0, 20]), Buffer.alloc(20)]), GZIP_HEAD), BROKEN, 1],
  [
    'a coding that is not known',
    whole(zipped(TEXT), [
      [':status', '200'],
      ['grpc-encoding', 'br'],
    ]),
    BROKEN,
    1,
  ],
  ['more than is read', whole(announcing(67_108_865)), TOO_LARGE, 1],
  ['more than is read, compressed', whole(zipped(TEXT, 67_108_865), GZIP_HEAD), TOO_LARGE, 1],
  ['more than is read, once inflated', whole(zipped(Buffer.alloc(67_108_865)), GZIP_HEAD), TOO_LARGE, 1],
  [
    'LF in a head',
    whole(framed(Buffer.alloc(0)), [
      [':status', '200'],
      ['x-a', 'a\nb'],
    ]),
    BROKEN,
    1,
  ],
  [
    'LF in trailers',
    whole(
      framed(Buffer.alloc(0)),
      OK_HEAD,
      encodeHeaders([
        ['grpc-status', '0'],
        ['a', 'b\n'],
      ]),
    ),
    BROKEN,
    1,
  ],
  ['a head without a status', whole(framed(Buffer.alloc(0)), [['x-a', 'b']]), BROKEN, 1],
  ['an interim head that ends the answer', writeHeaders(1, encodeHeaders([[':status', '103']]), true), BROKEN, 1],
  ['as many bytes as it announces', whole(framed(Buffer.alloc(0)), announced('5')), EMPTY, 1],
  ['fewer bytes than it announces', whole(framed(Buffer.alloc(0)), announced('6')), BROKEN, 1],
  ['more bytes than it announces', whole(framed(Buffer.alloc(0)), announced('4')), BROKEN, 1],
  ['an announcement that is no number', whole(framed(Buffer.alloc(0)), announced('5x')), BROKEN, 1],
  ['a reset', writeRstStream(1, 2), BROKEN, 1],
  ['a reset behind the answer', Buffer.concat([whole(framed(Buffer.alloc(0))), writeRstStream(1, 0)]), EMPTY, 1],
  ['a block that cannot be decoded', writeHeaders(1, Buffer.from([0xff, 0xff]), false), BROKEN, 2],
  [
    'a block above any limit',
    writeHeaders(
      1,
      encodeHeaders([
        [':status', '200'],
        ['a', 'b'.repeat(270_000)],
      ]),
      false,
    ),
    BROKEN,
    2,
  ],
  ['DATA before the head', writeData(1, framed(Buffer.alloc(0)), false), BROKEN, 1],
  ['an answer to a call that was not made', writeHeaders(3, OK_HEAD, false), BROKEN, 2],
  ['a window above the limit', writeWindowUpdate(0, 0x7fff_ffff), BROKEN, 2],
  ['a window of the stream above the limit', writeWindowUpdate(1, 0x7fff_ffff), BROKEN, 1],
  ['a grant of nothing', Buffer.concat([frameHead(4, FrameType.WINDOW_UPDATE, 0, 1), Buffer.alloc(4)]), BROKEN, 1],
  [
    'PUSH_PROMISE',
    Buffer.concat([frameHead(4, FrameType.PUSH_PROMISE, Flag.END_HEADERS, 1), Buffer.alloc(4)]),
    BROKEN,
    2,
  ],
  ['a flood of PING', Buffer.concat(Array(4_000).fill(writePing(Buffer.alloc(8), false))), BROKEN, 2],
];

function frameHead(length: number, type: number, flags: number, streamId: number): Buffer {
  const head = Buffer.alloc(9);
  writeFrameHeader(head, 0, length, type, flags, streamId);
  return head;
}

t.test('upstream is granted what was read in large pieces, and may not send more', async (t) => {
  const window = new ReceiveWindow();
  window.take(32_767);
  t.equal(window.grant(), 0, 'not yet');
  window.take(1);
  t.equal(window.grant(), 32_768);
  t.equal(window.grant(), 0, 'once');
  window.take(65_535);
  t.throws(() => window.take(1), { name: 'Http2Fault', code: ErrorCode.FLOW_CONTROL_ERROR });
});

for (const [name, bytes, outcome, connections] of ANSWERS) {
  t.test(`answered with ${name}`, async (t) => {
    const { list, upstream } = await startOwnCalls(t, (socket, id, call) => {
      if (call === 1) socket.write(bytes);
      else answer(socket, id);
    });
    t.match(await inPatience(list()), outcome);
    t.match(await inPatience(list()), EMPTY, 'the next call');
    t.equal(upstream.sockets.length, connections, 'connections');
  });
}

t.test('calls share one connection, which answers PING and acknowledges settings', async (t) => {
  const { list, upstream } = await startOwnCalls(t, answer);
  await Promise.all([list(), list(), list()]);
  const [socket] = upstream.sockets;
  socket?.write(
    Buffer.concat([writePing(Buffer.from('12345678'), false), writeSettings([[SettingId.MAX_CONCURRENT_STREAMS, 5]])]),
  );
  const acknowledged = (type: number) =>
    upstream.frames.filter((frame) => frame.type === type && frame.flags === Flag.ACK);
  await upstream.waitFor(() => acknowledged(FrameType.SETTINGS).length === 2);
  t.strictSame(
    acknowledged(FrameType.PING).map(({ payload }) => payload.toString()),
    ['12345678'],
  );
  t.match(await list(), EMPTY);
  t.equal(upstream.sockets.length, 1);
});

/** Lets upstream say something before the next call: a first call, then these settings until they are acknowledged. */
async function after(calls: Awaited<ReturnType<typeof startOwnCalls>>, id: number, value: number): Promise<Socket> {
  const { list, upstream } = calls;
  await list();
  const [socket] = upstream.sockets;
  if (!socket) throw new Error('no connection');
  const acks = () =>
    upstream.frames.filter(({ type, flags }) => type === FrameType.SETTINGS && flags === Flag.ACK).length;
  const before = acks();
  socket.write(writeSettings([[id, value]]));
  await upstream.waitFor(() => acks() > before);
  return socket;
}

t.test('a message waits for the windows of upstream', async (t) => {
  const calls = await startOwnCalls(t, answer);
  const socket = await after(calls, SettingId.INITIAL_WINDOW_SIZE, 0);
  const { asker, upstream } = calls;
  const dataOf3 = () => upstream.frames.filter(({ type, streamId }) => type === FrameType.DATA && streamId === 3);
  const asked = asker.ask(LIST, Buffer.from('1234567'), { leastMs: 0, signal: new AbortController().signal });
  await upstream.waitFor(() =>
    upstream.frames.some(({ type, streamId }) => type === FrameType.HEADERS && streamId === 3),
  );
  t.strictSame(dataOf3(), [], 'nothing yet');
  socket.write(writeWindowUpdate(3, 4));
  await upstream.waitFor(() => dataOf3().length === 1);
  socket.write(writeSettings([[SettingId.INITIAL_WINDOW_SIZE, 3]]));
  await upstream.waitFor(() => dataOf3().length === 2);
  socket.write(writeWindowUpdate(3, 100));
  t.match(await asked, EMPTY);
  t.strictSame(
    dataOf3().map(({ payload, flags }) => [payload.length, flags]),
    [
      [4, 0],
      [3, 0],
      [5, Flag.END_STREAM],
    ],
  );
});

t.test('an answer that comes before the message has been sent is given, and the rest is not sent', async (t) => {
  const calls = await startOwnCalls(t, answer);
  const socket = await after(calls, SettingId.INITIAL_WINDOW_SIZE, 0);
  const { list, upstream } = calls;
  const asked = list();
  await upstream.waitFor(() =>
    upstream.frames.some(({ type, streamId }) => type === FrameType.HEADERS && streamId === 3),
  );
  answer(socket, 3);
  t.match(await asked, EMPTY);
  await upstream.waitFor(() =>
    upstream.frames.some(({ type, streamId }) => type === FrameType.RST_STREAM && streamId === 3),
  );
});

t.test('no more calls are open than upstream takes; the others follow', async (t) => {
  let hold = false;
  const held: number[] = [];
  const calls = await startOwnCalls(t, (socket, id) => {
    if (hold) held.push(id);
    else answer(socket, id);
  });
  const socket = await after(calls, SettingId.MAX_CONCURRENT_STREAMS, 1);
  const { list, upstream } = calls;
  hold = true;
  const caller = new AbortController();
  const asked = [list(), list(), list(caller.signal), list()];
  for (const id of [3, 5, 7]) {
    await upstream.waitFor(() => held.includes(id));
    t.same(held, [3, 5, 7].slice(0, held.length), 'one at a time');
    if (id === 3) caller.abort();
    answer(socket, id);
  }
  const [first, second, left, last] = await Promise.all(asked);
  t.match([first, second, last], [EMPTY, EMPTY, EMPTY]);
  t.match(left, { kind: 'denial' }, 'given up while it waited');
});

/** What upstream says to its first call, and how the call ends: asked again, where upstream has not looked at it. */
const REFUSALS: readonly (readonly [
  name: string,
  bytes: Buffer,
  times: number,
  outcome: object,
  connections: number,
])[] = [
  ['GOAWAY that leaves it out', writeGoaway(0, 0), 1, EMPTY, 2],
  ['GOAWAY that leaves it out, twice', writeGoaway(0, 0), 2, UNREACHABLE, 2],
  ['REFUSED_STREAM', writeRstStream(1, 7), 1, EMPTY, 1],
];

for (const [name, bytes, times, outcome, connections] of REFUSALS) {
  t.test(`a call is made once more after ${name}`, async (t) => {
    let calls = 0;
    const { list, upstream } = await startOwnCalls(t, (socket, id, call) => {
      calls = call;
      if (call <= times) socket.write(bytes);
      else answer(socket, id);
    });
    t.match(await inPatience(list()), outcome);
    t.equal(calls, 2);
    t.equal(upstream.sockets.length, connections);
  });
}

t.test(
  'what GOAWAY does not leave out is still answered there, and the next call goes on another connection',
  async (t) => {
    const { list, upstream } = await startOwnCalls(t, (socket, id, call) => {
      if (call === 1) socket.write(writeGoaway(1, 0));
      else answer(socket, id);
    });
    const first = list();
    await upstream.waitFor(() => upstream.frames.some(({ type }) => type === FrameType.DATA));
    const [socket] = upstream.sockets;
    if (!socket) throw new Error('no connection');
    // A round trip behind the GOAWAY.
    socket.write(writePing(Buffer.alloc(8), false));
    await upstream.waitFor(() => upstream.frames.some(({ type }) => type === FrameType.PING));
    t.match(await list(), EMPTY);
    t.equal(upstream.sockets.length, 2);
    answer(socket, 1);
    t.match(await first, EMPTY);
    await upstream.waitFor(() => socket.closed || socket.readableEnded);
  },
);

t.test('a connection that is lost ends its calls, and the next one is opened', async (t) => {
  const { list, upstream } = await startOwnCalls(t, (socket, id, call) => {
    if (call === 1) socket.destroy();
    else answer(socket, id);
  });
  t.match(await inPatience(list()), { kind: 'denial', grpc: 14 });
  t.match(await inPatience(list()), EMPTY);
  t.equal(upstream.sockets.length, 2);
});

t.test('an upstream that is not there is unreachable', async (t) => {
  const { list, upstream } = await startOwnCalls(t, answer);
  upstream.close();
  t.match(await inPatience(list()), UNREACHABLE);
});

t.test('a call without an answer ends at its deadline, and is reset', async (t) => {
  const { upstream } = await startOwnCalls(t, () => undefined);
  const socket = { connectTimeoutMs: 1000, ca: undefined, alpn: ['h2'] };
  const address = { tls: false, host: '127.0.0.1', port: upstream.port };
  const connection = new UnaryConnection(
    { address, authority: 'upstream', credential: () => NO_CREDENTIAL, socket },
    Date.now,
    () => undefined,
  );
  t.teardown(() => connection.close());
  const question = { path: LIST, message: Buffer.alloc(0), leftMs: 20, shown: undefined, signal: undefined };
  t.match(await connection.call(question), { kind: 'denial', code: 'upstream_timeout', grpc: 4 });
  await upstream.waitFor(() => upstream.frames.some(({ type }) => type === FrameType.RST_STREAM));
  t.equal(upstream.frames.find(({ type }) => type === FrameType.RST_STREAM)?.payload.readUInt32BE(0), 8, 'CANCEL');
});

t.test('a call that is given up is reset, and what still comes of it is not kept', async (t) => {
  const { list, upstream } = await startOwnCalls(t, (socket, id, call) => {
    if (call > 1) answer(socket, id);
  });
  const caller = new AbortController();
  const asked = list(caller.signal);
  await upstream.waitFor(() => upstream.frames.some(({ type }) => type === FrameType.DATA));
  caller.abort();
  t.match(await asked, BROKEN);
  const resets = () => upstream.frames.filter(({ type }: Pick<Frame, 'type'>) => type === FrameType.RST_STREAM);
  await upstream.waitFor(() => resets().length === 1);
  t.equal(resets()[0]?.payload.readUInt32BE(0), 8, 'CANCEL');
  const [socket] = upstream.sockets;
  socket?.write(Buffer.concat([writeHeaders(1, OK_HEAD, false), writeData(1, framed(Buffer.alloc(60_000)), false)]));
  const granted = () =>
    upstream.frames.filter(({ type, streamId }) => type === FrameType.WINDOW_UPDATE && streamId === 0);
  await upstream.waitFor(() => granted().length === 1);
  t.match(await list(), EMPTY, 'the connection goes on');
  t.equal(upstream.sockets.length, 1);
});

/** Whatever upstream may say of a stream, in turn; a message is always of one letter. */
const SAID: readonly ((id: number, bytes: number) => Buffer)[] = [
  (id) => writeHeaders(id, OK_HEAD, false),
  (id) => writeHeaders(id, encodeHeaders(GZIP_HEAD), false),
  (id) => writeData(id, framed(Buffer.alloc(10, 'm')), false),
  (id, bytes) => writeData(id, zipped(Buffer.alloc(bytes * 500, 'm')), false),
  (id, bytes) => writeData(id, framed(Buffer.alloc(bytes, 'm')).subarray(bytes % 7), false),
  (id) => writeHeaders(id, OK_END, true),
  (id) => writeHeaders(id, encodeHeaders([['grpc-status', '5']]), true),
  (id) => writeHeaders(id, encodeHeaders([[':status', '103']]), false),
  (id) => writeRstStream(id, 7),
  (id, bytes) => writeGoaway(bytes % 2 === 0 ? id : 0, 0),
  (_id, bytes) => writeSettings([[SettingId.INITIAL_WINDOW_SIZE, bytes]]),
  (_id, bytes) => writeSettings([[SettingId.MAX_CONCURRENT_STREAMS, 1 + bytes]]),
  (id, bytes) => writeWindowUpdate(bytes % 2 === 0 ? id : 0, 1 + bytes),
  (id, bytes) => Buffer.concat([frameHead(1, bytes % 12, bytes, bytes % 3 === 0 ? id : 0), Buffer.from([bytes])]),
];

t.test('whatever upstream says, a call ends once, and a message is what upstream sent', async (t) => {
  let script: readonly (readonly [number, number])[] = [];
  const { list } = await startOwnCalls(t, (socket, id) => {
    const said = script.map(([at, bytes]) => SAID[at]?.(id, bytes) ?? Buffer.alloc(0));
    socket.end(Buffer.concat(said));
  });
  const outcomes = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(SAID.length - 1), fc.nat(300)), { maxLength: 8 }),
      fc.boolean(),
      async (said, begins) => {
        script = begins ? [[0, 0], ...said] : said;
        const outcome = await list();
        const name = outcome.kind === 'message' ? 'message' : outcome.code;
        outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
        return outcome.kind === 'denial' || outcome.message.every((byte) => byte === 0x6d);
      },
    ),
    { numRuns: runs(2000) },
  );
  t.comment(Object.fromEntries(outcomes));
  t.pass('all have ended');
});
