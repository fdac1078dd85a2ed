import assert from 'node:assert/strict';
import { crc32, deflateRawSync, gzipSync, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { DEFAULT_MESSAGE_LIMITS, MessageReader, type MessageSink } from '../../../src/grpc/message/message.ts';
import { WireFault } from '../../../src/grpc/message/wire.ts';
import { runs } from '../../support/generators/runs.ts';
import { Deviations } from '../../support/verdicts/verdicts.ts';

/** Keeps whole messages, and checks what the reader promises a sink. */
class Collector implements MessageSink {
  readonly messages: string[] = [];
  #expected = -1;
  #parts: Buffer[] = [];

  open(length: number): void {
    if (this.#expected >= 0) throw new Error('opened twice');
    this.#expected = length;
    this.#parts = [];
  }

  payload(bytes: Buffer): void {
    if (this.#expected < 0) throw new Error('payload without a message');
    if (bytes.length === 0) throw new Error('empty payload');
    this.#parts.push(Buffer.from(bytes));
  }

  close(): void {
    const whole = Buffer.concat(this.#parts);
    if (Number.isFinite(this.#expected) && whole.length !== this.#expected) throw new Error('length does not match');
    this.messages.push(whole.toString('latin1'));
    this.#expected = -1;
  }
}

interface Setting {
  encoding?: string;
  single?: boolean;
  compressedBytes?: number;
  inflatedBytes?: number;
}

/** The messages of a stream, or code and text of its refusal. Waits for what is inflated elsewhere. */
async function read(chunks: readonly Buffer[], setting: Setting = {}): Promise<string[] | string> {
  const sink = new Collector();
  const { encoding, single = false, ...limits } = setting;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => undefined);
  const attempt = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      reject(error);
    }
  };
  try {
    const reader = new MessageReader(
      {
        encoding,
        single,
        limits: { ...DEFAULT_MESSAGE_LIMITS, ...limits },
        later: (step) => {
          attempt(step);
          if (!reader.busy) resolve();
        },
      },
      sink,
    );
    for (const chunk of chunks) reader.push(chunk);
    reader.end();
    if (reader.busy) await promise;
    // A fault of a step that came before the others were through.
    resolve();
    await promise;
    if (reader.count !== sink.messages.length) throw new Error('count does not match');
    return sink.messages;
  } catch (error) {
    if (!(error instanceof WireFault)) throw error;
    return `${error.denial.grpc} ${error.message}`;
  }
}

function framed(content: string | Buffer, flag = 0): Buffer {
  const bytes = Buffer.from(content);
  const prefix = Buffer.alloc(5, flag);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

const gzip = { encoding: 'gzip' };

t.test('messages are told apart by their prefixes', async (t) => {
  t.same(await read([framed('one')]), ['one']);
  t.same(await read([framed('')]), ['']);
  t.same(await read([Buffer.alloc(0), framed('one'), Buffer.alloc(0), framed(''), framed('three')]), [
    'one',
    '',
    'three',
  ]);
  t.same(await read([]), [], 'no message is fine in a stream');
});

t.test('a unary call has exactly one message', async (t) => {
  t.same(await read([framed('one')], { single: true }), ['one']);
  t.equal(await read([], { single: true }), '13 Missing request message.');
  const more = '13 more than one message in a unary call';
  t.equal(await read([framed('one'), framed('two')], { single: true }), more);
  t.equal(await read([framed('one'), Buffer.of(0)], { single: true }), more, 'at its first byte');
});

t.test('a stream that ends inside a message is refused', async (t) => {
  for (let length = 1; length < 8; length += 1) {
    t.equal(await read([framed('one').subarray(0, length)]), '13 Unexpected EOF decoding stream.', `${length} bytes`);
  }
});

t.test('the flag of a message decides, and only gzip is known', async (t) => {
  const zipped = framed(gzipSync('one'), 1);
  t.same(await read([zipped, framed('two'), zipped], gzip), ['one', 'two', 'one'], 'mixed');
  t.same(await read([framed('one')], { encoding: 'identity' }), ['one']);
  const noEncoding = '13 protocol error: received message with compressed-flag but no grpc-encoding was specified';
  t.equal(await read([zipped]), noEncoding);
  t.equal(await read([zipped], { encoding: 'identity' }), noEncoding);
  for (const encoding of ['GZIP', 'x-gzip', 'deflate', 'zstd', ' gzip', 'gzip,gzip', '']) {
    const text = `12 Content is compressed with \`${encoding}\` which isn't supported`;
    t.equal(await read([zipped], { encoding }), text);
    t.equal(await read([framed('one')], { encoding }), text, 'even when not used');
  }
  for (const flag of [2, 5, 128, 255]) {
    t.match(await read([framed('one', flag)], gzip), new RegExp(`^13 protocol error: .* compression flag: ${flag} `));
  }
});

t.test('only one whole gzip member is read', async (t) => {
  const member = gzipSync('one');
  const broken = (at: number, byte: number) => {
    const copy = Buffer.from(member);
    copy[at < 0 ? copy.length + at : at] = byte;
    return copy;
  };
  const rows: [what: string, bytes: Buffer, text: RegExp][] = [
    ['nothing', Buffer.alloc(0), /unexpected end/],
    ['a truncated tail', member.subarray(0, -1), /unexpected end/],
    ['truncated data', member.subarray(0, 14), /unexpected end/],
    ['no gzip', Buffer.alloc(30, 'x'), /invalid gzip header/],
    ['another method', broken(2, 7), /invalid gzip header/],
    ['a file name', broken(3, 8), /not supported/],
    ['a wrong checksum', broken(-8, 1), /checksum/],
    ['a wrong size', broken(-1, 1), /size/],
    ['a corrupt block', Buffer.concat([member.subarray(0, 10), Buffer.alloc(20, 0xff)]), /corrupt/],
    [
      'an unfinished block',
      Buffer.concat([member.subarray(0, 10), deflateRawSync(Buffer.alloc(9)).subarray(0, 2), Buffer.alloc(8)]),
      /./,
    ],
  ];
  for (const [what, bytes, text] of rows) {
    const answer = await read([framed(bytes, 1)], gzip);
    t.ok(
      typeof answer === 'string' && answer.startsWith('13 Error decompressing: ') && text.test(answer),
      `${what}: ${answer}`,
    );
  }
  // Upstream's decoder reads the first member of these, whatever its header holds, and leaves what is behind it.
  const readUpstream: [what: string, bytes: Buffer][] = [
    ['a gzip message with two members', Buffer.concat([member, gzipSync('two')])],
    ['a gzip message with a byte behind it', Buffer.concat([member, Buffer.of(0)])],
    [
      'a gzip message with a file name',
      Buffer.concat([broken(3, 8).subarray(0, 10), Buffer.from('n\0'), member.subarray(10)]),
    ],
  ];
  const file = 'grpc/message/message.test.ts';
  const deviations = new Deviations(file);
  for (const [what, bytes] of readUpstream) {
    const answer = await read([framed(bytes, 1)], gzip);
    const verdict = { file, case: what, principal: '', grant: null, request: bytes, recorded: 'served' };
    t.equal(deviations.settled(typeof answer === 'string' ? answer : 'served', verdict), 'served', what);
    t.type(answer, 'string', 'and is refused');
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
});

t.test('sizes are bounded before memory is spent', async (t) => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  t.match(await read([framed(bomb, 1)], gzip), /^8 a compressed message may inflate/);
  t.match(
    await read([framed(bomb, 1)], { ...gzip, compressedBytes: 100 }),
    /^8 a compressed message may be at most 100 bytes/,
  );
  t.match(await read([framed(gzipSync('four'), 1)], { ...gzip, inflatedBytes: 3 }), /^8 /);
  t.same(await read([framed(gzipSync('four'), 1)], { ...gzip, inflatedBytes: 4 }), ['four']);

  const before = process.memoryUsage().arrayBuffers;
  const lie = Buffer.from([1, 0, 0x3f, 0xff, 0xff]);
  const readers = Array.from({ length: 100 }, () => {
    const options = { ...gzip, single: true, limits: DEFAULT_MESSAGE_LIMITS, later: () => undefined };
    const reader = new MessageReader(options, new Collector());
    reader.push(lie);
    return reader;
  });
  const each = (process.memoryUsage().arrayBuffers - before) / readers.length;
  t.ok(each < 20_000, `a length alone costs ${Math.round(each)} bytes`);
});

t.test('however a stream is split, its messages are the same', async (t) => {
  const message = fc.record({ text: fc.string({ maxLength: 300 }), zipped: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      async (all, cuts) => {
        const stream = Buffer.concat(
          all.map(({ text, zipped }) => (zipped ? framed(gzipSync(text), 1) : framed(text))),
        );
        const chunks: Buffer[] = [];
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          const size = cuts[i % cuts.length] ?? 1;
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        const messages = await read(chunks, gzip);
        return (
          Array.isArray(messages) &&
          messages.join('|') === all.map(({ text }) => Buffer.from(text).toString('latin1')).join('|')
        );
      },
    ),
    { numRuns: runs(1000) },
  );
  t.same(await read([framed(gzipSync(Buffer.alloc(300_000, 'ab')), 1)], gzip), [
    Buffer.alloc(300_000, 'ab').toString(),
  ]);
  const noise = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919 + (i >> 3)) & 0xff));
  const large = framed(gzipSync(noise, { level: 0 }), 1);
  t.same(await read([large.subarray(0, 70_000), large.subarray(70_000, 70_001), large.subarray(70_001)], gzip), [
    noise.toString('latin1'),
  ]);
});

t.test('random streams are read or refused', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(undefined, 'gzip'), async (bytes, encoding) => {
      const flagged = Buffer.concat([Buffer.of((bytes[0] ?? 0) & 1, 0, 0, 0), Buffer.from(bytes)]);
      return (await read([flagged], encoding ? { encoding } : {})) !== undefined;
    }),
    { numRuns: runs(3000) },
  );
  t.pass('3000 streams');
});

