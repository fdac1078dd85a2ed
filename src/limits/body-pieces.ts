/** Pieces of a body (HTTP/1.1 chunks, HTTP/2 DATA frames) of fewer bytes are counted. */
export const SMALL_PIECE = 256;
/** Small pieces without delay: the burst, and the refill per second. */
const UNREMARKED = 400;
const PER_SECOND = 500;
/** Small pieces between two delays, once the budget is spent. */
const SLICE = 200;
/** Small pieces that each request adds to the budget. */
const PER_REQUEST = 4;

/**
 * The budget of small body pieces of one connection: a leaky bucket. Spending it delays the connection and never ends it:
 * clients that stream a body line by line send such pieces.
 */
export class PieceBudget {
  #left = UNREMARKED;
  #at: number;

  constructor(now: number) {
    this.#at = now;
  }

  /** A request has begun. */
  begun(): void {
    this.#left = Math.min(UNREMARKED, this.#left + PER_REQUEST);
  }

  /** Takes so many small pieces at time `now` (ms). `true` = read no more of the client for `SLOW_MS`. */
  take(pieces: number, now: number): boolean {
    if (pieces === 0) return false;
    this.#left = Math.min(UNREMARKED, this.#left + ((now - this.#at) / 1000) * PER_SECOND) - pieces;
    this.#at = now;
    if (this.#left > 0) return false;
    this.#left += SLICE;
    return true;
  }
}
