/** A request that waits for a place. */
export interface PlaceWaiter {
  /** False = it is over, and left out when its turn comes. */
  readonly isWaiting: boolean;
  /** It has a place from now on, which it gives back with `leave`. */
  placed(): void;
}

/**
 * Places upstream of one client connection: so many of its requests are under way at once, further ones wait for each other.
 * INVARIANT: a client connection never keeps another one waiting, as over HTTP/1.1, where each has its own upstream connection.
 */
export class UpstreamPlaces {
  readonly #most: number;
  #taken = 0;
  readonly #waiting: PlaceWaiter[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes a place. `false` = there is none now, and `waiter` is told when it has one. */
  take(waiter: PlaceWaiter): boolean {
    if (this.#taken < this.#most) {
      this.#taken += 1;
      return true;
    }
    this.#waiting.push(waiter);
    return false;
  }

  /** Gives a place back; the next one that waits has it. */
  leave(): void {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      if (!next.isWaiting) continue;
      next.placed();
      return;
    }
    this.#taken -= 1;
  }
}
