const COMPACT_FROM = 1024;

/** A FIFO queue with `peek`. */
export class Queue<T> {
  #entries: T[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  push(entry: T): void {
    this.#entries.push(entry);
  }

  /** The first entries, at most `most`, without removing them. */
  peek(most: number): readonly T[] {
    return this.#entries.slice(this.#head, this.#head + most);
  }

  /** Removes the first entries. */
  drop(count: number): void {
    this.#head += Math.min(count, this.length);
    if (this.#head < COMPACT_FROM || this.#head * 2 < this.#entries.length) return;
    this.#entries.splice(0, this.#head);
    this.#head = 0;
  }
}
