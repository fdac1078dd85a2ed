import t from 'tap';
import { Creations } from '../../src/limits/creations.ts';

/* The number of collections, with creations that upstream's list does not show yet. */

function scene(lists: readonly (readonly string[])[]) {
  let now = 0;
  let asked = 0;
  const creations = new Creations(
    async () => lists[Math.min(asked++, lists.length - 1)] ?? [],
    () => now,
  );
  return {
    creations,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

t.test('a creation under way counts, and one that ended after the list was asked', async (test) => {
  const { creations } = scene([['a'], ['a', 'b']]);
  const list = await creations.existing();
  test.same(creations.current(list), ['a']);
  const owner = {};
  creations.begin(owner, 'b');
  test.same(creations.current(list), ['a', 'b'], 'under way');
  creations.end(owner, false);
  test.same(creations.current(list), ['a', 'b'], 'ended after the list');
  creations.end({}, false);
  test.same(creations.current(await creations.existing()), ['a', 'b'], 'a later list shows it itself');
});

t.test('a creation that failed does not count in later lists', async (test) => {
  const { creations } = scene([['a']]);
  const owner = {};
  creations.begin(owner, 'b');
  creations.end(owner, false);
  test.same(creations.current(await creations.existing()), ['a']);
});

t.test(
  'a creation without an answer counts in later lists for two minutes: it may be carried out yet',
  async (test) => {
    const { creations, pass } = scene([['a'], ['a'], ['a', 'b'], ['a']]);
    const owner = {};
    creations.begin(owner, 'b');
    creations.end(owner, true);
    test.same(creations.current(await creations.existing()), ['a', 'b'], 'not in the list yet');
    pass(100_000);
    creations.begin({}, 'other');
    test.same(creations.current(await creations.existing()), ['a', 'other', 'b'], 'it counts once');
    test.same(creations.current(await creations.existing()), ['a', 'b', 'other']);
    pass(20_001);
    test.same(creations.current(await creations.existing()), ['a', 'other'], 'no more');
  },
);

t.test('two requests with one list between them: the second one sees the first', async (test) => {
  const { creations } = scene([[]]);
  const [one, two] = await Promise.all([creations.existing(), creations.existing()]);
  test.same(creations.current(one), []);
  creations.begin({}, 'first');
  test.same(creations.current(two), ['first']);
});

t.test('an unknown or old list is none', async (test) => {
  const { creations, pass } = scene([['a']]);
  const list = await creations.existing();
  pass(30_000);
  test.same(creations.current(list), ['a']);
  pass(1);
  test.equal(creations.current(list), undefined, 'too old');
  test.equal(creations.current(['a']), undefined, 'not one of its lists');
  test.equal(creations.current(undefined), undefined);
  const failing = new Creations(
    () => Promise.reject(new Error('no')),
    () => 0,
  );
  test.equal(await failing.existing(), undefined);
  const refusing = new Creations(
    async () => ({ kind: 'refusal' }),
    () => 0,
  );
  test.equal(await refusing.existing(), undefined);
});
