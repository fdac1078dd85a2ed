import { Guard } from '../lifetime/guard.ts';
import { FairQueue } from '../limits/fair-queue.ts';
import { ANSWERS_BUSY } from '../policy/denial.ts';
import type { GrpcExchange } from './exchange.ts';
import { type Caller, longestOf } from './unary/asker.ts';

/** Most answers that are requested for one owner and not yet taken. */
const SLOTS_PER_OWNER = 8;

/** Milliseconds for which an answer may keep others waiting while its client takes none of it. */
const STALL_MS = 30_000;
/** Longest wait for a slot, in milliseconds: below the time without a frame after which a call ends. */
const WAIT_MS = 60_000;

/**
 * Bounds the answers held in memory per owner: further ones are requested later. An answer of which nothing was taken for too long
 * while others of its owner wait is ended.
 */
export class AnswerSlots {
  readonly #owners = new Map<unknown, FairQueue>();
  /** The calls that have a slot, by owner's queue. */
  readonly #held = new WeakMap<FairQueue, Set<GrpcExchange>>();
  readonly #perOwner: number;
  readonly #stallMs: number;

  constructor(perOwner = SLOTS_PER_OWNER, stallMs = STALL_MS) {
    this.#perOwner = perOwner;
    this.#stallMs = stallMs;
  }

  /** Number of owners with a slot or in the queue. */
  get size(): number {
    return this.#owners.size;
  }

  /** Resolves with a slot, which is held until the signal of `caller` aborts. `false` = no slot in time. */
  wait(owner: unknown, caller: Caller): Promise<boolean> {
    const { signal, exchange } = caller;
    if (signal.aborted) return Promise.resolve(false);
    const slots = this.#owners.get(owner) ?? new FairQueue(this.#perOwner);
    this.#owners.set(owner, slots);
    const held = this.#held.get(slots) ?? new Set();
    this.#held.set(slots, held);
    return new Promise((resolve, reject) => {
      const guard = new Guard({ fail: reject, cut: ignore }, 'grpc_upstream', ignore);
      const leave = guard.entry((): void => {
        clearTimeout(late);
        clearTimeout(stall);
        if (exchange) held.delete(exchange);
        slot.end();
        if (slots.size === 0 && this.#owners.get(owner) === slots) this.#owners.delete(owner);
        resolve(false);
      });
      let late: NodeJS.Timeout | undefined;
      let stall: NodeJS.Timeout | undefined;
      const watch = (): void => {
        stall = guard
          .after(this.#stallMs, () => {
            watch();
            this.#endStalled(held);
          })
          .unref();
      };
      // The connections of an owner take turns.
      const slot = slots.take(exchange?.steps ?? owner, guard, () => {
        clearTimeout(late);
        clearTimeout(stall);
        if (exchange) held.add(exchange);
        resolve(true);
      });
      if (!slot.running) {
        late = guard.after(Math.min(longestOf(caller), WAIT_MS), leave).unref();
        watch();
      }
      signal.addEventListener(
        'abort',
        guard.entry(() => leave()),
        { once: true },
      );
    });
  }

  /** Ends the answers that their clients do not take. */
  #endStalled(held: ReadonlySet<GrpcExchange>): void {
    const before = Date.now() - this.#stallMs;
    for (const exchange of [...held])
      if (exchange.outgoing && exchange.activeAt <= before) exchange.steps.reject(exchange, ANSWERS_BUSY);
  }
}

function ignore(): void {}
