/** Bytes of the header of a record; its length is in the last two. RFC 8446 section 5.1. */
const HEADER_BYTES = 5;

/** Counts the records in the bytes of a TLS connection, as they come: records and chunks begin and end where they like. */
export class RecordCount {
  /** Bytes of the header so far, and the length that it gives. */
  #header = 0;
  #length = 0;
  /** Bytes of the record that are to come. */
  #left = 0;
  #records = 0;

  /** Records that have ended since it was asked last. */
  take(): number {
    const records = this.#records;
    this.#records = 0;
    return records;
  }

  /** Goes on from `from` to the end of the chunk, or of the `most`th record since `take`. Returns where that is. */
  advance(chunk: Buffer, from: number, most: number): number {
    let at = from;
    while (at < chunk.length && this.#records < most) {
      if (this.#left === 0) at = this.#readHeader(chunk, at);
      const passed = Math.min(this.#left, chunk.length - at);
      at += passed;
      this.#left -= passed;
      if (this.#left === 0 && this.#header === HEADER_BYTES) {
        this.#header = 0;
        this.#records += 1;
      }
    }
    return at;
  }

  #readHeader(chunk: Buffer, from: number): number {
    let at = from;
    for (; at < chunk.length && this.#header < HEADER_BYTES; at += 1) {
      this.#length = ((this.#length << 8) | (chunk[at] ?? 0)) & 0xffff;
      this.#header += 1;
    }
    if (this.#header === HEADER_BYTES) this.#left = this.#length;
    return at;
  }
}
