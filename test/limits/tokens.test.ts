import fc from 'fast-check';
import t from 'tap';
import { Tokens } from '../../src/limits/tokens.ts';
import { PERIOD_MS, type Period } from '../../src/policy/limits/limits.ts';
import { runs } from '../support/generators/runs.ts';

/* The token bucket below each quota. */

t.test('in any span of time no more is taken than the quota and what flows in', async () => {
  const periods = fc.constantFrom<Period>('second', 'minute', 'hour', 'day');
  // Bursts after rests, too.
  const pauses = fc.oneof(fc.constant(0), fc.nat(5000));
  const asks = fc.array(fc.record({ after: pauses, amount: fc.integer({ min: 1, max: 8 }) }), { maxLength: 60 });
  fc.assert(
    fc.property(periods, fc.integer({ min: 1, max: 50 }), asks, (per, most, list) => {
      let now = 0;
      const tokens = new Tokens({ per, most }, now);
      const taken: { readonly at: number; readonly amount: number }[] = [];
      for (const { after, amount } of list) {
        now += after;
        if (tokens.wait(amount, now) > 0) continue;
        tokens.take(amount);
        taken.push({ at: now, amount });
      }
      for (const [first, { at: from }] of taken.entries()) {
        let sum = 0;
        for (const { at, amount } of taken.slice(first)) {
          sum += amount;
          if (sum > most + ((at - from) * most) / PERIOD_MS[per] + 0.001) return false;
        }
      }
      return true;
    }),
    { numRuns: runs(200) },
  );
});

t.test('the wait is the time after which it fits, and not before', async (test) => {
  const tokens = new Tokens({ per: 'second', most: 4 }, 0);
  tokens.take(4);
  test.equal(tokens.wait(1, 0), 250);
  test.equal(Math.round(tokens.wait(1, 249)), 1);
  test.equal(tokens.wait(1, 250), 0);
  test.equal(tokens.left(499), 1);
  test.equal(tokens.left(10_000), 4, 'a long rest gives no more than the quota');
  test.equal(tokens.wait(5, 10_000), Number.POSITIVE_INFINITY, 'never');
});

t.test('a debt is paid before anything is taken, and what was not used comes back', async (test) => {
  const tokens = new Tokens({ per: 'second', most: 10 }, 0);
  tokens.settle(0, 30, 0);
  test.equal(tokens.left(0), 0);
  test.equal(tokens.wait(1, 0), 2100);
  test.equal(tokens.isFull(2999), false);
  test.equal(tokens.isFull(3000), true);
  tokens.take(8);
  tokens.settle(8, 3, 3000);
  test.equal(tokens.left(3000), 7);
  tokens.settle(100, 0, 3000);
  test.equal(tokens.left(3000), 10, 'never more than the quota');
});

t.test('a clock that stands or goes back gives nothing', async (test) => {
  const tokens = new Tokens({ per: 'second', most: 1 }, 100);
  tokens.take(1);
  test.equal(tokens.left(100), 0);
  test.equal(tokens.left(50), 0);
});
