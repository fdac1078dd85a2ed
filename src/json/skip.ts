import { JsonFault } from './fault.ts';
import {
  byteAt,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  DIGIT_0,
  DIGIT_9,
  LETTER_F,
  LETTER_N,
  LETTER_T,
  MINUS,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  scanLiteral,
  scanNumber,
  scanString,
  skipWhite,
  syntax,
} from './scan.ts';

/** The fault of a value nested deeper than allowed. */
export function tooDeep(offset: number): JsonFault {
  return new JsonFault('depth', 'recursion limit exceeded', offset);
}

/** The position after the colon that follows a key. */
export function scanColon(bytes: Uint8Array, position: number): number {
  const at = skipWhite(bytes, position);
  if (byteAt(bytes, at) !== COLON) throw syntax(bytes, 'expected `:`', at);
  return at + 1;
}

/** The position after the comma or `closing` that follows a member or item. */
export function scanSeparator(bytes: Uint8Array, position: number, closing: number): number {
  const at = skipWhite(bytes, position);
  const byte = byteAt(bytes, at);
  if (byte !== COMMA && byte !== closing) {
    throw syntax(bytes, closing === CLOSE_ARRAY ? 'expected `,` or `]`' : 'expected `,` or `}`', at);
  }
  return at + 1;
}

/** The position after the key and colon expected at `position`. */
function scanKey(bytes: Uint8Array, position: number, lenient: boolean): number {
  const at = skipWhite(bytes, position);
  if (byteAt(bytes, at) !== QUOTE) throw syntax(bytes, 'key must be a string', at);
  return scanColon(bytes, scanString(bytes, at, lenient));
}

/**
 * The position after the value at `start`. Iterative: nesting costs one number per level and no stack.
 *
 * @param budget most levels of the value itself
 * @param lenient as for `scanString`
 * @param flat finds the ends of arrays whose scalars are not read. Default: all are read
 */
export function skipValue(
  bytes: Uint8Array,
  start: number,
  budget: number,
  lenient: boolean,
  flat?: FlatArrays,
): number {
  const closings: number[] = []; // the bytes that close what is open, innermost last
  let at = start;
  for (;;) {
    at = skipWhite(bytes, at);
    const byte = byteAt(bytes, at);
    if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (closings.length >= budget) throw tooDeep(at);
      const closing = byte + 2; // `[` and `{` lie two before their partners
      const end = flat && byte === OPEN_ARRAY ? flat.endOf(at) : -1;
      at = end < 0 ? skipWhite(bytes, at + 1) : end;
      if (end < 0 && byteAt(bytes, at) !== closing) {
        closings.push(closing);
        if (closing === CLOSE_OBJECT) at = scanKey(bytes, at, lenient);
        continue;
      }
      if (end < 0) at += 1;
    } else {
      at = scanScalar(bytes, at, byte, lenient);
    }
    let closing = closings.at(-1);
    while (closing !== undefined) {
      at = scanSeparator(bytes, at, closing);
      if (byteAt(bytes, at - 1) === COMMA) break;
      closings.pop();
      closing = closings.at(-1);
    }
    if (closing === undefined) return at;
    if (closing === CLOSE_OBJECT) at = scanKey(bytes, at, lenient);
  }
}

/** Shorter arrays are faster to read. */
const LEAST_FLAT_BYTES = 128;
/** The bytes that end an array, or are not in one of scalars; the first is its end. */
const STRUCTURE = [CLOSE_ARRAY, QUOTE, OPEN_ARRAY, OPEN_OBJECT, CLOSE_OBJECT];

/**
 * Finds the ends of long arrays of scalars in one text. The next place of each structural byte is remembered, so that the text is
 * searched once for each, however many arrays there are.
 */
export class FlatArrays {
  readonly #bytes: Buffer;
  /** By the index in `STRUCTURE`: its first place from a position on. */
  readonly #from = STRUCTURE.map(() => 0);
  readonly #place = STRUCTURE.map(() => -1);

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /**
   * The position after the array at `start`, if it is long, and has neither strings nor arrays nor objects in it; else -1. Its
   * scalars are not read: to every strict reader it ends here, or is no JSON.
   */
  endOf(start: number): number {
    const end = this.#next(0, start + 1);
    if (end - start < LEAST_FLAT_BYTES || end === this.#bytes.length) return -1;
    for (let index = 1; index < STRUCTURE.length; index += 1) if (this.#next(index, start + 1) < end) return -1;
    return end + 1;
  }

  /** The first place of a byte from `from` on; the length of the text = there is none. */
  #next(index: number, from: number): number {
    const known = this.#place[index] as number;
    if ((this.#from[index] as number) <= from && from <= known) return known;
    const found = this.#bytes.indexOf(STRUCTURE[index] as number, from);
    const place = found < 0 ? this.#bytes.length : found;
    this.#from[index] = from;
    this.#place[index] = place;
    return place;
  }
}

function scanScalar(bytes: Uint8Array, at: number, byte: number, lenient: boolean): number {
  if (byte === MINUS || (byte >= DIGIT_0 && byte <= DIGIT_9)) return scanNumber(bytes, at);
  switch (byte) {
    case QUOTE:
      return scanString(bytes, at, lenient);
    case LETTER_T:
      return scanLiteral(bytes, at, 'true');
    case LETTER_F:
      return scanLiteral(bytes, at, 'false');
    case LETTER_N:
      return scanLiteral(bytes, at, 'null');
    default:
      throw syntax(bytes, 'expected value', at);
  }
}
