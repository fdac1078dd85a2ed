import { Readable } from 'node:stream';
import { freeMemory } from './body-bytes.ts';
import { INLINE_BYTES } from './body-judge.ts';
import type { BodyPlace } from './body-room.ts';

/** Bytes given on at a time. */
const SLICE_BYTES = 65_536;

/**
 * A whole request body as it came: held to be judged, and then sent on. A large one gives its memory and its room back as
 * soon as it has been sent, or the exchange is over.
 */
export class HeldBody {
  readonly length: number;
  #bytes: Buffer | undefined;
  #place: BodyPlace | undefined;
  #lent = false;
  #released = false;

  /** @param bytes where there are many: in memory that is nobody else's */
  constructor(bytes: Buffer, place?: BodyPlace) {
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

  /** The body as it goes upstream. Afterwards a large one is there no more. */
  toUpstream(): Buffer | Readable {
    const bytes = this.#held();
    return this.length > INLINE_BYTES ? new Slices(bytes, () => this.release()) : bytes;
  }

  /** Nobody wants it any more. May be called again. */
  release(): void {
    this.#released = true;
    if (!this.#lent) this.#free();
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
  readonly #bytes: Buffer;
  readonly #sent: () => void;
  #at = 0;

  constructor(bytes: Buffer, sent: () => void) {
    super({ highWaterMark: SLICE_BYTES });
    this.#bytes = bytes;
    this.#sent = sent;
  }

  override _read(): void {
    const slice = Buffer.from(this.#bytes.subarray(this.#at, this.#at + SLICE_BYTES));
    this.#at += slice.length;
    const last = slice.length > 0 && this.#at === this.#bytes.length;
    this.push(slice.length > 0 ? slice : null);
    if (!last) return;
    this.#sent();
    this.push(null);
  }
}
