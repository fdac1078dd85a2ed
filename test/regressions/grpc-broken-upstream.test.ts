import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { Flag, type Frame, FrameType, MAX_WINDOW, SettingId } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import {
  writeData,
  writeFrameHeader,
  writeHeaders,
  writePing,
  writeRstStream,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../../src/http2/write-frames.ts';
import { StrictClient } from '../fuzz/strict-client.ts';
import { answer, OK_END, OK_HEAD, startRelay, startUpstream, type Upstream } from '../grpc/relay-fixture.ts';
import { framed, H2Client, naming } from '../support/clients/h2-client.ts';
import { nextTurn } from '../support/later.ts';
import { unhurried } from '../support/patience.ts';

/*
 * An upstream that is broken, or not what it should be. Header blocks without end grew memory without bound, floods of frames
 * that carry nothing were taken for ever, and malformed answers and those past the client's windows went on to the client, whose
 * connection then ended with all of its calls.
 */

const COUNT = '/qdrant.Points/Count';

function frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  writeFrameHeader(bytes, 0, payload.length, type, flags, streamId);
  payload.copy(bytes, 9);
  return bytes;
}

function head(streamId: number, fields: readonly HeaderField[], endStream = false): Buffer {
  return writeHeaders(streamId, encodeHeaders(fields), endStream);
}

const OK: readonly HeaderField[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];
const DATA = framed(Buffer.alloc(0));
const EARLY_HINTS: readonly HeaderField[] = [
  [':status', '103'],
  ['link', '</a>'],
];

function whole(streamId: number, first: readonly HeaderField[], last: readonly HeaderField[]): Buffer {
  return Buffer.concat([head(streamId, first), writeData(streamId, DATA, false), head(streamId, last, true)]);
}

function extra(...fields: readonly HeaderField[]): (streamId: number) => Buffer {
  return (id) => whole(id, [...OK, ...fields], [['grpc-status', '0']]);
}

function trailing(...fields: readonly HeaderField[]): (streamId: number) => Buffer {
  return (id) => whole(id, OK, [['grpc-status', '0'], ...fields]);
}

async function join(port: number, t: Test): Promise<StrictClient> {
  const socket = connect({ host: '127.0.0.1', port });
  const client = new StrictClient(socket);
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return client;
}

async function until(what: string, found: () => boolean): Promise<void> {
  const end = AbortSignal.timeout(unhurried(10_000));
  while (!found()) {
    if (end.aborted) throw new Error(`waited for 10 s and more: ${what}`);
    await nextTurn();
  }
}

function isWhole({ type, flags }: Pick<Frame, 'type' | 'flags'>): boolean {
  return (type === FrameType.DATA || type === FrameType.HEADERS) && (flags & Flag.END_STREAM) !== 0;
}

/** Two calls wait at upstream; then it says `bad` of the first and answers the second. */
async function twoCalls(
  t: Test,
  bad: (streamId: number) => Buffer,
  settings: Parameters<typeof writeSettings>[0] = [],
) {
  const upstream = await startUpstream(t);
  const listener = await startRelay(t, upstream);
  let asked = 0;
  const plain = upstream.onFrame;
  upstream.onFrame = (socket, frame) => {
    if (!isWhole(frame)) return;
    asked += 1;
    if (asked < 2) return;
    socket.write(bad(1));
    answer(socket, 3);
    upstream.onFrame = plain;
  };
  const client = await join(listener.address.port, t);
  client.open();
  if (settings.length > 0) client.send(writeSettings(settings));
  for (const id of [1, 3]) client.call(id, COUNT, 'admin', naming('docs'));
  await until('both calls have ended', () => (client.ended.has(1) && client.ended.has(3)) || Boolean(client.wrong));
  return { client, upstream, port: listener.address.port };
}

async function servesAnother(t: Test, port: number): Promise<void> {
  const other = await join(port, t);
  other.open();
  other.call(1, COUNT, 'admin', naming('docs'));
  await until('another connection is served', () => other.ended.has(1) || other.over);
  t.equal(other.statusOf(1), '0', 'another connection is served');
}

/** An answer with so many bytes of DATA, in frames of 16 KiB and less. */
function sized(bytes: number): (streamId: number) => Buffer {
  return (id) =>
    Buffer.concat([head(id, OK), writeData(id, Buffer.alloc(bytes), false), writeHeaders(id, OK_END, true)]);
}

