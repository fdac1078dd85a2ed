/** Each piece of memory is so many times the one before, up to the largest that is not `wide`. */
const GROWTH = 4;
const LEAST_BYTES = 8_192;
/** What is larger has all the memory it may need at once. */
export const WIDE_BYTES = 2_097_152;
/**
 * ... and so much at least: the C library (glibc) gives memory back at once that is larger than 32 MiB, and keeps what is not
 * from the first time on that it is given back. What is not written to costs nothing.
 */
const APART_BYTES = (32 << 20) + 4096;

/**
 * Bytes that come one after the other, in one piece of memory of their own. They are copied there, so that nothing of what
 * they came in stays. What is reserved for bytes that have not come is not resident yet.
 */
export class BodyBytes {
  readonly #most: number;
  #memory: Buffer = Buffer.alloc(0);
  #size = 0;

  /** @param most bytes that will come at most */
  constructor(most: number) {
    this.#most = most;
  }

  push(chunk: Buffer): void {
    const size = this.#size + chunk.length;
    if (size > this.#most) throw new RangeError('more bytes than were announced');
    if (size > this.#memory.length) this.#grow(size);
    this.#memory.set(chunk, this.#size);
    this.#size = size;
  }

  /** Much more will come, and there is room for it: no memory in between is worth its copy. */
  widen(): void {
    if (this.#memory.length < this.#most) this.#move(this.#most);
  }

  /** What has come, with its memory: nothing may be pushed any more. */
  take(): Buffer {
    const taken = this.#memory.subarray(0, this.#size);
    this.#memory = Buffer.alloc(0);
    return taken;
  }

  /** Gives the memory back at once. */
  free(): void {
    freeMemory(this.take());
  }

  #grow(size: number): void {
    let capacity = LEAST_BYTES;
    while (capacity < size) capacity *= GROWTH;
    this.#move(capacity <= WIDE_BYTES ? Math.min(capacity, this.#most) : this.#most);
  }

  #move(capacity: number): void {
    const grown = Buffer.allocUnsafeSlow(capacity > WIDE_BYTES ? Math.max(capacity, APART_BYTES) : capacity);
    grown.set(this.#memory.subarray(0, this.#size));
    freeMemory(this.#memory);
    this.#memory = grown;
  }
}

/**
 * Gives memory back at once: a collection may be long in coming, since what is outside of the heap hardly brings it on.
 * INVARIANT: it is nobody else's, and no thread is at work on it. Afterwards the buffer is empty.
 */
export function freeMemory({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > 0) buffer.transfer(0);
}
