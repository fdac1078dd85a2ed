import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { WorkScheduler } from '../../src/limits/work-scheduler.ts';

/** A worker with so many units of work, one at a time; \`done\` is called after each. */
function worker(scheduler: WorkScheduler, units: number, done: () => void): () => void {
  let left = units;
  const work = (): void => {
    while (left > 0) {
      left -= 1;
      done();
      if (!scheduler.spend(1) && left > 0) {
        scheduler.wait(work);
        return;
      }
    }
  };
  return work;
}

t.test('one alone does what fits a turn, and goes on in the next one', async (t) => {
  const scheduler = new WorkScheduler((error) => t.fail('a fault of ours', { error }));
  let done = 0;
  worker(scheduler, 990, () => (done += 1))();
  t.equal(done, 200);
  t.ok(scheduler.crowded);
  await nextTurn();
  t.ok(done > 200 && done < 990, `${done} after one turn`);
  for (let turn = 0; turn < 10 && done < 990; turn += 1) await nextTurn();
  t.equal(done, 990, 'all of it in the end');
  t.notOk(scheduler.crowded);
});

t.test('between two turns others are looked at', async (t) => {
  const scheduler = new WorkScheduler((error) => t.fail('a fault of ours', { error }));
  let done = 0;
  worker(scheduler, 100_000, () => (done += 1))();
  const seen: number[] = [];
  for (let look = 0; look < 5; look += 1) {
    await nextTurn();
    seen.push(done);
  }
  t.equal(new Set(seen).size, 5, `something happened between all looks: ${seen}`);
  t.ok(
    seen.every((value, index) => value - (seen[index - 1] ?? 200) <= 200),
    'never more than a turn at once',
  );
});

t.test('who has little to do does not wait for who has much', async (t) => {
  const scheduler = new WorkScheduler((error) => t.fail('a fault of ours', { error }));
  const big = [0, 0, 0];
  for (const index of big.keys()) worker(scheduler, 100_000, () => (big[index] = (big[index] ?? 0) + 1))();
  let small = 0;
  scheduler.wait(worker(scheduler, 10, () => (small += 1)));
  await nextTurn();
  t.equal(small, 10, 'served in the first turn that it waited for');
  await nextTurn();
  const [most, least] = [Math.max(...big), Math.min(...big)];
  t.ok(most - least <= 250, `the others share: ${big}`);
});

t.test('what is spent in many short turns makes the next one wait once', async (t) => {
  const scheduler = new WorkScheduler((error) => t.fail('a fault of ours', { error }));
  for (let spent = 0; spent < 199; spent += 1) t.ok(scheduler.spend(1));
  t.notOk(scheduler.spend(1));
  t.ok(scheduler.crowded, 'a new connection waits');
  let went = false;
  scheduler.wait(() => (went = true));
  await nextTurn();
  t.ok(went);
  t.notOk(scheduler.crowded);
});
