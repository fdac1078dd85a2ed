/** Bytes from which on a piece of a body (a chunk of HTTP/1, a DATA frame of HTTP/2) carries what it costs. */
export const SMALL_PIECE = 256;
/** So many small pieces at once, and so many a second after that, are nothing to remark on. */
const UNREMARKED = 400;
const PER_SECOND = 500;
/** Past it the connection is slowed down, each time that so many more have come. */
const SLICE = 200;
/** Small pieces that belong to each request. */
const PER_REQUEST = 4;

/**
 * How many small pieces of bodies one connection may send without being slowed down. A leaky bucket. It never ends a
 * connection: clients that stream a body line by line send such pieces.
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
