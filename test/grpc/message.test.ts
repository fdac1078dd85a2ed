import { deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { DEFAULT_MESSAGE_LIMITS, inflateMember, MessageReader, type MessageSink } from '../../src/grpc/message.ts';
import { WireFault } from '../../src/grpc/wire.ts';
import { Deviations } from '../support/verdicts.ts';

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
    if (whole.length !== this.#expected) throw new Error('length does not match');
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

/** The messages of a stream, or code and text of its refusal. */
function read(chunks: readonly Buffer[], setting: Setting = {}): string[] | string {
  const sink = new Collector();
  try {
    const { encoding, single = false, ...limits } = setting;
    const reader = new MessageReader({ encoding, single, limits: { ...DEFAULT_MESSAGE_LIMITS, ...limits } }, sink);
    for (const chunk of chunks) reader.push(chunk);
    reader.end();
    if (reader.count !== sink.messages.length) throw new Error('count does not match');
    return sink.messages;
  } catch (error) {
    if (!(error instanceof WireFault)) throw error;
    return `${error.denial.code} ${error.message}`;
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
  t.same(read([framed('one')]), ['one']);
  t.same(read([framed('')]), ['']);
  t.same(read([Buffer.alloc(0), framed('one'), Buffer.alloc(0), framed(''), framed('three')]), ['one', '', 'three']);
  t.same(read([]), [], 'no message is fine in a stream');
});

t.test('a unary call has exactly one message', async (t) => {
  t.same(read([framed('one')], { single: true }), ['one']);
  t.equal(read([], { single: true }), '13 Missing request message.');
  const more = '13 more than one message in a unary call';
  t.equal(read([framed('one'), framed('two')], { single: true }), more);
  t.equal(read([framed('one'), Buffer.of(0)], { single: true }), more, 'at its first byte');
});

t.test('a stream that ends inside a message is refused', async (t) => {
  for (let length = 1; length < 8; length += 1) {
    t.equal(read([framed('one').subarray(0, length)]), '13 Unexpected EOF decoding stream.', `${length} bytes`);
  }
});

t.test('the flag of a message decides, and only gzip is known', async (t) => {
  const zipped = framed(gzipSync('one'), 1);
  t.same(read([zipped, framed('two'), zipped], gzip), ['one', 'two', 'one'], 'mixed');
  t.same(read([framed('one')], { encoding: 'identity' }), ['one']);
  const noEncoding = '13 protocol error: received message with compressed-flag but no grpc-encoding was specified';
  t.equal(read([zipped]), noEncoding);
  t.equal(read([zipped], { encoding: 'identity' }), noEncoding);
  for (const encoding of ['GZIP', 'x-gzip', 'deflate', 'zstd', ' gzip', 'gzip,gzip', '']) {
    const text = `12 Content is compressed with \`${encoding}\` which isn't supported`;
    t.equal(read([zipped], { encoding }), text);
    t.equal(read([framed('one')], { encoding }), text, 'even when not used');
  }
  for (const flag of [2, 5, 128, 255]) {
    t.match(read([framed('one', flag)], gzip), new RegExp(`^13 protocol error: .* compression flag: ${flag} `));
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
    const answer = read([framed(bytes, 1)], gzip);
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
  const file = 'grpc/message.test.ts';
  const deviations = new Deviations(file);
  for (const [what, bytes] of readUpstream) {
    const answer = read([framed(bytes, 1)], gzip);
    const verdict = { file, case: what, principal: '', grant: null, request: bytes, recorded: 'served' };
    t.equal(deviations.settled(typeof answer === 'string' ? answer : 'served', verdict), 'served', what);
    t.type(answer, 'string', 'and is refused');
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.equal(inflateMember(member, 3).toString(), 'one', 'exactly at the limit');
});

t.test('sizes are bounded before memory is spent', async (t) => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  t.match(read([framed(bomb, 1)], gzip), /^8 a compressed message may inflate/);
  t.match(
    read([framed(bomb, 1)], { ...gzip, compressedBytes: 100 }),
    /^8 a compressed message may be at most 100 bytes/,
  );
  t.match(read([framed(gzipSync('four'), 1)], { ...gzip, inflatedBytes: 3 }), /^8 /);
  t.same(read([framed(gzipSync('four'), 1)], { ...gzip, inflatedBytes: 4 }), ['four']);

  const before = process.memoryUsage().arrayBuffers;
  const lie = Buffer.from([1, 0, 0x3f, 0xff, 0xff]);
  const readers = Array.from({ length: 100 }, () => {
    const reader = new MessageReader({ ...gzip, single: true, limits: DEFAULT_MESSAGE_LIMITS }, new Collector());
    reader.push(lie);
    return reader;
  });
  const each = (process.memoryUsage().arrayBuffers - before) / readers.length;
  t.ok(each < 20_000, `a length alone costs ${Math.round(each)} bytes`);
});

t.test('however a stream is split, its messages are the same', async (t) => {
  const message = fc.record({ text: fc.string({ maxLength: 300 }), zipped: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (all, cuts) => {
        const stream = Buffer.concat(
          all.map(({ text, zipped }) => (zipped ? framed(gzipSync(text), 1) : framed(text))),
        );
        const chunks: Buffer[] = [];
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          const size = cuts[i % cuts.length] ?? 1;
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        const messages = read(chunks, gzip);
        return (
          Array.isArray(messages) &&
          messages.join('|') === all.map(({ text }) => Buffer.from(text).toString('latin1')).join('|')
        );
      },
    ),
    { numRuns: 1000 },
  );
  t.same(read([framed(gzipSync(Buffer.alloc(300_000, 'ab')), 1)], gzip), [Buffer.alloc(300_000, 'ab').toString()]);
  const noise = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919 + (i >> 3)) & 0xff));
  const large = framed(gzipSync(noise, { level: 0 }), 1);
  t.same(read([large.subarray(0, 70_000), large.subarray(70_000, 70_001), large.subarray(70_001)], gzip), [
    noise.toString('latin1'),
  ]);
});

t.test('random streams are read or refused', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(undefined, 'gzip'), (bytes, encoding) => {
      const flagged = Buffer.concat([Buffer.of((bytes[0] ?? 0) & 1, 0, 0, 0), Buffer.from(bytes)]);
      return read([flagged], encoding ? { encoding } : {}) !== undefined;
    }),
    { numRuns: 3000 },
  );
  t.pass('3000 streams');
});
