/**
 * The time as one entry from the event loop sees it: the clocks of the machine are read once, however often they are asked for.
 * Requests ask about ten times each, and reading the clocks that often costs a tenth of a small call.
 *
 * For times of requests and limits of seconds, not for measuring what one entry takes.
 *
 * INVARIANT: `Guard` begins a turn with each entry, and everything that the event loop calls in the data path goes through one.
 */
export class TurnClock {
  readonly #readWall: () => number;
  readonly #readMonotonic: () => number;
  /** 0 = not read in this turn. */
  #wall = 0;
  #monotonic = 0;

  constructor(readWall: () => number = Date.now, readMonotonic: () => number = () => performance.now()) {
    this.#readWall = readWall;
    this.#readMonotonic = readMonotonic;
  }

  /** The event loop enters: earlier readings are void. */
  begin(): void {
    this.#wall = 0;
    this.#monotonic = 0;
  }

  /** Milliseconds since 1970. */
  readonly wall = (): number => {
    if (this.#wall === 0) this.#wall = this.#readWall();
    return this.#wall;
  };

  /** Monotonic milliseconds. */
  readonly monotonic = (): number => {
    if (this.#monotonic === 0) this.#monotonic = this.#readMonotonic();
    return this.#monotonic;
  };
}

/** The clock of this thread. */
export const turnClock = new TurnClock();
