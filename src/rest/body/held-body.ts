import { Readable } from 'node:stream';
import type { Guard } from '../../lifetime/guard.ts';
import type { Reservation } from '../../limits/memory-budget.ts';
import { freeMemory } from './bytes.ts';
import { INLINE_BYTES } from './check-pool.ts';

/** Bytes given on at a time. */
const SLICE_BYTES = 65_536;

/**
 * A whole request body as received: held to be checked, and then forwarded. A large one frees its memory and its
 * reservation as soon as it has been sent, or the exchange is over.
 *
 * INVARIANT: the bytes of a large body have one owner at any time: the body itself, the borrower, or the stream that sends
 * them. They are freed only when none of them uses them, so that freed memory is never handed out.
 */
export class HeldBody {
  readonly length: number;
  #bytes: Buffer | undefined;
  #reservation: Reservation | undefined;
  #lent = false;
  #released = false;
  #sending: Slices | undefined;

  /** @param bytes a large body must own its memory */
  constructor(bytes: Buffer, reservation?: Reservation) {
    this.length = bytes.length;
    this.#bytes = bytes;
    this.#reservation = reservation;
  }

  /** Lends the bytes to a reader, on this or another thread. `giveBack` must follow. */
  lend(): Buffer {
    const bytes = this.#held();
    this.#lent = true;
    return bytes;
  }

  /** @param bytes as they came back; `undefined` = they are lost */
  giveBack(bytes: Buffer | undefined): void {
    this.#lent = false;
    this.#bytes = bytes;
    if (this.#released) this.#free();
  }

  /**
   * The body as it goes upstream. Afterwards a large one is there no more.
   *
   * @param guard of the exchange, under which the stream is read
   */
  toUpstream(guard: Guard): Buffer | Readable {
    if (this.length <= INLINE_BYTES) return this.#held();
    const bytes = this.lend();
    this.#sending = new Slices(bytes, guard, () => {
      this.#sending = undefined;
      this.#released = true;
      this.giveBack(bytes);
    });
    return this.#sending;
  }

  /** The body that is sent in the place of this one, whose memory is freed. It takes over the reservation. */
  replacedBy(bytes: Buffer): HeldBody {
    const reservation = this.#reservation;
    this.#reservation = undefined;
    this.release();
    return new HeldBody(bytes, reservation);
  }

  /** Frees the body and ends the stream that sends it. Idempotent. */
  release(): void {
    this.#released = true;
    if (!this.#lent) this.#free();
    this.#sending?.destroy();
  }

  /** INVARIANT: a body that is not there is never taken for an empty one. */
  #held(): Buffer {
    if (!this.#bytes || this.#released || this.#lent) throw new TypeError('a request body is not there any more');
    return this.#bytes;
  }

  #free(): void {
    if (this.#bytes && this.length > INLINE_BYTES) freeMemory(this.#bytes);
    this.#bytes = undefined;
    this.#reservation?.leave();
    this.#reservation = undefined;
  }
}

/** A stream of copied slices, so that the source can be freed with the last of them. */
class Slices extends Readable {
  #bytes: Buffer | undefined;
  readonly #guard: Guard;
  readonly #sent: () => void;
  #at = 0;

  /** @param sent called once: it reads the bytes no more */
  constructor(bytes: Buffer, guard: Guard, sent: () => void) {
    super({ highWaterMark: SLICE_BYTES });
    this.#bytes = bytes;
    this.#guard = guard;
    this.#sent = sent;
    this.on('error', ignore);
  }

  override _read(): void {
    this.#guard.run(() => this.#next());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#guard.run(() => this.#leave());
    done(error);
  }

  #next(): void {
    const bytes = this.#bytes;
    if (!bytes) return;
    const slice = Buffer.from(bytes.subarray(this.#at, this.#at + SLICE_BYTES));
    this.#at += slice.length;
    const last = this.#at === bytes.length;
    if (last) this.#leave();
    this.push(slice);
    if (last) this.push(null);
  }

  #leave(): void {
    if (!this.#bytes) return;
    this.#bytes = undefined;
    this.#sent();
  }
}

function ignore(): void {}