const INITIAL = 65_535;
const SMALL_WINDOW = [[SettingId.INITIAL_WINDOW_SIZE, 100]] as const;
/** What the upstream of these tests lets a call send, and what a call sends. */
const UPSTREAM_WINDOW = 1_048_576;
const SENT = framed(naming('docs')).length;

/** What upstream sends, what the client sees of that call and of the other. */
const ANSWERS: readonly (readonly [
  name: string,
  bad: (streamId: number) => Buffer,
  status: string,
  others: string,
  settings?: Parameters<typeof writeSettings>[0],
])[] = [
  ['a whole answer', extra(), '0', '0'],
  ['a tab and bytes above 127 in a value', extra(['x-a', 'a\tb \xe9']), '0', '0'],
  ['an answer of trailers only', (id) => head(id, [...OK, ['grpc-status', '5']], true), '5', '0'],
  ['CR and LF in a value', extra(['x-a', 'a\r\nb: c']), '14', '0'],
  ['LF in a value', extra(['x-a', 'a\nb']), '14', '0'],
  ['NUL in a value', extra(['x-a', 'a\0b']), '14', '0'],
  ['an upper-case name', extra(['X-Up', '1']), '14', '0'],
  ['an empty name', extra(['', '1']), '14', '0'],
  ['a space in a name', extra(['x a', '1']), '14', '0'],
  ['connection', extra(['connection', 'x-a']), '14', '0'],
  ['transfer-encoding', extra(['transfer-encoding', 'chunked']), '14', '0'],
  ['an unknown pseudo-header', extra([':status2', '1']), '14', '0'],
  ['a pseudo-header of requests', (id) => whole(id, [[':path', '/'], ...OK], [['grpc-status', '0']]), '14', '0'],
  ['a second status', (id) => whole(id, [[':status', '200'], ...OK], [['grpc-status', '0']]), '14', '0'],
  ['a late status', (id) => whole(id, OK.toReversed(), [['grpc-status', '0']]), '14', '0'],
  ['no status', (id) => whole(id, OK.slice(1), [['grpc-status', '0']]), '14', '0'],
  ['an empty head', (id) => whole(id, [], [['grpc-status', '0']]), '14', '0'],
  ['a status that is no number', (id) => whole(id, [[':status', '2xx']], [['grpc-status', '0']]), '14', '0'],
  ['status 101', (id) => head(id, [[':status', '101']]), '14', '0'],
  ['a status in trailers', trailing([':status', '200']), '14', '0'],
  ['LF in trailers', trailing(['grpc-message', 'a\nb']), '14', '0'],
  ['connection in trailers', trailing(['connection', 'close']), '14', '0'],
  ['trailers without an end', (id) => Buffer.concat([head(id, OK), head(id, [['grpc-status', '0']])]), '14', '0'],
  ['a malformed head that ends the answer', (id) => head(id, [['grpc-status', '0']], true), '14', '0'],
  ['one interim head', (id) => Buffer.concat([head(id, EARLY_HINTS), extra()(id)]), '0', '0'],
  ['eight interim heads', (id) => Buffer.concat([...Array(8).fill(head(id, EARLY_HINTS)), extra()(id)]), '0', '0'],
  ['nine interim heads', (id) => Buffer.concat([...Array(9).fill(head(id, EARLY_HINTS)), extra()(id)]), '14', '14'],
  ['an interim head that ends the answer', (id) => head(id, EARLY_HINTS, true), '14', '0'],
  ['an interim head in place of trailers', (id) => Buffer.concat([head(id, OK), head(id, EARLY_HINTS)]), '14', '0'],
  ['DATA before a head', (id) => Buffer.concat([writeData(id, DATA, false), extra()(id)]), '14', '0'],
  ['a content-length', extra(['content-length', '5']), '0', '0'],
  ['a content-length twice', extra(['content-length', '5'], ['content-length', '5']), '0', '0'],
  ['two different lengths', extra(['content-length', '5'], ['content-length', '6']), '14', '0'],
  ['a content-length that is no number', extra(['content-length', '-5']), '14', '0'],
  ['less DATA than announced', extra(['content-length', '6']), '14', '0'],
  ['more DATA than announced', extra(['content-length', '4']), '14', '0'],
  ['DATA where none was announced', extra(['content-length', '0']), '14', '0'],
  [
    'padding beside what was announced',
    (id) =>
      Buffer.concat([
        head(id, [...OK, ['content-length', '5']]),
        frame(FrameType.DATA, Flag.PADDED, id, Buffer.concat([Buffer.from([7]), DATA, Buffer.alloc(7)])),
        writeHeaders(id, OK_END, true),
      ]),
    '0',
    '0',
  ],
  [
    'a content-length in trailers only',
    (id) => head(id, [...OK, ['content-length', '0'], ['grpc-status', '5']], true),
    '5',
    '0',
  ],
  [
    'trailers only that announce DATA',
    (id) => head(id, [...OK, ['content-length', '1'], ['grpc-status', '5']], true),
    '14',
    '0',
  ],
  [
    'a status of 304 that tells the length it would have',
    (id) =>
      head(
        id,
        [
          [':status', '304'],
          ['content-length', '9'],
          ['grpc-status', '5'],
        ],
        true,
      ),
    '5',
    '0',
  ],
  ['DATA up to the window of its call', sized(100), '0', '0', SMALL_WINDOW],
  ['DATA past the window of its call', sized(101), '14', '0', SMALL_WINDOW],
  ['DATA past the window of its call in many frames', sized(100_000), '14', '0', SMALL_WINDOW],
  ['DATA past the windows of its call and of the connection', sized(INITIAL + 1), '14', '0'],
  ['DATA of no bytes at a window of 0', sized(0), '0', '14', [[SettingId.INITIAL_WINDOW_SIZE, 0]]],
  ['a grant of nothing', (id) => frame(FrameType.WINDOW_UPDATE, 0, id, Buffer.alloc(4)), '14', '0'],
  [
    'a grant past the largest window',
    (id) => writeWindowUpdate(id, MAX_WINDOW - UPSTREAM_WINDOW + SENT + 1),
    '14',
    '0',
  ],
  [
    'a grant up to the largest window',
    (id) => Buffer.concat([writeWindowUpdate(id, MAX_WINDOW - UPSTREAM_WINDOW + SENT), extra()(id)]),
    '0',
    '0',
  ],
  [
    'settings that make a window larger than the largest',
    (id) =>
      Buffer.concat([writeWindowUpdate(id, SENT + 1), writeSettings([[SettingId.INITIAL_WINDOW_SIZE, MAX_WINDOW]])]),
    '14',
    '14',
  ],
  ['a PRIORITY of four bytes', (id) => frame(FrameType.PRIORITY, 0, id, Buffer.alloc(4)), '14', '0'],
];

