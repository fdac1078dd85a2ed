import fc from 'fast-check';
import t from 'tap';
import { DepthMeter, nestsWithin } from '../../src/json/depth.ts';
import { runs } from '../support/generators/runs.ts';

const MAX = 4;

function fits(text: string, pieces = 1): boolean {
  const bytes = Buffer.from(text);
  const meter = new DepthMeter(MAX);
  const size = Math.max(1, Math.ceil(bytes.length / pieces));
  for (let at = 0; at < bytes.length; at += size) if (!meter.push(bytes.subarray(at, at + size))) return false;
  return true;
}

/** Brackets around it are not its own. */
function wholeFits(text: string | Buffer, offset: number, maxDepth = MAX): boolean {
  const bytes = Buffer.concat([Buffer.alloc(offset, '['), Buffer.from(text), Buffer.alloc(9, '[')]);
  return nestsWithin(bytes, offset, bytes.length - 9, maxDepth);
}

const cases: readonly [name: string, text: string, fits: boolean][] = [
  ['a flat text fits', '{"a":1}', true],
  ['as deep as allowed fits', '[[[[1]]]]', true],
  ['one deeper does not', '[[[[[1]]]]]', false],
  ['objects count like arrays', '{"a":{"a":{"a":{"a":{"a":1}}}}}', false],
  ['many side by side fit', `[${'[[[1]]],'.repeat(1000)}1]`, true],
  ['brackets in a string do not count', '{"a":"[[[[[[[[{{{{"}', true],
  ['an escaped quote does not end a string', '{"a":"\\"[[[[[[["}', true],
  ['an escaped backslash before the quote does', '{"a":"\\\\",b:[[[[1]]]]}', false],
  ['closing more than was opened hides nothing', ']]]]]]]][[[[[', false],
  ['a text without brackets fits', '12345', true],
  ['a backslash outside of a string escapes nothing', '\\"[[[[[[["', true],
  ['nor does it hide a bracket', '1234567890123456\\[[[[[', false],
  ['an unterminated string swallows the rest, as for a parser', '"[[[[[[[[[[', true],
];

for (const [name, text, expected] of cases) {
  t.test(name, async (t) => {
    for (const pieces of [1, 2, 3, text.length]) t.equal(fits(text, pieces), expected, `in ${pieces} pieces`);
    for (let offset = 0; offset < 5; offset++) t.equal(wholeFits(text, offset), expected, `whole, at ${offset}`);
  });
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

t.test('it agrees with a parser on any JSON, however it is cut', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 7 }), fc.integer({ min: 1, max: 40 }), (value, pieces) => {
      return fits(JSON.stringify(value), pieces) === depthOf(value) <= MAX;
    }),
    { numRuns: runs(3000) },
  );
  t.pass('held for every case');
});

t.test('many bytes at a time it sees what it sees byte by byte, wherever the bytes lie', async (t) => {
  const odd = fc.constantFrom(...'[]{}"\\XYZ^_xyz|~'.split(''), '"\\\\"', '\\\\', '"\\"["', '"\\[{"');
  const part = fc.oneof(odd, fc.string({ maxLength: 40 }), fc.stringMatching(/^[0-9.,-]{0,60}$/));
  const soup = fc.array(part, { minLength: 20, maxLength: 120 }).map((parts) => Buffer.from(parts.join('')));
  let long = 0;
  const tellsAlike = (bytes: Buffer, offset: number, cut: number): boolean => {
    const placed = Buffer.alloc(bytes.length + offset);
    bytes.copy(placed, offset);
    const whole = placed.subarray(offset);
    if (cut >= 64) long += 1;
    const [fast, slow] = [new DepthMeter(MAX), new DepthMeter(MAX)];
    for (let at = 0; at < whole.length; at += cut) {
      const piece = whole.subarray(at, at + cut);
      const bytewise = Array.from(piece, (_, index) => piece.subarray(index, index + 1)).every((one) => slow.push(one));
      if (fast.push(piece) !== bytewise) return false;
      if (!bytewise) return true;
    }
    return true;
  };
  fc.assert(fc.property(soup, fc.integer({ min: 0, max: 7 }), fc.integer({ min: 1, max: 900 }), tellsAlike), {
    numRuns: runs(3000),
  });
  t.ok(long > runs(500), 'and many pieces were long');
});

t.test('a whole text is told as in pieces, whatever it is made of and however long it is', async (t) => {
  const odd = fc.constantFrom(...'[]{}[{"\\XYZ^_xyz|~'.split('').map((one) => Buffer.from(one)));
  const wide = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  const plain = fc.nat(3_000).map((size) => Buffer.alloc(size, '0.25,'));
  const part = fc.oneof({ weight: 6, arbitrary: odd }, { weight: 3, arbitrary: wide }, { weight: 1, arbitrary: plain });
  const met = { fits: 0, deep: 0, long: 0 };
  const tellsAlike = (parts: readonly Buffer[], offset: number, maxDepth: number): boolean => {
    const bytes = Buffer.concat(parts);
    const expected = new DepthMeter(maxDepth).push(bytes);
    met[expected ? 'fits' : 'deep'] += 1;
    if (bytes.length > 4_096) met.long += 1;
    return wholeFits(bytes, offset, maxDepth) === expected;
  };
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 10, maxLength: 60 }),
      fc.nat(7),
      fc.integer({ min: 1, max: 4 }),
      tellsAlike,
    ),
    {
      numRuns: runs(5000),
    },
  );
  t.ok(
    Object.values(met).every((count) => count > runs(300)),
    JSON.stringify(met),
  );
});

t.test('the last bracket that is one too many is seen wherever it stands', async (t) => {
  for (const size of [5, 15, 16, 63, 64, 65, 1_023, 4_096, 20_000, 65_535, 65_536, 65_537, 131_073, 200_000]) {
    for (const bracket of ['[', '{']) {
      const text = Buffer.alloc(size, '1');
      text.write(bracket.repeat(MAX), 0);
      t.equal(wholeFits(text, 3), true, `${size} bytes`);
      for (const at of [MAX, size >> 1, size - 1]) {
        const deeper = Buffer.from(text);
        deeper.write(bracket, at);
        t.equal(wholeFits(deeper, 3), at < MAX, `${size} bytes, \`${bracket}\` at ${at}`);
      }
    }
  }
});
