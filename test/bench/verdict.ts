import { type Spread, spreadOf } from './statistics.ts';

/** A row may cost this many times the baseline. */
export const LIMIT = 1.15;

/** Cost per request of both builds in one round. */
export type Pair = { readonly old: number; readonly new: number };

/** What a row came to. `invalid` says why there is no ratio. */
export type RowVerdict = {
  readonly id: string;
  readonly ratio: Spread | null;
  readonly invalid: string | null;
  readonly passes: boolean;
};

/** Judges a row by the median of the ratios of its rounds. A row without usable rounds does not pass. */
export function judgeRow(id: string, pairs: readonly Pair[], fault: string | null, limit = LIMIT): RowVerdict {
  const ratios = pairs.map((pair) => pair.new / pair.old);
  const invalid = fault ?? (ratios.length === 0 || !ratios.every(Number.isFinite) ? 'no figures' : null);
  if (invalid !== null) return { id, ratio: null, invalid, passes: false };
  const ratio = spreadOf(ratios);
  return { id, ratio, invalid: null, passes: ratio.median <= limit };
}

/** One line of the table. */
export function verdictCells({ id, ratio, invalid, passes }: RowVerdict): string[] {
  if (ratio === null) return [id, '-', '-', `INVALID: ${invalid}`];
  const range = `${ratio.min.toFixed(2)}-${ratio.max.toFixed(2)}`;
  return [id, ratio.median.toFixed(3), range, passes ? 'ok' : `above ${LIMIT}`];
}
