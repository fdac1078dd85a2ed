import { Readable } from 'node:stream';
import type { Guard } from '../../lifetime/guard.ts';
import { freeMemory } from './bytes.ts';
import { INLINE_BYTES } from './check-pool.ts';
import type { Reservation } from './memory-budget.ts';

/** Bytes given on at a time. */
const SLICE_BYTES = 65_536;

/**
 * A whole request body as it came: held to be judged, and then sent on. A large one gives its memory and its room back as
 * soon as it has been sent, or the exchange is over.
 *
 * INVARIANT: one has the bytes of a large body at any time: the body itself, who has them on loan, or the stream that sends
 * them. What is freed is freed once the last of them is done, so that nobody is ever given memory that is there no more.
 */
export class HeldBody {
  readonly length: number;
  #bytes: Buffer | undefined;
  #place: Reservation | undefined;
  #lent = false;
  #released = false;
  #sending: Slices | undefined;

  /** @param bytes where there are many: in memory that is nobody else's */
  constructor(bytes: Buffer, place?: Reservation) {
    this.length = bytes.length;
    this.#bytes = bytes;
    this.#place = place;
  }

  /** Lends the bytes to whoever reads them, here or in another thread; `giveBack` follows. */
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

  /** Nobody wants it any more; what is being sent of it ends. May be called again. */
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
    this.#place?.leave();
    this.#place = undefined;
  }
}

/** Copies of one slice after the other, so that what they are of can be given back with the last. */
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
