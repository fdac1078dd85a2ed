/**
 * How many frames that cost us more than their sender one connection may send: PING, SETTINGS, RST_STREAM, PRIORITY,
 * CONTINUATION, empty DATA. A leaky bucket; ordinary clients stay far below it.
 */
export class FrameBudget {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #at: number;

  constructor(burst: number, perSecond: number, now: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#at = now;
  }

  /** Takes `cost` at time `now` (ms). False: the peer is flooding. */
  take(cost: number, now: number): boolean {
    this.#left -= cost;
    if (this.#left >= 0) return true;
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    return this.#left >= 0;
  }
}
