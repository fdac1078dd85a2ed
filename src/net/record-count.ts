/** Bytes of the header of a record; its length is in the last two. RFC 8446 section 5.1. */
const HEADER_BYTES = 5;

/** Around the content of a record of TLS 1.3: its type and its tag (section 5.2). */
const AROUND_BYTES = 17;
/** The longest record that is taken for a small one. A KeyUpdate has 22 bytes. */
const SMALL_BYTES = 64;

/** Records that have ended. */
export interface Counted {
  readonly records: number;
  /** Those of at most 64 bytes. */
  readonly small: number;
  /** The most content that they can have, in bytes. */
  readonly room: number;
}

/** Counts the records in the bytes of a TLS connection, as they come: records and chunks begin and end where they like. */
export class RecordCount {
  /** Bytes of the header so far, and the length that it gives. */
  #header = 0;
  #length = 0;
  /** Bytes of the record that are to come. */
  #left = 0;
  #records = 0;
  #small = 0;
  #room = 0;

  /** The records that have ended since it was asked last. */
  take(): Counted {
    const counted = { records: this.#records, small: this.#small, room: this.#room };
    this.#records = 0;
    this.#small = 0;
    this.#room = 0;
    return counted;
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
        this.#room += Math.max(0, this.#length - AROUND_BYTES);
        if (this.#length <= SMALL_BYTES) this.#small += 1;
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
