import fc from 'fast-check';
import t from 'tap';
import { FrameReader } from '../../src/http2/frame-reader.ts';
import {
  CLIENT_PREFACE,
  checkFrame,
  dataOf,
  dependsOnItself,
  ErrorCode,
  Flag,
  type Frame,
  FrameType,
  goawayOf,
  Http2Fault,
  headerFragmentOf,
  parseSettings,
  resetCodeOf,
  SettingId,
  windowIncrementOf,
} from '../../src/http2/frames.ts';
import {
  frameHeaders,
  writeData,
  writeFrameHeader,
  writeGoaway,
  writeHeaders,
  writePing,
  writeRstStream,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../../src/http2/write-frames.ts';
import { runs } from '../support/generators/runs.ts';

type Seen = { type: number; flags: number; streamId: number; payload: Buffer; raw: Buffer };

const seenOf = (frame: Frame): Seen => ({
  type: frame.type,
  flags: frame.flags,
  streamId: frame.streamId,
  payload: frame.payload,
  raw: frame.raw,
});

function readAll(reader: FrameReader, chunks: readonly Buffer[]): Seen[] {
  const seen: Seen[] = [];
  for (const chunk of chunks) reader.push(chunk, (frame) => seen.push(seenOf(frame)));
  return seen;
}

function rawFrame(type: number, flags: number, streamId: number, payload: Buffer | string): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload;
  const target = Buffer.alloc(9 + body.length);
  writeFrameHeader(target, 0, body.length, type, flags, streamId);
  body.copy(target, 9);
  return target;
}

/** Runs an inspection on one frame inside the reader's callback, as callers must. */
function inspect<T>(raw: Buffer, inspection: (frame: Frame) => T): T | undefined {
  let answer: T | undefined;
  new FrameReader().push(raw, (frame) => {
    answer = inspection(frame);
  });
  return answer;
}

function faultOf(run: () => unknown): { code: number; streamId: number } | undefined {
  try {
    run();
  } catch (error) {
    if (!(error instanceof Http2Fault)) throw error;
    return { code: error.code, streamId: error.streamId };
  }
  return undefined;
}

const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, INTERNAL_ERROR } = ErrorCode;

const CONVERSATION: readonly Buffer[] = [
  writeSettings([[SettingId.INITIAL_WINDOW_SIZE, 65_535]]),
  writeSettingsAck(),
  writeHeaders(1, Buffer.from('8387', 'hex'), false),
  writeData(1, Buffer.from('hello'), true),
  writeData(3, Buffer.alloc(0), true),
  rawFrame(0xfa, 0xff, 0x7fff_ffff, '0102'),
  writePing(Buffer.from('abcdefgh'), false),
  writeWindowUpdate(0, 10),
];

t.test('frames written are read back, field by field', (t) => {
  const cases: { name: string; raw: Buffer; type: number; flags: number; streamId: number; payload: string }[] = [
    {
      name: 'settings',
      raw: writeSettings([[4, 0xffff_ffff]]),
      type: 4,
      flags: 0,
      streamId: 0,
      payload: '0004ffffffff',
    },
    { name: 'settings acknowledgement', raw: writeSettingsAck(), type: 4, flags: 1, streamId: 0, payload: '' },
    {
      name: 'ping',
      raw: writePing(Buffer.alloc(8, 7), false),
      type: 6,
      flags: 0,
      streamId: 0,
      payload: '0707070707070707',
    },
    {
      name: 'ping answer',
      raw: writePing(Buffer.alloc(8, 7), true),
      type: 6,
      flags: 1,
      streamId: 0,
      payload: '0707070707070707',
    },
    {
      name: 'goaway',
      raw: writeGoaway(5, 11, 'calm'),
      type: 7,
      flags: 0,
      streamId: 0,
      payload: '000000050000000b63616c6d',
    },
    { name: 'reset', raw: writeRstStream(7, 8), type: 3, flags: 0, streamId: 7, payload: '00000008' },
    {
      name: 'window update',
      raw: writeWindowUpdate(9, 0x7fff_ffff),
      type: 8,
      flags: 0,
      streamId: 9,
      payload: '7fffffff',
    },
    {
      name: 'headers',
      raw: writeHeaders(1, Buffer.from([0x83]), false),
      type: 1,
      flags: 4,
      streamId: 1,
      payload: '83',
    },
    {
      name: 'headers that end the stream',
      raw: writeHeaders(1, Buffer.from([0x83]), true),
      type: 1,
      flags: 5,
      streamId: 1,
      payload: '83',
    },
    { name: 'data', raw: writeData(1, Buffer.from([1]), false), type: 0, flags: 0, streamId: 1, payload: '01' },
    {
      name: 'data that ends the stream',
      raw: writeData(1, Buffer.alloc(0), true),
      type: 0,
      flags: 1,
      streamId: 1,
      payload: '',
    },
  ];
  for (const { name, raw, type, flags, streamId, payload } of cases) {
    t.same(
      readAll(new FrameReader(), [raw]),
      [{ type, flags, streamId, payload: Buffer.from(payload, 'hex'), raw }],
      name,
    );
    t.doesNotThrow(() => inspect(raw, checkFrame), `${name} passes the check`);
  }
  t.throws(() => writePing(Buffer.alloc(7), false), RangeError, 'a ping of seven bytes');
  t.throws(() => writeWindowUpdate(1, 0), RangeError, 'an increment of zero');
  t.throws(() => writeWindowUpdate(1, 2 ** 31), RangeError, 'an increment of 2^31');
  t.end();
});

