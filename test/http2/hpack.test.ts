import { once } from 'node:events';
import { createServer } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { CLIENT_PREFACE, ErrorCode, Http2Fault } from '../../src/http2/frames.ts';
import { encodeHeaders, encodeTableSizeUpdate, type HeaderField, HpackDecoder } from '../../src/http2/hpack.ts';
import { HUFFMAN_BITS, HUFFMAN_CODES } from '../../src/http2/hpack-huffman.ts';
import { writeHeaders, writeSettings } from '../../src/http2/write-frames.ts';
import { runs } from '../support/generators/runs.ts';

const LIMITS = { maxHeaderBytes: 65_536, maxHeaders: 1000 };
const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

function decode(decoder: HpackDecoder, block: Buffer): HeaderField[] {
  const fields: HeaderField[] = [];
  decoder.decode(block, (name, value, neverIndexed) => {
    fields.push(neverIndexed ? [name, value, true] : [name, value]);
  });
  return fields;
}

function faultOf(run: () => void): { code: number; streamId: number; reason: string } | undefined {
  try {
    run();
  } catch (error) {
    if (!(error instanceof Http2Fault)) throw error;
    return { code: error.code, streamId: error.streamId, reason: error.reason };
  }
  return undefined;
}

/** Bit by bit on purpose: a second way to the same code, so that it can catch the table walk. */
function slowHuffman(text: Buffer): Buffer {
  let bits = '';
  for (const byte of text) bits += (HUFFMAN_CODES[byte] ?? 0).toString(2).padStart(HUFFMAN_BITS[byte] ?? 0, '0');
  while (bits.length % 8 !== 0) bits += '1';
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

function integer(pattern: number, prefix: number, value: number): number[] {
  if (value < prefix) return [pattern | value];
  const out = [pattern | prefix];
  let rest = value - prefix;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return [...out, rest];
}

function string(text: string, huffman: boolean): number[] {
  const plain = Buffer.from(text, 'latin1');
  const coded = huffman ? slowHuffman(plain) : plain;
  return [...integer(huffman ? 0x80 : 0, 0x7f, coded.length), ...coded];
}

const literal = (pattern: number, name: string, value: string, huffman = false): number[] => [
  pattern,
  ...string(name, huffman),
  ...string(value, huffman),
];

const GET_HTTP = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
] as const;
const GET_HTTPS = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/index.html'],
  [':authority', 'www.example.com'],
  ['custom-key', 'custom-value'],
] as const;
const DATE = 'Mon, 21 Oct 2013 20:13:21 GMT';
const LOCATION = 'https://www.example.com';
const RESPONSES: HeaderField[][] = [
  [
    [':status', '302'],
    ['cache-control', 'private'],
    ['date', DATE],
    ['location', LOCATION],
  ],
  [
    [':status', '307'],
    ['cache-control', 'private'],
    ['date', DATE],
    ['location', LOCATION],
  ],
  [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    ['location', LOCATION],
    ['content-encoding', 'gzip'],
    ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ],
];
const REQUESTS: HeaderField[][] = [[...GET_HTTP], [...GET_HTTP, ['cache-control', 'no-cache']], [...GET_HTTPS]];

