/** Bytes of the header of a record; its length is in the last two. RFC 8446 section 5.1. */
const HEADER_BYTES = 5;

/** Finds the ends of the records in the bytes of a TLS connection, as they come: records and chunks begin and end where they like. */
export class RecordEnds {
  /** Bytes of the header so far, and the length that it gives. */
  #header = 0;
  #length = 0;
  /** Bytes of the record that are to come. */
  #left = 0;

  /** No record has begun that has not ended. */
  get isBetween(): boolean {
    return this.#header === 0;
  }

  /** Goes on from `from` to the end of the record, or of the chunk if that comes first. Returns where that is. */
  next(chunk: Buffer, from: number): number {
    let at = from;
    for (; at < chunk.length && this.#header < HEADER_BYTES; at += 1) {
      this.#length = ((this.#length << 8) | (chunk[at] ?? 0)) & 0xffff;
      this.#header += 1;
      if (this.#header === HEADER_BYTES) this.#left = this.#length;
    }
    const passed = Math.min(this.#left, chunk.length - at);
    this.#left -= passed;
    if (this.#left === 0 && this.#header === HEADER_BYTES) this.#header = 0;
    return at + passed;
  }
}
