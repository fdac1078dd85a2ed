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
 */
export function skipValue(bytes: Uint8Array, start: number, budget: number, lenient: boolean): number {
  const closings: number[] = []; // the bytes that close what is open, innermost last
  let at = start;
  for (;;) {
    at = skipWhite(bytes, at);
    const byte = byteAt(bytes, at);
    if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (closings.length >= budget) throw tooDeep(at);
      const closing = byte + 2; // `[` and `{` lie two before their partners
      at = skipWhite(bytes, at + 1);
      if (byteAt(bytes, at) !== closing) {
        closings.push(closing);
        if (closing === CLOSE_OBJECT) at = scanKey(bytes, at, lenient);
        continue;
      }
      at += 1;
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
