import type { ColumnPlan, RowPlan, RowResult, Sample } from './plan.ts';
import { createProgress, type Progress } from './progress.ts';

type OpenColumn = { readonly plan: ColumnPlan; without: string | null; readonly samples: Sample[] };
type OpenRow = { readonly plan: RowPlan; readonly columns: readonly OpenColumn[] };

const textOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown error');

function describe({ figures, rate, errors, firstError }: Sample): string {
  const parts = Object.entries(figures).map(([name, value]) => `${name} ${value.toFixed(name === 'bytes' ? 0 : 2)}`);
  if (rate !== undefined) parts.push(`${rate.toFixed(0)} req/s`);
  if (errors > 0) parts.push(`${errors} ERRORS: ${firstError}`);
  return parts.join(', ');
}

async function prepare(rows: readonly OpenRow[], progress: Progress): Promise<void> {
  for (const row of rows) {
    for (const column of row.columns) {
      if (column.without !== null) continue;
      try {
        await column.plan.prepare();
      } catch (error) {
        column.without = textOf(error);
        progress.say(`${row.plan.id}, ${column.plan.label}: ${column.without}`);
      }
      progress.passed(column.plan.prepareSeconds);
    }
  }
}

async function sampleOf(plan: ColumnPlan): Promise<Sample> {
  try {
    return await plan.run();
  } catch (error) {
    return { figures: {}, errors: 1, firstError: textOf(error) };
  }
}

const roundsOf = (plan: RowPlan, rounds: number): number => Math.min(rounds, plan.mostRounds ?? rounds);

function plannedSeconds(rows: readonly RowPlan[], rounds: number): number {
  let sum = 0;
  for (const row of rows) {
    for (const { seconds, prepareSeconds, warmUpRound, without } of row.columns) {
      if (without === null) sum += prepareSeconds + seconds * (roundsOf(row, rounds) + (warmUpRound ? 1 : 0));
    }
  }
  return sum;
}

/**
 * Measures every column once a round, each round beginning with another one, so that a drift of the machine meets all
 * alike. Round 0 is not counted. Progress goes to `say`.
 */
export async function runRows(
  plans: readonly RowPlan[],
  rounds: number,
  say: (line: string) => void,
): Promise<RowResult[]> {
  const rows: OpenRow[] = plans.map((plan) => ({
    plan,
    columns: plan.columns.map((column) => ({ plan: column, without: column.without, samples: [] })),
  }));
  const progress = createProgress(plannedSeconds(plans, rounds), say);
  await prepare(rows, progress);
  for (let round = 0; round <= rounds; round++) {
    for (const { plan, columns } of rows) {
      if (round > roundsOf(plan, rounds)) continue;
      const order = columns.map((_, index) => columns[(index + round) % columns.length]);
      for (const column of order) {
        if (column === undefined || column.without !== null || (round === 0 && !column.plan.warmUpRound)) continue;
        const sample = await sampleOf(column.plan);
        if (round > 0) column.samples.push(sample);
        progress.passed(column.plan.seconds);
        const when = round === 0 ? 'warm-up' : `round ${round}/${rounds}`;
        progress.say(`${when} ${plan.id} ${column.plan.label}: ${describe(sample)}`);
      }
    }
  }
  return rows.map(({ plan, columns }) => {
    const { columns: _, mostRounds: __, ...head } = plan;
    const results = columns.map(({ plan: { id, label }, without, samples }) => ({ id, label, without, samples }));
    return { ...head, columns: results };
  });
}