/** The content of one gzip member read in one go, or the code of what is wrong with it: what the reader must find. */
function inWhole(bytes: Buffer, limit: number): string | number {
  if (bytes.length < 18 || bytes.readUInt32BE(0) !== 0x1f8b0800) return 13;
  try {
    const answer: unknown = inflateRawSync(bytes.subarray(10), { maxOutputLength: Math.max(limit, 1), info: true });
    const { buffer, engine } = answer as { buffer: Buffer; engine: { bytesWritten: number } };
    const tail = bytes.subarray(10 + engine.bytesWritten);
    const right = tail.length === 8 && tail.readUInt32LE(0) === crc32(buffer) && tail.readUInt32LE(4) === buffer.length;
    return right ? buffer.toString('latin1') : 13;
  } catch (error) {
    return error instanceof RangeError ? 8 : 13;
  }
}

/** Compressible to no more than noise, by a seed. */
function content(size: number, spread: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, i) => (Math.imul(i + spread, 2_654_435_761) >>> 13) % spread));
}

t.test('a compressed message inflated as it comes gives what one inflated whole gives', async (t) => {
  const met = { read: 0, refused: 0, tooLarge: 0, elsewhere: 0 };
  const change = fc.constantFrom('none', 'none', 'none', 'cut', 'more', 'twice', 'flip', 'tail', 'head');
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(0, 10, 1000, 70_000, 200_000, 400_000),
      fc.constantFrom(1, 2, 16, 256),
      fc.constantFrom(0, 1, 6, 9),
      change,
      fc.nat(),
      fc.array(fc.constantFrom(1, 5, 100, 16_384, 65_536), { minLength: 1, maxLength: 4 }),
      fc.constantFrom(0, 9, 999, 65_536, 200_000, 1 << 20),
      async (size, spread, level, what, seed, cuts, limit) => {
        let zipped = gzipSync(content(size, spread), { level });
        const at = seed % zipped.length;
        if (what === 'cut') zipped = zipped.subarray(0, at);
        if (what === 'more') zipped = Buffer.concat([zipped, Buffer.alloc(1 + (seed % 40), seed)]);
        if (what === 'twice') zipped = Buffer.concat([zipped, zipped]);
        if (what === 'flip') zipped[at] = (zipped[at] ?? 0) ^ (1 << (seed % 8));
        if (what === 'tail') zipped[zipped.length - 1 - (seed % 8)] = seed % 256;
        if (what === 'head') zipped[seed % 4] = seed % 256;
        const stream = framed(zipped, 1);
        const chunks: Buffer[] = [];
        for (let from = 0, i = 0; from < stream.length; i += 1) {
          const length = Math.max(cuts[i % cuts.length] ?? 1, stream.length >> 9);
          chunks.push(stream.subarray(from, from + length));
          from += length;
        }
        const expected = inWhole(zipped, limit);
        const setting = { ...gzip, single: true, inflatedBytes: limit };
        const answer = await read(chunks, setting);
        const code = typeof answer === 'string' ? Number.parseInt(answer, 10) : answer[0];
        // What is damaged and too large is either; both refuse.
        if (what === 'none' || typeof code !== 'number') assert.deepEqual(code, expected);
        else assert.equal(typeof expected, 'number');
        if (zipped.length > 16_384 || size > 65_536) met.elsewhere += 1;
        met[typeof expected === 'string' ? 'read' : expected === 8 ? 'tooLarge' : 'refused'] += 1;
      },
    ),
    { numRuns: 600 },
  );
  t.ok(
    Object.values(met).every((count) => count > 40),
    JSON.stringify(met),
  );
});
