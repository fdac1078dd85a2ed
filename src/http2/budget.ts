import type { Suspects } from '../fairness/suspects.ts';

/** Frames that cost more than they carry: how many at once, and how many a second after that. */
const BURST = 2000;
const PER_SECOND = 500;
/** So much is nothing to remark on; past it the connection is slowed down, each time it has spent that much more. */
const UNREMARKED = 400;
const SLICE = 200;
/** Milliseconds for which a connection that is slowed down is not read. */
export const SLOW_MS = 10;
/** What a reset costs; one of a call that is young and not answered; and how many times that of a suspect. */
const RESET_COST = 2;
const EARLY_RESET_COST = 4;
/** One on a connection where it is not known which call it hits: 200 at once, 50 a second. */
const BLIND_RESET_COST = 10;
const SUSPECT_FACTOR = 10;
/** A call this young (ms) is given up early. */
const EARLY_MS = 1000;

/** `slow`: read no more of the peer for `SLOW_MS`; `flood`: end the connection. */
export type Spent = 'fine' | 'slow' | 'flood';

/**
 * How many frames that cost us more than their sender one connection may send: PING, SETTINGS, RST_STREAM, PRIORITY,
 * CONTINUATION, empty DATA. A leaky bucket; ordinary clients stay far below it.
 */
export class FrameBudget {
  #left = BURST;
  #slice = SLICE;
  #at: number;

  constructor(now: number) {
    this.#at = now;
  }

  /** Takes `cost` at time `now` (ms). */
  take(cost: number, now: number): Spent {
    this.#left -= cost;
    this.#slice -= cost;
    if (this.#left >= 0 && this.#slice > 0) return 'fine';
    // INVARIANT: the time for which it was slowed down does not keep a flood alive.
    const needed = this.#left < 0 ? SLICE : 0;
    this.#left = Math.min(BURST, this.#left + ((now - this.#at) / 1000) * PER_SECOND);
    this.#at = now;
    this.#slice = SLICE;
    if (this.#left < needed) return 'flood';
    return this.#left < BURST - UNREMARKED ? 'slow' : 'fine';
  }
}

/**
 * What the reset of a call costs. Whoever gives calls up before they are answered has upstream begin work for nothing: that
 * costs more, and much more for an address that flooded lately.
 */
export function resetCost(
  call: { readonly headersSent: boolean; readonly begunAt: number } | undefined,
  isSuspect: boolean,
  now: number,
): number {
  const early = call?.headersSent === false && now - call.begunAt < EARLY_MS;
  return (early ? EARLY_RESET_COST : RESET_COST) * (isSuspect ? SUSPECT_FACTOR : 1);
}

/** The resets of one connection, where it is not known which calls they hit. */
export class ResetBudget {
  readonly #budget: FrameBudget;
  readonly #suspects: Suspects;
  readonly #address: string;
  readonly #now: () => number;

  constructor(suspects: Suspects, address: string, now: () => number) {
    this.#budget = new FrameBudget(now());
    this.#suspects = suspects;
    this.#address = address;
    this.#now = now;
  }

  /** Milliseconds the next request has to wait. */
  distance(): number {
    return this.#suspects.distance(this.#address);
  }

  /** One more reset. Of one too many the address is a suspect from now on. */
  take(): Spent {
    const cost = BLIND_RESET_COST * (this.#suspects.has(this.#address) ? SUSPECT_FACTOR : 1);
    const spent = this.#budget.take(cost, this.#now());
    if (spent === 'flood') this.#suspects.report(this.#address);
    return spent;
  }
}
