import { percentile } from '../invariants.ts';

/**
 * Whether kinds of requests can be told apart by how long they take.
 *
 * Two series of the same kind differ as well: by what else the machine does, by where a buffer lies in memory, by which
 * bytes were chosen. That is the noise floor, and only what stands out of it says something about the kinds. So each kind
 * is measured as several series with bytes of their own, all of them interleaved, so that a drift of the machine is the
 * same for all. Each series counts as one measurement, however many samples it has: what one buffer costs more than
 * another does not go away with more samples of the same two.
 *
 * Of each series two values are taken. The quickest tenth is what a patient guesser compares, as waiting only ever adds to
 * it; the middle also moves when a kind is slow now and then. Neither is moved by a few samples that were interrupted, as
 * the mean is.
 */
export interface Separation {
  /** Share of the samples that are quicker than the value that is compared. */
  readonly share: number;
  /** The value of each kind, mean of its series, in microseconds. */
  readonly values: readonly number[];
  /** Largest difference between two kinds, in microseconds. */
  readonly apart: number;
  /** Standard error of such a difference, from how much series of one kind differ; microseconds. */
  readonly floor: number;
}

const SHARES = [0.1, 0.5] as const;
/** In standard errors. Of seven kinds that are alike two differ by more than that in one of some 5 000 runs. */
export const STANDS_OUT = 5;

/** @param samples microseconds by kind, then by series; as many series for each kind, as many samples in each */
export function separations(samples: readonly (readonly Float64Array[])[]): readonly Separation[] {
  return SHARES.map((share) => {
    const kinds = samples.map((series) => series.map((one) => percentile([...one], share)));
    const values = kinds.map(mean);
    const squares = kinds.flatMap((series, kind) => series.map((value) => (value - (values[kind] ?? 0)) ** 2));
    const perKind = squares.length / kinds.length;
    const variance = squares.reduce((sum, square) => sum + square, 0) / (squares.length - kinds.length);
    const floor = Math.sqrt((2 * variance) / perKind);
    return { share, values, apart: Math.max(...values) - Math.min(...values), floor };
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
