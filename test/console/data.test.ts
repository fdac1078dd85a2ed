import t from 'tap';
import { History, quantileOf } from '../../src/console/server/data/history.ts';
import { DATA_ROWS } from '../../src/console/server/data/table.ts';

/* The data behind the pages. */

t.test('the role read asks, and changes nothing', async (t) => {
  const asking = DATA_ROWS.filter(({ method, role }) => method === 'POST' && role === 'read').map(({ name }) => name);
  t.strictSame(asking.toSorted(), ['policy/check', 'policy/diff', 'policy/tests', 'tokens/inspect', 'try']);
  const names = DATA_ROWS.map(({ method, name }) => `${method} ${name}`);
  t.equal(new Set(names).size, names.length, 'each name is given once');
});

t.test('quantiles of counted times', async (t) => {
  const bounds = [0.001, 0.01];
  for (const { name, counts, share, expected } of [
    { name: 'nothing was counted', counts: [0, 0, 0], share: 0.5, expected: null },
    { name: 'the middle of the first bucket', counts: [10, 0, 0], share: 0.5, expected: 0.5 },
    { name: 'the second bucket', counts: [1, 99, 0], share: 0.5, expected: 5.45 },
    { name: 'beyond the last bound', counts: [0, 0, 4], share: 0.99, expected: 10 },
  ]) {
    t.equal(quantileOf(bounds, counts, share), expected, name);
  }
});

t.test('rates between two moments', async (t) => {
  const history = new History();
  const at = (now: number, permits: number): void => {
    const tally = { requests: [[1, permits]], gateway: [], upstream: [] };
    history.see({ now, figures: { tally }, snapshots: [] } as unknown as Parameters<History['see']>[0]);
  };
  t.strictSame(history.samples().at, [], 'none of nothing');
  at(0, 0);
  at(5000, 50);
  at(5000, 60);
  at(10_000, 50);
  t.strictSame(history.samples().rates.permit, [10, 0], 'a moment counts once');
  t.strictSame(history.samples().gateway_p50, [null, null]);
});
