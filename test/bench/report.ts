import type { Sample, Workload } from './measure.ts';
import { type Spread, spreadOf } from './statistics.ts';

/** One gateway with one kind of credential: a line of the table. `samples` has one entry for each round. */
export type Contestant = {
  readonly id: string;
  readonly label: string;
  readonly version: string;
  readonly samples: Readonly<Record<Workload, readonly Sample[]>>;
  /** What stands in place of figures; null where it was measured. */
  readonly without: Readonly<Record<Workload, string | null>>;
};

/** Figures of one line and workload, or why there are none. */
export type Cell =
  | {
      readonly kind: 'figures';
      readonly cpu: Spread;
      readonly ratio: Spread | null;
      readonly rate: Spread;
      readonly busy: Spread;
      readonly others: Spread;
    }
  | { readonly kind: 'none'; readonly why: string };

/** Below this share of a core, others' included, a gateway waited for its load: it then pays more for each event. */
const SATURATED = 0.9;

/** From this share of the gateway's core on, other programs made the figures unreliable. */
const DISTURBED = 0.05;

const usable = (sample: Sample): boolean => sample.errors === 0 && sample.requests > 0;

function invalid(samples: readonly Sample[]): string | null {
  const bad = samples.find((sample) => !usable(sample));
  if (bad === undefined) return null;
  return `invalid: ${bad.firstError ?? 'no request was answered'}`;
}

/**
 * Sums up a contestant. Ratios are taken round by round against `base`, whose own cell has ratio 1; they are null when
 * the base has no valid figures.
 */
export function cellOf(contestant: Contestant, workload: Workload, base: Contestant | undefined): Cell {
  const samples = contestant.samples[workload];
  const why = contestant.without[workload] ?? invalid(samples);
  if (why !== null) return { kind: 'none', why };
  if (samples.length === 0) return { kind: 'none', why: 'not measured' };
  const against = base?.samples[workload] ?? [];
  const comparable = against.length === samples.length && invalid(against) === null;
  const ratios = samples.map((sample, round) => sample.cpuPerRequest / (against[round]?.cpuPerRequest ?? Number.NaN));
  return {
    kind: 'figures',
    cpu: spreadOf(samples.map((sample) => sample.cpuPerRequest)),
    ratio: comparable ? spreadOf(ratios) : null,
    rate: spreadOf(samples.map((sample) => sample.requestsPerSecond)),
    busy: spreadOf(samples.map((sample) => sample.busy)),
    others: spreadOf(samples.map((sample) => sample.others)),
  };
}

function cpuText(cell: Cell): string {
  if (cell.kind === 'none') return cell.why;
  const { median, min, max } = cell.cpu;
  return `${median.toFixed(0)} (${min.toFixed(0)}-${max.toFixed(0)})`;
}

function ratioText(cell: Cell): string {
  if (cell.kind === 'none' || cell.ratio === null) return '-';
  const { median, min, max } = cell.ratio;
  return `${median.toFixed(2)} (${min.toFixed(2)}-${max.toFixed(2)})`;
}

const percent = ({ median }: Spread): string => `${(median * 100).toFixed(0)} %`;

const rateText = (cell: Cell): string => (cell.kind === 'none' ? '-' : cell.rate.median.toFixed(0));

/** Aligned columns, the first to the left. */
export function alignTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}

/** The closing table: CPU per request and its ratio to the base, median (smallest-largest), requests per second. */
export function resultTable(contestants: readonly Contestant[], base: Contestant | undefined): string {
  const head = ['gateway', 'REST us/req', 'x ours', 'req/s', 'gRPC us/req', 'x ours', 'req/s'];
  const notes: string[] = [];
  // A reason does not fit a column: it stands below the table.
  const short = (label: string, workload: string, cell: Cell): string => {
    if (cell.kind === 'figures') {
      const { busy, others } = cell;
      if (busy.median + others.median < SATURATED)
        notes.push(`${label}, ${workload}: ${percent(busy)} busy, the load was the limit`);
      if (others.median > DISTURBED)
        notes.push(`${label}, ${workload}: other programs took ${percent(others)} of its core`);
      return cpuText(cell);
    }
    if (cell.why !== 'not measured') notes.push(`${label}, ${workload}: ${cell.why}`);
    return cell.why.startsWith('invalid') ? 'INVALID' : '-';
  };
  const rows = contestants.map((contestant) => {
    const [rest, grpc] = [cellOf(contestant, 'rest', base), cellOf(contestant, 'grpc', base)];
    const left = [short(contestant.label, 'REST', rest), ratioText(rest), rateText(rest)];
    const right = [short(contestant.label, 'gRPC', grpc), ratioText(grpc), rateText(grpc)];
    return [contestant.label, ...left, ...right];
  });
  return [alignTable([head, ...rows]), ...notes.map((note) => `  ${note}`)].join('\n');
}
