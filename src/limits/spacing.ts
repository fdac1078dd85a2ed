/** How far apart things may come. */
export interface Rate {
  /** Milliseconds between two of them, where they come without a pause. */
  readonly everyMs: number;
  /** So many may come ahead of that. */
  readonly ahead: number;
  /** Milliseconds that one waits at most, however many there are. */
  readonly longestMs: number;
}

/** Keeps what comes at a distance: each is told how long it has to wait. No more than `longestMs` is ever held against it. */
export class Spacing {
  readonly #rate: Rate;
  /** When what came so far would have come at the rate that is allowed. */
  #paidUntil = 0;

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** One more has come at `now` (ms): milliseconds it has to wait. */
  next(now: number): number {
    const { everyMs, ahead, longestMs } = this.#rate;
    const free = now + ahead * everyMs;
    this.#paidUntil = Math.min(Math.max(this.#paidUntil, now) + everyMs, free + longestMs);
    return Math.max(0, this.#paidUntil - free);
  }
}
