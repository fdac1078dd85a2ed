import { Guard } from '../lifetime/guard.ts';
import { FairQueue } from '../limits/fair-queue.ts';
import { type Caller, longestOf } from '../upstream/ask-grpc.ts';

/** Answers that one owner may have asked for and not taken. */
const PLACES_OF_OWNER = 8;

/** Bounds the answers that are held whole for one owner: the others are not asked for yet. */
export class ListPlaces {
  readonly #owners = new Map<unknown, FairQueue>();

  /** Owners that have a place or wait for one. */
  get size(): number {
    return this.#owners.size;
  }

  /** There is a place until the signal of `caller`. `false` = there was none in time. */
  wait(owner: unknown, caller: Caller): Promise<boolean> {
    const { signal } = caller;
    if (signal.aborted) return Promise.resolve(false);
    const places = this.#owners.get(owner) ?? new FairQueue(PLACES_OF_OWNER);
    this.#owners.set(owner, places);
    return new Promise((resolve, reject) => {
      const guard = new Guard({ fail: reject, cut: ignore }, 'grpc_upstream', ignore);
      const leave = guard.entry((): void => {
        clearTimeout(late);
        place.end();
        if (places.size === 0 && this.#owners.get(owner) === places) this.#owners.delete(owner);
        resolve(false);
      });
      const late = guard.after(longestOf(caller), leave).unref();
      const place = places.take(owner, guard, () => {
        clearTimeout(late);
        resolve(true);
      });
      signal.addEventListener(
        'abort',
        guard.entry(() => leave()),
        { once: true },
      );
    });
  }
}

function ignore(): void {}
