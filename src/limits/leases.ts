import { type Dimension, PERIOD_MS, type Quota } from '../policy/limits/limits.ts';
import type { Bucket } from './tokens.ts';

/*
 * Amounts that several processes share: what a process asks of the common bucket, and what it is given. Plain data, which is
 * sent to another process.
 */

/** One bucket: what was used without a lease, what is given back, and what is wanted. */
export interface LeaseAsk {
  /** The account and what it counts; the same in every process. */
  readonly name: string;
  readonly quota: Quota;
  /** Used without a lease. */
  readonly used: number;
  /** Leased and not used. */
  readonly back: number;
  /** Wanted as a lease; may be granted in part. */
  readonly want: number;
  /** Less than this is of no use. */
  readonly need: number;
}

/** The answer about one bucket. */
export interface LeaseGrant {
  readonly granted: number;
  /** Left in the bucket after that; below 0 in debt. */
  readonly level: number;
}

/** The answer to several asks, in their order; `undefined` for a bucket that failed, and that is as it was. */
export interface LeaseAnswer {
  readonly grants: readonly (LeaseGrant | undefined)[];
  /** Processes that share the buckets, the asking one included. */
  readonly holders: number;
}

/** The place of an exchange among those of one process: asked again with the same one, it is done once. */
export interface LeaseTurn {
  /** The process: a random id. */
  readonly asker: string;
  /** Greater than that of the exchange before. */
  readonly turn: number;
}

/**
 * Asks the common buckets. Rejects if they cannot be reached. The asks may have been served all the same: the same asks in the same
 * turn tell, and are not served twice. `undefined` = nothing is asked.
 */
export type ExchangeLeases = (asks: readonly LeaseAsk[], turn?: LeaseTurn) => Promise<LeaseAnswer>;

/** The common buckets, for one process. */
export interface Leases {
  readonly exchange: ExchangeLeases;
  /** Processes that share them, this one included, as last known. */
  readonly holders: () => number;
}

/** Milliseconds after the last answer after which there are none. */
const FRESH_MS = 1000;
/** Milliseconds of use that a lease is meant to last; unused that long it is given back. */
const LEASE_MS = 1000;
/** Milliseconds that a lease for a refused request is kept, and asked for with each exchange, so that the next attempt finds it. */
const KEPT_MS = 5000;
/** Part of the target below which the next lease is asked for. */
const LOW = 0.5;
/** Sums of fractions miss whole numbers by less than this. */
const ROUNDING = 1e-6;
/** Weight of the newest figure in the rate of use. */
const NEWEST = 0.5;
/** Shortest time that a rate is measured over, in milliseconds. */
const SHORTEST_MS = 10;

/** The ledger, as the tokens of an account see it. */
export interface LeaseCommon {
  /** Processes that share the buckets, as last known. */
  readonly holders: () => number;
  /** Tokens have something to ask. */
  readonly asks: (tokens: LeasedTokens) => void;
}

/**
 * The part of a common bucket that one process may use without asking: a lease, and beyond it an allowance. The allowance is at most the share
 * of one by the number of processes, and at most that part of what the last answer left in the bucket; it fills at its part of the rate. So it is all
 * there is without answers. A request larger than the share needs a full one. What is used beyond the lease is told with the next
 * exchange, and the bucket pays it before anything else.
 */
export class LeasedTokens implements Bucket {
  readonly quota: Quota;
  readonly name: string;
  readonly #common: LeaseCommon;
  readonly #perMs: number;
  #lease = 0;
  /** Below 0 after a request larger than the share. */
  #allowance: number;
  #filledAt: number;
  /** Used without a lease and not told, less what the share has filled since answers ended. */
  #untold = 0;
  #fadedAt: number;
  /** Told, and to be given back. */
  #returned = 0;
  /** The last answer. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #level = 0;
  /** The largest amount that the lease did not cover. */
  #need = 0;
  /** The largest amount that was refused and not used since, and the time of the last one. */
  #refused = 0;
  #refusedAt = Number.NEGATIVE_INFINITY;
  /** The last ask failed: there is only the share. */
  #away = false;
  #usedAt: number;
  #usedSince = 0;
  #measuredAt: number;
  #rate = 0;

  /** @param name of the account @param now monotonic milliseconds, as in the methods */
  constructor(name: string, dimension: Dimension, quota: Quota, common: LeaseCommon, now: number) {
    this.quota = quota;
    this.name = `${dimension} ${quota.most} ${quota.per} ${name}`;
    this.#common = common;
    this.#perMs = quota.most / PERIOD_MS[quota.per];
    this.#allowance = this.#share();
    this.#filledAt = now;
    this.#fadedAt = now;
    this.#usedAt = now;
    this.#measuredAt = now;
  }

