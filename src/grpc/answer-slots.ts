import { Guard } from '../lifetime/guard.ts';
import { FairPlaces, type PlaceNumbers, type Sharer } from '../limits/fair-places.ts';
import { LEAST_PACE, type MemoryBudget } from '../limits/memory-budget.ts';
import { ANSWERS_BUSY } from '../policy/denial.ts';
import { AnswerPlace } from './answer-place.ts';
import type { GrpcExchange } from './exchange.ts';
import { type Caller, longestOf } from './unary/asker.ts';

/** Answers that are requested and not yet taken: of all, of one owner, of one connection. */
const FILTERED_LISTS: PlaceNumbers = { all: 128, ofOwner: 8, ofClient: 4 };
const OF_TENANTS: PlaceNumbers = { all: 256, ofOwner: 32, ofClient: 16 };

/** Milliseconds after which the pace of answers that keep others waiting is looked at, and in which each has to be taken by so much. */
const STALL_MS = 30_000;
/** Longest wait for a slot, in milliseconds: below the time without a frame after which a call ends. */
const WAIT_MS = 60_000;

interface Held {
  readonly sharer: Sharer;
  readonly place: AnswerPlace;
  /** Bytes that its client had taken at the last look; `undefined` = the answer was not there. */
  sentBefore: number | undefined;
}

/**
 * Bounds the answers held in memory: places for all, of which an owner and each of its connections may have some, and the bytes of
 * one budget. Further ones are requested later. An answer that its client takes more slowly than `LEAST_PACE` is ended
 * while others wait for its place or its bytes.
 */
export class AnswerSlots {
  readonly #places: FairPlaces;
  readonly #memory: MemoryBudget;
  readonly #stallMs: number;
  readonly #held = new Map<GrpcExchange, Held>();
  readonly #guard = new Guard({ fail: ignore, cut: ignore }, 'grpc_upstream', ignore);
  #looks: NodeJS.Timeout | undefined;

  constructor(memory: MemoryBudget, numbers: PlaceNumbers = FILTERED_LISTS, stallMs = STALL_MS) {
    this.#memory = memory;
    this.#places = new FairPlaces(numbers);
    this.#stallMs = stallMs;
  }

  /** Calls that have a slot or wait for one. */
  get size(): number {
    return this.#places.size;
  }

  /** Resolves with a slot, which is held until the signal of `caller` aborts. `undefined` = no slot in time. */
  wait(owner: unknown, caller: Caller): Promise<AnswerPlace | undefined> {
    const { signal, exchange } = caller;
    if (signal.aborted) return Promise.resolve(undefined);
    const sharer: Sharer = { owner, client: exchange?.steps ?? owner };
    return new Promise((resolve, reject) => {
      const guard = new Guard({ fail: reject, cut: ignore }, 'grpc_upstream', ignore);
      const place = new AnswerPlace(this.#memory, sharer, () => endUntaken(exchange));
      let late: NodeJS.Timeout | undefined;
      const leave = guard.entry((): void => {
        clearTimeout(late);
        if (exchange) this.#forget(exchange);
        slot.end();
        place.leave();
        resolve(undefined);
      });
      const slot = this.#places.take(sharer, guard, () => {
        clearTimeout(late);
        if (exchange) this.#hold(exchange, { sharer, place, sentBefore: undefined });
        resolve(place);
      });
      if (!slot.running) late = guard.after(Math.min(longestOf(caller), WAIT_MS), leave).unref();
      signal.addEventListener(
        'abort',
        guard.entry(() => leave()),
        { once: true },
      );
    });
  }

  #hold(exchange: GrpcExchange, held: Held): void {
    this.#held.set(exchange, held);
    this.#looks ??= this.#guard.every(this.#stallMs, () => this.#look()).unref();
  }

  #forget(exchange: GrpcExchange): void {
    this.#held.delete(exchange);
    if (this.#held.size > 0) return;
    clearInterval(this.#looks);
    this.#looks = undefined;
  }

  /** Ends the answers that keep others waiting and are taken too slowly. */
  #look(): void {
    const least = (LEAST_PACE * this.#stallMs) / 1000;
    for (const [exchange, held] of [...this.#held]) {
      const { sharer, sentBefore } = held;
      held.sentBefore = exchange.outgoing ? exchange.sent : undefined;
      const isSlow = exchange.outgoing && sentBefore !== undefined && exchange.sent - sentBefore < least;
      if (isSlow && (this.#places.wantedFrom(sharer) || this.#memory.wanted)) endUntaken(exchange);
    }
  }
}

/** The slots of a process for filtered lists and for tenants, which share the memory. */
export function answerSlotsOf(memory: MemoryBudget): { readonly lists: AnswerSlots; readonly tenants: AnswerSlots } {
  const known = slots.get(memory);
  if (known) return known;
  const made = { lists: new AnswerSlots(memory), tenants: new AnswerSlots(memory, OF_TENANTS) };
  slots.set(memory, made);
  return made;
}

const slots = new WeakMap<MemoryBudget, ReturnType<typeof answerSlotsOf>>();

/** Only an answer that waits for its client is ended: what is late upstream or on a thread is not the client's fault. */
function endUntaken(exchange: GrpcExchange | undefined): void {
  if (exchange?.outgoing) exchange.steps.reject(exchange, ANSWERS_BUSY);
}

function ignore(): void {}
