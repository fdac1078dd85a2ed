import { PERIOD_MS, type Quota } from '../policy/limits/limits.ts';

/** Sums of fractions miss whole numbers by less than this. */
const ROUNDING = 1e-6;

/** The amount of a quota: a bucket of this process alone, or its part of a common one. Times in monotonic milliseconds. */
export interface Bucket {
  readonly quota: Quota;
  /** Tokens that flow in per millisecond; in a process of several its part of them. */
  readonly perMs: number;
  /** Whole tokens that are left; 0 in debt. */
  readonly left: (now: number) => number;
  /** Tokens that may be taken now; below 0 in debt. */
  readonly level: (now: number) => number;
  /** Milliseconds until `amount` is there; 0 = now, infinite = never. */
  readonly wait: (amount: number, now: number) => number;
  readonly take: (amount: number, now: number) => void;
  /** Takes what was used beyond `taken`, or gives back what was not used. */
  readonly settle: (taken: number, used: number, now: number) => void;
  /** Takes back a debt. */
  readonly forgive: (amount: number, now: number) => void;
  /** True = a new one would be the same. */
  readonly isFull: (now: number) => boolean;
}

/**
 * A token bucket: holds up to `most`, fills at `most` per period, full at first. In any span of time no more is taken than
 * `most`, and what flows in during it; a debt (see `settle`) is paid before anything else is taken.
 */
export class Tokens implements Bucket {
  readonly quota: Quota;
  readonly perMs: number;
  #level: number;
  #at: number;

  /** @param now monotonic milliseconds, as in the methods */
  constructor(quota: Quota, now: number) {
    this.quota = quota;
    this.perMs = quota.most / PERIOD_MS[quota.per];
    this.#level = quota.most;
    this.#at = now;
  }

  /** Whole tokens that are left; 0 in debt. */
  left(now: number): number {
    return Math.max(0, Math.floor(this.#fill(now) + ROUNDING));
  }

  level(now: number): number {
    return this.#fill(now);
  }

  /** Milliseconds until `amount` is there; 0 = now, infinite = never, because it is more than `most`. */
  wait(amount: number, now: number): number {
    if (amount > this.quota.most) return Number.POSITIVE_INFINITY;
    const missing = amount - this.#fill(now);
    return missing <= ROUNDING ? 0 : missing / this.perMs;
  }

  take(amount: number): void {
    this.#level -= amount;
  }

  /** Takes what was used beyond `taken`, even if it is not there, or gives back what was not used. */
  settle(taken: number, used: number, now: number): void {
    this.#level = Math.min(this.quota.most, this.#fill(now) + taken - used);
  }

  forgive(amount: number): void {
    this.#level += amount;
  }

  isFull(now: number): boolean {
    return this.#fill(now) >= this.quota.most - ROUNDING;
  }

  #fill(now: number): number {
    this.#level = Math.min(this.quota.most, this.#level + Math.max(0, now - this.#at) * this.perMs);
    this.#at = now;
    return this.#level;
  }
}
