/** Most remembered streams: twice as many as a client can have open. */
const ENDED_KEPT = 2048;

/** Streams that the gateway reset before the client ended them: their frames may have crossed the reset. */
export class EndedStreams {
  /** Made for the first one: most connections have none. */
  #ids: Set<number> | undefined;

  /** Ignores late frames of this stream, up to its end. */
  add(streamId: number): void {
    this.#ids ??= new Set();
    const ids = this.#ids.add(streamId);
    if (ids.size <= ENDED_KEPT) return;
    for (const oldest of ids) {
      ids.delete(oldest);
      return;
    }
  }

  /** The client has ended the stream. */
  delete(streamId: number): void {
    this.#ids?.delete(streamId);
  }

  has(streamId: number): boolean {
    return this.#ids?.has(streamId) ?? false;
  }
}
