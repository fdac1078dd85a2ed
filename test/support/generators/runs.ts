/** Whether the long form of every test was asked for: `npm run test:long`. */
const LONG = process.env.TEST_LONG === '1';
const SHARE = 4;

/**
 * Of `all` cases of a property as many as one run of `npm test` draws: a quarter, and all of them with `TEST_LONG=1`.
 * The cases are drawn anew each time, so that four short runs see as much as a long one; where a test fixes its seed, they
 * are the first quarter. What is counted of the cases met takes the same share.
 */
export function runs(all: number): number {
  return LONG ? all : Math.ceil(all / SHARE);
}

/** A duration or a size of a load: the first in the long form of the tests, the second in `npm test`. */
export function shortened<T>(long: T, short: T): T {
  return LONG ? long : short;
}