t.test('what is malformed ends its call and does not reach the client', async (t) => {
  for (const [name, bad, status, others, settings] of ANSWERS) {
    await t.test(name, async (t) => {
      const { client, upstream, port } = await twoCalls(t, bad, settings);
      t.equal(client.wrong, undefined, 'the client finds nothing wrong');
      t.equal(client.statusOf(1), status, 'the call');
      t.equal(client.statusOf(3), others, 'the other call of the connection');
      if (status === '14' && others === '0') {
        await upstream.waitFor(() => upstream.frames.some(({ type }) => type === FrameType.RST_STREAM));
        t.pass('upstream is told');
      }
      await servesAnother(t, port);
    });
  }
});

t.test('what comes after the end of an answer ends an upload, and no other call', async (t) => {
  for (const more of [writeData(1, Buffer.alloc(9), false), writeHeaders(1, OK_HEAD, false)]) {
    const upstream = await startUpstream(t);
    const listener = await startRelay(t, upstream);
    const client = await H2Client.connect(listener.address.port);
    t.teardown(() => client.close());
    const key = [['api-key', 'admin']] as const;
    client.send(client.headers(1, COUNT, key), writeData(1, framed(naming('docs')).subarray(0, 8), false));
    await upstream.waitFor(() => upstream.frames.some(({ type }) => type === FrameType.DATA));
    const [socket] = upstream.sockets;
    if (socket) answer(socket, 1);
    t.equal(await client.status(1), '0');
    socket?.write(more);
    client.call(3, COUNT, naming('docs'), key);
    t.equal(await client.status(3), '0');
    const reset = client.frames.find(({ type }) => type === FrameType.RST_STREAM);
    t.match(reset, { streamId: 1, payload: Buffer.alloc(4) }, 'the upload is told to stop');
  }
});

/** Far above what an upstream may send for nothing, and where the test gives up. */
const MOST_FRAMES = 60_000;
const BOUND = 20_000;