t.test('what exceeds the maximum frame size is split', (t) => {
  const bytes = Buffer.from(Array.from({ length: 25 }, (_, index) => index));
  const shape = (raw: Buffer) =>
    readAll(new FrameReader(), [raw]).map((frame) => [frame.type, frame.flags, frame.payload.length]);
  t.same(shape(writeHeaders(1, bytes, true, 10)), [
    [FrameType.HEADERS, Flag.END_STREAM, 10],
    [FrameType.CONTINUATION, 0, 10],
    [FrameType.CONTINUATION, Flag.END_HEADERS, 5],
  ]);
  t.same(shape(writeData(1, bytes, true, 10)), [
    [FrameType.DATA, 0, 10],
    [FrameType.DATA, 0, 10],
    [FrameType.DATA, Flag.END_STREAM, 5],
  ]);
  t.same(shape(writeHeaders(1, bytes.subarray(0, 20), false, 10)), [
    [FrameType.HEADERS, 0, 10],
    [FrameType.CONTINUATION, Flag.END_HEADERS, 10],
  ]);
  const joined = readAll(new FrameReader(), [writeHeaders(1, bytes, true, 10)]).map((frame) => frame.payload);
  t.same(Buffer.concat(joined), bytes, 'no byte is lost');
  const framed = Buffer.concat([Buffer.alloc(9), bytes]);
  t.same(frameHeaders(framed, 1, true, 10), writeHeaders(1, bytes, true, 10), 'a block with headroom is split as well');
  t.equal(frameHeaders(framed, 1, true), framed, 'and framed in place when it fits');
  t.same(framed, writeHeaders(1, bytes, true), 'with the same bytes');
  t.end();
});

t.test('the same frames come out wherever the bytes are cut', (t) => {
  const stream = Buffer.concat([CLIENT_PREFACE, ...CONVERSATION]);
  const whole = readAll(new FrameReader(16_384, true), [stream]);
  t.same(
    whole.map((frame) => frame.raw),
    CONVERSATION,
    'in one chunk',
  );
  for (let cut = 0; cut <= stream.length; cut++) {
    const got = readAll(new FrameReader(16_384, true), [stream.subarray(0, cut), stream.subarray(cut)]);
    t.same(got, whole, `cut at ${cut}`);
  }
  const single = Array.from(stream, (_, index) => stream.subarray(index, index + 1));
  t.same(readAll(new FrameReader(16_384, true), single), whole, 'byte by byte');
  t.end();
});

t.test('any frames in any chunks come out as they went in', (t) => {
  const frame = fc
    .tuple(fc.nat(255), fc.nat(255), fc.nat(0x7fff_ffff), fc.uint8Array({ maxLength: 300 }))
    .map(([type, flags, streamId, payload]) => rawFrame(type, flags, streamId, Buffer.from(payload)));
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 400 })), (frames, sizes) => {
      const stream = Buffer.concat(frames);
      const chunks: Buffer[] = [];
      let at = 0;
      for (const size of sizes) {
        chunks.push(stream.subarray(at, at + size));
        at += size;
      }
      chunks.push(stream.subarray(at));
      const got = readAll(new FrameReader(), chunks);
      return Buffer.concat(got.map((each) => each.raw)).equals(stream) && got.length === frames.length;
    }),
    { numRuns: runs(1000) },
  );
  t.pass('1000 streams');
  t.end();
});

