/** Look-ups of one message that can name other collections. */
export interface Lookups {
  /** Names in all parts of `lookup_from`; `undefined` = absent. */
  lookupFrom: Set<string> | undefined;
  /** The same for `with_lookup`. */
  withLookup: Set<string> | undefined;
  /** Number of ordered names when the message began: the place of its `lookup_from`, wherever that is on the wire. */
  start: number;
}

const NOTHING: readonly string[] = [];
const EMPTY_NAME: readonly string[] = [''];

/**
 * The names of a request in upstream's checking order, without repetitions: `lookup_from` of a message, then its nested
 * messages, then its `with_lookup`. Messages are added at their end, so inner ones come first.
 */
export class CheckingOrder {
  readonly #names: string[] = [];
  readonly #placed = new Set<string>();
  #disagreeing: string | undefined;

  get names(): readonly string[] {
    return this.#names;
  }

  /** The first singular field with different names. */
  get disagreeing(): string | undefined {
    return this.#disagreeing;
  }

  add(message: Lookups): void {
    let at = message.start;
    for (const name of this.#singular(message.lookupFrom, 'lookup_from')) at = this.#place(name, at);
    for (const name of this.#singular(message.withLookup, 'with_lookup')) this.#place(name, this.#names.length);
  }

  /** A present field without a name names `""`. */
  #singular(names: Set<string> | undefined, field: string): Iterable<string> {
    if (!names) return NOTHING;
    if (names.size > 1) this.#disagreeing ??= field;
    return names.size === 0 ? EMPTY_NAME : names;
  }

  /**
   * Inserts a name at its place unless it is there before. Returns the place of the next one. Messages still open began
   * at or before `at`, so their places stay valid. The search is rare: it needs new names inside the same message.
   */
  #place(name: string, at: number): number {
    const placed = this.#placed.has(name);
    if (placed && at === this.#names.length) return at;
    if (placed) {
      const before = this.#names.indexOf(name);
      if (before < at) return at;
      this.#names.splice(before, 1);
    }
    this.#placed.add(name);
    this.#names.splice(at, 0, name);
    return at + 1;
  }
}
