import fc from 'fast-check';
import t from 'tap';
import { RecordCount } from '../../src/net/record-count.ts';

/* Records of TLS in chunks that begin and end anywhere. */

const record = (length: number): Buffer => Buffer.from([23, 3, 3, length >> 8, length & 255, ...Buffer.alloc(length)]);

t.test('each record is counted in the chunk in which it ends, however the bytes are cut', (t) => {
  const lengths = fc.array(fc.oneof(fc.nat(3), fc.nat(600)), { maxLength: 30 });
  const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 900 })), { minLength: 1 });
  const counted = fc.property(lengths, cuts, fc.integer({ min: 1, max: 9 }), (sizes, pieces, most) => {
    const bytes = Buffer.concat(sizes.map(record));
    const ends = sizes.map((_, at) => sizes.slice(0, at + 1).reduce((sum, size) => sum + size + 5, 0));
    const count = new RecordCount();
    let found = 0;
    for (let from = 0, turn = 0; from < bytes.length; turn += 1) {
      const chunk = bytes.subarray(from, from + (pieces[turn % pieces.length] ?? 1));
      for (let at = 0; at < chunk.length; ) {
        const to = count.advance(chunk, at, most);
        const { records } = count.take();
        if (to <= at || records > most) return false;
        found += records;
        at = to;
        if (found !== ends.filter((end) => end <= from + at).length) return false;
      }
      from += chunk.length;
    }
    return found === sizes.length;
  });
  t.doesNotThrow(() => fc.assert(counted, { numRuns: 500 }));
  t.end();
});

t.test('small records, and the most content that all of them can have, are told', (t) => {
  for (const [sentence, lengths, small, room] of [
    ['KeyUpdates', [22, 22, 22], 3, 15],
    ['one byte each', [18, 18], 2, 2],
    ['a request and a padded one', [217, 4096], 0, 4279],
    ['the longest small one, and one more byte', [64, 65], 1, 95],
    ['too short for any content', [0, 5], 2, 0],
  ] as const) {
    const count = new RecordCount();
    const bytes = Buffer.concat(lengths.map(record));
    t.equal(count.advance(bytes, 0, 100), bytes.length);
    t.strictSame(count.take(), { records: lengths.length, small, room }, sentence);
  }
  t.end();
});
