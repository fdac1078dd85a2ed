import { PATIENCE_MS } from './patience.ts';

/*
 * Figures of time for tests. No test asserts a time of the machine: what must not grow is compared with a smaller piece
 * of the same work in the same run, what must not wait with the same question asked in quiet. Ratios are wide.
 */

const ROUNDS = 3;
/** The processor's clock of a thread may go in steps of ten milliseconds: work is repeated until it shows. */
const ENOUGH_MS = 50;

/** Starts to measure; what it gives is text for a comment, which nothing can be compared with. */
export function stopwatch(): () => string {
  const began = performance.now();
  return () => `${(performance.now() - began).toFixed(1)} ms`;
}

/** Processor milliseconds of this thread for the work, on average of enough runs. */
function costOf(work: () => unknown): number {
  const before = process.threadCpuUsage();
  let cost = 0;
  let runs = 0;
  for (let more = 1; cost < ENOUGH_MS; more = runs) {
    for (let run = 0; run < more; run += 1) work();
    runs += more;
    const { user, system } = process.threadCpuUsage(before);
    cost = (user + system) / 1000;
  }
  return cost / runs;
}

/**
 * How many times more processor time one piece of work takes than another, both done in this thread by turns; of each
 * the least of some rounds, for what the machine does beside can only make it more.
 */
export function timesDearer(work: () => unknown, reference: () => unknown): number {
  let [dear, cheap] = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS; round += 1) {
    cheap = Math.min(cheap, costOf(reference));
    dear = Math.min(dear, costOf(work));
  }
  return dear / Math.max(0.001, cheap);
}

/** The value in the middle of the sorted numbers; 0 of none. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/**
 * How many times longer others wait, by medians, than those of the reference; a reference below two milliseconds counts
 * as that.
 */
export function timesLonger(waits: readonly number[], reference: readonly number[]): number {
  return median(waits) / Math.max(2, median(reference));
}

/** The work's value, or `late` when it has not come in `PATIENCE_MS`: a bound for a test that fails, and no verdict on speed. */
export async function inPatience<Value>(work: Promise<Value>): Promise<Value | 'late'> {
  const { promise, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => resolve('late'), PATIENCE_MS);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
