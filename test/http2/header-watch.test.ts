import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { CLIENT_PREFACE, Flag, FrameType } from '../../src/http2/frames.ts';
import { HeaderWatch } from '../../src/http2/header-watch.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { writeFrameHeader, writeHeaders, writeSettings } from '../../src/http2/write-frames.ts';

const LIMITS = { headerBytes: 16_384, headerCount: 50 };
const GOOD: readonly HeaderField[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'localhost'],
];

/** Shows a watch all of some bytes, block by block. */
function show(watch: HeaderWatch, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += watch.push(bytes.subarray(at));
}

function frames(...blocks: readonly (readonly HeaderField[])[]): Buffer {
  const parts = blocks.map((extra, index) => writeHeaders(2 * index + 1, encodeHeaders([...GOOD, ...extra]), true));
  return Buffer.concat([CLIENT_PREFACE, writeSettings([]), ...parts]);
}

const CASES: readonly (readonly [name: string, field: HeaderField, malformed: boolean])[] = [
  ['a plain field', ['x-a', 'b'], false],
  ['an empty value', ['x-a', ''], false],
  ['a tab inside a value', ['x-a', 'a\tb'], false],
  ['a raw byte in a value', ['x-a', 'caf\xe9'], false],
  ['a line end in a value', ['x-a', 'b\r\nc'], true],
  ['a bare line feed in a value', ['x-a', 'b\nc'], true],
  ['a NUL in a value', ['x-a', '\0'], true],
  ['a control byte in a value', ['x-a', '\x1b[2J'], true],
  ['a blank before a value', ['x-a', ' b'], true],
  ['a tab behind a value', ['x-a', 'b\t'], true],
  ['an empty name', ['', 'b'], true],
  ['a colon in a name', ['x:a', 'b'], true],
  ['a blank in a name', ['x a', 'b'], true],
  ['a raw byte in a name', ['x\xe9', 'b'], true],
];

t.test('a field that HTTP/2 does not allow makes its own request malformed and no other', async (t) => {
  for (const [name, field, malformed] of CASES) {
    const bytes = frames([], [field], []);
    for (const pieces of [[bytes], [...bytes].map((byte) => Buffer.of(byte))]) {
      const watch = new HeaderWatch(LIMITS);
      for (const piece of pieces) show(watch, piece);
      t.same(
        [1, 3, 5].map((id) => watch.takeMalformed(id)),
        [false, malformed, false],
        name,
      );
      t.equal(watch.takeMalformed(3), false, `${name}: forgotten once told`);
    }
  }
});

t.test('a block in several frames is read as one, within bounds', async (t) => {
  const block = encodeHeaders([...GOOD, ['x-a', 'b\0']]);
  const [first, rest] = [block.subarray(0, 10), block.subarray(10)];
  const head = (type: number, flags: number, part: Buffer) => {
    const bytes = Buffer.alloc(9 + part.length);
    writeFrameHeader(bytes, 0, part.length, type, flags, 1);
    part.copy(bytes, 9);
    return bytes;
  };
  const watch = new HeaderWatch(LIMITS);
  show(watch, Buffer.concat([CLIENT_PREFACE, head(FrameType.HEADERS, Flag.END_STREAM, first)]));
  t.equal(watch.takeMalformed(1), false, 'not told before its end');
  show(watch, head(FrameType.CONTINUATION, Flag.END_HEADERS, rest));
  t.equal(watch.takeMalformed(1), true);
  const endless = new HeaderWatch(LIMITS);
  show(endless, Buffer.concat([CLIENT_PREFACE, head(FrameType.HEADERS, 0, first)]));
  for (let count = 0; count < 3; count += 1) show(endless, head(FrameType.CONTINUATION, 0, Buffer.alloc(16_384)));
  t.equal(endless.takeMalformed(99), true, 'a block without end: every later request is malformed');
});

t.test('what cannot be followed makes every later request malformed', async (t) => {
  const broken = Buffer.concat([frames([]), writeHeaders(3, Buffer.alloc(20, 0xff), true)]);
  for (const bytes of [
    broken,
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.concat([frames([]), Buffer.alloc(9, 0xff)]),
  ]) {
    const watch = new HeaderWatch(LIMITS);
    show(watch, bytes);
    show(watch, frames([]));
    t.equal(watch.takeMalformed(5), true);
  }
  const many = new HeaderWatch(LIMITS);
  show(many, frames(Array.from({ length: 60 }, (_, index): HeaderField => [`x-${index}`, 'y'])));
  t.equal(many.takeMalformed(1), true, 'more fields than allowed');
});

t.test('whatever node:http2 leaves out of a request is malformed here', async (t) => {
  const server = createServer();
  const seen = new Map<number, readonly string[]>();
  server.on('stream', (stream: ServerHttp2Stream, _headers, _flags, raw: readonly string[]) => {
    seen.set(stream.id ?? 0, raw);
    stream.respond({ ':status': 204 }, { endStream: true });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const byte = fc.integer({ min: 0, max: 255 });
  const text = (max: number) =>
    fc
      .array(fc.oneof({ arbitrary: fc.constantFrom(97, 98, 45), weight: 12 }, { arbitrary: byte, weight: 1 }), {
        maxLength: max,
      })
      .map((bytes) => String.fromCharCode(...bytes));
  const met = { dropped: 0, kept: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(text(6), text(8)), { minLength: 1, maxLength: 40 }), async (fields) => {
      seen.clear();
      const watch = new HeaderWatch(LIMITS);
      const bytes = frames(...fields.map((field): readonly HeaderField[] => [field]));
      show(watch, bytes);
      const socket = connect(port, '127.0.0.1');
      const last = 2 * fields.length + 1;
      const end = encodeHeaders([...GOOD, ['x-last', '1']]);
      socket.on('error', () => undefined).resume();
      const closed = once(socket, 'close');
      socket.write(Buffer.concat([bytes, writeHeaders(last, end, true)]));
      for (let turn = 0; turn < 400 && !seen.has(last) && !socket.closed; turn += 1) await new Promise(setImmediate);
      socket.destroy();
      await closed;
      for (const [index] of fields.entries()) {
        const raw = seen.get(2 * index + 1);
        if (!raw) continue;
        const dropped = raw.length < 2 * (GOOD.length + 1);
        if (dropped) met.dropped += 1;
        else met.kept += 1;
        if (dropped && !watch.takeMalformed(2 * index + 1)) throw new Error(`kept: ${JSON.stringify(fields[index])}`);
      }
    }),
    { numRuns: 150, seed: 1 },
  );
  t.ok(met.dropped > 100 && met.kept > 100, JSON.stringify(met));
  server.close();
});

t.test('it stops behind each header block, and counts them', async (t) => {
  const [first, second, data] = [frames([]), frames([]).subarray(CLIENT_PREFACE.length), Buffer.from('\0\0\0\0')];
  const watch = new HeaderWatch(LIMITS);
  const all = Buffer.concat([first, second, data]);
  t.equal(watch.push(all), first.length, 'the first');
  t.equal(watch.blocks, 1);
  t.equal(watch.push(all.subarray(first.length)), second.length, 'the second');
  t.equal(watch.blocks, 2);
  t.equal(watch.push(data), data.length, 'none');
  t.equal(watch.blocks, 2);
});
