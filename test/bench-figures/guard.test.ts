import t from 'tap';
import { perfCount } from '../bench/counter.ts';
import { judgeRow, verdictCells } from '../bench/verdict.ts';

t.test('a row passes up to the limit and fails above it, with errors and with nothing', async (t) => {
  const pairs = (...news: number[]) => news.map((cost) => ({ old: 100, new: cost }));
  const cases = [
    { name: 'as dear as before', found: judgeRow('a', pairs(100, 101, 99), null), passes: true },
    { name: 'at the limit', found: judgeRow('a', pairs(115), null), passes: true },
    { name: 'above the limit', found: judgeRow('a', pairs(116), null), passes: false },
    { name: 'one bad round of three', found: judgeRow('a', pairs(100, 300, 100), null), passes: true },
    { name: 'two bad rounds of three', found: judgeRow('a', pairs(100, 300, 300), null), passes: false },
    { name: 'cheaper, but with an error', found: judgeRow('a', pairs(50), 'answer 500'), passes: false },
    { name: 'no round', found: judgeRow('a', [], null), passes: false },
    { name: 'no figure', found: judgeRow('a', pairs(Number.NaN), null), passes: false },
  ];
  for (const { name, found, passes } of cases) t.equal(found.passes, passes, name);
  t.strictSame(verdictCells(judgeRow('rest', pairs(120, 130), null)), ['rest', '1.250', '1.20-1.30', 'above 1.15']);
  t.strictSame(verdictCells(judgeRow('rest', [], 'answer 500')), ['rest', '-', '-', 'INVALID: answer 500']);
});

t.test('a count of perf is read, and none where the machine has none', async (t) => {
  t.equal(perfCount('123456,,instructions:u,100,100.00,,\n', 'instructions:u'), 123456);
  t.equal(perfCount('<not supported>,,instructions:u,0,100.00,,\n', 'instructions:u'), null);
  t.equal(perfCount('<not counted>,,instructions:u,0,100.00,,\n', 'instructions:u'), null);
  t.equal(perfCount('5,,cycles:u,1,100.00,,\n', 'instructions:u'), null);
  t.equal(perfCount('', 'instructions:u'), null);
});
