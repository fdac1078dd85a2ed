import {
  type Denial,
  INTERNAL_FAULT,
  UPSTREAM_TIMEOUT,
  VALUE_EXISTS_NO_COLLECTION,
  VALUE_EXISTS_NO_POINT,
} from '../policy/denial.ts';
import type { MatchValue, ValueExists } from './value-exists-claim.ts';

/** Upstream's filter for the look-up. `JSON.stringify` writes it exactly, 64-bit integers included. */
export interface ScrollFilter {
  readonly must: readonly { readonly key: string; readonly match: { readonly value: unknown } }[];
}

/** Result of a scroll with the filter. A `Denial` = unknown. */
export type Scroll = (
  collection: string,
  filter: ScrollFilter,
  signal: AbortSignal,
) => Promise<'match' | 'no-match' | 'no-collection' | Denial>;

/** Calls `run` once after `ms` milliseconds, unless the returned function is called before. */
export type Schedule = (ms: number, run: () => void) => () => void;

export interface ValueExistsOptions {
  readonly scroll: Scroll;
  /** Time limit of one look-up, in milliseconds. */
  readonly timeoutMs: number;
  readonly schedule?: Schedule;
}

/** Checks a claim now; `undefined` = it holds. Never rejects: an unknown result is a denial. */
export type CheckValueExists = (claim: ValueExists) => Promise<Denial | undefined>;

/** The pending look-up of one claim, and the one after it. */
interface PendingLookup {
  readonly running: Promise<Denial | undefined>;
  next: Promise<Denial | undefined> | undefined;
}

/**
 * The stateful check of a token. Upstream: runs on every request with full access, without a cache.
 *
 * At most one look-up of a claim is pending. Requests that arrive meanwhile share the next one.
 *
 * INVARIANT: no request is decided by a look-up that began before the request: a deleted point may still have existed
 * then.
 */
export function createValueExists({ scroll, timeoutMs, schedule = after }: ValueExistsOptions): CheckValueExists {
  const pending = new Map<string, PendingLookup>();
  const start = (key: string, running: Promise<Denial | undefined>): Promise<Denial | undefined> => {
    const entry: PendingLookup = { running, next: undefined };
    pending.set(key, entry);
    void running.then(() => {
      if (entry.next) start(key, entry.next);
      else pending.delete(key);
    });
    return running;
  };
  return (claim) => {
    if (!canExist(claim.collection)) return Promise.resolve(VALUE_EXISTS_NO_COLLECTION);
    const key = JSON.stringify([claim.collection, filterOf(claim)]);
    const entry = pending.get(key);
    if (!entry) return start(key, ask(claim, scroll, timeoutMs, schedule, undefined));
    entry.next ??= ask(claim, scroll, timeoutMs, schedule, entry.running);
    return entry.next;
  };
}

/**
 * Starts the look-up once `turn` is over. Never takes longer than the limit, including that wait, even if `scroll`
 * ignores the signal.
 */
function ask(
  claim: ValueExists,
  scroll: Scroll,
  timeoutMs: number,
  schedule: Schedule,
  turn: Promise<unknown> | undefined,
): Promise<Denial | undefined> {
  return new Promise((resolve) => {
    const abort = new AbortController();
    const cancel = schedule(timeoutMs, () => {
      resolve(UPSTREAM_TIMEOUT);
      abort.abort();
    });
    const settle = (denial: Denial | undefined): void => {
      cancel();
      resolve(denial);
    };
    const begin = (): Promise<Denial | undefined> | Denial =>
      abort.signal.aborted ? UPSTREAM_TIMEOUT : askUpstream(claim, scroll, abort.signal);
    // INVARIANT: any result but `match` denies.
    Promise.resolve(turn ? turn.then(begin) : begin()).then(settle, () => settle(INTERNAL_FAULT));
  });
}

async function askUpstream(claim: ValueExists, scroll: Scroll, signal: AbortSignal): Promise<Denial | undefined> {
  return denialOf(await scroll(claim.collection, filterOf(claim), signal));
}

function denialOf(answer: 'match' | 'no-match' | 'no-collection' | Denial): Denial | undefined {
  switch (answer) {
    case 'match':
      return undefined;
    case 'no-match':
      return VALUE_EXISTS_NO_POINT;
    case 'no-collection':
      return VALUE_EXISTS_NO_COLLECTION;
    default:
      return answer?.kind === 'denial' ? answer : INTERNAL_FAULT;
  }
}

/** Upstream: such names cannot be created. In a path they would also change its meaning. */
function canExist(collection: string): boolean {
  return collection !== '' && collection !== '.' && collection !== '..' && !collection.includes('/');
}

function filterOf(claim: ValueExists): ScrollFilter {
  return { must: claim.matches.map(({ key, value }) => ({ key, match: { value: writable(value) } })) };
}

/** Converts a value for `JSON.stringify`. A number would lose digits above 2^53. */
function writable(value: MatchValue): unknown {
  if (typeof value !== 'bigint') return value;
  return rawJson.rawJSON(value.toString());
}

/** Available since V8 11.4, and missing in the compiler's library. */
const rawJson = JSON as unknown as { rawJSON(text: string): unknown };

function after(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
