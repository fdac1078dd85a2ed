import { PERIOD_MS } from '../policy/limits/limits.ts';
import type { Bucket } from './tokens.ts';

/** Part of the places, and of the bytes, of an account that a caller leaves to others. */
const LEFT = 1 / 4;
/** Part of the bytes of an account that may be announced and not here; and part of the inflow that one caller has of the last quarter. */
const HALF = 1 / 2;
/** Callers whose use of the last quarter is remembered; of more the one that was there first begins anew. */
const REMEMBERED = 64;

/** The bytes that one caller took of the last quarter. */
interface Taken {
  readonly amount: number;
  readonly at: number;
}

/**
 * The parts of an account that its single callers hold, where several share it:
 *
 * - A caller with places leaves a quarter of all, rounded up, to callers without.
 * - Of the bytes in the last quarter of the amount a caller has a quarter of the amount at once, and after that half of what flows in. So the
 *   last quarter fills again within one period, whatever one caller does.
 * - Bodies that are announced and not here hold at most half of the amount. Any other body is counted when it is there.
 *
 * INVARIANT: no byte passes that the bucket did not have. There is no debt.
 */
export class Shares {
  /** Open requests of each caller. */
  readonly #open = new Map<string, number>();
  readonly #low = new Map<string, Taken>();
  #announced = 0;

  /** True = a new one would be the same, once the bucket is full. */
  get isIdle(): boolean {
    return this.#open.size === 0 && this.#announced === 0;
  }

  /** Callers that are remembered. */
  get size(): number {
    return this.#open.size + this.#low.size;
  }

  /** True = the caller has so many places that it leaves the free ones to others. */
  leaves(caller: string, places: number, free: number): boolean {
    return this.#open.has(caller) && free <= Math.ceil(places * LEFT);
  }

  opened(caller: string): void {
    this.#open.set(caller, (this.#open.get(caller) ?? 0) + 1);
  }

  closed(caller: string): void {
    const left = (this.#open.get(caller) ?? 0) - 1;
    if (left > 0) this.#open.set(caller, left);
    else this.#open.delete(caller);
  }

  /** True = so many bytes may be taken before they are here. */
  mayAnnounce(bucket: Bucket, bytes: number): boolean {
    return this.#announced + bytes <= sizeOf(bucket) * HALF;
  }

  /** Milliseconds until a body of so many bytes may come; 0 = now, infinite = never. @param amount at least 1 */
  wait(caller: string, bucket: Bucket, amount: number, now: number): number {
    const { most } = bucket.quota;
    if (amount > most) return bucket.wait(amount, now);
    return bucket.wait(Math.min(most, amount + this.#takenLow(caller, bucket, now)), now);
  }

  /** Takes the bytes of a body. @param isHere false = they are announced */
  take(caller: string, bucket: Bucket, bytes: number, isHere: boolean, now: number): void {
    if (bytes === 0) return;
    bucket.take(bytes, now);
    if (!isHere) this.#announced += bytes;
    const low = Math.min(bytes, sizeOf(bucket) * LEFT - bucket.level(now));
    if (low <= 0) return;
    const amount = this.#takenLow(caller, bucket, now) + low;
    this.#low.delete(caller);
    this.#low.set(caller, { amount, at: now });
    const [oldest] = this.#low.keys();
    if (oldest !== undefined && this.#low.size > REMEMBERED) this.#low.delete(oldest);
  }

  /** The body has ended: gives back what was taken and did not come. */
  settle(
    caller: string,
    bucket: Bucket,
    { taken, used, wasHere }: { readonly taken: number; readonly used: number; readonly wasHere: boolean },
    now: number,
  ): void {
    if (!wasHere) this.#announced -= taken;
    bucket.settle(taken, used, now);
    const back = taken - used;
    const low = this.#low.get(caller);
    if (back > 0 && low) this.#low.set(caller, { ...low, amount: Math.max(0, low.amount - back) });
    // Only where no limit refuses more comes than was taken: the account is not spoilt for the time when it does.
    const beyond = -(bucket.level(now) + sizeOf(bucket));
    if (beyond > 0) bucket.forgive(beyond, now);
  }

  #takenLow(caller: string, bucket: Bucket, now: number): number {
    const taken = this.#low.get(caller);
    return taken ? Math.max(0, taken.amount - (now - taken.at) * bucket.perMs * HALF) : 0;
  }
}

/** The amount that this process has of a quota. */
function sizeOf({ perMs, quota }: Bucket): number {
  return perMs * PERIOD_MS[quota.per];
}
