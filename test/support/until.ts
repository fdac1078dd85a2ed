import { PATIENCE_MS } from './patience.ts';

/** Milliseconds between two looks at a condition: short at first, and a part of the wait later, for looking costs too. */
const SHORTEST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 100;
const PART_OF_THE_WAIT = 0.05;

/** Polls a condition without ever sleeping for a fixed time; throws once `PATIENCE_MS` or, where that is longer, `withinMs` are over. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs = PATIENCE_MS,
): Promise<void> {
  const limit = Math.max(withinMs, PATIENCE_MS);
  const began = performance.now();
  while (!(await condition())) {
    const waited = performance.now() - began;
    if (waited > limit) throw new Error(`not within ${limit} ms: ${what}`);
    const pause = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, waited * PART_OF_THE_WAIT));
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Polls a condition for so long at most and says whether it came to hold: a pace for a client, never a verdict. */
export async function holdsWithin(condition: () => boolean, withinMs: number): Promise<boolean> {
  const end = performance.now() + withinMs;
  while (!condition() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  return condition();
}
