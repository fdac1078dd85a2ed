import t from 'tap';
import { cellOf, notesOn } from '../bench/figures.ts';
import { queryBody, upsertBody, upsertPoints } from '../bench/load/messages.ts';
import { largeMessages, largeTexts, queryPoints } from '../bench/load/nested.ts';
import { chosenRows, readOptions } from '../bench/options.ts';
import type { RowPlan, RowResult, Sample } from '../bench/plan.ts';
import { createProgress } from '../bench/progress.ts';
import { markdownReport } from '../bench/report.ts';
import { quantile, ratiosOf, spreadOf } from '../bench/statistics.ts';

t.test('spreads and quantiles are those of the sorted figures', async (t) => {
  t.strictSame(spreadOf([3, 1, 2]), { median: 2, min: 1, max: 3 });
  t.strictSame(spreadOf([4, 1, 2, 10]), { median: 3, min: 1, max: 10 });
  t.throws(() => spreadOf([]), RangeError);
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  t.strictSame([quantile(hundred, 0.5), quantile(hundred, 0.99), quantile([7], 0.99)], [50, 99, 7]);
  t.throws(() => quantile([], 0.5), RangeError);
  t.strictSame(ratiosOf([2, 9], [1, 3]), [2, 3]);
  t.throws(() => ratiosOf([1], [1, 2]), RangeError);
});

const sample = (cpu: number, more: Partial<Sample> = {}): Sample => ({
  figures: { cpu },
  errors: 0,
  firstError: null,
  ...more,
});

const ROW: RowResult = {
  id: 'rest',
  family: 'cost',
  title: 'REST',
  figures: ['cpu'],
  mebibytes: 0.5,
  base: 'ours',
  columns: [
    { id: 'ours', label: 'ours', without: null, samples: [sample(100, { busy: 1 }), sample(200, { busy: 1 })] },
    { id: 'peer', label: 'peer', without: null, samples: [sample(150, { busy: 0.5, others: 0.2 }), sample(100)] },
    {
      id: 'bad',
      label: 'bad',
      without: null,
      samples: [sample(1), sample(1, { errors: 1, firstError: 'answer 500' })],
    },
    { id: 'gone', label: 'gone', without: 'not installed', samples: [] },
  ],
};

t.test('a column is summed up round by round, and one with an error shows no figure', async (t) => {
  const cells = ROW.columns.map((column) => cellOf(ROW, column, 'cpu'));
  t.strictSame(cells, [
    { kind: 'figures', spread: { median: 150, min: 100, max: 200 }, ratio: { median: 1, min: 1, max: 1 } },
    { kind: 'figures', spread: { median: 125, min: 100, max: 150 }, ratio: { median: 1, min: 0.5, max: 1.5 } },
    { kind: 'none', why: 'answer 500', invalid: true },
    { kind: 'none', why: 'not installed', invalid: false },
  ]);
  const notes = ROW.columns.map((column) => notesOn(ROW, column).map(({ says }) => says));
  const peer = ['the load was the limit', 'other programs took of its core'];
  t.strictSame(notes, [[], peer, ['INVALID'], ['without figures']]);
  const report = markdownReport([ROW], 'the caption');
  t.match(report, /\| REST +\| 150 \(100-200\) \| 125 \(100-150\) \| INVALID \| - +\|/);
  t.match(report, /\| REST, per MiB +\| 300 \(200-400\)/);
  t.match(report, /x 1\.00 \(0\.50-1\.50\)/);
});

t.test('bodies and messages have the size they are measured at', async (t) => {
  t.equal(upsertBody(1_048_576).length, 1_048_576);
  t.equal(JSON.parse(upsertBody(65_536).toString()).points[0].vector.length, 128);
  t.equal(queryBody().length, 1024);
  t.ok(queryPoints().length <= 1024 && queryPoints().length > 1020, 'less than one number short');
  for (const [name, text] of Object.entries(largeTexts())) {
    t.ok(text.length > 4_190_000 && text.length <= 4_194_320, name);
    t.doesNotThrow(() => JSON.parse(text.toString()), name);
  }
  for (const [name, { message }] of Object.entries(largeMessages())) {
    t.ok(message.length > 4_190_000 && message.length <= 4_194_320, name);
  }
  const message = upsertPoints(1);
  t.ok(message.length <= 1_048_576 && message.length > 1_048_576 - 1024, 'less than one point short');
});

t.test('rows are chosen by id and by family', async (t) => {
  const plan = (id: string, family: 'cost' | 'growth'): RowPlan => ({
    id,
    family,
    title: id,
    figures: ['cpu'],
    base: null,
    columns: [],
  });
  const plans = [plan('rest', 'cost'), plan('grpc', 'cost'), plan('tokens', 'growth')];
  const ids = (names: readonly string[] | null): string[] => chosenRows(plans, names).map(({ id }) => id);
  t.strictSame(ids(null), ['rest', 'grpc', 'tokens']);
  t.strictSame(ids(['cost']), ['rest', 'grpc']);
  t.strictSame(ids(['tokens', 'rest']), ['rest', 'tokens']);
  t.throws(() => ids(['nothing']), /`nothing`/);
  t.equal(readOptions([]).rounds, 5);
  t.equal(readOptions(['--quick']).rounds, 1);
  t.throws(() => readOptions(['--rounds', '0']), /above zero/);
});

t.test('the time left follows how long the work so far has taken', async (t) => {
  let now = 0;
  const lines: string[] = [];
  const progress = createProgress(
    100,
    (line) => lines.push(line),
    () => now,
  );
  progress.passed(25);
  now = 50_000;
  progress.say('a');
  progress.passed(75);
  progress.say('b');
  t.strictSame(lines, ['[25 %, 2:30 left] a', '[100 %, 0:00 left] b']);
});
