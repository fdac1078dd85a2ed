import { WIDE_BYTES } from '../../limits/memory-budget.ts';

/** Growth factor of a buffer, up to `WIDE_BYTES`; a larger one gets memory for its announced maximum at once. */
const GROWTH = 4;
const LEAST_BYTES = 8_192;
/**
 * The least allocation of such a body: glibc returns blocks above 32 MiB to the system as soon as they are freed, and may
 * keep smaller ones. Pages that are never written to are not resident.
 */
const APART_BYTES = (32 << 20) + 4096;

/**
 * Collects chunks in one contiguous buffer of its own. Chunks are copied, so their source buffers can be freed. Memory
 * reserved for later bytes is not resident yet.
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

  /** Allocates the maximum at once, where much more will come, instead of growing in steps with a copy each. */
  widen(): void {
    if (this.#memory.length < this.#most) this.#move(this.#most);
  }

  /** Returns the bytes and passes on their memory. `push` must not follow. */
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
 * Frees memory at once: memory outside of the heap hardly triggers a garbage collection, so one may be late.
 * INVARIANT: no other code and no thread uses the memory. Afterwards the buffer is empty.
 */
export function freeMemory({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > 0) buffer.transfer(0);
}
