/** Median, smallest and largest of some figures. */
export type Spread = { readonly median: number; readonly min: number; readonly max: number };

/** The spread of at least one figure; throws RangeError for none. */
export function spreadOf(figures: readonly number[]): Spread {
  const sorted = figures.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (low === undefined || high === undefined || min === undefined || max === undefined) {
    throw new RangeError('no figures');
  }
  return { median: (low + high) / 2, min, max };
}

/** The smallest figure that at least this share (0 to 1) of all figures does not exceed; throws RangeError for none. */
export function quantile(figures: readonly number[], share: number): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const found = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (found === undefined) throw new RangeError('no figures');
  return found;
}

/** Each figure divided by the one of the same round; throws RangeError when the numbers of rounds differ. */
export function ratiosOf(figures: readonly number[], base: readonly number[]): number[] {
  if (figures.length !== base.length) throw new RangeError('rounds do not pair');
  return figures.map((figure, round) => figure / (base[round] ?? Number.NaN));
}