t.test('the examples of RFC 7541 appendix C decode to their header lists', (t) => {
  const examples: { name: string; maxTableBytes?: number; blocks: string[]; fields: HeaderField[][] }[] = [
    {
      name: 'C.2.1 literal with indexing',
      blocks: ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'],
      fields: [[['custom-key', 'custom-header']]],
    },
    {
      name: 'C.2.2 literal without indexing',
      blocks: ['040c 2f73 616d 706c 652f 7061 7468'],
      fields: [[[':path', '/sample/path']]],
    },
    {
      name: 'C.2.3 literal never indexed',
      blocks: ['1008 7061 7373 776f 7264 0673 6563 7265 74'],
      fields: [[['password', 'secret', true]]],
    },
    { name: 'C.2.4 indexed field', blocks: ['82'], fields: [[[':method', 'GET']]] },
    {
      name: 'C.3 requests without Huffman coding',
      blocks: [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      fields: REQUESTS,
    },
    {
      name: 'C.4 requests with Huffman coding',
      blocks: [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      fields: REQUESTS,
    },
    {
      name: 'C.5 responses without Huffman coding, with eviction',
      maxTableBytes: 256,
      blocks: [
        `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d
         546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        '4803 3330 37c1 c0bf',
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f
         6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b
         2076 6572 7369 6f6e 3d31`,
      ],
      fields: RESPONSES,
    },
    {
      name: 'C.6 responses with Huffman coding, with eviction',
      maxTableBytes: 256,
      blocks: [
        `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7
         8f0b 97c8 e9ae 82ae 43d3`,
        '4883 640e ffc1 c0bf',
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335
         dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
      ],
      fields: RESPONSES,
    },
  ];
  for (const { name, maxTableBytes = 4096, blocks, fields } of examples) {
    const decoder = new HpackDecoder({ ...LIMITS, maxTableBytes });
    t.same(
      blocks.map((block) => decode(decoder, bytes(block))),
      fields,
      name,
    );
  }
  t.end();
});

t.test('the integers of RFC 7541 appendix C.1 are read and written', (t) => {
  const decoder = new HpackDecoder({ ...LIMITS, maxTableBytes: 65_536 });
  t.same(encodeTableSizeUpdate(10), bytes('2a'), 'C.1.1 ten in a five-bit prefix');
  t.same(encodeTableSizeUpdate(1337), bytes('3f9a0a'), 'C.1.2 1337 in a five-bit prefix');
  t.same(encodeTableSizeUpdate(30), bytes('3e'), 'the largest value that fits the prefix');
  t.same(encodeTableSizeUpdate(31), bytes('3f00'), 'the smallest value that does not');
  t.same(decode(decoder, bytes('2a 3f9a0a 82')), [[':method', 'GET']], 'both are accepted at the start of a block');
  t.end();
});

t.test('a malformed block is a compression fault of the connection', (t) => {
  const cases: { name: string; block: string; reason: string }[] = [
    { name: 'index zero', block: '80', reason: 'header index is zero' },
    {
      name: 'an index past the static table while the dynamic one is empty',
      block: 'be',
      reason: 'header index out of range',
    },
    { name: 'a literal whose name index is out of range', block: '7f00 0161', reason: 'header index out of range' },
    { name: 'a huge index', block: 'ff80ffffff0f', reason: 'header index out of range' },
    { name: 'an index of 2^32', block: 'ff81ffffff0f', reason: 'integer is too large' },
    { name: 'an integer with six continuation bytes', block: 'ff808080808000', reason: 'integer is too large' },
    { name: 'an integer cut short', block: 'ff80', reason: 'integer is cut short' },
    { name: 'an integer with no continuation byte', block: 'ff', reason: 'integer is cut short' },
    { name: 'a literal without a name', block: '40', reason: 'string is missing' },
    { name: 'a literal without a value', block: '400161', reason: 'string is missing' },
    { name: 'an indexed name without a value', block: '41', reason: 'string is missing' },
    { name: 'a name longer than the block', block: '400561', reason: 'string is cut short' },
    { name: 'a value one byte longer than the block', block: '4001610261', reason: 'string is cut short' },
    { name: 'a string of four gigabytes', block: '00 7f80ffffff0f 61', reason: 'string is cut short' },
    { name: 'padding of eight bits', block: '0001 61 82 1fff', reason: 'huffman code is malformed' },
    { name: 'padding that holds a zero', block: '0001 61 81 18', reason: 'huffman code is malformed' },
    { name: 'nothing but padding', block: '0001 61 81 ff', reason: 'huffman code is malformed' },
    { name: 'the end-of-string symbol', block: '0001 61 84 ffffffff', reason: 'huffman code is malformed' },
    {
      name: 'the end-of-string symbol inside text',
      block: '0001 61 85 1fffffffff',
      reason: 'huffman code is malformed',
    },
    { name: 'a table size over the limit', block: '3fe21f', reason: 'table size update over the limit' },
    { name: 'a table size update after a field', block: '8220', reason: 'table size update after a header field' },
  ];
  for (const { name, block, reason } of cases) {
    const decoder = new HpackDecoder(LIMITS);
    const expected = { code: ErrorCode.COMPRESSION_ERROR, streamId: 0, reason };
    t.same(
      faultOf(() => decode(decoder, bytes(block))),
      expected,
      name,
    );
    t.same(
      faultOf(() => decode(decoder, bytes('82'))),
      { ...expected, reason: 'header table is out of step' },
      `${name}: nothing is decoded afterwards`,
    );
  }
  t.end();
});

t.test('what looks odd but is allowed decodes', (t) => {
  const cases: { name: string; block: string; fields: HeaderField[] }[] = [
    { name: 'an empty block', block: '', fields: [] },
    { name: 'an empty name and value', block: '000000', fields: [['', '']] },
    { name: 'an empty Huffman string', block: '00 0161 80', fields: [['a', '']] },
    { name: 'an integer with needless zero bytes', block: '0f 9e80808000 0161', fields: [['link', 'a']] },
    { name: 'the largest table size', block: '3fe11f 82', fields: [[':method', 'GET']] },
    { name: 'bytes above ASCII, one character each', block: '00 0161 02 c3ff', fields: [['a', '\u00c3\u00ff']] },
  ];
  for (const { name, block, fields } of cases) t.same(decode(new HpackDecoder(LIMITS), bytes(block)), fields, name);
  // Codes of five to eight bits, so that every length of padding from none to seven bits occurs.
  for (const text of ['0', '00', '000', '0000', '00000', ' ', ':', '&', '0:', ' :', '::::::::']) {
    const block = Buffer.from([0x00, 1, 0x61, ...string(text, true)]);
    t.same(decode(new HpackDecoder(LIMITS), block), [['a', text]], `padding after \`${text}\``);
  }
  t.end();
});

t.test('a smaller table limit must be answered by the next block', (t) => {
  const shrunk = (): HpackDecoder => {
    const decoder = new HpackDecoder(LIMITS);
    decode(decoder, Buffer.from(literal(0x40, 'a', 'b')));
    decoder.setMaxTableBytes(64);
    decoder.setMaxTableBytes(2048);
    return decoder;
  };
  const fault = (reason: string) => ({ code: ErrorCode.COMPRESSION_ERROR, streamId: 0, reason });
  t.same(
    faultOf(() => decode(shrunk(), bytes('82'))),
    fault('table size update missing'),
    'no update is refused',
  );
  t.same(
    faultOf(() => decode(shrunk(), bytes('3f61 82'))),
    fault('table size update missing'),
    'a larger one is refused',
  );
  t.same(decode(shrunk(), bytes('3f21 82')), [[':method', 'GET']], 'the smallest limit is accepted');
  t.same(decode(shrunk(), bytes('3f21 3fe10f be')), [['a', 'b']], 'so are the smallest and then the final one');
  t.match(
    faultOf(() => decode(shrunk(), bytes('20 3fe10f be'))),
    { reason: 'header index out of range' },
    'an update to zero in between empties the table',
  );
  t.end();
});

t.test('eviction follows the sizes of the RFC', (t) => {
  const decoder = new HpackDecoder({ ...LIMITS, maxTableBytes: 34 * 2 });
  decode(decoder, Buffer.from([...literal(0x40, 'a', '1'), ...literal(0x40, 'b', '2')]));
  t.same(decode(decoder, bytes('bebf')), [
    ['b', '2'],
    ['a', '1'],
  ]);
  decode(decoder, Buffer.from(literal(0x40, 'c', '3')));
  t.same(decode(decoder, bytes('bebf')), [
    ['c', '3'],
    ['b', '2'],
  ]);
  const before = decoder.tableVersion;
  t.same(decode(decoder, Buffer.from(literal(0x00, 'd', '4'))), [['d', '4']], 'a literal without indexing');
  t.equal(decoder.tableVersion, before, 'leaves the table as it was');
  t.same(decode(decoder, Buffer.from(literal(0x40, 'large', 'x'.repeat(40)))), [['large', 'x'.repeat(40)]]);
  t.not(decoder.tableVersion, before, 'an entry larger than the table changes it');
  t.match(
    faultOf(() => decode(decoder, bytes('be'))),
    { reason: 'header index out of range' },
    'by emptying it',
  );
  t.end();
});

t.test('a table of the smallest entries is full to its last byte', (t) => {
  const decoder = new HpackDecoder(LIMITS);
  const names = Array.from({ length: 130 }, (_, index) => String.fromCharCode(index));
  for (const name of names) decode(decoder, Buffer.from(literal(0x40, name, '')));
  const held = Math.floor(4096 / 33);
  const all = Array.from({ length: held }, (_, position) => integer(0x80, 0x7f, 62 + position)).flat();
  const expected = names.slice(-held).reverse();
  t.same(
    decode(decoder, Buffer.from(all)).map(([name]) => name),
    expected,
  );
  t.match(
    faultOf(() => decode(decoder, Buffer.from(integer(0x80, 0x7f, 62 + held)))),
    { reason: 'header index out of range' },
  );
  t.end();
});

t.test('a larger table keeps the entries it had', (t) => {
  const decoder = new HpackDecoder({ ...LIMITS, maxTableBytes: 128 });
  const insert = (name: string): Buffer => Buffer.from(literal(0x40, name, ''));
  for (const name of ['a', 'b', 'c', 'd', 'e']) decode(decoder, insert(name));
  decoder.setMaxTableBytes(4096);
  decode(decoder, Buffer.concat([encodeTableSizeUpdate(4096), insert('f')]));
  for (const name of ['g', 'h', 'i', 'j']) decode(decoder, insert(name));
  const held = decode(decoder, bytes('be bf c0 c1 c2 c3 c4 c5')).map(([name]) => name);
  t.same(held, ['j', 'i', 'h', 'g', 'f', 'e', 'd', 'c']);
  t.end();
});

t.test('a literal may name the very entry it evicts', (t) => {
  const decoder = new HpackDecoder({ ...LIMITS, maxTableBytes: 40 });
  decode(decoder, Buffer.from(literal(0x40, 'abc', 'defg')));
  t.same(decode(decoder, bytes('7e 0478797a7a')), [['abc', 'xyzz']]);
  t.same(decode(decoder, bytes('be')), [['abc', 'xyzz']]);
  t.end();
});

t.test('a block over the limits is reported and the table stays in step', (t) => {
  const cases = [
    { name: 'too many bytes', limits: { maxHeaderBytes: 100, maxHeaders: 10 }, handed: 2 },
    { name: 'too many fields', limits: { maxHeaderBytes: 1000, maxHeaders: 1 }, handed: 1 },
  ];
  const block = Buffer.from([...literal(0x40, 'a', '1'), ...literal(0x40, 'b', '2'), ...literal(0x40, 'c', '3')]);
  for (const { name, limits, handed } of cases) {
    const decoder = new HpackDecoder(limits);
    t.equal(decode(decoder, block).length, handed, `${name}: fields beyond the limit are not handed on`);
    t.equal(decoder.oversized, true, `${name}: reported`);
    t.same(decode(decoder, bytes('be')), [['c', '3']], `${name}: the last entry is in the table`);
    t.equal(decoder.oversized, false, `${name}: the next block is fine`);
  }
  const exact = new HpackDecoder({ maxHeaderBytes: 102, maxHeaders: 3 });
  t.equal(decode(exact, block).length, 3, 'exactly at both limits');
  t.equal(exact.oversized, false, 'is not over them');
  t.end();
});

t.test('a small block that unfolds into very much is given up early', (t) => {
  const decoder = new HpackDecoder({ maxHeaderBytes: 16_384, maxHeaders: 100 });
  const bomb = Buffer.concat([Buffer.from(literal(0x40, 'a', 'x'.repeat(4000))), Buffer.alloc(16_000, 0xbe)]);
  let handed = 0;
  t.same(
    faultOf(() => decoder.decode(bomb, () => handed++)),
    {
      code: ErrorCode.ENHANCE_YOUR_CALM,
      streamId: 0,
      reason: 'header block far over the limit',
    },
  );
  t.equal(handed, 4, 'only what fits was handed on');
  t.end();
});

t.test('an exception of the callback leaves a decoder that refuses to go on', (t) => {
  const decoder = new HpackDecoder(LIMITS);
  const block = Buffer.from([...literal(0x40, 'a', '1'), ...literal(0x40, 'b', '2')]);
  const stop = new Error('stop');
  t.throws(
    () =>
      decoder.decode(block, () => {
        throw stop;
      }),
    stop,
  );
  t.match(
    faultOf(() => decode(decoder, bytes('82'))),
    { code: ErrorCode.COMPRESSION_ERROR },
  );
  t.end();
});

t.test('the encoder uses the static table and never a dynamic one', (t) => {
  const cases: { name: string; fields: HeaderField[]; block: number[] }[] = [
    { name: 'a whole static entry', fields: [[':method', 'POST']], block: [0x83] },
    { name: 'a static entry without value', fields: [[':authority', '']], block: [0x81] },
    { name: 'a static name', fields: [[':path', '/a']], block: [0x04, 2, 0x2f, 0x61] },
    { name: 'a static name past the prefix', fields: [['user-agent', 'x']], block: [0x0f, 58 - 15, 1, 0x78] },
    { name: 'an unknown name', fields: [['te', 'x']], block: literal(0x00, 'te', 'x') },
    { name: 'authorization is never indexed', fields: [['authorization', 'x']], block: [0x1f, 23 - 15, 1, 0x78] },
    { name: 'api-key is never indexed', fields: [['api-key', 'x']], block: literal(0x10, 'api-key', 'x') },
    {
      name: 'a marked field is never indexed',
      fields: [[':method', 'GET', true]],
      block: [0x12, ...string('GET', false)],
    },
    {
      name: 'a name that Object.prototype has',
      fields: [['constructor', '']],
      block: literal(0x00, 'constructor', ''),
    },
    { name: 'a value of 127 bytes', fields: [['a', 'x'.repeat(127)]], block: literal(0x00, 'a', 'x'.repeat(127)) },
    { name: 'no fields', fields: [], block: [] },
  ];
  for (const { name, fields, block } of cases) t.same(encodeHeaders(fields), Buffer.from(block), name);
  t.same(encodeHeaders([[':method', 'POST']], 9).subarray(9), Buffer.from([0x83]), 'headroom comes first');
  t.equal(encodeHeaders([[':method', 'POST']], 9).length, 10, 'and nothing follows the block');
  t.throws(() => encodeHeaders([['a', 'x\u010ay']]), RangeError, 'a character that would become a line feed');
  t.throws(() => encodeHeaders([['a\u0100', 'x']]), RangeError, 'a wide character in a name');
  t.end();
});

const byteText = fc.uint8Array({ maxLength: 80 }).map((raw) => Buffer.from(raw).toString('latin1'));
const knownName = fc.constantFrom(':method', ':path', ':status', 'accept-encoding', 'authorization', 'api-key', 'te');
const knownValue = fc.constantFrom('GET', '/', '200', 'gzip, deflate', '', 'trailers');
const field = fc.tuple(fc.oneof(knownName, byteText), fc.oneof(knownValue, byteText));

t.test('any list of fields survives encoding and decoding', (t) => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 20 }), (fields) => {
      const decoder = new HpackDecoder(LIMITS);
      const before = decoder.tableVersion;
      const back = decode(decoder, encodeHeaders(fields)).map(([name, value]) => [name, value]);
      return JSON.stringify(back) === JSON.stringify(fields) && decoder.tableVersion === before;
    }),
    { numRuns: 500 },
  );
  t.pass('500 lists');
  t.end();
});

