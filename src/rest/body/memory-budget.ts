import type { Guard } from '../../lifetime/guard.ts';
import { FairQueue, type Turn } from '../../limits/fair-queue.ts';
import type { Denial } from '../../policy/denial.ts';
import { WIDE_BYTES } from './bytes.ts';
import { BODY_TIMEOUT, NO_ROOM } from './denials.ts';

/** Bytes of each body that are not counted: small bodies never wait. */
export const FREE_BYTES = 131_072;
/** Bytes are reserved in steps of this size. */
const STEP_BYTES = 262_144;

export interface BodyMemoryBudgetOptions {
  /** Bytes of all bodies together, without the one that has priority. */
  readonly capacity: number;
  /** Milliseconds that the body with priority may take to arrive while others wait for priority. */
  readonly priorityMs: number;
  /** Longest wait for memory, in milliseconds. */
  readonly waitMs: number;
}

/** The reader of a body. Both methods are called in a turn of the event loop of their own. */
export interface ReservationHolder {
  /** Of the exchange: under it the calls run. */
  readonly guard: Guard;
  /** Memory was reserved: read on. */
  resume(): void;
  /** No memory in time: only `leave` may follow. */
  giveUp(denial: Denial): void;
}

/** The reservations of one owner. */
interface Owner {
  readonly key: unknown;
  taken: number;
  bodies: number;
  readonly waiting: Set<Reservation>;
}

/**
 * The memory of all request bodies that are held to be checked.
 *
 * A body reserves memory as its bytes arrive, not before. One owner may hold at most as much as is still free, so a new
 * owner always finds some. A body that finds none, or is a large one, waits with its client's socket paused, until memory is
 * free or it gets priority. One body at a time has priority: it is not counted, so there is always one that can complete.
 * Owners get priority in turn. The total never exceeds the capacity, one body of the largest size, and `FREE_BYTES` each.
 */
export class BodyMemoryBudget {
  readonly #options: BodyMemoryBudgetOptions;
  readonly #owners = new Map<unknown, Owner>();
  readonly #priorityQueue = new FairQueue(1);
  #taken = 0;

  constructor(options: BodyMemoryBudgetOptions) {
    this.#options = options;
  }

  /** Bytes reserved, without the body that has priority. */
  get taken(): number {
    return this.#taken;
  }

  /** A body waits for priority. */
  get wanted(): boolean {
    return this.#priorityQueue.wanted;
  }

  /** Reservations, plus those that have or wait for priority. */
  get size(): number {
    let size = this.#priorityQueue.size;
    for (const { bodies } of this.#owners.values()) size += bodies;
    return size;
  }

  /** @param key the owner: the principal, or the client's address */
  enter(key: unknown, holder: ReservationHolder): Reservation {
    let owner = this.#owners.get(key);
    if (!owner) {
      owner = { key, taken: 0, bodies: 0, waiting: new Set() };
      this.#owners.set(key, owner);
    }
    owner.bodies += 1;
    return new Reservation(owner, holder, {
      options: this.#options,
      priorityQueue: this.#priorityQueue,
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
      for (const reservation of waiting) if (!reservation.retry()) break;
    }
  }

  #left(owner: Owner): void {
    owner.bodies -= 1;
    if (owner.bodies === 0) this.#owners.delete(owner.key);
  }
}

interface Sum {
  readonly options: BodyMemoryBudgetOptions;
  readonly priorityQueue: FairQueue;
  readonly take: (bytes: number) => boolean;
  readonly give: (bytes: number) => void;
  readonly left: () => void;
}

/** The memory reserved for one body. */
export class Reservation {
  readonly #owner: Owner;
  readonly #holder: ReservationHolder;
  readonly #sum: Sum;
  #used = 0;
  #granted = 0;
  #prioritySlot: Turn | undefined;
  #prioritized = false;
  #timer: NodeJS.Timeout | undefined;
  #coming = true;
  #over = false;

  constructor(owner: Owner, holder: ReservationHolder, sum: Sum) {
    this.#owner = owner;
    this.#holder = holder;
    this.#sum = sum;
  }

  /** This body has priority: it is read to its end without being counted. */
  get hasPriority(): boolean {
    return this.#prioritized;
  }

  /** Counts received bytes. `false` = stop reading; `resume` or `giveUp` follows. */
  add(bytes: number): boolean {
    this.#used += bytes;
    if (this.hasPriority || this.#used <= this.#granted + FREE_BYTES || this.#grow()) return true;
    this.#owner.waiting.add(this);
    this.#prioritySlot = this.#sum.priorityQueue.take(this.#owner.key, this.#holder.guard, () => this.#begin());
    if (this.#prioritized) return true;
    this.#timer = this.#holder.guard.after(this.#sum.options.waitMs, () => this.#giveUp(NO_ROOM)).unref();
    return false;
  }

  /** Reserves memory for a waiting body. `false` = still none. */
  retry(): boolean {
    if (!this.#grow()) return false;
    this.#stopWaiting();
    this.#endPriority();
    this.#resume();
    return true;
  }

  /** The body has arrived as a whole. */
  whole(): void {
    this.#coming = false;
    this.#stopWaiting();
    const bytes = Math.max(0, this.#used - FREE_BYTES);
    // Passes the priority on where the budget has room for this body by now.
    if (!this.hasPriority || !this.#sum.take(bytes)) return;
    this.#granted = bytes;
    this.#endPriority();
  }

  /** Frees the reservation. Idempotent. */
  leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopWaiting();
    this.#endPriority();
    this.#sum.give(this.#granted);
    this.#granted = 0;
    this.#sum.left();
  }

  #endPriority(): void {
    this.#prioritized = false;
    this.#prioritySlot?.end();
    this.#prioritySlot = undefined;
  }

  #grow(): boolean {
    if (this.#used > WIDE_BYTES) return false;
    const bytes = Math.max(STEP_BYTES, this.#used - FREE_BYTES - this.#granted);
    if (!this.#sum.take(bytes)) return false;
    this.#granted += bytes;
    return true;
  }

  /** Gets priority: its bytes are not counted from now on. */
  #begin(): void {
    this.#prioritized = true;
    const waited = this.#timer !== undefined;
    this.#stopWaiting();
    this.#watch();
    const granted = this.#granted;
    this.#granted = 0;
    this.#sum.give(granted);
    if (waited) this.#resume();
  }

  /** Limits the time for which others wait for the body with priority. */
  #watch(): void {
    const { guard } = this.#holder;
    const look = (): void => (this.#sum.priorityQueue.wanted ? this.#giveUp(BODY_TIMEOUT) : this.#watch());
    this.#timer = guard.after(this.#sum.options.priorityMs, look).unref();
  }

  #stopWaiting(): void {
    this.#owner.waiting.delete(this);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** INVARIANT: in a turn of its own, never in the stack of another body or answer that has freed memory. */
  #resume(): void {
    this.#holder.guard.soon(() => {
      if (!this.#over) this.#holder.resume();
    });
  }

  #giveUp(denial: Denial): void {
    if (!this.#over && this.#coming) this.#holder.giveUp(denial);
  }
}
