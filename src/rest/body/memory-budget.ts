import type { Guard } from '../../lifetime/guard.ts';
import { FairQueue, type Turn } from '../../limits/fair-queue.ts';
import type { Denial } from '../../policy/denial.ts';
import { WIDE_BYTES } from './bytes.ts';
import { BODY_TIMEOUT, NO_ROOM } from './denials.ts';

/** So much of every body is outside of the sum: small bodies never wait. */
export const FREE_BYTES = 131_072;
/** Room is taken in pieces of this size. */
const STEP_BYTES = 262_144;

export interface BodyMemoryBudgetOptions {
  /** Bytes that bodies may have in all, beside one that goes on to its end. */
  readonly capacity: number;
  /** Milliseconds that this one may take to come while others wait for it. */
  readonly leadMs: number;
  /** Milliseconds that a body waits for room at most. */
  readonly waitMs: number;
}

/** A body that takes room. Both calls come in a turn of the event loop of their own. */
export interface ReservationHolder {
  /** Of the exchange: under it the calls run. */
  readonly guard: Guard;
  /** There is room again. */
  goOn(): void;
  /** There will not be: nothing follows but `leave`. */
  giveUp(denial: Denial): void;
}

/** What the bodies of one owner take. */
interface Owner {
  readonly key: unknown;
  taken: number;
  bodies: number;
  readonly waiting: Set<Reservation>;
}

/**
 * What all bodies that are held to be judged may take together.
 *
 * A body takes room as its bytes come, not before. Everybody's bodies may take as much as is still free, so a newcomer finds
 * some, whoever holds the rest. A body that finds none, or is a large one, waits with its client's socket paused until there is,
 * or until it is the one that leads: that one takes what it needs, outside of the sum, so there is always a body that can end. Owners
 * lead in turn. The sum is never more than the capacity, one body of the largest size, and what is free to each.
 */
export class BodyMemoryBudget {
  readonly #options: BodyMemoryBudgetOptions;
  readonly #owners = new Map<unknown, Owner>();
  readonly #leads = new FairQueue(1);
  #taken = 0;

  constructor(options: BodyMemoryBudgetOptions) {
    this.#options = options;
  }

  /** Bytes that are taken, without the leading body's. */
  get taken(): number {
    return this.#taken;
  }

  /** A body waits to lead. */
  get wanted(): boolean {
    return this.#leads.wanted;
  }

  /** Bodies that have a place, and turns at leading that are taken or waited for. */
  get size(): number {
    let size = this.#leads.size;
    for (const { bodies } of this.#owners.values()) size += bodies;
    return size;
  }

  /** @param key whose body it is */
  enter(key: unknown, taker: ReservationHolder): Reservation {
    let owner = this.#owners.get(key);
    if (!owner) {
      owner = { key, taken: 0, bodies: 0, waiting: new Set() };
      this.#owners.set(key, owner);
    }
    owner.bodies += 1;
    return new Reservation(owner, taker, {
      options: this.#options,
      leads: this.#leads,
      take: (bytes) => this.#take(owner, bytes),
      give: (bytes) => this.#give(owner, bytes),
      left: () => this.#left(owner),
    });
  }

  #take(owner: Owner, bytes: number): boolean {
    if (owner.taken + bytes > this.#options.capacity - this.#taken) return false;
    this.#taken += bytes;
    owner.taken += bytes;
    return true;
  }

  #give(owner: Owner, bytes: number): void {
    this.#taken -= bytes;
    owner.taken -= bytes;
    for (const { waiting } of this.#owners.values()) {
      if (this.#options.capacity - this.#taken < STEP_BYTES) return;
      for (const place of waiting) if (!place.retry()) break;
    }
  }

  #left(owner: Owner): void {
    owner.bodies -= 1;
    if (owner.bodies === 0) this.#owners.delete(owner.key);
  }
}

interface Sum {
  readonly options: BodyMemoryBudgetOptions;
  readonly leads: FairQueue;
  readonly take: (bytes: number) => boolean;
  readonly give: (bytes: number) => void;
  readonly left: () => void;
}

/** The room of one body. */
export class Reservation {
  readonly #owner: Owner;
  readonly #taker: ReservationHolder;
  readonly #sum: Sum;
  #used = 0;
  #granted = 0;
  #lead: Turn | undefined;
  #leading = false;
  #timer: NodeJS.Timeout | undefined;
  #coming = true;
  #over = false;

  constructor(owner: Owner, taker: ReservationHolder, sum: Sum) {
    this.#owner = owner;
    this.#taker = taker;
    this.#sum = sum;
  }

  /** It is the one that goes on to its end, whatever its size. */
  get leads(): boolean {
    return this.#leading;
  }

  /** So many bytes more have come. `false` = no more of them now, `goOn` or `giveUp` follows. */
  add(bytes: number): boolean {
    this.#used += bytes;
    if (this.leads || this.#used <= this.#granted + FREE_BYTES || this.#grow()) return true;
    this.#owner.waiting.add(this);
    this.#lead = this.#sum.leads.take(this.#owner.key, this.#taker.guard, () => this.#begin());
    if (this.#leading) return true;
    this.#timer = this.#taker.guard.after(this.#sum.options.waitMs, () => this.#giveUp(NO_ROOM)).unref();
    return false;
  }

  /** It waits: is there room now? */
  retry(): boolean {
    if (!this.#grow()) return false;
    this.#stopWaiting();
    this.#endLead();
    this.#goOn();
    return true;
  }

  /** All of it has come. */
  whole(): void {
    this.#coming = false;
    this.#stopWaiting();
    const bytes = Math.max(0, this.#used - FREE_BYTES);
    // Another may lead where there is room for this one by now.
    if (!this.leads || !this.#sum.take(bytes)) return;
    this.#granted = bytes;
    this.#endLead();
  }

  /** Nothing of it is held any more. */
  leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopWaiting();
    this.#endLead();
    this.#sum.give(this.#granted);
    this.#granted = 0;
    this.#sum.left();
  }

  #endLead(): void {
    this.#leading = false;
    this.#lead?.end();
    this.#lead = undefined;
  }

  #grow(): boolean {
    if (this.#used > WIDE_BYTES) return false;
    const bytes = Math.max(STEP_BYTES, this.#used - FREE_BYTES - this.#granted);
    if (!this.#sum.take(bytes)) return false;
    this.#granted += bytes;
    return true;
  }

  /** It leads: what it has is outside of the sum from now on. */
  #begin(): void {
    this.#leading = true;
    const waited = this.#timer !== undefined;
    this.#stopWaiting();
    this.#watch();
    const granted = this.#granted;
    this.#granted = 0;
    this.#sum.give(granted);
    if (waited) this.#goOn();
  }

  /** Others that wait for the leading body do so for a time only. */
  #watch(): void {
    const { guard } = this.#taker;
    const look = (): void => (this.#sum.leads.wanted ? this.#giveUp(BODY_TIMEOUT) : this.#watch());
    this.#timer = guard.after(this.#sum.options.leadMs, look).unref();
  }

  #stopWaiting(): void {
    this.#owner.waiting.delete(this);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** INVARIANT: in a turn of its own, never in the stack of another body or answer that has made room. */
  #goOn(): void {
    this.#taker.guard.soon(() => {
      if (!this.#over) this.#taker.goOn();
    });
  }

  #giveUp(denial: Denial): void {
    if (!this.#over && this.#coming) this.#taker.giveUp(denial);
  }
}
