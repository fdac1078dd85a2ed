import { isUtf8 } from 'node:buffer';
import { JsonFault } from './fault.ts';

/**
 * The tokens of RFC 8259 over bytes. Each function takes a position and returns the one after the token, or throws a
 * `JsonFault`. The fast path does not allocate.
 */

export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const OPEN_ARRAY = 0x5b;
export const CLOSE_ARRAY = 0x5d;
export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;
export const LETTER_F = 0x66;
export const LETTER_N = 0x6e;
export const LETTER_T = 0x74;
export const MINUS = 0x2d;
export const DIGIT_0 = 0x30;
export const DIGIT_9 = 0x39;
const BACKSLASH = 0x5c;
const DOT = 0x2e;
const PLUS = 0x2b;
const LETTER_U = 0x75;
/** The result of `byteAt` after the last byte. */
const END = -1;

/** 1 for each byte that ends a string or needs a closer look. */
const SPECIAL = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte > 0x7f || byte === QUOTE || byte === BACKSLASH ? 1 : 0,
);

/** The byte at `position`; -1 after the end. */
export function byteAt(bytes: Uint8Array, position: number): number {
  return position < bytes.length ? (bytes[position] as number) : END;
}

/** The first position from `position` on without white space. */
export function skipWhite(bytes: Uint8Array, position: number): number {
  let at = position;
  while (at < bytes.length) {
    const byte = bytes[at] as number;
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) break;
    at += 1;
  }
  return at;
}

/** The position after the literal `text`, which is expected at `position`. */
export function scanLiteral(bytes: Uint8Array, position: number, text: 'true' | 'false' | 'null'): number {
  for (let index = 0; index < text.length; index += 1) {
    if (byteAt(bytes, position + index) !== text.charCodeAt(index)) {
      throw syntax(bytes, 'expected ident', position + index);
    }
  }
  return position + text.length;
}

function scanDigits(bytes: Uint8Array, position: number): number {
  let at = position;
  while (at < bytes.length) {
    const byte = bytes[at] as number;
    if (byte < DIGIT_0 || byte > DIGIT_9) break;
    at += 1;
  }
  if (at === position) throw syntax(bytes, 'invalid number', at);
  return at;
}

/** The position after the number at `position`. */
export function scanNumber(bytes: Uint8Array, position: number): number {
  let at = byteAt(bytes, position) === MINUS ? position + 1 : position;
  at = byteAt(bytes, at) === DIGIT_0 ? at + 1 : scanDigits(bytes, at);
  let byte = byteAt(bytes, at);
  if (byte === DOT) {
    at = scanDigits(bytes, at + 1);
    byte = byteAt(bytes, at);
  }
  if ((byte | 0x20) !== 0x65 || byte === END) return at;
  const sign = byteAt(bytes, at + 1);
  return scanDigits(bytes, sign === PLUS || sign === MINUS ? at + 2 : at + 1);
}

/**
 * The first position from `position` on with a quote, a backslash, a control character or a multi-byte character, or
 * the end.
 */
export function scanPlain(bytes: Uint8Array, position: number): number {
  const length = bytes.length;
  let at = position;
  while (at < length && SPECIAL[bytes[at] as number] === 0) at += 1;
  return at;
}

/**
 * The position after the string whose opening quote is at `position`.
 *
 * @param lenient accept bytes that are not UTF-8, and lone surrogates
 */
export function scanString(bytes: Uint8Array, position: number, lenient: boolean): number {
  const at = scanPlain(bytes, position + 1);
  return byteAt(bytes, at) === QUOTE ? at + 1 : scanRichString(bytes, position, at, lenient);
}

function scanRichString(bytes: Uint8Array, position: number, plainEnd: number, lenient: boolean): number {
  const length = bytes.length;
  let at = plainEnd;
  let ascii = true;
  while (at < length) {
    const byte = bytes[at] as number;
    if (SPECIAL[byte] === 0) {
      at += 1;
    } else if (byte > 0x7f) {
      ascii = false;
      at += 1;
    } else if (byte === BACKSLASH) {
      at = scanEscape(bytes, at, lenient);
    } else if (byte === QUOTE) {
      if (ascii || lenient || isUtf8(bytes.subarray(position + 1, at))) return at + 1;
      throw new JsonFault('utf8', 'invalid unicode code point', position);
    } else {
      throw syntax(bytes, 'control character found while parsing a string', at);
    }
  }
  throw syntax(bytes, 'a string is open', at);
}

function scanEscape(bytes: Uint8Array, position: number, lenient: boolean): number {
  const letter = byteAt(bytes, position + 1);
  if (letter !== LETTER_U) {
    if (simpleEscape(letter) === '') throw syntax(bytes, 'invalid escape', position + 1);
    return position + 2;
  }
  const unit = hexUnit(bytes, position + 2);
  if (lenient || unit < 0xd800 || unit > 0xdfff) return position + 6;
  const paired = byteAt(bytes, position + 6) === BACKSLASH && byteAt(bytes, position + 7) === LETTER_U;
  const low = unit <= 0xdbff && paired ? hexUnit(bytes, position + 8) : 0;
  if (low < 0xdc00 || low > 0xdfff) throw new JsonFault('surrogate', 'lone surrogate in an escape', position);
  return position + 12;
}

/** Decodes a one-letter escape; empty = no such escape. */
function simpleEscape(letter: number): string {
  switch (letter) {
    case QUOTE:
      return '"';
    case BACKSLASH:
      return '\\';
    case 0x2f:
      return '/';
    case 0x62:
      return '\b';
    case LETTER_F:
      return '\f';
    case LETTER_N:
      return '\n';
    case 0x72:
      return '\r';
    case LETTER_T:
      return '\t';
    default:
      return '';
  }
}

function hexUnit(bytes: Uint8Array, position: number): number {
  let unit = 0;
  for (let index = position; index < position + 4; index += 1) {
    const byte = byteAt(bytes, index);
    const lower = byte | 0x20;
    if (byte >= DIGIT_0 && byte <= DIGIT_9) unit = unit * 16 + byte - DIGIT_0;
    else if (lower >= 0x61 && lower <= 0x66 && byte !== END) unit = unit * 16 + lower - 0x57;
    else throw syntax(bytes, 'invalid escape', index);
  }
  return unit;
}

/**
 * The text between the quotes of a string that `scanString` has accepted without leniency.
 *
 * @param start after the opening quote
 * @param end the closing quote
 */
export function decodeString(bytes: Buffer, start: number, end: number): string {
  let text = '';
  let at = start;
  for (;;) {
    const plain = bytes.subarray(at, end).indexOf(BACKSLASH);
    if (plain < 0) return text + bytes.toString('utf8', at, end);
    const backslash = at + plain;
    text += bytes.toString('utf8', at, backslash);
    const letter = byteAt(bytes, backslash + 1);
    if (letter === LETTER_U) {
      text += String.fromCharCode(hexUnit(bytes, backslash + 2));
      at = backslash + 6;
    } else {
      text += simpleEscape(letter);
      at = backslash + 2;
    }
  }
}

/** A syntax fault, or a truncated text if the bytes end there. */
export function syntax(bytes: Uint8Array, message: string, offset: number): JsonFault {
  if (offset >= bytes.length) return new JsonFault('syntax', 'the text ends too early', bytes.length);
  return new JsonFault('syntax', message, offset);
}
