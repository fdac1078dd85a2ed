import type { Guard } from '../lifetime/guard.ts';

/** A slot, or an entry in the queue for one. */
export interface Turn {
  /** The slot is held: granted and not ended. */
  readonly running: boolean;
  /** Releases the slot, or leaves the queue. Idempotent. */
  end(): void;
}

/**
 * A bounded number of slots. Waiting requests are served round robin over their owners, and first in, first out within
 * one owner.
 */
export class FairQueue {
  readonly #slots: number;
  #free: number;
  /** Waiting requests by owner; the owner to be served next comes first. */
  readonly #waiting = new Map<unknown, Set<QueueEntry>>();

  constructor(slots: number) {
    this.#slots = slots;
    this.#free = slots;
  }

  /** Slots in use plus requests that wait. */
  get size(): number {
    let size = this.#slots - this.#free;
    for (const queue of this.#waiting.values()) size += queue.size;
    return size;
  }

  /** A request waits for a slot. */
  get wanted(): boolean {
    return this.#waiting.size > 0;
  }

  /**
   * @param guard of the owner: `go` runs under it
   * @param go called with the slot: synchronously where one is free, else in a turn of the event loop of its own.
   * INVARIANT: never in the stack of the request that released the slot, which may be a parser that is not re-entrant
   */
  take(owner: unknown, guard: Guard, go: (turn: Turn) => void): Turn {
    const entry = new QueueEntry(guard, go, (left) => this.#left(owner, left));
    if (this.#free > 0) {
      this.#free -= 1;
      entry.begin();
    } else {
      const queue = this.#waiting.get(owner) ?? new Set();
      this.#waiting.set(owner, queue.add(entry));
    }
    return entry;
  }

  #left(owner: unknown, entry: QueueEntry): void {
    if (!entry.running) {
      const queue = this.#waiting.get(owner);
      queue?.delete(entry);
      if (queue?.size === 0) this.#waiting.delete(owner);
      return;
    }
    for (const [next, queue] of this.#waiting) {
      this.#waiting.delete(next);
      for (const first of queue) {
        queue.delete(first);
        if (queue.size > 0) this.#waiting.set(next, queue);
        first.beginSoon();
        return;
      }
    }
    this.#free += 1;
  }
}

class QueueEntry implements Turn {
  running = false;
  readonly #guard: Guard;
  readonly #go: (turn: Turn) => void;
  readonly #leave: (entry: QueueEntry) => void;
  #over = false;

  constructor(guard: Guard, go: (turn: Turn) => void, leave: (entry: QueueEntry) => void) {
    this.#guard = guard;
    this.#go = go;
    this.#leave = leave;
  }

  begin(): void {
    this.running = true;
    this.#guard.run(() => this.#go(this));
  }

  beginSoon(): void {
    this.running = true;
    this.#guard.soon(() => {
      if (!this.#over) this.#go(this);
    });
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#leave(this);
    this.running = false;
  }
}
