import { type FaultReport, Guard } from '../lifetime/guard.ts';

/** Units of work per turn of the event loop: about a millisecond. */
const TURN = 200;
/** Units of it that one connection may use while others wait. */
const SHARE = 32;

/** The cost of each kind of work. One unit is about 5 microseconds. */
export const Cost = {
  /** A call over gRPC begins. */
  GRPC_CALL: 1,
  /** One more request that came with others in one piece. */
  PIPELINED_REQUEST: 4,
  /** `node:http` gets one more piece of a body, or a stream of HTTP/2: a chunk, or a small DATA frame. */
  BODY_PIECE: 1,
  /** `node:http` gets one more request that came before the answer to the one before it. */
  HTTP1_REQUEST: 48,
  /** A request over HTTP/2 begins. */
  HTTP2_REQUEST: 8,
  /** The same where the server transport takes it. */
  SERVER_REQUEST: 40,
  /** A TLS handshake begins. */
  HANDSHAKE: 80,
  /** OpenSSL gets a record of TLS, and one without content, which may be a KeyUpdate. */
  TLS_RECORD: 1,
  EMPTY_TLS_RECORD: 4,
} as const;

/**
 * Shares a thread between connections. One client can put a thousand requests into one read of 64 KiB, and Node would begin
 * all of them before it reads another socket. With the scheduler, a connection stops when its share is used up, and goes on
 * after the connections that wait. The queue is first in, first out. Without contention the cost is a subtraction.
 */
export class WorkScheduler {
  #left = TURN;
  /** Units left to the connection that runs now. */
  #share = 0;
  readonly #waiting: (() => void)[] = [];
  #armed = false;
  readonly #guard: Guard;

  /** @param report receives exceptions of the callbacks that it runs */
  constructor(report: FaultReport) {
    // An exception ends the connection that runs, not the others.
    this.#guard = new Guard({ fail: ignore, cut: ignore }, 'rest_listener', report);
  }

  /** Connections wait, or this turn is used up: a new connection has to wait as well. */
  get crowded(): boolean {
    return this.#waiting.length > 0 || this.#left <= 0;
  }

  /** Charges work of this `Cost`. False = stop now and `wait` with the rest. */
  spend(cost: number): boolean {
    this.#left -= cost;
    this.#share -= cost;
    return this.#left > 0 && (this.#share > 0 || this.#waiting.length === 0);
  }

  /** Queues `resume` for a later turn. `resume` must not throw: it is an entry of a guard. */
  wait(resume: () => void): void {
    this.#waiting.push(resume);
    if (this.#armed) return;
    this.#armed = true;
    this.#guard.soon(() => this.#turn());
  }

  #turn(): void {
    this.#left = TURN;
    while (this.#left > 0) {
      const resume = this.#waiting.shift();
      if (!resume) break;
      this.#share = SHARE;
      this.#guard.run(resume);
    }
    this.#armed = this.#waiting.length > 0;
    if (this.#armed) this.#guard.soon(() => this.#turn());
  }
}

function ignore(): void {}
