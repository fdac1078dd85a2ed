import t from 'tap';
import { FrameBudget, HEADS_TOO_LARGE, HeadBudget, resetPrice, type Spent } from '../../src/http2/budget.ts';
import { ErrorCode } from '../../src/http2/frames.ts';

/** What so many frames of a cost, at one moment, come to: how many of each in a row. */
function spend(
  budget: Pick<FrameBudget, 'take'>,
  cost: number,
  frames: number,
  now = 0,
): readonly (readonly unknown[])[] {
  const runs: [Spent, number][] = [];
  for (let frame = 0; frame < frames; frame += 1) {
    const spent = budget.take(cost, now);
    const last = runs.at(-1);
    if (last?.[0] === spent) last[1] += 1;
    else runs.push([spent, 1]);
  }
  return runs;
}

t.test('a connection is slowed down long before it is ended, and left alone before that', async (t) => {
  const budget = new FrameBudget(0);
  t.same(spend(budget, 4, 149), [['fine', 149]], 'what clients do that give up what they asked for');
  const rest = spend(budget, 4, 400);
  t.same(rest.slice(0, 5), [
    ['slow', 1],
    ['fine', 49],
    ['slow', 1],
    ['fine', 49],
    ['slow', 1],
  ]);
  t.equal(rest.at(-1)?.[0], 'flood');
  t.equal(rest.flat().filter((what) => what === 'slow').length, 8);
});

t.test('a flood that is slowed down is ended all the same', async (t) => {
  const budget = new FrameBudget(0);
  let now = 0;
  let taken = 0;
  for (let spent: Spent = 'fine'; spent !== 'flood' && taken < 10_000; taken += 1) {
    spent = budget.take(1, now);
    if (spent === 'slow') now += 10;
  }
  t.ok(taken < 2300, `after ${taken}`);
});

t.test('what is spent slowly is never remarked on', async (t) => {
  const budget = new FrameBudget(0);
  for (let second = 1; second < 100; second += 1) t.same(spend(budget, 4, 100, second * 1000), [['fine', 100]]);
});

t.test('a call that is young and unanswered is dearer to give up', async (t) => {
  const call = { headersSent: false, begunAt: 0 };
  t.equal(resetPrice(call, 999).cost, 4);
  t.equal(resetPrice(call, 1000).cost, 2);
  t.equal(resetPrice({ ...call, headersSent: true }, 1).cost, 2);
  t.equal(resetPrice(undefined, 1).cost, 2);
});

t.test('heads of a connection have room together, and one alone always has', async (t) => {
  const connection = { isKnown: false };
  const heads = new HeadBudget(connection);
  const taken = (bytes: number): boolean => {
    try {
      heads.take(1, bytes);
      return true;
    } catch (error) {
      t.match(error, { code: ErrorCode.REFUSED_STREAM, streamId: 1, reason: HEADS_TOO_LARGE });
      return false;
    }
  };
  t.equal(taken(262_144), true, 'a stranger has 256 KiB');
  t.equal(taken(1), false, 'and not a byte more');
  connection.isKnown = true;
  t.equal(taken(2_097_152 - 262_144), true, 'a known caller has 2 MiB');
  t.equal(taken(1), false);
  heads.give(262_144);
  t.equal(taken(262_144), true, 'what was given back is there again');
  t.equal(taken(1), false, 'and what was refused took nothing');
  heads.give(2_097_152);
  t.equal(taken(5_000_000), true, 'one alone is the business of another limit');
  t.equal(taken(1), false);
});