t.test('a frame inside a chunk is a view, one across chunks keeps its own bytes', (t) => {
  const chunk = Buffer.concat(CONVERSATION);
  let views = 0;
  new FrameReader().push(chunk, (frame) => {
    if (frame.source === chunk && frame.raw.buffer === chunk.buffer) views++;
  });
  t.equal(views, CONVERSATION.length, 'no frame was copied');
  const reader = new FrameReader();
  const first = writeData(1, Buffer.from('first'), false);
  const kept = readAll(reader, [first.subarray(0, 3), first.subarray(3)]);
  readAll(reader, [writeData(1, Buffer.from('other'), false).subarray(0, 12), Buffer.from('er')]);
  t.same(kept[0]?.raw, first, 'a kept frame is not overwritten by the next one');
  t.end();
});

t.test('a reader that is stopped in between goes on with what it left', (t) => {
  const stream = Buffer.concat(CONVERSATION);
  fc.assert(
    fc.property(fc.array(fc.boolean()), fc.integer({ min: 1, max: stream.length }), (stops, size) => {
      const reader = new FrameReader();
      const got: Buffer[] = [];
      const onFrame = (frame: Frame): void => {
        got.push(frame.raw);
        if (stops[got.length % (stops.length + 1)]) reader.stop();
      };
      for (let from = 0; from < stream.length; from += size) {
        const chunk = stream.subarray(from, from + size);
        for (let at = 0; at < chunk.length; ) {
          const before = got.length;
          const taken = reader.push(chunk.subarray(at), onFrame);
          if (at + taken < chunk.length && got.length === before) return false;
          at += taken;
        }
      }
      return Buffer.concat(got).equals(stream) && got.length === CONVERSATION.length;
    }),
    { numRuns: runs(1000) },
  );
  t.pass('1000 ways to stop');
  t.end();
});

t.test('the reserved bit of the stream identifier is ignored', (t) => {
  const raw = rawFrame(FrameType.DATA, 0, 0x8000_0001, '');
  t.equal(
    inspect(raw, (frame) => frame.streamId),
    1,
  );
  t.end();
});

t.test('a frame over the maximum is refused as soon as its header is there', (t) => {
  const header = (length: number): Buffer => rawFrame(FrameType.DATA, 0, 1, Buffer.alloc(length)).subarray(0, 9);
  const tooLarge = { code: FRAME_SIZE_ERROR, streamId: 0 };
  t.same(
    faultOf(() => readAll(new FrameReader(), [header(16_385)])),
    tooLarge,
    'in one chunk',
  );
  const parts = [header(16_385).subarray(0, 4), header(16_385).subarray(4)];
  t.same(
    faultOf(() => readAll(new FrameReader(), parts)),
    tooLarge,
    'in two chunks',
  );
  t.equal(
    faultOf(() => readAll(new FrameReader(), [header(16_384)])),
    undefined,
    'exactly the maximum is fine',
  );
  const reader = new FrameReader();
  reader.maxFrameSize = 16_385;
  t.equal(
    faultOf(() => readAll(reader, [header(16_385)])),
    undefined,
    'the maximum can be raised',
  );
  t.end();
});

t.test('a reader that failed, or is busy, reads no further', (t) => {
  const broken = { code: INTERNAL_ERROR, streamId: 0 };
  const reader = new FrameReader(16_384, true);
  t.same(
    faultOf(() => readAll(reader, [Buffer.from('PRI * HTTP/1.1')])),
    { code: PROTOCOL_ERROR, streamId: 0 },
  );
  t.same(
    faultOf(() => readAll(reader, [CLIENT_PREFACE])),
    broken,
    'after a wrong preface',
  );
  const thrower = new FrameReader();
  const stop = new Error('stop');
  const fail = (): never => {
    throw stop;
  };
  t.throws(() => thrower.push(writeSettingsAck(), fail), stop, 'an exception of the callback passes through');
  t.same(
    faultOf(() => readAll(thrower, [writeSettingsAck()])),
    broken,
    'and ends the reader',
  );
  const nested = new FrameReader();
  const again = (): void => void nested.push(writeSettingsAck(), () => {});
  t.same(
    faultOf(() => nested.push(writeSettingsAck(), again)),
    broken,
    'pushing from inside the callback',
  );
  t.end();
});

