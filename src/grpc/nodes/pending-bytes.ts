/** Capacity of a new piece, in bytes: at least this, and then as much as there is already, up to a frame. */
const LEAST_ROOM = 1024;
const MOST_ROOM = 16_384;

/**
 * Bytes of one message in their order, without frame headers and padding. They are copied, since a view would keep a whole
 * receive buffer; small ones are merged, so that memory stays within a small multiple of the bytes.
 */
export class PendingBytes {
  #pieces: Buffer[] = [];
  /** The last piece with its spare capacity, and the bytes of it in use. */
  #room: Buffer | undefined;
  #used = 0;
  bytes = 0;

  add(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const room = this.#room;
    if (room && this.#used + bytes.length <= room.length && this.#pieces.length > 0) {
      const last = this.#pieces.length - 1;
      bytes.copy(room, this.#used);
      const begin = this.#used - (this.#pieces[last]?.length ?? 0);
      this.#used += bytes.length;
      this.#pieces[last] = room.subarray(begin, this.#used);
    } else {
      const own = Buffer.allocUnsafe(Math.max(bytes.length, LEAST_ROOM, Math.min(this.bytes, MOST_ROOM)));
      bytes.copy(own);
      this.#room = own;
      this.#used = bytes.length;
      this.#pieces.push(own.subarray(0, bytes.length));
    }
    this.bytes += bytes.length;
  }

  /** Removes bytes from the front: at least one if there is any, at most `most` (1 and more). */
  take(most: number): Buffer {
    const [first] = this.#pieces;
    if (!first) return NONE;
    const part = first.length <= most ? first : first.subarray(0, most);
    if (part === first) this.#pieces.shift();
    else this.#pieces[0] = first.subarray(most);
    this.bytes -= part.length;
    return part;
  }

  /** Replaces all bytes by a copy of those of `other`. */
  copyFrom(other: PendingBytes): void {
    this.clear();
    for (const piece of other.#pieces) this.add(piece);
  }

  /** Removes all bytes. Returns their number. */
  clear(): number {
    const { bytes } = this;
    this.#pieces = [];
    this.#room = undefined;
    this.bytes = 0;
    return bytes;
  }
}

const NONE = Buffer.alloc(0);
