import fc from 'fast-check';
import t from 'tap';
import { RecordEnds } from '../../../src/net/tls/record-ends.ts';

/* Records of TLS in chunks that begin and end anywhere. */

const record = (length: number): Buffer => Buffer.from([23, 3, 3, length >> 8, length & 255, ...Buffer.alloc(length)]);

t.test('each record is found where it ends, however the bytes are cut', (t) => {
  const lengths = fc.array(fc.oneof(fc.nat(3), fc.nat(600)), { maxLength: 30 });
  const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 900 })), { minLength: 1 });
  const found = fc.property(lengths, cuts, (sizes, pieces) => {
    const bytes = Buffer.concat(sizes.map(record));
    const ends = sizes.map((_, at) => sizes.slice(0, at + 1).reduce((sum, size) => sum + size + 5, 0));
    const reader = new RecordEnds();
    const told: number[] = [];
    for (let from = 0, turn = 0; from < bytes.length; turn += 1) {
      const chunk = bytes.subarray(from, from + (pieces[turn % pieces.length] ?? 1));
      for (let at = 0; at < chunk.length; ) {
        const to = reader.next(chunk, at);
        if (to <= at || (to < chunk.length && !reader.isBetween)) return false;
        at = to;
        if (reader.isBetween) told.push(from + at);
      }
      from += chunk.length;
    }
    return told.join() === ends.join();
  });
  t.doesNotThrow(() => fc.assert(found, { numRuns: 500 }));
  t.end();
});
