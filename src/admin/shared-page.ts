import { setTimeout as sleep } from 'node:timers/promises';
import { Spacing } from '../limits/spacing.ts';

/** Renderings without delay: a burst of 40, then 5 a second. */
const RATE = { everyMs: 200, ahead: 40, longestMs: 1000 } as const;

/**
 * A page that takes long to make, and that strangers may ask for: it is made in moderate numbers, and those who ask while its turn is
 * waited for share it.
 */
export function sharedPage<K, T>(make: (kind: K) => Promise<T>): (kind: K) => Promise<T> {
  const spacing = new Spacing(RATE);
  const due = new Map<K, Promise<T>>();
  return (kind) => {
    const known = due.get(kind);
    if (known) return known;
    const waitMs = spacing.next(performance.now());
    const began = async (): Promise<T> => {
      if (waitMs > 0) await sleep(waitMs, undefined, { ref: false });
      // From now on it may lack what happens: who asks later gets a later one.
      due.delete(kind);
      return await make(kind);
    };
    const page = began();
    if (waitMs > 0) due.set(kind, page);
    return page;
  };
}