/** Frames that carry nothing, after what else it takes. */
const FLOODS: readonly (readonly [name: string, first: Buffer, again: Buffer])[] = [
  ['CONTINUATION of no bytes', frame(1, 0, 1, OK_HEAD), frame(9, 0, 1)],
  ['CONTINUATION of one byte', frame(1, 0, 1, OK_HEAD), frame(9, 0, 1, Buffer.from([0x88]))],
  ['PING', Buffer.alloc(0), writePing(Buffer.alloc(8), false)],
  ['PING that answers nothing', Buffer.alloc(0), writePing(Buffer.alloc(8), true)],
  ['SETTINGS of no settings', Buffer.alloc(0), writeSettings([])],
  ['SETTINGS of a window', Buffer.alloc(0), writeSettings([[SettingId.INITIAL_WINDOW_SIZE, 65_535]])],
  ['SETTINGS that acknowledge nothing', Buffer.alloc(0), writeSettingsAck()],
  ['DATA of no bytes', writeHeaders(1, OK_HEAD, false), writeData(1, Buffer.alloc(0), false)],
  [
    'DATA of one byte on a call that has ended',
    Buffer.concat([writeHeaders(1, OK_HEAD, false), writeHeaders(1, OK_END, true)]),
    writeData(1, Buffer.alloc(1), false),
  ],
  [
    'heads of a call that has ended',
    Buffer.concat([writeHeaders(1, OK_HEAD, false), writeHeaders(1, OK_END, true)]),
    writeHeaders(1, OK_HEAD, false),
  ],
  [
    'RST_STREAM of a call that has ended',
    Buffer.concat([writeHeaders(1, OK_HEAD, false), writeHeaders(1, OK_END, true)]),
    writeRstStream(1, 8),
  ],
  ['WINDOW_UPDATE of the connection', Buffer.alloc(0), writeWindowUpdate(0, 1)],
  ['WINDOW_UPDATE of a call', Buffer.alloc(0), writeWindowUpdate(1, 1)],
  ['GOAWAY', Buffer.alloc(0), frame(7, 0, 0, Buffer.from('7fffffff00000000', 'hex'))],
  ['PRIORITY', Buffer.alloc(0), frame(2, 0, 1, Buffer.alloc(5))],
  ['a frame of an unknown type', Buffer.alloc(0), frame(0x7a, 0, 0)],
  ['interim heads', Buffer.alloc(0), head(1, EARLY_HINTS)],
];

/** Sends frames until the connection is closed or `MOST_FRAMES` are out. Returns how many upstream could send. */
async function flood(socket: Socket, first: Buffer, again: Buffer): Promise<number> {
  const batch = Buffer.concat(Array(100).fill(again));
  socket.write(first);
  let sent = 0;
  while (sent < MOST_FRAMES && !socket.destroyed && socket.writable) {
    const isFull = !socket.write(batch);
    sent += 100;
    // Bounded by the socket's buffers: what is refused is not counted as taken.
    if (isFull) await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined);
    else await nextTurn();
  }
  return sent;
}

async function floodedBy(t: Test, first: Buffer, again: Buffer) {
  const upstream: Upstream = await startUpstream(t);
  const listener = await startRelay(t, upstream);
  const plain = upstream.onFrame;
  const { promise: done, resolve } = Promise.withResolvers<number>();
  upstream.onFrame = (socket, seen) => {
    if (!isWhole(seen)) return;
    upstream.onFrame = plain;
    flood(socket, first, again).then(resolve, () => resolve(Number.POSITIVE_INFINITY));
  };
  const client = await join(listener.address.port, t);
  client.open();
  client.send(Buffer.alloc(0));
  client.call(1, COUNT, 'admin', naming('docs'));
  const sent = await done;
  return { client, upstream, sent, port: listener.address.port };
}

t.test('a flood of what carries nothing ends the upstream connection, and what is open on it', async (t) => {
  for (const [name, first, again] of FLOODS) {
    await t.test(name, async (t) => {
      const { client, sent, port } = await floodedBy(t, first, again);
      t.ok(sent < BOUND, `upstream could send ${sent} frames`);
      if (sent >= BOUND) return;
      await until('the call has ended', () => client.ended.has(1) || Boolean(client.wrong));
      t.equal(client.wrong, undefined, 'the client finds nothing wrong');
      t.match(client.statusOf(1), /^(0|14)$/, 'the call is answered');
      await servesAnother(t, port);
    });
  }
});
