import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../../src/config/files/clock.ts';

/** Time that passes so many times faster. Files stand still long enough in a twentieth of the time. */
export function quickClock(times = 20): Clock {
  return {
    now: () => performance.now() * times,
    wall: Date.now,
    pause: (ms) => pause(ms / times),
    idle: (ms) => pause(ms / times, undefined, { ref: false }),
  };
}

/** Time that passes only when it is told to. */
export interface HeldClock extends Clock {
  /** Lets so many milliseconds pass, and those who wait go on in order. */
  readonly pass: (ms: number) => Promise<void>;
}

/** A clock at zero. */
export function heldClock(): HeldClock {
  let at = 0;
  const waiting: { readonly until: number; readonly wake: () => void }[] = [];
  const pauseHere = (ms: number): Promise<void> =>
    new Promise((wake) => {
      waiting.push({ until: at + ms, wake });
    });
  return {
    now: () => at,
    wall: () => at,
    pause: pauseHere,
    idle: pauseHere,
    async pass(ms) {
      const end = at + ms;
      for (;;) {
        await turns();
        const next = waiting.toSorted((one, other) => one.until - other.until)[0];
        if (!next || next.until > end) break;
        waiting.splice(waiting.indexOf(next), 1);
        at = Math.max(at, next.until);
        next.wake();
      }
      at = end;
      await turns();
    },
  };
}

/** Lets what is ready run, reads of files that do not wait included. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
