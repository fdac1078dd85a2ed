import { setTimeout as pauseTimer } from 'node:timers/promises';

/** Time as those see it who wait for files; a test may stand in. */
export interface Clock {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
  /** Resolves after so many milliseconds. */
  readonly pause: (ms: number) => Promise<void>;
  /** The same for what goes on for ever: it keeps no process alive. */
  readonly idle: (ms: number) => Promise<void>;
}

/** The clock of the machine. */
export const machineClock: Clock = {
  now: () => performance.now(),
  wall: Date.now,
  pause: (ms) => pauseTimer(ms),
  idle: (ms) => pauseTimer(ms, undefined, { ref: false }),
};
