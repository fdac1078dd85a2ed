import type { Guard } from '../../lifetime/guard.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import { FairQueue, type Turn } from '../../limits/fair-queue.ts';
import type { Denial } from '../../policy/denial.ts';
import { freeMemory } from './bytes.ts';
import { INLINE_BYTES, MEDIUM_BYTES } from './check-pool.ts';
import { decodeBody, isDecodable } from './content-coding.ts';

/** Bodies of medium size that are there in decoded form at the same time, and large ones. */
const MEDIUM_SLOTS = 2;
const LARGE_SLOTS = 1;
const TOO_LARGE = 413;

/** A body that is to be decoded. */
export interface DecodeJob {
  /** Whose it is: owners take turns. */
  readonly owner: unknown;
  readonly body: Buffer;
  /** All values of `Content-Encoding`, in the order received. */
  readonly codings: readonly string[];
  /** Of the exchange: at its end the job is dropped, and leaves the queue. */
  readonly life: Lifetime;
  /** Of the exchange: under it goes on what was waited for. */
  readonly guard: Guard;
  /** Exactly one of these is called, once. `turn`: to be ended when what was decoded is there no more. */
  readonly done: (decoded: Buffer | Denial, turn: Turn | undefined) => void;
  /** A fault of ours. */
  readonly fail: (error: unknown) => void;
  /** The exchange has ended. */
  readonly dropped: () => void;
}

/**
 * Decodes bodies so that only few large ones are there at once, whatever they were sent as. How much comes out of a body is
 * not known before, so each is taken for a small one first, then for one of medium size, then for a large one.
 */
export class BodyDecoder {
  readonly #steps: readonly { readonly maxBytes: number; readonly queue?: FairQueue }[];

  /** @param maxBytes of one body, before and after decoding */
  constructor(maxBytes: number) {
    const smaller = [{ maxBytes: INLINE_BYTES }, { maxBytes: MEDIUM_BYTES, queue: new FairQueue(MEDIUM_SLOTS) }];
    this.#steps = [
      ...smaller.filter((step) => step.maxBytes < maxBytes),
      { maxBytes, queue: new FairQueue(LARGE_SLOTS) },
    ];
  }

  /** Slots in use plus bodies that wait for one. */
  get size(): number {
    return this.#steps.reduce((size, { queue }) => size + (queue?.size ?? 0), 0);
  }

  decode(job: DecodeJob): void {
    if (job.life.ended) {
      job.dropped();
      return;
    }
    const last = this.#steps.length - 1;
    const fits = this.#steps.findIndex(({ maxBytes }) => job.body.length <= maxBytes);
    const at = fits === -1 ? last : fits;
    if (isDecodable(job.codings)) this.#await(job, at);
    else this.#try(job, last, undefined);
  }

  #await(job: DecodeJob, at: number): void {
    const queue = this.#steps[at]?.queue;
    if (!queue) {
      this.#try(job, at, undefined);
      return;
    }
    let takeBack = (): void => undefined;
    const place = queue.take(job.owner, job.guard, (turn) => {
      takeBack();
      this.#try(job, at, turn);
    });
    if (place.running) return;
    takeBack = job.life.onEnd(() => {
      place.end();
      job.dropped();
    });
  }

  #try(job: DecodeJob, at: number, turn: Turn | undefined): void {
    const settle = (decoded: Buffer | Denial): void => {
      if (job.life.ended) {
        if (decoded !== job.body && Buffer.isBuffer(decoded)) freeMemory(decoded);
        turn?.end();
        job.dropped();
        return;
      }
      if (Buffer.isBuffer(decoded)) {
        job.done(decoded, turn);
        return;
      }
      turn?.end();
      if (decoded.status === TOO_LARGE && at + 1 < this.#steps.length) this.#await(job, at + 1);
      else job.done(decoded, undefined);
    };
    const fail = (error: unknown): void => {
      turn?.end();
      job.fail(error);
    };
    let decoded: ReturnType<typeof decodeBody>;
    try {
      decoded = decodeBody(job.body, job.codings, this.#steps[at]?.maxBytes ?? 0);
    } catch (error) {
      fail(error);
      return;
    }
    if (decoded instanceof Promise) job.guard.settled(decoded, settle, fail);
    else settle(decoded);
  }
}
