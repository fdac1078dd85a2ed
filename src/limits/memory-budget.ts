import type { Guard } from '../lifetime/guard.ts';
import { FairPlaces, type Sharer } from './fair-places.ts';
import type { Turn } from './fair-queue.ts';

/** Bytes of each body that are not counted: small bodies never wait. */
export const FREE_BYTES = 131_072;
/** A body that is held may neither come nor be taken more slowly, or it would be held for ever. Bytes a second. */
export const LEAST_PACE = 1024;
/** A body above this size needs priority. */
export const WIDE_BYTES = 2_097_152;
/** Bytes are reserved in steps of this size. */
const STEP_BYTES = 262_144;

export interface MemoryBudgetOptions {
  /** Bytes of all bodies together, without the one that has priority. */
  readonly capacity: number;
  /** Milliseconds that the body with priority may take to arrive, and again to be taken, while others wait for priority. */
  readonly priorityMs: number;
  /** Longest wait for memory, in milliseconds. */
  readonly waitMs: number;
}

/** Why a body gets no memory: none was free in time, or it kept others waiting for too long. */
export type NoMemory = 'full' | 'late';

/** The reader of a body. The methods are called in a turn of the event loop of their own. */
export interface ReservationHolder {
  /** Of the exchange: under it the calls run. */
  readonly guard: Guard;
  /** Memory was reserved: read on. */
  resume(): void;
  /** No memory: only `leave` may follow. Not called once the body is whole. */
  giveUp(reason: NoMemory): void;
  /** It is whole, and others have waited too long for it to be taken: only `leave` may follow. Default: they go on waiting. */
  overdue?(): void;
}

/** Bytes and bodies of an owner, or of one of its clients. */
interface Share {
  taken: number;
  bodies: number;
}

/** The reservations of one owner. */
interface Owner extends Share {
  readonly waiting: Set<Reservation>;
  /** By connection. */
  readonly clients: Map<unknown, Share>;
}

/**
 * The memory of all bodies that are held whole: of requests to be checked, or of answers to be changed.
 *
 * A body reserves memory as its bytes arrive, not before. One owner may hold at most as much as is still free, so a new
 * owner always finds some; one client of it, at most as much as is still free to the owner. A body that finds none, or is a large
 * one, waits with its source paused, until memory is free or it gets priority. One body at a time has priority: it is not
 * counted, so there is always one that can complete. Owners get priority in turn, and among the clients of one these. The total
 * never exceeds the capacity, one body of the largest size, and `FREE_BYTES` each.
 */
export class MemoryBudget {
  readonly #options: MemoryBudgetOptions;
  readonly #owners = new Map<unknown, Owner>();
  readonly #priorityQueue = new FairPlaces({ all: 1 });
  #taken = 0;

  constructor(options: MemoryBudgetOptions) {
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

  enter({ owner: key, client }: Sharer, holder: ReservationHolder): Reservation {
    const owner = this.#owners.get(key) ?? { taken: 0, bodies: 0, waiting: new Set(), clients: new Map() };
    this.#owners.set(key, owner);
    const share = owner.clients.get(client) ?? { taken: 0, bodies: 0 };
    owner.clients.set(client, share);
    owner.bodies += 1;
    share.bodies += 1;
    return new Reservation(holder, {
      options: this.#options,
      waiting: owner.waiting,
      forPriority: (go) => this.#priorityQueue.take({ owner: key, client }, holder.guard, go),
      isPriorityWanted: () => this.#priorityQueue.wanted,
      take: (bytes) => this.#take(owner, share, bytes),
      give: (bytes) => this.#give(owner, share, bytes),
      left: () => {
        owner.bodies -= 1;
        share.bodies -= 1;
        if (share.bodies === 0) owner.clients.delete(client);
        if (owner.bodies === 0) this.#owners.delete(key);
      },
    });
  }

  #take(owner: Owner, client: Share, bytes: number): boolean {
    const free = this.#options.capacity - this.#taken;
    if (owner.taken + bytes > free || client.taken + bytes > free - owner.taken) return false;
    this.#count(owner, client, bytes);
    return true;
  }

  #give(owner: Owner, client: Share, bytes: number): void {
    this.#count(owner, client, -bytes);
    for (const { waiting } of this.#owners.values()) {
      if (this.#options.capacity - this.#taken < STEP_BYTES) return;
      // One client of an owner may be at its share where another one is not.
      for (const reservation of waiting) reservation.retry();
    }
  }

  #count(owner: Owner, client: Share, bytes: number): void {
    this.#taken += bytes;
    owner.taken += bytes;
    client.taken += bytes;
  }
}

interface Sum {
  readonly options: MemoryBudgetOptions;
  /** Of its owner. */
  readonly waiting: Set<Reservation>;
  readonly forPriority: (go: () => void) => Turn;
  readonly isPriorityWanted: () => boolean;
  readonly take: (bytes: number) => boolean;
  readonly give: (bytes: number) => void;
  readonly left: () => void;
}

/** The memory reserved for one body. */
export class Reservation {
  readonly #holder: ReservationHolder;
  readonly #sum: Sum;
  #used = 0;
  #granted = 0;
  #prioritySlot: Turn | undefined;
  #prioritized = false;
  #timer: NodeJS.Timeout | undefined;
  #coming = true;
  #over = false;

  constructor(holder: ReservationHolder, sum: Sum) {
    this.#holder = holder;
    this.#sum = sum;
  }

  /** This body has priority: it is read to its end without being counted. */
  get hasPriority(): boolean {
    return this.#prioritized;
  }

  /** Counts received bytes. `false` = stop reading; `resume` or `giveUp` follows, once however often it is called until then. */
  add(bytes: number): boolean {
    this.#used += bytes;
    // These bytes were on their way when it began to wait.
    if (this.#sum.waiting.has(this)) return false;
    if (this.hasPriority || this.#used <= this.#granted + FREE_BYTES || this.#grow()) return true;
    this.#sum.waiting.add(this);
    this.#prioritySlot = this.#sum.forPriority(() => this.#begin());
    if (this.#prioritized) return true;
    this.#timer = this.#holder.guard.after(this.#sum.options.waitMs, () => this.#giveUp('full')).unref();
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
    if (!this.hasPriority) return;
    if (!this.#sum.take(bytes)) {
      if (this.#holder.overdue) this.#watch();
      return;
    }
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
    const look = (): void => {
      if (!this.#sum.isPriorityWanted()) this.#watch();
      else if (this.#coming) this.#giveUp('late');
      else if (!this.#over) {
        this.#holder.overdue?.();
        if (!this.#over) this.#watch();
      }
    };
    this.#timer = guard.after(this.#sum.options.priorityMs, look).unref();
  }

  #stopWaiting(): void {
    this.#sum.waiting.delete(this);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** INVARIANT: in a turn of its own, never in the stack of another body or answer that has freed memory. */
  #resume(): void {
    this.#holder.guard.soon(() => {
      if (!this.#over) this.#holder.resume();
    });
  }

  #giveUp(reason: NoMemory): void {
    if (!this.#over && this.#coming) this.#holder.giveUp(reason);
  }
}
