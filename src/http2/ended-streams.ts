/** Streams reset towards the client of which late frames are ignored: as many as a client can have open, twice. */
const ENDED_KEPT = 2048;

/** Streams that were reset towards the client before it ended them: frames of it may have crossed the reset. */
export class EndedStreams {
  readonly #ids = new Set<number>();

  /** Late frames of this stream are to be ignored, up to the one that ends it. */
  add(streamId: number): void {
    this.#ids.add(streamId);
    if (this.#ids.size <= ENDED_KEPT) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      return;
    }
  }

  /** The client has ended it, too. */
  delete(streamId: number): void {
    this.#ids.delete(streamId);
  }

  has(streamId: number): boolean {
    return this.#ids.has(streamId);
  }
}
