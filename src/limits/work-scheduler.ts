import { type FaultReport, Guard } from '../lifetime/guard.ts';

/** What may be done in one turn of the event loop before others are looked at; about a millisecond of work. */
const TURN = 200;
/** What one connection may do of that while others wait. */
const SHARE = 32;

/** What things cost of a turn. One unit is about 5 microseconds. */
export const Cost = {
  /** A call over gRPC begins. */
  GRPC_CALL: 1,
  /** One more request that came with others in one piece. */
  PIPELINED_REQUEST: 4,
  /** `node:http` or `node:http2` gets one more piece of a body: a chunk, or a small DATA frame. */
  BODY_PIECE: 1,
  /** `node:http` gets one more request that came before the answer to the one before it. */
  HTTP1_REQUEST: 48,
  /** The header block of a request is looked at beside `node:http2`. */
  HEADER_BLOCK: 1,
  /** `node:http2` gets a request. */
  HTTP2_REQUEST: 64,
  /** A TLS handshake begins. */
  HANDSHAKE: 80,
} as const;

/**
 * Shares a thread between connections. One client can put a thousand requests into one piece of 64 KiB, and Node would have
 * them all begun before it looks at anybody else. Here whoever has much to do stops when the turn is used up, and goes on
 * when those who came in between have been served. Nothing waits for longer than those before it take, and while there is
 * little to do this costs a subtraction.
 */
export class WorkScheduler {
  #left = TURN;
  /** What is left for the one who goes on now. */
  #share = 0;
  readonly #waiting: (() => void)[] = [];
  #armed = false;
  readonly #guard: Guard;

  /** @param report told of exceptions of those whose turn it is */
  constructor(report: FaultReport) {
    // An exception is the end of whose turn it is, not of the others'.
    this.#guard = new Guard({ fail: ignore, cut: ignore }, 'rest_listener', report);
  }

  /** Others wait, or this turn is used up: a newcomer has to wait as well. */
  get crowded(): boolean {
    return this.#waiting.length > 0 || this.#left <= 0;
  }

  /** Some work of this `Cost` has been done. False: do no more now, and `wait` with what is left. */
  spend(cost: number): boolean {
    this.#left -= cost;
    this.#share -= cost;
    return this.#left > 0 && (this.#share > 0 || this.#waiting.length === 0);
  }

  /** Calls back when it is this one's turn. Must not throw: it is an entry of a guard. */
  wait(goOn: () => void): void {
    this.#waiting.push(goOn);
    if (this.#armed) return;
    this.#armed = true;
    this.#guard.soon(() => this.#turn());
  }

  #turn(): void {
    this.#left = TURN;
    while (this.#left > 0) {
      const goOn = this.#waiting.shift();
      if (!goOn) break;
      this.#share = SHARE;
      this.#guard.run(goOn);
    }
    this.#armed = this.#waiting.length > 0;
    if (this.#armed) this.#guard.soon(() => this.#turn());
  }
}

function ignore(): void {}
