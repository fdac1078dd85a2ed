import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { decodeBody } from '../../../src/rest/body/content-coding.ts';
import { Deviations } from '../../support/verdicts/verdicts.ts';

const MAX = 1000;
const plain = Buffer.from('{"limit":1}'.repeat(5));
const junk = Buffer.from('xxxx');
const gzip = gzipSync(plain);
const deflate = deflateSync(plain);
const brotli = brotliCompressSync(plain);
const zstd = zstdCompressSync(plain);
const empty = Buffer.alloc(0);
const join = (...parts: Buffer[]): Buffer => Buffer.concat(parts);

/** A gzip header with every optional part of RFC 1952: extra field, name, comment, header checksum. */
function fullHeader(): Buffer {
  const header = Buffer.from(gzip.subarray(0, 10));
  header.writeUInt8(2 | 4 | 8 | 16, 3);
  return join(
    header,
    Buffer.from([2, 0, 1, 2]),
    Buffer.from('name\0comment\0'),
    Buffer.from([0, 0]),
    gzip.subarray(10),
  );
}

function withByte(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(value, at < 0 ? bytes.length + at : at);
  return copy;
}

type Case = readonly [
  name: string,
  body: Buffer,
  codings: readonly string[],
  /** The body that is judged, or the status of a refusal: upstream's, but for our limit and the listed deviations. */
  expected: Buffer | 400 | 413,
];

const cases: readonly Case[] = [
  ['no header leaves the body as it is', plain, [], plain],
  ['identity leaves the body as it is', plain, ['identity'], plain],
  ['identity in capitals too', plain, ['IDENTITY'], plain],
  ['gzip is decoded', gzip, ['gzip'], plain],
  ['letter case does not matter', gzip, ['GZip'], plain],
  ['deflate is the zlib format', deflate, ['deflate'], plain],
  ['raw deflate is refused', deflateRawSync(plain), ['deflate'], 400],
  ['br is decoded', brotli, ['BR'], plain],
  ['zstd is decoded', zstd, ['zstd'], plain],
  ['several zstd frames are one body, as upstream reads them', join(zstd, zstd), ['zstd'], join(plain, plain)],
  ['the first of two headers decides: gzip', gzip, ['gzip', 'identity'], plain],
  ['the first of two headers decides: identity', plain, ['identity', 'gzip'], plain],
  ['a gzip header with all parts is read', fullHeader(), ['gzip'], plain],
  ['two gzip members are refused', join(gzip, gzip), ['gzip'], 400],
  ['an empty second gzip member is refused', join(gzip, gzipSync(empty)), ['gzip'], 400],
  ['bytes behind gzip are refused', join(gzip, junk), ['gzip'], 400],
  ['a trailer repeated behind gzip is refused', join(gzip, gzip.subarray(-8)), ['gzip'], 400],
  ['gzip cut short is refused', gzip.subarray(0, -3), ['gzip'], 400],
  ['a wrong checksum is refused', withByte(gzip, -8, (gzip.at(-8) ?? 0) ^ 1), ['gzip'], 400],
  ['a wrong length is refused', withByte(gzip, -4, 54), ['gzip'], 400],
  ['unknown gzip flags are refused', withByte(gzip, 3, 0x20), ['gzip'], 400],
  ['an extra field longer than the body is refused', withByte(gzip, 3, 4), ['gzip'], 400],
  ['a name without end is refused', withByte(gzipSync(Buffer.from('x')).subarray(0, 18), 3, 8), ['gzip'], 400],
  ['a plain body named gzip is refused', plain, ['gzip'], 400],
  ['an empty body named gzip is refused', empty, ['gzip'], 400],
  ['an empty body named deflate is refused', empty, ['deflate'], 400],
  ['an empty body named br is refused', empty, ['br'], 400],
  ['an empty body named zstd is refused', empty, ['zstd'], 400],
  ['bytes behind deflate are refused', join(deflate, junk), ['deflate'], 400],
  ['bytes behind br are refused', join(brotli, junk), ['br'], 400],
  ['bytes behind zstd are refused', join(zstd, junk), ['zstd'], 400],
  ['deflate cut short is refused', deflate.subarray(0, -3), ['deflate'], 400],
  ['br cut short is refused', brotli.subarray(0, -1), ['br'], 400],
  ['zstd cut short is refused', zstd.subarray(0, -1), ['zstd'], 400],
  ['a list is no coding for upstream, and refused here', plain, ['gzip, br'], plain],
  ['a list of gzip twice is no coding for upstream, and refused here', gzipSync(gzip), ['gzip, gzip'], gzipSync(gzip)],
  ['a parameter is no coding for upstream, and refused here', gzip, ['gzip;q=1'], gzip],
  ['an old name is no coding for upstream, and refused here', gzip, ['x-gzip'], gzip],
  ['an unknown coding is no coding for upstream, and refused here', plain, ['foo'], plain],
  ['an unknown coding before a known one is no coding for upstream, and refused here', plain, ['foo', 'gzip'], gzip],
  ['an empty value is no coding for upstream, and refused here', plain, [''], plain],
  ['a blank around the name is refused', gzip, [' gzip'], 400],
  ['a letter that only looks like k or i is no coding for upstream, and refused here', plain, ['\u0130dentity'], plain],
  ['a body over the limit is refused undecoded', Buffer.alloc(MAX + 1), [], 413],
  ['a body at the limit passes', Buffer.alloc(MAX), [], Buffer.alloc(MAX)],
  ['gzip of the limit passes', gzipSync(Buffer.alloc(MAX)), ['gzip'], Buffer.alloc(MAX)],
  ['gzip over the limit is refused', gzipSync(Buffer.alloc(MAX + 1)), ['gzip'], 413],
  ['a gzip bomb is refused', gzipSync(Buffer.alloc(1 << 19)), ['gzip'], 413],
  ['a deflate bomb is refused', deflateSync(Buffer.alloc(1 << 19)), ['deflate'], 413],
  ['a br bomb is refused', brotliCompressSync(Buffer.alloc(1 << 19)), ['br'], 413],
  ['a zstd bomb is refused', zstdCompressSync(Buffer.alloc(1 << 19)), ['zstd'], 413],
];

const FILE = 'rest/body/content-coding.test.ts';
const deviations = new Deviations(FILE);

for (const [name, body, codings, expected] of cases) {
  t.test(name, async (t) => {
    const found = await decodeBody(body, codings, MAX);
    const result = Buffer.isBuffer(found) ? found : found.status;
    // Only a refusal can be a deviation, and only where upstream takes the body.
    if (Buffer.isBuffer(found) || !Buffer.isBuffer(expected)) return void t.strictSame(result, expected);
    const verdict = { file: FILE, case: name, principal: '', grant: null, request: body, recorded: 'served 200' };
    t.equal(deviations.settled(`${found.status} ${found.message}`, verdict), verdict.recorded);
  });
}

t.test('every listed deviation is one', async (t) => t.strictSame(deviations.stale(), []));

t.test('a bomb of 256 MiB, a thousandth of it sent, stops at the limit', async (t) => {
  const bomb = gzipSync(Buffer.alloc(1 << 28), { level: 1 });
  const before = process.memoryUsage().arrayBuffers;
  const found = await decodeBody(bomb, ['gzip'], 4 << 20);
  t.match(found, { status: 413, message: 'a body that has to be inspected may have at most 4194304 bytes' });
  t.ok(process.memoryUsage().arrayBuffers - before < 64 << 20);
});