  left(now: number): number {
    const beyond = this.#isFresh(now) ? this.#levelAt(now) : this.#fill(now);
    return Math.max(0, Math.floor(this.#lease + Math.max(0, beyond) + ROUNDING));
  }

  get perMs(): number {
    return this.#perMs / this.#common.holders();
  }

  level(now: number): number {
    return this.#lease + this.#fill(now);
  }

  wait(amount: number, now: number): number {
    if (amount > this.quota.most) return Number.POSITIVE_INFINITY;
    const beyond = amount - this.#lease;
    if (beyond <= ROUNDING) return 0;
    this.#need = Math.max(this.#need, amount);
    this.#common.asks(this);
    const missing = Math.min(beyond, this.#share()) - this.#fill(now);
    if (missing <= ROUNDING) return 0;
    this.#refused = Math.max(this.#kept(now), amount);
    this.#refusedAt = now;
    // An older level is wrong by what others used since; the next answer tells.
    const isKnown = !this.#away && this.#answeredAt > Number.NEGATIVE_INFINITY;
    const ms = isKnown ? (beyond - this.#levelAt(now)) / this.#perMs : (missing / this.#perMs) * this.#common.holders();
    return Math.max(1, ms);
  }

  take(amount: number, now: number): void {
    this.#usedAt = now;
    this.#usedSince += amount;
    if (amount >= this.#refused) this.#refused = 0;
    const leased = Math.min(amount, this.#lease);
    const beyond = amount - leased;
    this.#lease -= leased;
    if (beyond > 0) {
      this.#fill(now);
      this.#fade(now);
      this.#allowance -= beyond;
      this.#untold += beyond;
    }
    if (beyond > 0 || this.#lease < LOW * this.#target()) this.#common.asks(this);
  }

  settle(taken: number, used: number, now: number): void {
    if (used > taken) this.take(used - taken, now);
    else if (used < taken) {
      this.#lease += taken - used;
      this.#common.asks(this);
    }
  }

  /** A debt that has not been told is not told; one that has been is given back. */
  forgive(amount: number, now: number): void {
    const untold = Math.min(amount, this.#fade(now));
    this.#untold -= untold;
    this.#returned += amount - untold;
    this.#allowance += amount;
    if (this.#returned > 0) this.#common.asks(this);
  }

  isFull(now: number): boolean {
    return this.#lease <= ROUNDING && this.#fade(now) <= ROUNDING && this.#fill(now) >= this.#share() - ROUNDING;
  }

  /** True = it holds a lease. */
  isLeased(): boolean {
    return this.#lease > 0;
  }

  /** The next ask; `undefined` = nothing to ask. */
  ask(now: number): LeaseAsk | undefined {
    this.#measure(now);
    const idle = now - this.#usedAt >= LEASE_MS;
    const kept = this.#kept(now);
    const wanted = Math.max(kept, idle ? 0 : Math.max(this.#target(), this.#need));
    const most = Math.max(kept, idle ? 0 : 2 * this.#target());
    const unused = this.#need === 0 && this.#lease > most ? this.#lease - wanted : 0;
    const back = unused + this.#returned;
    const want = Math.max(0, Math.ceil(wanted - this.#lease));
    const used = this.#fade(now);
    const need = Math.max(1, Math.ceil(Math.max(kept, this.#need) - this.#lease));
    this.#need = 0;
    if (used <= ROUNDING && back <= 0 && want === 0) return undefined;
    this.#lease -= unused;
    this.#returned = 0;
    return { name: this.name, quota: this.quota, used, back, want, need };
  }

  /** Takes an answer. */
  given({ used }: LeaseAsk, { granted, level }: LeaseGrant, now: number): void {
    this.#untold = Math.max(0, this.#fade(now) - used);
    this.#lease += granted;
    this.#away = false;
    this.#answeredAt = now;
    this.#level = level;
    this.#allowance = Math.min(this.#share(), (level - this.#untold) / this.#common.holders());
    this.#filledAt = now;
  }

  /** Takes that there was no answer, or that the bucket failed. */
  failed(): void {
    this.#away = true;
  }

  /** Amount of refused requests that may come again. */
  #kept(now: number): number {
    return now - this.#refusedAt < KEPT_MS ? this.#refused : 0;
  }

  #isFresh(now: number): boolean {
    return now - this.#answeredAt <= FRESH_MS;
  }

  /** Level of the bucket, if no other process has used anything since the last answer. */
  #levelAt(now: number): number {
    return this.#level - this.#untold + (now - this.#answeredAt) * this.#perMs;
  }

  #share(): number {
    return this.quota.most / this.#common.holders();
  }

  /** Tokens of about the next `LEASE_MS`, at most the share. */
  #target(): number {
    return Math.min(Math.ceil(this.#rate * LEASE_MS), Math.ceil(this.#share()));
  }

  #measure(now: number): void {
    const passed = now - this.#measuredAt;
    if (passed < SHORTEST_MS) return;
    this.#rate = NEWEST * (this.#usedSince / passed) + (1 - NEWEST) * this.#rate;
    this.#usedSince = 0;
    this.#measuredAt = now;
  }

  /** The allowance. */
  #fill(now: number): number {
    const flown = ((now - this.#filledAt) * this.#perMs) / this.#common.holders();
    this.#allowance = Math.min(this.#share(), this.#allowance + flown);
    this.#filledAt = now;
    return this.#allowance;
  }

  /** Use that is to be told. Without answers it fades as the share fills, since the bucket fills, too. */
  #fade(now: number): number {
    const from = Math.max(this.#fadedAt, this.#answeredAt + FRESH_MS);
    if (now > from) this.#untold = Math.max(0, this.#untold - ((now - from) * this.#perMs) / this.#common.holders());
    this.#fadedAt = now;
    return this.#untold;
  }
}
