import { Guard } from '../lifetime/guard.ts';
import { FairQueue } from '../limits/fair-queue.ts';
import { type Caller, longestOf } from './unary/asker.ts';

/** Most answers that are requested for one owner and not yet taken. */
const SLOTS_PER_OWNER = 8;

/** Bounds the answers held in memory per owner: further ones are requested later. */
export class AnswerSlots {
  readonly #owners = new Map<unknown, FairQueue>();
  readonly #perOwner: number;

  constructor(perOwner = SLOTS_PER_OWNER) {
    this.#perOwner = perOwner;
  }

  /** Number of owners with a slot or in the queue. */
  get size(): number {
    return this.#owners.size;
  }

  /** Resolves with a slot, which is held until the signal of `caller` aborts. `false` = no slot in time. */
  wait(owner: unknown, caller: Caller): Promise<boolean> {
    const { signal } = caller;
    if (signal.aborted) return Promise.resolve(false);
    const slots = this.#owners.get(owner) ?? new FairQueue(this.#perOwner);
    this.#owners.set(owner, slots);
    return new Promise((resolve, reject) => {
      const guard = new Guard({ fail: reject, cut: ignore }, 'grpc_upstream', ignore);
      const leave = guard.entry((): void => {
        clearTimeout(late);
        slot.end();
        if (slots.size === 0 && this.#owners.get(owner) === slots) this.#owners.delete(owner);
        resolve(false);
      });
      let late: NodeJS.Timeout | undefined;
      const slot = slots.take(owner, guard, () => {
        clearTimeout(late);
        resolve(true);
      });
      if (!slot.running) late = guard.after(longestOf(caller), leave).unref();
      signal.addEventListener(
        'abort',
        guard.entry(() => leave()),
        { once: true },
      );
    });
  }
}

function ignore(): void {}
