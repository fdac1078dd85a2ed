const COMPACT_FROM = 1024;

/** First in, first out, with a look at the front that takes nothing away. */
export class Queue<T> {
  #entries: T[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  push(entry: T): void {
    this.#entries.push(entry);
  }

  /** The first entries, at most so many; they stay. */
  peek(most: number): readonly T[] {
    return this.#entries.slice(this.#head, this.#head + most);
  }

  /** The first entries go. */
  drop(count: number): void {
    this.#head += Math.min(count, this.length);
    if (this.#head < COMPACT_FROM || this.#head * 2 < this.#entries.length) return;
    this.#entries.splice(0, this.#head);
    this.#head = 0;
  }
}
