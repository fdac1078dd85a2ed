/** Chunks below this size are put together: each kept chunk costs some hundred bytes beside what it carries. */
const SMALL_BYTES = 4_096;
const PAGE_BYTES = 65_536;

/**
 * An answer that is gathered, in memory that grows with its bytes and never with the number of chunks it came in.
 */
export class AnswerBytes {
  #chunks: Buffer[] = [];
  #page: Buffer | undefined;
  #used = 0;

  push(chunk: Buffer): void {
    if (chunk.length >= SMALL_BYTES) {
      this.#closePage();
      this.#chunks.push(chunk);
      return;
    }
    if (!this.#page || this.#used + chunk.length > PAGE_BYTES) {
      this.#closePage();
      this.#page = Buffer.allocUnsafeSlow(PAGE_BYTES);
    }
    this.#page.set(chunk, this.#used);
    this.#used += chunk.length;
  }

  /** Pieces that are kept. */
  get pieces(): number {
    return this.#chunks.length + (this.#page ? 1 : 0);
  }

  /** Everything that came, in one piece of memory of its own; nothing is kept. */
  take(): Buffer {
    this.#closePage();
    const whole = Buffer.concat(this.#chunks);
    this.#chunks = [];
    return whole;
  }

  drop(): void {
    this.#chunks = [];
    this.#page = undefined;
    this.#used = 0;
  }

  #closePage(): void {
    if (this.#page && this.#used > 0) this.#chunks.push(this.#page.subarray(0, this.#used));
    this.#page = undefined;
    this.#used = 0;
  }
}
