import { shareOf } from '../../exchange/share-owner.ts';
import type { Guard } from '../../lifetime/guard.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { Sharer } from '../../limits/fair-places.ts';
import { FREE_BYTES, LEAST_PACE, type MemoryBudget, type Reservation } from '../../limits/memory-budget.ts';
import { type Denial, tooLarge } from '../../policy/denial.ts';
import type { RestExchange } from '../exchange.ts';
import { BodyBytes } from './bytes.ts';
import { BODY_TIMEOUT, CUT_OFF, NO_ROOM, noMemory } from './denials.ts';
import { HeldBody } from './held-body.ts';
import { askForBody, BodyFault, RequestBody } from './request-body.ts';

export interface ReadLimits {
  readonly maxBytes: number;
  /** Longest pause, in milliseconds; in any such time as many bytes have to come as `LEAST_PACE` asks. */
  readonly idleMs: number;
  readonly budget: MemoryBudget;
}

/**
 * Reads the whole body; ends in one call of `done`, or in none when the exchange has ended. Never holds more than `maxBytes` and one chunk; a large body
 * waits for memory, with the client's socket paused.
 */
export function readBody(exchange: RestExchange, limits: ReadLimits, done: (body: HeldBody | Denial) => void): void {
  if (exchange.life.ended) return;
  const announced = Number(exchange.request.headers['content-length'] ?? limits.maxBytes);
  if (announced > limits.maxBytes) {
    done(tooLong(limits));
    return;
  }
  askForBody(exchange);
  new BodyReader(exchange, limits, { announced, done });
}

function tooLong({ maxBytes }: ReadLimits): Denial {
  return tooLarge(`the body is larger than the ${maxBytes} bytes that are inspected`);
}

class BodyReader {
  readonly #body: RequestBody;
  readonly #bytes: BodyBytes;
  readonly #limits: ReadLimits;
  readonly #announced: number;
  readonly #sharer: Sharer;
  readonly #done: (body: HeldBody | Denial) => void;
  readonly #life: Lifetime;
  readonly #guard: Guard;
  readonly #pace: NodeJS.Timeout;
  readonly #takeBack: () => void;
  #reservation: Reservation | undefined;
  #size = 0;
  #sizeBefore = 0;
  #waited = false;

  constructor(
    exchange: RestExchange,
    limits: ReadLimits,
    { announced, done }: { readonly announced: number; readonly done: (body: HeldBody | Denial) => void },
  ) {
    this.#limits = limits;
    this.#announced = announced;
    this.#sharer = shareOf(exchange, exchange.peer);
    this.#done = done;
    this.#bytes = new BodyBytes(announced);
    this.#body = new RequestBody(exchange, limits.idleMs);
    this.#life = exchange.life;
    const guard = exchange.guard.at('body');
    this.#guard = guard;
    this.#pace = guard.every(limits.idleMs, () => this.#checkPace()).unref();
    this.#takeBack = exchange.life.onEnd(() => this.#drop());
    const failed = (error: Error): void => this.#fail(error instanceof BodyFault ? error.denial : CUT_OFF);
    this.#body
      .on(
        'data',
        guard.entry((chunk: Buffer) => this.#take(chunk)),
      )
      .once(
        'end',
        guard.entry(() => this.#whole()),
      )
      .once('error', guard.entry(failed));
  }

  #take(chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > this.#announced) {
      this.#fail(this.#size > this.#limits.maxBytes ? tooLong(this.#limits) : CUT_OFF);
      return;
    }
    // INVARIANT: a process that can get no more memory refuses this body, and goes on.
    try {
      this.#hold(chunk);
    } catch {
      this.#fail(NO_ROOM);
    }
  }

  #hold(chunk: Buffer): void {
    this.#bytes.push(chunk);
    if (this.#size <= FREE_BYTES) return;
    const more = this.#reservation ? chunk.length : this.#size;
    this.#reservation ??= this.#limits.budget.enter(this.#sharer, {
      guard: this.#guard,
      resume: () => this.#body.resume(),
      giveUp: (reason) => this.#fail(noMemory(reason)),
    });
    const goesOn = this.#reservation.add(more);
    if (this.#reservation.hasPriority) this.#bytes.widen();
    if (goesOn) return;
    this.#waited = true;
    this.#body.pause();
  }

  #whole(): void {
    this.#leave();
    this.#reservation?.whole();
    this.#done(new HeldBody(this.#bytes.take(), this.#reservation));
  }

  #fail(denial: Denial): void {
    this.#drop();
    if (!this.#life.ended) this.#done(denial);
  }

  /** Nothing more is taken, and nothing is held any more. */
  #drop(): void {
    this.#leave();
    this.#bytes.free();
    this.#reservation?.leave();
    this.#body.destroy();
  }

  #leave(): void {
    this.#takeBack();
    clearInterval(this.#pace);
    this.#body.removeAllListeners('data').removeAllListeners('end').removeAllListeners('error').on('error', ignore);
  }

  /** While it waits for memory no bytes can arrive. */
  #checkPace(): void {
    const came = this.#size - this.#sizeBefore;
    this.#sizeBefore = this.#size;
    const waited = this.#waited || this.#body.isPaused();
    this.#waited = false;
    if (!waited && came < (LEAST_PACE * this.#limits.idleMs) / 1000) this.#fail(BODY_TIMEOUT);
  }
}

function ignore(): void {}
