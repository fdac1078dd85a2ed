const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** The only bit in which `[` and `{`, `]` and `}` differ. */
const SHAPE_BIT = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** From this length on four bytes are processed at a time; below, creating the view costs more. */
const MANY_BYTES = 256;
const NO_WORDS = new Int32Array(0);

/**
 * Measures the nesting of a JSON text while its bytes stream by, in chunks of any size. It only knows strings and
 * brackets: a text that is not JSON is never measured shallower than a parser sees it up to its first fault.
 */
export class DepthMeter {
  readonly #maxDepth: number;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** @param maxDepth most levels of objects and arrays */
  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth;
  }

  /** Adds bytes. `false` = the text nests deeper than allowed, which is final. */
  push(bytes: Uint8Array): boolean {
    const { length } = bytes;
    const maxDepth = this.#maxDepth;
    // The bytes before the first aligned word, and the words after them.
    const lead = -bytes.byteOffset & 3;
    const many = length >= MANY_BYTES;
    const words = many ? new Int32Array(bytes.buffer, bytes.byteOffset + lead, (length - lead) >> 2) : NO_WORDS;
    let depth = this.#depth;
    let at = this.#inString ? this.#skipString(bytes, 0, words, lead) : 0;
    while (at < length) {
      if (many && ((at - lead) & 3) === 0) at = lead + 4 * skipPlain(words, (at - lead) >> 2);
      if (at >= length) break;
      const byte = bytes[at++] as number;
      if (byte < BACKSLASH - 1 && byte !== QUOTE) continue;
      if (byte === QUOTE) {
        this.#inString = true;
        at = this.#skipString(bytes, at, words, lead);
        continue;
      }
      const shape = byte | SHAPE_BIT;
      if (shape === OPEN) {
        depth += 1;
        if (depth > maxDepth) return false;
      } else if (shape === CLOSE && depth > 0) {
        depth -= 1;
      }
    }
    this.#depth = depth;
    return true;
  }

  /** Offset after the end of the string, or the end of the bytes. */
  #skipString(bytes: Uint8Array, start: number, words: Int32Array, lead: number): number {
    let at = start;
    const { length } = bytes;
    const many = words.length > 0;
    if (this.#escaped) {
      this.#escaped = false;
      at += 1;
    }
    while (at < length) {
      if (many && ((at - lead) & 3) === 0) at = lead + 4 * skipText(words, (at - lead) >> 2);
      if (at >= length) break;
      const byte = bytes[at++] as number;
      if (byte === QUOTE) {
        this.#inString = false;
        return at;
      }
      if (byte === BACKSLASH) {
        if (at === length) this.#escaped = true;
        at += 1;
      }
    }
    return at;
  }
}

/**
 * True = a complete JSON text nests at most `maxDepth` deep, as `DepthMeter` measures it. Most texts do not have that
 * many brackets, so these are counted first: strings and closing brackets can only make a text shallower.
 */
export function nestsWithin(bytes: Buffer, from: number, to: number, maxDepth: number): boolean {
  return hasFewOpenings(bytes, from, to, maxDepth) || new DepthMeter(maxDepth).push(bytes.subarray(from, to));
}

/** Bytes are copied to an aligned buffer, because a view on unaligned bytes costs more. */
const PIECE = 4_096;
const ALIGNED = Buffer.allocUnsafeSlow(PIECE + 4);
const WORDS = new Int32Array(ALIGNED.buffer);

/** True = at most `most` opening brackets. */
function hasFewOpenings(bytes: Buffer, from: number, to: number, most: number): boolean {
  let left = most;
  for (let at = from; at < to && left >= 0; at += PIECE) {
    const size = Math.min(PIECE, to - at);
    WORDS[size >> 2] = 0; // nothing stands behind the last byte
    bytes.copy(ALIGNED, 0, at, at + size);
    left -= countOpenings((size + 3) >> 2, left);
  }
  return left >= 0;
}

