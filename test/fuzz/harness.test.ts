import t from 'tap';
import { Choices, Finding, type Fuzzer, fewer, fuzz, reduce } from './harness.ts';

/** Scripts are lists of numbers; a list with `wrong` in it is a finding. */
function numbers(wrong: number, ran: number[][] = []): Fuzzer<number[]> {
  return {
    name: 'numbers',
    about: 'lists of numbers',
    make: (choices) => Array.from({ length: choices.between(1, 9) }, () => choices.below(100)),
    simpler: (script) => fewer(script),
    open: async () => ({
      run: async (script) => {
        ran.push(script);
        if (script.includes(wrong)) throw new Error('wrong');
      },
      close: async () => undefined,
    }),
  };
}

t.test('the same seed makes the same scripts, another seed others', async (t) => {
  const runs: number[][][] = [[], [], []];
  for (const [at, seed] of [7, 7, 8].entries()) await fuzz(numbers(-1, runs[at]), { seed, count: 20 });
  t.strictSame(runs[0], runs[1]);
  t.notSame(runs[0], runs[2]);
});

t.test('a finding names its script, can be run alone, and is reduced to what matters', async (t) => {
  const found = await fuzz(numbers(42), { seed: 1, count: 1000 }).catch((error: unknown) => error);
  if (!(found instanceof Finding)) throw new Error('nothing was found');
  const alone: number[][] = [];
  await t.rejects(fuzz(numbers(42, alone), { seed: 1, count: 1, from: found.number }));
  t.strictSame(alone, [found.script]);
  t.strictSame(await reduce(numbers(42), found.script as number[]), { script: [42], why: 'Error: wrong' });
});

t.test('a run in which nothing is wrong ends', async (t) => {
  const told: number[] = [];
  await fuzz(numbers(-1), { seed: 1, count: 500, progress: ({ done }) => told.push(done) });
  t.strictSame(told, [200, 400, 500]);
});

t.test('choices stay within their bounds', async (t) => {
  const choices = new Choices(3);
  const drawn = Array.from({ length: 1000 }, () => choices.between(2, 4));
  t.strictSame([...new Set(drawn)].sort(), [2, 3, 4]);
  t.equal(choices.bytes(5).length, 5);
  t.equal(
    choices.weighted([
      [0, 'never'],
      [1, 'always'],
    ]),
    'always',
  );
  t.throws(() => choices.of([]));
});
