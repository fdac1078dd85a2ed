import t from 'tap';
import { FairPlaces } from '../../src/limits/fair-places.ts';
import { looseGuard } from '../support/guards.ts';
import { laterTurns } from '../support/later.ts';

/** Requests of one client. */
function client(places: FairPlaces, owner: string) {
  const sharer = { owner, client: {} };
  return {
    sharer,
    take: (count: number) =>
      Array.from({ length: count }, () => {
        const one = { has: false, end: () => turn.end() };
        const turn = places.take(sharer, looseGuard(), () => {
          one.has = true;
        });
        return one;
      }),
  };
}

const having = (list: readonly { readonly has: boolean }[]): number => list.filter(({ has }) => has).length;

t.test('a client has some places, its owner more, and all are taken by several owners', async (t) => {
  const places = new FairPlaces({ all: 6, ofOwner: 4, ofClient: 2 });
  const [a1, a2, a3, b, c] = ['a', 'a', 'a', 'b', 'c'].map((owner) => client(places, owner).take(5));
  const counts = () => [a1, a2, a3, b, c].map((list) => having(list ?? []));
  t.strictSame(counts(), [2, 2, 0, 2, 0]);
  t.strictSame([places.taken, places.size, places.wanted], [6, 25, true]);
  a1?.[0]?.end();
  await laterTurns();
  t.strictSame(counts(), [2, 2, 0, 2, 1], 'the owner that has none is next');
  for (const one of [...(a1 ?? []), ...(b ?? [])]) one.end();
  await laterTurns();
  t.ok(having(a3 ?? []) > 0, 'then the client that has none');
  for (const one of [a1, a2, a3, b, c].flatMap((list) => list ?? [])) one.end();
  await laterTurns();
  t.strictSame([places.taken, places.size, places.wanted], [0, 0, false]);
});

t.test('a place is wanted from those that could give it', (t) => {
  const places = new FairPlaces({ all: 10, ofOwner: 4, ofClient: 2 });
  const [a1, a2, b] = [client(places, 'a'), client(places, 'a'), client(places, 'b')];
  const held = [...a1.take(3), ...a2.take(1), ...b.take(1)];
  const wanted = () => [a1, a2, b].map(({ sharer }) => places.wantedFrom(sharer));
  t.strictSame(wanted(), [true, false, false], 'one of the same client waits');
  held.push(...a2.take(1), ...client(places, 'a').take(1));
  t.strictSame(wanted(), [true, true, false], 'one of the same owner waits');
  for (const one of held) one.end();
  t.end();
});

t.test('one that ends while it waits, or twice, leaves nothing behind', async (t) => {
  const places = new FairPlaces({ all: 1 });
  const [first, second, third] = client(places, 'a').take(3);
  second?.end();
  second?.end();
  first?.end();
  first?.end();
  await laterTurns();
  t.strictSame([second?.has, third?.has], [false, true]);
  third?.end();
  t.equal(places.size, 0);
});
