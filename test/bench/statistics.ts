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
