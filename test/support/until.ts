import { PATIENCE_MS } from './patience.ts';

/** Polls a condition without ever sleeping for a fixed time; throws once `PATIENCE_MS` or, where that is longer, `withinMs` are over. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  withinMs = PATIENCE_MS,
): Promise<void> {
  const limit = Math.max(withinMs, PATIENCE_MS);
  const end = performance.now() + limit;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Polls a condition for so long at most and says whether it came to hold: a pace for a client, never a verdict. */
export async function holdsWithin(condition: () => boolean, withinMs: number): Promise<boolean> {
  const end = performance.now() + withinMs;
  while (!condition() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  return condition();
}
