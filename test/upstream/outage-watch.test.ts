import t from 'tap';
import { Guard } from '../../src/lifetime/guard.ts';
import { OutageWatch } from '../../src/upstream/outage-watch.ts';
import { laterTurns } from '../support/later.ts';
import { until } from '../support/until.ts';

function watchOver(up: boolean, idleMs = 3_600_000) {
  const seen: string[] = [];
  const state = { answers: up, reached: true, tried: 0, asked: 0, now: 0 };
  const watch = new OutageWatch({
    ask: async () => {
      state.asked += 1;
      return state.answers;
    },
    reach: async () => {
      state.tried += 1;
      return state.reached;
    },
    idleMs,
    changed: (isUp, forMs) => void seen.push(isUp ? `up after ${forMs}` : 'down'),
    now: () => state.now,
    guard: new Guard({ fail: () => undefined, cut: () => undefined }, 'rest_upstream', (error) => {
      throw error;
    }),
  });
  watch.begin(up);
  return { watch, seen, state };
}

t.test('an outage is told once, however many requests fail, and so is its end', async (t) => {
  const { watch, seen, state } = watchOver(true);
  t.teardown(() => watch.close());
  state.answers = false;
  state.now = 1000;
  for (let request = 0; request < 50; request += 1) watch.failed(true);
  await laterTurns();
  for (let request = 0; request < 50; request += 1) watch.failed(true);
  t.strictSame([seen, state.asked, watch.outages], [['down'], 1, 1], 'one question, one outage');
  state.answers = true;
  state.now = 61_000;
  await until(() => seen.length > 1, 'it is asked again by itself');
  t.strictSame([seen, watch.outages], [['down', 'up after 60000'], 1]);
});

t.test('a request that fails while upstream answers is no outage', async (t) => {
  const { watch, seen, state } = watchOver(true);
  t.teardown(() => watch.close());
  state.now = 1000;
  watch.failed(true);
  watch.failed(false);
  await laterTurns();
  t.strictSame([seen, state.asked], [[], 1]);
  state.now = 1100;
  watch.failed(false);
  await laterTurns();
  t.equal(state.asked, 1, 'not asked for each of them');
  state.answers = false;
  state.now = 2000;
  watch.failed(false);
  await laterTurns();
  t.strictSame(
    [seen, state.asked],
    [[], 2],
    'nor is one question without an answer, after a request that was only broken',
  );
  await until(() => seen.length > 0, 'but two of them are');
  t.strictSame(seen, ['down']);
});

t.test('an upstream that was down at the start is told when it is there', async (t) => {
  const { watch, seen, state } = watchOver(false);
  t.teardown(() => watch.close());
  watch.failed(true);
  await laterTurns();
  t.strictSame([seen, state.asked], [[], 0], 'the start has said so');
  state.answers = true;
  await until(() => seen.length > 0, 'it is asked');
  t.strictSame([seen, watch.outages], [['up after 0'], 0]);
});

t.test('without requests a connection is tried, and only its failure makes a question', async (t) => {
  const { watch, seen, state } = watchOver(true, 1);
  t.teardown(() => watch.close());
  await until(() => state.tried >= 3, 'it is tried again and again');
  t.equal(state.asked, 0);
  Object.assign(state, { reached: false, answers: false });
  await until(() => seen.length > 0, 'it is down');
  t.strictSame([seen, state.asked], [['down'], 1]);
});