t.test('frames on the wrong stream or of the wrong length are refused', (t) => {
  const cases: { name: string; frame: Buffer; fault?: { code: number; streamId: number } }[] = [];
  const connectionOnly = [
    ['settings', rawFrame(FrameType.SETTINGS, 0, 1, '')],
    ['ping', rawFrame(FrameType.PING, 0, 1, '0000000000000000')],
    ['goaway', rawFrame(FrameType.GOAWAY, 0, 1, '0000000000000000')],
  ] as const;
  for (const [name, frame] of connectionOnly) {
    cases.push({ name: `${name} on a stream`, frame, fault: { code: PROTOCOL_ERROR, streamId: 0 } });
  }
  const streamOnly = [
    ['data', FrameType.DATA, ''],
    ['headers', FrameType.HEADERS, ''],
    ['priority', FrameType.PRIORITY, '0000000010'],
    ['reset', FrameType.RST_STREAM, '00000008'],
    ['push promise', FrameType.PUSH_PROMISE, '00000002'],
    ['continuation', FrameType.CONTINUATION, ''],
  ] as const;
  for (const [name, type, payload] of streamOnly) {
    cases.push({
      name: `${name} on stream 0`,
      frame: rawFrame(type, 0, 0, payload),
      fault: { code: PROTOCOL_ERROR, streamId: 0 },
    });
    cases.push({ name: `${name} on stream 3`, frame: rawFrame(type, 0, 3, payload) });
  }
  const size = (streamId: number) => ({ code: FRAME_SIZE_ERROR, streamId });
  cases.push(
    { name: 'window update on stream 0', frame: rawFrame(FrameType.WINDOW_UPDATE, 0, 0, '00000001') },
    { name: 'window update on stream 3', frame: rawFrame(FrameType.WINDOW_UPDATE, 0, 3, '00000001') },
    { name: 'window update of 3 bytes', frame: rawFrame(FrameType.WINDOW_UPDATE, 0, 3, '000001'), fault: size(0) },
    { name: 'priority of 4 bytes', frame: rawFrame(FrameType.PRIORITY, 0, 3, '00000000'), fault: size(3) },
    { name: 'reset of 5 bytes', frame: rawFrame(FrameType.RST_STREAM, 0, 3, '0000000800'), fault: size(0) },
    { name: 'settings of 6 bytes', frame: rawFrame(FrameType.SETTINGS, 0, 0, '000100001000') },
    { name: 'settings of 5 bytes', frame: rawFrame(FrameType.SETTINGS, 0, 0, '0001000010'), fault: size(0) },
    {
      name: 'settings acknowledgement with bytes',
      frame: rawFrame(FrameType.SETTINGS, 1, 0, '000100001000'),
      fault: size(0),
    },
    { name: 'push promise of 3 bytes', frame: rawFrame(FrameType.PUSH_PROMISE, 0, 3, '000002'), fault: size(0) },
    { name: 'ping of 7 bytes', frame: rawFrame(FrameType.PING, 0, 0, '00000000000000'), fault: size(0) },
    { name: 'goaway of 7 bytes', frame: rawFrame(FrameType.GOAWAY, 0, 0, '00000000000000'), fault: size(0) },
    { name: 'goaway with debug data', frame: rawFrame(FrameType.GOAWAY, 0, 0, '000000000000000041') },
    { name: 'an unknown type on stream 0', frame: rawFrame(10, 0, 0, '') },
    { name: 'an unknown type on stream 3', frame: rawFrame(255, 0, 3, '00') },
  );
  for (const { name, frame, fault } of cases)
    t.same(
      faultOf(() => inspect(frame, checkFrame)),
      fault,
      name,
    );
  t.end();
});

