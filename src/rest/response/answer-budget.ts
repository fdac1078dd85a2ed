import type { Guard } from '../../lifetime/guard.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import { FairQueue, type Turn } from '../../limits/fair-queue.ts';
import { Cost, type WorkScheduler } from '../../limits/work-scheduler.ts';
import { INLINE_ANSWER_BYTES, MEDIUM_BYTES } from '../body/check-pool.ts';
import { BodyMemoryBudget, type Reservation } from '../body/memory-budget.ts';

/** Answers that are changed on their way at once: of all, and of one owner. */
const PLACES = 32;
const PLACES_OF_OWNER = 8;
/** Bytes of them as they came from upstream, beside one that goes on to its end and the first 128 KiB of each. */
const CAPACITY = 32 << 20;
/** An answer costs one unit of a turn for so many bytes: it is parsed, changed and written anew. */
const BYTES_OF_UNIT = 64;

/** Times in milliseconds. */
export interface AnswerBudgetOptions {
  /** Of the thread. */
  readonly scheduler: WorkScheduler;
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

interface Owner {
  readonly places: FairQueue;
  count: number;
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
  readonly #all = new FairQueue(PLACES);
  readonly #owners = new Map<unknown, Owner>();
  readonly #bytes: BodyMemoryBudget;
  /** Those that go to threads hold up no small one. */
  readonly #changes = { small: new FairQueue(1), medium: new FairQueue(1), large: new FairQueue(1) };
  #held = 0;
  #size = 0;

  constructor(options: AnswerBudgetOptions) {
    this.#options = options;
    this.#bytes = new BodyMemoryBudget({
      capacity: CAPACITY,
      priorityMs: options.stallMs,
      waitMs: 2 * options.stallMs,
    });
  }

  /** Exchanges that have a place. */
  get held(): number {
    return this.#held;
  }

  /** Those that have a place, and those that wait for one. */
  get size(): number {
    return this.#size;
  }

  /** Bytes that are held, without the first 128 KiB of each and without the answer that goes on to its end. */
  get bytes(): number {
    return this.#bytes.taken;
  }

  /**
   * @param key whose answer it is
   * @param go there is a place, now or later; not called once the exchange has ended
   * @param refuse there was none in time
   */
  take(key: unknown, { guard, life }: Answering, go: (place: AnswerReservation) => void, refuse: () => void): void {
    const owner = this.#owners.get(key) ?? { places: new FairQueue(PLACES_OF_OWNER), count: 0 };
    this.#owners.set(key, owner);
    owner.count += 1;
    this.#size += 1;
    const place = new AnswerReservation(key, guard, {
      ...this.#options,
      bytes: this.#bytes,
      changes: this.#changes,
      wanted: () => owner.places.wanted || this.#all.wanted || this.#bytes.wanted,
      left: () => this.#left(key, owner, place),
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
      place.has = true;
      this.#held += 1;
      go(place);
    };
    // Those of one owner wait among themselves first, so that they never fill what all wait for.
    if (!place.over) place.keep(owner.places.take(key, guard, () => place.keep(this.#all.take(key, guard, begin))));
  }

  #left(key: unknown, owner: Owner, { has }: AnswerReservation): void {
    if (has) this.#held -= 1;
    this.#size -= 1;
    owner.count -= 1;
    if (owner.count === 0) this.#owners.delete(key);
  }
}

interface Shared extends AnswerBudgetOptions {
  readonly bytes: BodyMemoryBudget;
  readonly changes: Readonly<Record<'small' | 'medium' | 'large', FairQueue>>;
  readonly wanted: () => boolean;
  readonly left: () => void;
}

/** Upstream's answer as it comes. */
export interface AnswerSource {
  readonly resume: () => void;
  /** There is no room for it. */
  readonly giveUp: () => void;
}

/** The place of one answer. */
export class AnswerReservation {
  readonly #key: unknown;
  readonly #guard: Guard;
  readonly #shared: Shared;
  readonly #kept: Pick<Turn, 'end'>[] = [];
  #reservation: Reservation | undefined;
  #stall: NodeJS.Timeout | undefined;
  /** It is one of those that are held. */
  has = false;
  over = false;

  constructor(key: unknown, guard: Guard, shared: Shared) {
    this.#key = key;
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
    this.#reservation ??= this.#shared.bytes.enter(this.#key, {
      guard: this.#guard,
      resume: source.resume,
      giveUp: source.giveUp,
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
    this.keep(changes[sizeOf(bytes)].take(this.#key, this.#guard, begin));
  }

  /**
   * The client is to take what was written before there is more. It has time for that while nothing waits for the place.
   *
   * @param giveUp others have waited for too long
   * @returns to be called when it has
   */
  untaken(giveUp: () => void): () => void {
    const look = (): void => {
      if (!this.#shared.wanted()) {
        watch();
        return;
      }
      this.leave();
      giveUp();
    };
    const watch = (): void => {
      if (!this.over) this.#stall = this.#guard.after(this.#shared.stallMs, look).unref();
    };
    watch();
    return () => clearTimeout(this.#stall);
  }

  /** Nothing of it is held any more. */
  leave(): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.#stall);
    this.#shared.left();
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
