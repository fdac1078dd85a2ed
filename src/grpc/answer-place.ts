import type { Guard } from '../lifetime/guard.ts';
import type { Sharer } from '../limits/fair-places.ts';
import { FREE_BYTES, type MemoryBudget, type Reservation } from '../limits/memory-budget.ts';

/** The reader of an answer. Its methods are called in turns of the event loop of their own. */
export interface AnswerSource {
  /** Of its connection: under it the calls run. */
  readonly guard: Guard;
  readonly resume: () => void;
  /** There is no room for it. */
  readonly giveUp: () => void;
}

/** The memory of one answer that is held: the first 128 KiB are free, further bytes are reserved as they come. */
export class AnswerPlace {
  readonly #memory: MemoryBudget;
  readonly #sharer: Sharer;
  readonly #overdue: () => void;
  #reservation: Reservation | undefined;
  #size = 0;
  #over = false;

  /** @param overdue others have waited too long for this answer to be taken by its client */
  constructor(memory: MemoryBudget, sharer: Sharer, overdue: () => void) {
    this.#memory = memory;
    this.#sharer = sharer;
    this.#overdue = overdue;
  }

  /** Another message is asked for: those before it are not held any more. */
  begin(): void {
    this.#reservation?.leave();
    this.#reservation = undefined;
    this.#size = 0;
  }

  /** So many bytes more have come. `false` = no more of them now, a call of `source` follows. */
  add(bytes: number, { guard, resume, giveUp }: AnswerSource): boolean {
    this.#size += bytes;
    if (this.#over || this.#size <= FREE_BYTES) return true;
    const more = this.#reservation ? bytes : this.#size;
    this.#reservation ??= this.#memory.enter(this.#sharer, { guard, resume, giveUp, overdue: this.#overdue });
    return this.#reservation.add(more);
  }

  /** All of it has come. */
  whole(): void {
    this.#reservation?.whole();
  }

  /** Nothing of it is held any more. Idempotent. */
  leave(): void {
    this.#over = true;
    this.#reservation?.leave();
  }
}