t.test('padding and priority are taken off', (t) => {
  const { PADDED, PRIORITY } = Flag;
  const { DATA, HEADERS } = FrameType;
  const refused = (code: number) => ({ code, streamId: 0 });
  const cases: { name: string; frame: Buffer; fragment?: string; fault?: { code: number; streamId: number } }[] = [
    { name: 'plain data', frame: rawFrame(DATA, 0, 1, 'abcd'), fragment: 'abcd' },
    { name: 'padded data', frame: rawFrame(DATA, PADDED, 1, '02abcd0000'), fragment: 'abcd' },
    { name: 'data of padding alone', frame: rawFrame(DATA, PADDED, 1, '020000'), fragment: '' },
    { name: 'data padded by nothing', frame: rawFrame(DATA, PADDED, 1, '00ab'), fragment: 'ab' },
    {
      name: 'data whose padding equals its length',
      frame: rawFrame(DATA, PADDED, 1, '030000'),
      fault: refused(PROTOCOL_ERROR),
    },
    { name: 'data without its padding length', frame: rawFrame(DATA, PADDED, 1, ''), fault: refused(FRAME_SIZE_ERROR) },
    { name: 'the priority flag means nothing on data', frame: rawFrame(DATA, PRIORITY, 1, 'abcd'), fragment: 'abcd' },
    { name: 'plain headers', frame: rawFrame(HEADERS, 0, 1, '8387'), fragment: '8387' },
    { name: 'headers with priority', frame: rawFrame(HEADERS, PRIORITY, 1, '00000000108387'), fragment: '8387' },
    {
      name: 'padded headers with priority',
      frame: rawFrame(HEADERS, PADDED | PRIORITY, 1, '01000000001083870f'),
      fragment: '8387',
    },
    { name: 'headers of priority alone', frame: rawFrame(HEADERS, PRIORITY, 1, '0000000010'), fragment: '' },
    {
      name: 'headers too short for priority',
      frame: rawFrame(HEADERS, PRIORITY, 1, '00000000'),
      fault: refused(FRAME_SIZE_ERROR),
    },
    {
      name: 'headers whose padding reaches into the priority',
      frame: rawFrame(HEADERS, PADDED | PRIORITY, 1, '01000000001f'),
      fault: refused(PROTOCOL_ERROR),
    },
  ];
  for (const { name, frame, fragment, fault } of cases) {
    const read = () =>
      inspect(frame, (each) => (each.type === DATA ? dataOf(each) : headerFragmentOf(each)).toString('hex'));
    if (fault === undefined) t.equal(read(), fragment, name);
    else t.same(faultOf(read), fault, name);
  }
  t.end();
});

t.test('a stream that depends on itself is told apart', (t) => {
  const cases: [name: string, frame: Buffer, expected: boolean][] = [
    ['a priority frame that names its own stream', rawFrame(FrameType.PRIORITY, 0, 5, '0000000510'), true],
    ['also with the exclusive bit', rawFrame(FrameType.PRIORITY, 0, 5, '8000000510'), true],
    ['a priority frame that names another', rawFrame(FrameType.PRIORITY, 0, 5, '0000000310'), false],
    ['headers that name their own stream', rawFrame(FrameType.HEADERS, Flag.PRIORITY, 5, '0000000510'), true],
    ['padded headers', rawFrame(FrameType.HEADERS, Flag.PRIORITY | Flag.PADDED, 5, '000000000510'), true],
    ['headers without priority', rawFrame(FrameType.HEADERS, 0, 5, '0000000510'), false],
    ['data', rawFrame(FrameType.DATA, Flag.PRIORITY, 5, '0000000510'), false],
  ];
  for (const [name, frame, expected] of cases) t.equal(inspect(frame, dependsOnItself), expected, name);
  t.end();
});

