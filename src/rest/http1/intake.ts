/** Bytes of later requests that are taken from a client which does not wait for its answers. */
export const BACKLOG = 65_536;
const FIRST_CAPACITY = 4_096;

/** Bytes that came and are not used yet, in one piece. A chunk that finds it empty is kept as it is, without a copy. */
export class Intake {
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  /** `#bytes` is ours to write to. */
  #own = false;

  get length(): number {
    return this.#end - this.#start;
  }

  /** Everything, unused still. Valid until the next `push`. */
  get bytes(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** The same without a view of its own: everything stands in `source` from `start` on. */
  get source(): Buffer {
    return this.#bytes;
  }

  get start(): number {
    return this.#start;
  }

  push(chunk: Buffer): void {
    if (this.length === 0) {
      this.#bytes = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#own = false;
      return;
    }
    this.#reserve(chunk.length);
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** So many bytes will be there, with those that are: memory for them is taken at once. */
  expect(size: number): void {
    if (size > this.length) this.#reserve(size - this.length, size);
  }

  /** The first `size` bytes, which leave. They stay valid: nothing is ever written over bytes that were there. */
  take(size: number): Buffer {
    const taken = this.#bytes.subarray(this.#start, this.#start + size);
    this.drop(size);
    return taken;
  }

  drop(size: number): void {
    this.#start += size;
    if (this.#start === this.#end) this.clear();
  }

  clear(): void {
    this.#bytes = EMPTY;
    this.#start = 0;
    this.#end = 0;
    this.#own = false;
  }

  /** Doubles, so that bytes which come one by one are copied twice on average. */
  #reserve(more: number, capacity = 2 * (this.length + more)): void {
    if (this.#own && this.#end + more <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_CAPACITY, capacity));
    grown.set(this.bytes, 0);
    this.#end -= this.#start;
    this.#start = 0;
    this.#bytes = grown;
    this.#own = true;
  }
}

const EMPTY = Buffer.alloc(0);
