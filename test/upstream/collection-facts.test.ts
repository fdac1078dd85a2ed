import t from 'tap';
import { type CollectionFacts, FactsOfCollections, NO_COLLECTION } from '../../src/upstream/collection-facts.ts';

const IDF: CollectionFacts = { idfVectors: new Set(['words']), hasShardKeys: false };

function factsOver(answer: () => Promise<CollectionFacts | undefined>) {
  const clock = { now: 0 };
  const asked: string[] = [];
  const facts = new FactsOfCollections(
    (collection) => {
      asked.push(collection);
      return answer();
    },
    () => clock.now,
  );
  return { facts, asked, clock };
}

t.test('requests at the same time share one question, and later ones its answer', async (t) => {
  const { facts, asked } = factsOver(async () => IDF);
  t.strictSame(await Promise.all([facts.of('docs'), facts.of('docs')]), [IDF, IDF]);
  t.equal(facts.of('docs'), IDF, 'at once');
  t.strictSame(asked, ['docs']);
});

t.test('an answer is used for ten seconds, and until it is forgotten', async (t) => {
  const { facts, asked, clock } = factsOver(async () => IDF);
  await facts.of('docs');
  clock.now = 9_999;
  t.equal(facts.of('docs'), IDF);
  clock.now = 10_000;
  await facts.of('docs');
  t.equal(asked.length, 2, 'asked again after it');
  facts.forget('docs');
  await facts.of('docs');
  t.equal(asked.length, 3, 'asked again when it was contradicted');
});

t.test('what could not be known is asked again', async (t) => {
  let found: CollectionFacts | undefined;
  const { facts, asked } = factsOver(async () => found);
  t.equal(await facts.of('docs'), undefined);
  found = IDF;
  t.equal(await facts.of('docs'), IDF);
  t.equal(asked.length, 2);
});

t.test('a collection that is not there is asked for again', async (t) => {
  let found = NO_COLLECTION;
  const { facts } = factsOver(async () => found);
  t.equal(await facts.of('docs'), NO_COLLECTION);
  found = IDF;
  t.equal(await facts.of('docs'), IDF, 'once it has been made');
});

t.test('a question that throws leaves nothing behind', async (t) => {
  let fails = true;
  const { facts } = factsOver(async () => {
    if (fails) throw new TypeError('broken');
    return IDF;
  });
  await t.rejects(Promise.resolve(facts.of('docs')));
  fails = false;
  t.equal(await facts.of('docs'), IDF);
});

t.test('a thousand collections are kept, the newest of them', async (t) => {
  const { facts, asked } = factsOver(async () => IDF);
  for (let i = 0; i <= 1000; i++) await facts.of(`c${i}`);
  t.equal(facts.of('c1000'), IDF, 'the last is known');
  await facts.of('c0');
  t.equal(asked.at(-1), 'c0', 'the first had to be asked again');
});
