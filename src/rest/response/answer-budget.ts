import type { Guard } from '../../lifetime/guard.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import { FairPlaces, type Sharer } from '../../limits/fair-places.ts';
import { FairQueue, type Turn } from '../../limits/fair-queue.ts';
import type { MemoryBudget, Reservation } from '../../limits/memory-budget.ts';
import { Cost, type WorkScheduler } from '../../limits/work-scheduler.ts';
import { INLINE_ANSWER_BYTES, MEDIUM_BYTES } from '../body/check-pool.ts';

/** Answers that are changed on their way at once: of all, of one owner, and of one connection. */
const PLACES = { all: 32, ofOwner: 8, ofClient: 4 };
/** An answer costs one unit of a turn for so many bytes: it is parsed, changed and written anew. */
const BYTES_OF_UNIT = 64;

/** Times in milliseconds. */
export interface AnswerBudgetOptions {
  /** Of the thread. */
  readonly scheduler: WorkScheduler;
  /** Of all answers that are held, whatever their protocol. */
  readonly memory: MemoryBudget;
  /** Time that an exchange waits for a place at most. */
  readonly waitMs: number;
  /** Time that an answer may keep others waiting while upstream sends none of it, or its client takes none. */
  readonly stallMs: number;
}

/** Whose answer it is. */
interface Answering {
  readonly guard: Guard;
  readonly life: Lifetime;
}

/**
 * All answers that are held whole to be changed: filtered lists and telemetry.
 *
 * An exchange has a place before it is sent upstream, and keeps it until its client has been handed the last of its answer. So nothing is
 * held for one that waits. Owners take turns at places, at bytes and at being changed, and each may have only some of the
 * places. Small answers are changed in turns of the event loop, others in threads (`AnswerChanger`), one at a time.
 */
export class AnswerBudget {
  readonly #options: AnswerBudgetOptions;
  readonly #places = new FairPlaces(PLACES);
  /** Those that go to threads hold up no small one. */
  readonly #changes = { small: new FairQueue(1), medium: new FairQueue(1), large: new FairQueue(1) };

  constructor(options: AnswerBudgetOptions) {
    this.#options = options;
  }

  /** Exchanges that have a place. */
  get held(): number {
    return this.#places.taken;
  }

  /** Those that have a place, and those that wait for one. */
  get size(): number {
    return this.#places.size;
  }

  /** Bytes that are held, without the first 128 KiB of each and without the answer that goes on to its end; those of gRPC count, too. */
  get bytes(): number {
    return this.#options.memory.taken;
  }

  /**
   * @param sharer whose answer it is
   * @param go there is a place, now or later; not called once the exchange has ended
   * @param refuse there was none in time
   */
  take(sharer: Sharer, { guard, life }: Answering, go: (place: AnswerReservation) => void, refuse: () => void): void {
    const places = this.#places;
    const place = new AnswerReservation(sharer, guard, {
      ...this.#options,
      changes: this.#changes,
      wanted: () => places.wantedFrom(sharer) || this.#options.memory.wanted,
    });
    life.onEnd(() => place.leave());
    const late = guard.after(this.#options.waitMs, () => {
      place.leave();
      refuse();
    });
    late.unref();
    place.keep({ end: () => clearTimeout(late) });
    const begin = (): void => {
      clearTimeout(late);
      go(place);
    };
    if (!place.over) place.keep(places.take(sharer, guard, begin));
  }
}

interface Shared extends AnswerBudgetOptions {
  readonly changes: Readonly<Record<'small' | 'medium' | 'large', FairQueue>>;
  readonly wanted: () => boolean;
}

/** Upstream's answer as it comes. */
export interface AnswerSource {
  readonly resume: () => void;
  /** There is no room for it. */
  readonly giveUp: () => void;
}

/** The place of one answer. */
export class AnswerReservation {
  readonly #sharer: Sharer;
  readonly #guard: Guard;
  readonly #shared: Shared;
  readonly #kept: Pick<Turn, 'end'>[] = [];
  #reservation: Reservation | undefined;
  #stall: NodeJS.Timeout | undefined;
  /** Ends the answer that its client takes too slowly. */
  #end: (() => void) | undefined;
  over = false;

  constructor(sharer: Sharer, guard: Guard, shared: Shared) {
    this.#sharer = sharer;
    this.#guard = guard;
    this.#shared = shared;
  }

  /** Ends with the place; at once when that has ended. */
  keep(turn: Pick<Turn, 'end'>): void {
    if (this.over) turn.end();
    else this.#kept.push(turn);
  }

  /** So many bytes more have come. `false` = no more of them now, a call of `source` follows. */
  add(bytes: number, source: AnswerSource): boolean {
    if (this.over) return true;
    this.#reservation ??= this.#shared.memory.enter(this.#sharer, {
      guard: this.#guard,
      resume: source.resume,
      giveUp: source.giveUp,
      overdue: () => this.#overdue(),
    });
    return this.#reservation.add(bytes);
  }

  /** All of it has come: `work` is done when it is its turn, unless the place has been left. The next one's is after `changed`. */
  change(bytes: number, work: (changed: () => void) => void): void {
    this.#reservation?.whole();
    const { changes, scheduler } = this.#shared;
    const run = (turn: Turn): void => {
      scheduler.spend(costOf(bytes));
      if (this.over) turn.end();
      else this.#guard.run(() => orEnd(turn, work));
    };
    const begin = (turn: Turn): void => {
      if (scheduler.crowded) scheduler.wait(this.#guard.entry(() => run(turn)));
      else run(turn);
    };
    this.keep(changes[sizeOf(bytes)].take(this.#sharer.owner, this.#guard, begin));
  }

  /**
   * The client is to take what was written before there is more. It has time for that while nothing waits for the place.
   *
   * @param giveUp others have waited for too long
   * @returns to be called when it has
   */
  untaken(giveUp: () => void): () => void {
    this.#end = giveUp;
    const look = (): void => {
      if (this.#shared.wanted()) this.#overdue();
      else watch();
    };
    const watch = (): void => {
      if (!this.over) this.#stall = this.#guard.after(this.#shared.stallMs, look).unref();
    };
    watch();
    return () => clearTimeout(this.#stall);
  }

  /** Others wait for what it holds. One that waits for its own turn to be changed is not to blame. */
  #overdue(): void {
    const end = this.#end;
    if (!end || this.over) return;
    this.leave();
    end();
  }

  /** Nothing of it is held any more. */
  leave(): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.#stall);
    this.#reservation?.leave();
    for (const turn of this.#kept.reverse()) turn.end();
  }
}

function sizeOf(bytes: number): 'small' | 'medium' | 'large' {
  if (bytes <= INLINE_ANSWER_BYTES) return 'small';
  return bytes <= MEDIUM_BYTES ? 'medium' : 'large';
}

/** Of the thread that serves: one that is changed elsewhere costs it little. */
function costOf(bytes: number): number {
  return bytes <= INLINE_ANSWER_BYTES ? Math.ceil(bytes / BYTES_OF_UNIT) : Cost.PIPELINED_REQUEST;
}

/** An exception is the end of the turn, too. */
function orEnd(turn: Turn, work: (changed: () => void) => void): void {
  try {
    work(() => turn.end());
  } catch (error) {
    turn.end();
    throw error;
  }
}