t.test('any Huffman-coded text decodes to itself', (t) => {
  for (let byte = 0; byte < 256; byte++) {
    const text = String.fromCharCode(byte, 0x30, byte);
    const back = decode(new HpackDecoder(LIMITS), Buffer.from(literal(0x00, 'a', text, true)));
    if (back[0]?.[1] !== text) t.fail(`byte ${byte}`);
  }
  const long = 'The quick brown fox, \u00e9\u0000\u00ff. '.repeat(1000);
  t.equal(decode(new HpackDecoder(LIMITS), Buffer.from(literal(0x00, 'a', long, true)))[0]?.[1], long, 'a long string');
  fc.assert(
    fc.property(byteText, byteText, (name, value) => {
      const [first] = decode(new HpackDecoder(LIMITS), Buffer.from(literal(0x40, name, value, true)));
      return first?.[0] === name && first[1] === value;
    }),
    { numRuns: runs(1000) },
  );
  t.end();
});

t.test('rare symbols have the codes of RFC 7541 appendix B', (t) => {
  const rows: [symbol: number, code: number, bits: number][] = [
    [0, 0x1ff8, 13],
    [1, 0x7fffd8, 23],
    [2, 0xfffffe2, 28],
    [9, 0xffffea, 24],
    [10, 0x3ffffffc, 30],
    [13, 0x3ffffffd, 30],
    [22, 0x3ffffffe, 30],
    [31, 0xffffffb, 28],
    [127, 0xffffffc, 28],
    [249, 0xffffffe, 28],
    [255, 0x3ffffee, 26],
    [256, 0x3fffffff, 30],
  ];
  for (const [symbol, code, bits] of rows) {
    t.same([HUFFMAN_CODES[symbol], HUFFMAN_BITS[symbol]], [code, bits], `symbol ${symbol}`);
  }
  t.end();
});

