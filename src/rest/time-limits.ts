import type { Limits } from '../config/schema.ts';
import type { RestResolution } from './resolve.ts';

/** Longest pause, in milliseconds, within the body of a client of which nothing is known. */
export const STRANGER_BODY_IDLE_MS = 30_000;
/** Milliseconds for operations that create, recover, move or build. */
const LONG_MS = 24 * 3_600_000;
/** Behind the time that a caller gives upstream itself, upstream says so; so much later it counts as silent. */
const SLACK_MS = 30_000;

/** Longest pause within a request body, in milliseconds. @param idleMs the limit for authenticated clients */
export function bodyIdleOf({ principal }: { readonly principal: unknown }, idleMs: number): number {
  return principal === undefined ? Math.min(idleMs, STRANGER_BODY_IDLE_MS) : idleMs;
}

/** When such a client has paused for too long. */
export function bodyDeadline(
  exchange: { readonly principal: unknown } | undefined,
  {
    clock,
    options,
  }: {
    readonly clock: { readonly now: number };
    readonly options: { readonly limits: Pick<Limits, 'body_idle_timeout_ms'> };
  },
): number {
  return clock.now + bodyIdleOf(exchange ?? { principal: undefined }, options.limits.body_idle_timeout_ms);
}

/**
 * Milliseconds that upstream has at least for its answer: a day for operations that take as long as they take, and never
 * less than the caller's own `?timeout=` (seconds). 0 = nothing is asked beyond the usual limits.
 */
export function leastAnswerMs({ operation, pathToSend }: RestResolution): number {
  if (operation.long) return LONG_MS;
  const at = pathToSend.indexOf('?');
  if (at < 0) return 0;
  const seconds = /[?&]timeout=(\d{1,9})(?:&|$)/.exec(pathToSend.slice(at))?.[1];
  return seconds === undefined ? 0 : Math.min(LONG_MS, Number(seconds) * 1000 + SLACK_MS);
}
