import type { Bucket } from './tokens.ts';

/** Part of the places of an account that callers with places leave to callers without. */
const LEFT_PLACES = 1 / 4;
/** Part of what is there that announced bodies of others can hold back, and part of the inflow that pays debts. */
const HALF = 0.5;

/** Sums of fractions miss whole numbers by less than this. */
const ROUNDING = 1e-6;

/** The part of an account that one caller holds. */
interface Held {
  /** Requests that are open. */
  open: number;
  /** Announced bytes of their bodies: taken, and perhaps never to come. */
  announced: number;
}

/**
 * The parts of an account that its single callers hold and owe, where several share it. A used amount is gone for all of them: it is first
 * come, first served. An amount that one caller holds or owes must not stop the others:
 *
 * - Announced bytes hold back at most half of what is there. So bodies may come that are more than what is there.
 * - Bytes beyond what is there are a debt of the caller whose request ends then. Debts are paid first come, first served, from half
 *   of what flows in, and from what is there beyond half of the amount. Until its debt is paid a caller sends no bodies.
 * - A caller with places leaves a quarter of all, rounded up, to callers without.
 *
 * INVARIANT: a debt is paid from the bucket, so in the long run no more passes than flows in.
 */
export class Shares {
  readonly #held = new Map<string, Held>();
  readonly #debts = new Map<string, number>();
  #announced = 0;
  #paidAt = 0;

  /** True = a new one would be the same. */
  get isIdle(): boolean {
    return this.#held.size === 0 && this.#debts.size === 0;
  }

  /** True = the caller has so many places that it leaves the free ones to others. */
  leaves(caller: string, places: number, free: number): boolean {
    return (this.#held.get(caller)?.open ?? 0) > 0 && free <= Math.ceil(places * LEFT_PLACES);
  }

  opened(caller: string): void {
    this.#of(caller).open += 1;
  }

  closed(caller: string): void {
    this.#of(caller).open -= 1;
    this.#drop(caller);
  }

  /** Bytes were taken from the bucket that are still to come. */
  announce(caller: string, bytes: number): void {
    if (bytes === 0) return;
    this.#of(caller).announced += bytes;
    this.#announced += bytes;
  }

  /** Milliseconds until a body of so many bytes may come; 0 = now, infinite = never. @param amount at least 1 */
  wait(caller: string, bucket: Bucket, amount: number, now: number): number {
    this.#pay(bucket, now);
    const wait = this.#waitBeside(caller, bucket, amount, now);
    return Math.max(wait, this.#owedAhead(caller) / (bucket.perMs * HALF));
  }

  #waitBeside(caller: string, bucket: Bucket, amount: number, now: number): number {
    const free = this.#heldBack(caller, bucket, now);
    const missing = amount - free - bucket.level(now);
    // Asked in any case where there is not enough: the bucket may be one of several processes, and asks them.
    if (free === 0 || amount > bucket.quota.most) return bucket.wait(amount, now);
    if (missing <= ROUNDING) return 0;
    return Math.min(bucket.wait(amount, now), missing / bucket.perMs);
  }

  /** The body has ended: settles what was taken for it. What is not there becomes a debt of its caller, as far as it used it. */
  settle(
    caller: string,
    bucket: Bucket,
    { taken, used }: { readonly taken: number; readonly used: number },
    now: number,
  ): void {
    this.#pay(bucket, now);
    if (taken > 0) {
      this.#of(caller).announced -= taken;
      this.#announced -= taken;
      this.#drop(caller);
    }
    bucket.settle(taken, used, now);
    const missing = Math.min(used, -(bucket.level(now) + this.#announced));
    if (missing <= 0) return;
    bucket.forgive(missing, now);
    this.#debts.set(caller, (this.#debts.get(caller) ?? 0) + missing);
  }

  /** Announced bytes of others beyond half of what is there. */
  #heldBack(caller: string, bucket: Bucket, now: number): number {
    const own = this.#held.get(caller)?.announced ?? 0;
    const others = this.#announced - own;
    if (others <= 0) return 0;
    const unused = Math.max(0, bucket.level(now) + this.#announced);
    return others - Math.min(others, unused * HALF);
  }

  #pay(bucket: Bucket, now: number): void {
    const passed = now - this.#paidAt;
    this.#paidAt = now;
    if (this.#debts.size === 0) return;
    // INVARIANT: before the bucket is filled, or it would lose what is more than it holds, and pay out of the rest.
    const fromInflow = this.#repay(passed * bucket.perMs * HALF);
    if (fromInflow > 0) bucket.pay(fromInflow, now);
    const spare = bucket.level(now) - bucket.quota.most * HALF;
    const fromSpare = spare > 0 ? this.#repay(spare) : 0;
    if (fromSpare > 0) bucket.take(fromSpare, now);
  }

  /** Pays debts, the oldest first. Returns what was paid. */
  #repay(most: number): number {
    let left = most;
    for (const [caller, owed] of this.#debts) {
      const part = Math.min(owed, left);
      left -= part;
      if (owed - part > ROUNDING) {
        this.#debts.set(caller, owed - part);
        break;
      }
      this.#debts.delete(caller);
    }
    return most - left;
  }

  /** The debts that are paid before the caller may go on. */
  #owedAhead(caller: string): number {
    if (!this.#debts.has(caller)) return 0;
    let ahead = 0;
    for (const [debtor, owed] of this.#debts) {
      ahead += owed;
      if (debtor === caller) break;
    }
    return ahead;
  }

  #of(caller: string): Held {
    let held = this.#held.get(caller);
    if (!held) {
      held = { open: 0, announced: 0 };
      this.#held.set(caller, held);
    }
    return held;
  }

  #drop(caller: string): void {
    const held = this.#held.get(caller);
    if (held && held.open <= 0 && held.announced <= 0) this.#held.delete(caller);
  }
}