t.test('node:http2 reads our blocks and Huffman codes as we do', { timeout: 5000 }, async (t) => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.teardown(() => server.close());
  // HTTP allows these bytes in a value; a neighbour each, so that every code also starts off a byte border.
  const printable = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte > 0x20 && byte !== 0x7f);
  const value = Buffer.from(printable.flatMap((byte) => [byte, 0x30])).toString('latin1');
  const plain = encodeHeaders([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/a.B/c'],
    [':authority', 'x'],
    ['x-plain', value],
  ]);
  const block = Buffer.concat([plain, Buffer.from(literal(0x40, 'x-coded', value, true))]);
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.write(Buffer.concat([CLIENT_PREFACE, writeSettings([]), writeHeaders(1, block, true)]));
  const [, headers] = await once(server, 'stream');
  t.same(
    { method: headers[':method'], path: headers[':path'], plain: headers['x-plain'], coded: headers['x-coded'] },
    { method: 'POST', path: '/a.B/c', plain: value, coded: value },
  );
});

/** The dynamic table as the RFC words it: a plain list, newest first. */
function trim(table: [string, string][], capacity: number): void {
  const size = (): number => table.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  while (size() > capacity) table.pop();
}

t.test('the dynamic table behaves as a plain list would', (t) => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('insert' as const), name: byteText, value: byteText }),
    fc.record({ kind: fc.constant('resize' as const), size: fc.integer({ min: 0, max: 512 }) }),
    fc.record({ kind: fc.constant('read' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const decoder = new HpackDecoder({ ...LIMITS, maxTableBytes: 512 });
      const model: [string, string][] = [];
      let capacity = 512;
      for (const next of steps) {
        if (next.kind === 'insert') {
          decode(decoder, Buffer.from(literal(0x40, next.name, next.value)));
          model.unshift([next.name, next.value]);
          trim(model, capacity);
        } else if (next.kind === 'resize') {
          capacity = next.size;
          decode(decoder, encodeTableSizeUpdate(capacity));
          trim(model, capacity);
        } else {
          const all = Buffer.from(model.map((_, index) => 0x80 + 62 + index));
          if (JSON.stringify(decode(decoder, all)) !== JSON.stringify(model)) return false;
        }
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.pass('500 histories');
  t.end();
});

t.test('random bytes raise nothing but a fault', (t) => {
  const allowed: ReadonlySet<number> = new Set([ErrorCode.COMPRESSION_ERROR, ErrorCode.ENHANCE_YOUR_CALM]);
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }), (blocks) => {
      const decoder = new HpackDecoder({ maxTableBytes: 200, maxHeaderBytes: 400, maxHeaders: 10 });
      for (const block of blocks) {
        const fault = faultOf(() => decode(decoder, Buffer.from(block)));
        if (fault === undefined) accepted++;
        else if (!allowed.has(fault.code) || fault.streamId !== 0) return false;
      }
      return true;
    }),
    { numRuns: runs(5000) },
  );
  t.ok(accepted > 0, 'some of them even decode');
  t.end();
});