t.test('settings are read in order and checked', (t) => {
  const { ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES } =
    SettingId;
  const read = (settings: readonly (readonly [number, number])[], sender: 'client' | 'server') =>
    parseSettings(writeSettings(settings).subarray(9), sender);
  const mixed = [
    [INITIAL_WINDOW_SIZE, 1],
    [0x99, 0xffff_ffff],
    [INITIAL_WINDOW_SIZE, 2],
  ] as const;
  t.same(read(mixed, 'client'), mixed, 'unknown and repeated ones are kept');
  t.same(read([], 'client'), [], 'none at all');
  const cases: [id: number, value: number, sender: 'client' | 'server', code: number | undefined][] = [
    [ENABLE_PUSH, 1, 'client', undefined],
    [ENABLE_PUSH, 2, 'client', PROTOCOL_ERROR],
    [ENABLE_PUSH, 0, 'server', undefined],
    [ENABLE_PUSH, 1, 'server', PROTOCOL_ERROR],
    [INITIAL_WINDOW_SIZE, 0x7fff_ffff, 'client', undefined],
    [INITIAL_WINDOW_SIZE, 0x8000_0000, 'client', FLOW_CONTROL_ERROR],
    [MAX_FRAME_SIZE, 16_383, 'client', PROTOCOL_ERROR],
    [MAX_FRAME_SIZE, 16_384, 'client', undefined],
    [MAX_FRAME_SIZE, 0xff_ffff, 'server', undefined],
    [MAX_FRAME_SIZE, 0x100_0000, 'server', PROTOCOL_ERROR],
    [ENABLE_CONNECT_PROTOCOL, 1, 'client', undefined],
    [ENABLE_CONNECT_PROTOCOL, 2, 'client', PROTOCOL_ERROR],
    [NO_RFC7540_PRIORITIES, 1, 'client', undefined],
    [NO_RFC7540_PRIORITIES, 2, 'client', PROTOCOL_ERROR],
  ];
  for (const [id, value, sender, code] of cases) {
    const expected = code === undefined ? undefined : { code, streamId: 0 };
    t.same(
      faultOf(() => read([[id, value]], sender)),
      expected,
      `setting ${id} = ${value} from the ${sender}`,
    );
  }
  t.same(
    faultOf(() => parseSettings(Buffer.alloc(7), 'client')),
    { code: FRAME_SIZE_ERROR, streamId: 0 },
    'seven bytes',
  );
  t.end();
});

t.test('fields of single frames are read', (t) => {
  t.equal(inspect(rawFrame(FrameType.WINDOW_UPDATE, 0, 3, '80000005'), windowIncrementOf), 5, 'reserved bit ignored');
  for (const streamId of [0, 3]) {
    const zero = rawFrame(FrameType.WINDOW_UPDATE, 0, streamId, '80000000');
    t.same(
      faultOf(() => inspect(zero, windowIncrementOf)),
      { code: PROTOCOL_ERROR, streamId },
      `zero on ${streamId}`,
    );
  }
  t.equal(inspect(writeRstStream(1, 0xffff_ffff), resetCodeOf), 0xffff_ffff, 'an unknown reset code');
  t.same(inspect(writeGoaway(7, 2, 'x'), goawayOf), { lastStreamId: 7, code: 2 }, 'goaway');
  t.end();
});

t.test('random bytes raise nothing but a fault', (t) => {
  const digest = (frame: Frame): void => {
    checkFrame(frame);
    dependsOnItself(frame);
    if (frame.type === FrameType.DATA) dataOf(frame);
    if (frame.type === FrameType.HEADERS) headerFragmentOf(frame);
    if (frame.type === FrameType.SETTINGS) parseSettings(frame.payload, 'client');
    if (frame.type === FrameType.WINDOW_UPDATE) windowIncrementOf(frame);
    if (frame.type === FrameType.RST_STREAM) resetCodeOf(frame);
    if (frame.type === FrameType.GOAWAY) goawayOf(frame);
  };
  // Bytes near zero make plausible lengths and types far more often than even ones would.
  const byte = fc.oneof(fc.nat(12), fc.nat(255));
  const header = fc.tuple(fc.constant(0), fc.constant(0), fc.nat(20), fc.nat(10), fc.nat(255));
  const piece = fc
    .tuple(header, fc.array(byte, { maxLength: 24 }))
    .map(([head, rest]) => Buffer.from([...head, ...rest]));
  let frames = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (chunks) => {
      const reader = new FrameReader();
      faultOf(() => {
        for (const chunk of chunks) {
          reader.push(chunk, (frame) => {
            frames++;
            digest(frame);
          });
        }
      });
    }),
    { numRuns: runs(5000) },
  );
  t.ok(frames > runs(1000), 'many of them were frames');
  t.end();
});
