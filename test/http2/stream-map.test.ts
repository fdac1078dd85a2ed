import fc from 'fast-check';
import t from 'tap';
import { StreamMap } from '../../src/http2/stream-map.ts';

t.test('a StreamMap answers like a Map after any changes', async (t) => {
  // Few ids that share their homes in a small table, so that entries probe, move back and wrap around.
  const id = fc.oneof(
    fc.integer({ min: 1, max: 80 }),
    fc.integer({ min: 1, max: 40 }).map((n) => n * 64 + 1),
  );
  const change = fc.tuple(fc.constantFrom('set', 'delete', 'get'), id);
  fc.assert(
    fc.property(fc.array(change, { maxLength: 300 }), (changes) => {
      const mine = new StreamMap<number>();
      const model = new Map<number, number>();
      for (const [index, [kind, id]] of changes.entries()) {
        if (kind === 'set') {
          mine.set(id, index);
          model.set(id, index);
        } else if (kind === 'delete' && mine.delete(id) !== model.delete(id)) {
          return false;
        }
        if (mine.get(id) !== model.get(id) || mine.has(id) !== model.has(id) || mine.size !== model.size) return false;
      }
      const sorted = [...model].sort(([a], [b]) => a - b).map(([, value]) => value);
      return [...model.keys()].every((id) => mine.get(id) === model.get(id)) && `${mine.values()}` === `${sorted}`;
    }),
    { numRuns: 500, seed: 1 },
  );
  t.pass('500 sequences of changes');
});

t.test('a StreamMap grows with what is open and is emptied by `clear`', async (t) => {
  const map = new StreamMap<string>();
  for (let id = 1; id < 2000; id += 2) map.set(id, `call ${id}`);
  t.equal(map.size, 1000);
  t.equal(map.get(1999), 'call 1999');
  t.equal(map.get(2001), undefined);
  map.clear();
  t.equal(map.size, 0);
  t.equal(map.get(1), undefined);
  t.same(map.values(), []);
});

t.test('a StreamMap takes stream ids only', async (t) => {
  const map = new StreamMap<string>();
  for (const id of [0, -1, 2 ** 31, Number.NaN]) t.throws(() => map.set(id, 'x'), RangeError, `${id}`);
  t.equal(map.has(0), false);
  t.equal(map.get(0), undefined);
  t.equal(map.delete(0), false);
});
