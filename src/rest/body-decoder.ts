import { FairQueue, type Turn } from '../fairness/fair-queue.ts';
import type { Denial } from '../policy/denial.ts';
import { INLINE_BYTES, MEDIUM_BYTES } from './body-judge.ts';
import { decodeBody, isDecodable } from './content-coding.ts';

/** Bodies of medium size that are there in decoded form at the same time, and large ones. */
const MEDIUM_TURNS = 2;
const LARGE_TURNS = 1;
const TOO_LARGE = 413;

/** A body that is to be decoded. */
export interface DecodeJob {
  /** Whose it is: owners take turns. */
  readonly owner: unknown;
  readonly body: Buffer;
  /** All values of `Content-Encoding`, in the order received. */
  readonly codings: readonly string[];
  /** `false` = the client has left, the job may be dropped. */
  readonly wanted: () => boolean;
  /** Called once, unless `fail` is. `turn`: to be ended when what was decoded is there no more. */
  readonly done: (decoded: Buffer | Denial | 'dropped', turn: Turn | undefined) => void;
  /** A fault of ours. */
  readonly fail: (error: unknown) => void;
}

/**
 * Decodes bodies so that only few large ones are there at once, whatever they were sent as. How much comes out of a body is
 * not known before, so each is taken for a small one first, then for one of medium size, then for a large one.
 */
export class BodyDecoder {
  readonly #steps: readonly { readonly maxBytes: number; readonly turns?: FairQueue }[];

  /** @param maxBytes of one body, before and after decoding */
  constructor(maxBytes: number) {
    const smaller = [{ maxBytes: INLINE_BYTES }, { maxBytes: MEDIUM_BYTES, turns: new FairQueue(MEDIUM_TURNS) }];
    this.#steps = [
      ...smaller.filter((step) => step.maxBytes < maxBytes),
      { maxBytes, turns: new FairQueue(LARGE_TURNS) },
    ];
  }

  decode(job: DecodeJob): void {
    const last = this.#steps.length - 1;
    const fits = this.#steps.findIndex(({ maxBytes }) => job.body.length <= maxBytes);
    const at = fits === -1 ? last : fits;
    if (isDecodable(job.codings)) this.#await(job, at);
    else this.#try(job, last, undefined);
  }

  #await(job: DecodeJob, at: number): void {
    const turns = this.#steps[at]?.turns;
    if (!turns) {
      this.#try(job, at, undefined);
      return;
    }
    // In a step of its own: by then the turn has a name.
    const turn: Turn = turns.take(job.owner, () =>
      queueMicrotask(() => {
        if (job.wanted()) {
          this.#try(job, at, turn);
          return;
        }
        turn.end();
        job.done('dropped', undefined);
      }),
    );
  }

  #try(job: DecodeJob, at: number, turn: Turn | undefined): void {
    const settle = (decoded: Buffer | Denial): void => {
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
    if (decoded instanceof Promise) decoded.then(settle, fail);
    else settle(decoded);
  }
}
