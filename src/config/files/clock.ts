import { setTimeout as pauseTimer } from 'node:timers/promises';

/** The clock of waits for files; replaced in tests. */
export interface Clock {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
  /** Resolves after `ms` milliseconds. */
  readonly pause: (ms: number) => Promise<void>;
  /** The same for periodic waits: it does not keep the process alive. */
  readonly idle: (ms: number) => Promise<void>;
}

/** The clock of the machine. */
export const machineClock: Clock = {
  now: () => performance.now(),
  wall: Date.now,
  pause: (ms) => pauseTimer(ms),
  idle: (ms) => pauseTimer(ms, undefined, { ref: false }),
};
