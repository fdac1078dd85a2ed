import type { Place } from './places.ts';
import { turnClock } from './turn-clock.ts';

/** Counts an unexpected exception and writes one line about it. Must not throw. */
export type FaultReport = (error: unknown, place: Place) => void;

/** The owner of guarded callbacks, which an unexpected exception ends. */
export interface GuardedOwner {
  /** Ends the owner: denies what is open, answers 500 or INTERNAL where that is still possible. */
  fail(error: unknown): void;
  /** The last resort when `fail` itself throws: destroys the socket or stream. */
  cut(): void;
}

/**
 * The one way from the event loop into the data path. Everything that Node calls (socket, stream and worker events, timers,
 * promises, callbacks of undici and zlib) goes through the guard of the connection or exchange it belongs to, so that an
 * exception ends that owner and never the process.
 *
 * INVARIANT: nothing goes on after an exception as if it had not been: the owner has failed.
 * `test/lifetime/guarded.test.ts` finds entries that have no guard.
 */
export class Guard {
  readonly #owner: GuardedOwner;
  readonly #place: Place;
  readonly #report: FaultReport;

  constructor(owner: GuardedOwner, place: Place, report: FaultReport) {
    this.#owner = owner;
    this.#place = place;
    this.#report = report;
  }

  /** The guard of the same owner for entries of another place. */
  at(place: Place): Guard {
    return new Guard(this.#owner, place, this.#report);
  }

  /** An event listener or callback that runs `work` under the guard. Two arguments at most are passed on. */
  entry<A = void, B = void>(work: (first: A, second: B) => void): (first: A, second: B) => void {
    return (first, second) => {
      turnClock.begin();
      try {
        work(first, second);
      } catch (error) {
        this.failed(error);
      }
    };
  }

  /** Runs `work` now. */
  run(work: () => void): void {
    turnClock.begin();
    try {
      work();
    } catch (error) {
      this.failed(error);
    }
  }

  /** `setTimeout` under the guard. @param ms milliseconds */
  after(ms: number, work: () => void): NodeJS.Timeout {
    return setTimeout(this.entry(work), ms);
  }

  /** `setInterval` under the guard. @param ms milliseconds */
  every(ms: number, work: () => void): NodeJS.Timeout {
    return setInterval(this.entry(work), ms);
  }

  /** `setImmediate` under the guard. */
  soon(work: () => void): NodeJS.Immediate {
    return setImmediate(this.entry(work));
  }

  /** Runs `done` with the value of `promise`. A rejection without `rejected`, and what either of them throws, is a fault. */
  settled<T>(promise: Promise<T>, done: (value: T) => void, rejected?: (reason: unknown) => void): void {
    promise.then(this.entry(done), this.entry(rejected ?? ((reason: unknown) => this.failed(reason))));
  }

  /** Reports `error` and ends the owner. Never throws. */
  failed(error: unknown): void {
    this.#report(error, this.#place);
    try {
      this.#owner.fail(error);
    } catch (second) {
      this.#report(second, this.#place);
      this.#cut();
    }
  }

  #cut(): void {
    try {
      this.#owner.cut();
    } catch (third) {
      this.#report(third, this.#place);
    }
  }
}
