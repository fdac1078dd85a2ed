import type { ColumnResult, FigureName, RowResult, Sample } from './plan.ts';
import { ratiosOf, type Spread, spreadOf } from './statistics.ts';

/** What a column shows of one figure, or why it shows nothing. `ratio` is null where there is nothing to compare with. */
export type Cell =
  | { readonly kind: 'figures'; readonly spread: Spread; readonly ratio: Spread | null }
  | { readonly kind: 'none'; readonly why: string; readonly invalid: boolean };

/** Below this share of a core, others' included, a gateway waited for its load: it then pays more for each event. */
const SATURATED = 0.9;

/** From this share of the gateway's core on, other programs made the figures unreliable. */
const DISTURBED = 0.05;

/** The figure of each round; null when a sample has errors or lacks it. */
function figuresOf(samples: readonly Sample[], name: FigureName): number[] | null {
  const figures = samples.flatMap((sample) => (sample.errors === 0 ? (sample.figures[name] ?? []) : []));
  return figures.length === samples.length && figures.length > 0 ? figures : null;
}

/** Sums up one figure of a column. Ratios are taken round by round against the row's base. */
export function cellOf(row: RowResult, column: ColumnResult, name: FigureName): Cell {
  if (column.without !== null) return { kind: 'none', why: column.without, invalid: false };
  if (column.samples.length === 0) return { kind: 'none', why: 'not measured', invalid: false };
  const figures = figuresOf(column.samples, name);
  if (figures === null) {
    const bad = column.samples.find((sample) => sample.errors > 0 || sample.figures[name] === undefined);
    return { kind: 'none', why: bad?.firstError ?? 'no request was answered', invalid: true };
  }
  const base = row.columns.find(({ id }) => id === row.base);
  const against = base === undefined ? null : figuresOf(base.samples, name);
  const ratio = against?.length === figures.length ? spreadOf(ratiosOf(figures, against)) : null;
  return { kind: 'figures', spread: spreadOf(figures), ratio };
}

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

function medianOf(samples: readonly Sample[], name: 'busy' | 'others'): number | null {
  const shares = samples.flatMap((sample) => sample[name] ?? []);
  return shares.length === 0 ? null : spreadOf(shares).median;
}

/** What the reader must know to trust a column. Notes that say alike are told together. */
export type Note = { readonly says: string; readonly detail: string };

/** Why a column has no figures, or what was not as it should be. */
export function notesOn(row: RowResult, column: ColumnResult): Note[] {
  const cells = row.figures.map((name) => cellOf(row, column, name));
  const missing = cells.find((cell) => cell.kind === 'none');
  if (missing?.kind === 'none') return [{ says: missing.invalid ? 'INVALID' : 'without figures', detail: missing.why }];
  const [busy, others] = [medianOf(column.samples, 'busy'), medianOf(column.samples, 'others')];
  const notes: Note[] = [];
  if (row.family === 'cost' && busy !== null && busy + (others ?? 0) < SATURATED) {
    notes.push({ says: 'the load was the limit', detail: `${percent(busy)} busy` });
  }
  if (others !== null && others > DISTURBED) {
    notes.push({ says: 'other programs took of its core', detail: percent(others) });
  }
  return notes;
}