/** Counts opening brackets in the copied bytes; stops somewhere above `most`. */
function countOpenings(length: number, most: number): number {
  let count = 0;
  let at = 0;
  for (; at + 3 < length && count <= most; at += 4) {
    const first = WORDS[at] as number;
    const second = WORDS[at + 1] as number;
    const third = WORDS[at + 2] as number;
    const fourth = WORDS[at + 3] as number;
    // No digit, sign, comma or space has this bit: vectors are skipped sixteen bytes at a time.
    if (((first | second | third | fourth) & 0x40404040) === 0) continue;
    count += sumOfBytes(openingsIn(first) + openingsIn(second) + openingsIn(third) + openingsIn(fourth));
  }
  for (; at < length && count <= most; at++) count += sumOfBytes(openingsIn(WORDS[at] as number));
  return count;
}

/** A word with 1 in every byte where that of `word` has bits 0, 1, 3, 4 and 6 (in ASCII only `[` and `{`), else 0. */
function openingsIn(word: number): number {
  const pairs = word & (word >> 1);
  return pairs & (pairs >> 3) & (word >> 6) & 0x01010101;
}

function sumOfBytes(word: number): number {
  return Math.imul(word, 0x01010101) >>> 24;
}

/*
 * Four bytes are tested as one word: `(x - 0x01010101) & ~x & 0x80808080` is not 0 exactly when a byte of `x` is 0, and
 * `x` is built so that a byte is 0 where a quote, backslash or bracket is.
 */

/** Skips words without a quote or bracket; it also stops at letters that have the brackets' bits. */
function skipPlain(words: Int32Array, from: number): number {
  const { length } = words;
  let at = skipNumbers(words, from);
  // Two words at a time: numbers and distances between brackets are long.
  while (at + 1 < length) {
    const first = words[at] as number;
    const second = words[at + 1] as number;
    const inFirst = (first & 0x58585858) ^ 0x58585858;
    const inSecond = (second & 0x58585858) ^ 0x58585858;
    const quotes = first ^ 0x22222222;
    const more = second ^ 0x22222222;
    const found =
      ((inFirst - 0x01010101) & ~inFirst) |
      ((inSecond - 0x01010101) & ~inSecond) |
      ((quotes - 0x01010101) & ~quotes) |
      ((more - 0x01010101) & ~more);
    if ((found & 0x80808080) !== 0) break;
    at += 2;
  }
  while (at < length) {
    const word = words[at] as number;
    const brackets = (word & 0x58585858) ^ 0x58585858;
    const quotes = word ^ 0x22222222;
    const found = ((brackets - 0x01010101) & ~brackets) | ((quotes - 0x01010101) & ~quotes);
    if ((found & 0x80808080) !== 0) return at;
    at += 1;
  }
  return at;
}

/**
 * Skips numbers, commas and blanks, sixteen bytes at a time. Letters and brackets have bit 6. Of the bytes without it a quote
 * (0x22) has bit 1 and neither bit 3 nor bit 4; digits have bit 4, `+ , - .` and line ends bit 3, a space none of the three.
 */
function skipNumbers(words: Int32Array, from: number): number {
  const { length } = words;
  let at = from;
  for (; at + 3 < length; at += 4) {
    const first = words[at] as number;
    const second = words[at + 1] as number;
    const third = words[at + 2] as number;
    const fourth = words[at + 3] as number;
    const quotes =
      ((first << 3) & ~(first | (first << 1))) |
      ((second << 3) & ~(second | (second << 1))) |
      ((third << 3) & ~(third | (third << 1))) |
      ((fourth << 3) & ~(fourth | (fourth << 1)));
    if (((quotes & 0x10101010) | ((first | second | third | fourth) & 0x40404040)) !== 0) break;
  }
  return at;
}

/** Skips words without a quote or backslash. */
function skipText(words: Int32Array, from: number): number {
  const { length } = words;
  let at = from;
  while (at < length) {
    const word = words[at] as number;
    const quotes = word ^ 0x22222222;
    const escapes = word ^ 0x5c5c5c5c;
    const found = ((quotes - 0x01010101) & ~quotes) | ((escapes - 0x01010101) & ~escapes);
    if ((found & 0x80808080) !== 0) return at;
    at += 1;
  }
  return at;
}
