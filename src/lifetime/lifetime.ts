/**
 * The life of an exchange, a connection, a stream or a held body: open, then ended, once.
 *
 * Clean-up is registered here and nowhere else. What is registered after the end runs at once, so that no clean-up can be
 * missed because what it waits for has already happened.
 */
export class Lifetime {
  readonly #failed: (error: unknown) => void;
  #cleanUps: Set<() => void> | undefined;
  #ended = false;

  /** @param failed told of an exception in a clean-up; the other clean-ups run all the same. Must not throw */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Clean-ups that have not run. 0 after the end. */
  get pending(): number {
    return this.#cleanUps?.size ?? 0;
  }

  /**
   * Runs `cleanUp` once, at the end; at once when that has already been. Clean-ups run in the order they were registered.
   *
   * @returns takes `cleanUp` back: it does not run any more
   */
  onEnd(cleanUp: () => void): () => void {
    if (this.#ended) {
      this.#run(cleanUp);
      return () => undefined;
    }
    const own = (): void => cleanUp();
    this.#cleanUps ??= new Set();
    const cleanUps = this.#cleanUps.add(own);
    return () => {
      cleanUps.delete(own);
    };
  }

  /** Ends it. Later calls do nothing. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const cleanUps = this.#cleanUps;
    this.#cleanUps = undefined;
    if (!cleanUps) return;
    for (const cleanUp of cleanUps) {
      // One that was taken back by a clean-up before it is not in the set any more.
      cleanUps.delete(cleanUp);
      this.#run(cleanUp);
    }
  }

  #run(cleanUp: () => void): void {
    try {
      cleanUp();
    } catch (error) {
      this.#failed(error);
    }
  }
}
