import { slownessNow } from './process/run-pace.ts';

/**
 * How long a test waits for what must come, in milliseconds. It is only spent where a test fails, so that it is long
 * enough for a slow machine with much to do; a verdict never depends on it.
 */
export const PATIENCE_MS = 60_000;

/** How long a file of tests may take where it runs by itself; the runner has a limit of its own. */
export const FILE_MS = 1_200_000;

/**
 * A bound for a conversation that may also end in silence, so that it cannot be as long as patience: longer where the
 * machine has more to do than it has processors.
 */
export function unhurried(ms: number): number {
  return Math.ceil(ms * slownessNow(1));
}
