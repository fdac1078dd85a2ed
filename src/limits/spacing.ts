/** A rate with a burst and a longest delay. */
export interface Rate {
  /** Milliseconds between two events at the sustained rate. */
  readonly everyMs: number;
  /** Burst: events that may come ahead of the rate without delay. */
  readonly ahead: number;
  /** Upper bound of one event's delay in milliseconds. */
  readonly longestMs: number;
}

/** Paces events to a `Rate` by telling each one its delay. The backlog never exceeds `longestMs`. */
export class Spacing {
  readonly #rate: Rate;
  /** The time at which the events so far would have come at the sustained rate. */
  #paidUntil = 0;

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Counts one event at `now` (ms). Returns its delay in milliseconds. */
  next(now: number): number {
    const { everyMs, ahead, longestMs } = this.#rate;
    const free = now + ahead * everyMs;
    this.#paidUntil = Math.min(Math.max(this.#paidUntil, now) + everyMs, free + longestMs);
    return Math.max(0, this.#paidUntil - free);
  }
}
