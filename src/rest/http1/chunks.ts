import { SMALL_PIECE } from '../../limits/body-pieces.ts';

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
/** Hexadecimal digits of a chunk's size: far below what a number can hold exactly. */
const MAX_SIZE_DIGITS = 12;
/** Bytes of extensions and trailers, which are dropped, that one answer may have. */
const MAX_DROPPED = 65_536;

const Step = {
  size: 0,
  extension: 1,
  sizeEnd: 2,
  data: 3,
  dataCr: 4,
  dataLf: 5,
  line: 6,
  trailer: 7,
  trailerLf: 8,
  endLf: 9,
};

/**
 * Follows a chunked body (RFC 9112 section 7.1) as it streams by, in any pieces, to its end. What is to be passed on is
 * the very bytes, without chunk extensions and trailers; or the data alone.
 */
export class ChunkedBody {
  readonly #dataOnly: boolean;
  /** The last chunk and the trailers are through. */
  ended = false;
  /** Bytes of data so far, without the framing. */
  data = 0;
  /** Chunks so far, and those of them that are smaller than `SMALL_PIECE`. */
  chunks = 0;
  smallChunks = 0;
  #step = Step.size;
  #size = 0;
  #digits = 0;
  #dropped = 0;

  /** @param dataOnly pass on the data without its framing */
  constructor(dataOnly = false) {
    this.#dataOnly = dataOnly;
  }

  /**
   * Takes bytes from `from` on and adds what is to be passed on to `out`, to the end of the body or until `chunks` has
   * reached `most`. The offset behind what was taken; -1 = broken.
   */
  push(bytes: Buffer, from: number, out: Buffer[], most = Number.POSITIVE_INFINITY): number {
    let at = from;
    let keep = from;
    const { length } = bytes;
    while (at < length && !this.ended && this.chunks < most) {
      if (this.#step === Step.data) {
        at = this.#skipData(at, length);
        continue;
      }
      const before = this.#step;
      if (!this.#take(bytes[at] as number)) return -1;
      // A dropped byte ends the range before it; the next byte begins a new one.
      const dropped = isDropped(before, this.#step);
      if (dropped || this.#dataOnly) {
        if (keep < at) out.push(bytes.subarray(keep, at));
        keep = at + 1;
      }
      if (dropped) this.#dropped += 1;
      if (this.#dropped > MAX_DROPPED) return -1;
      at += 1;
    }
    if (keep < at) out.push(bytes.subarray(keep, at));
    return at;
  }

  #skipData(at: number, length: number): number {
    const taken = Math.min(this.#size, length - at);
    this.#size -= taken;
    this.data += taken;
    if (this.#size === 0) this.#step = Step.dataCr;
    return at + taken;
  }

  /** One byte of framing; `false` = broken. */
  #take(byte: number): boolean {
    switch (this.#step) {
      case Step.size:
        return this.#takeSize(byte);
      case Step.extension:
        if (byte === CR) this.#step = Step.sizeEnd;
        return byte === CR || (byte >= 0x20 && byte !== 0x7f) || byte === 0x09;
      case Step.sizeEnd:
        return this.#endSize(byte);
      case Step.dataCr:
        this.#step = Step.dataLf;
        return byte === CR;
      case Step.dataLf:
        this.#step = Step.size;
        return byte === LF;
      case Step.line:
        this.#step = byte === CR ? Step.endLf : Step.trailer;
        return byte === CR || byte > 0x20;
      case Step.trailer:
        if (byte === CR) this.#step = Step.trailerLf;
        return byte === CR || byte >= 0x20 || byte === 0x09;
      case Step.trailerLf:
        this.#step = Step.line;
        return byte === LF;
      default:
        this.ended = true;
        return byte === LF;
    }
  }

  #endSize(byte: number): boolean {
    this.#step = this.#size === 0 ? Step.line : Step.data;
    this.#digits = 0;
    this.chunks += 1;
    if (this.#size < SMALL_PIECE) this.smallChunks += 1;
    return byte === LF;
  }

  #takeSize(byte: number): boolean {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#size = this.#size * 16 + digit;
      this.#digits += 1;
      return this.#digits <= MAX_SIZE_DIGITS;
    }
    if (byte === CR) this.#step = Step.sizeEnd;
    else if (byte === SEMICOLON) this.#step = Step.extension;
    else return false;
    return this.#digits > 0;
  }
}

/** Extensions up to their CR, and trailer lines whole. */
function isDropped(before: number, after: number): boolean {
  if (after === Step.extension || after === Step.trailer || after === Step.trailerLf) return true;
  return before === Step.trailerLf;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
