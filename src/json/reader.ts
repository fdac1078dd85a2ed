import { KnownKeys } from './keys.ts';
import { skipNumbers } from './numbers.ts';
import {
  byteAt,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COMMA,
  DIGIT_0,
  DIGIT_9,
  decodeString,
  LETTER_F,
  LETTER_N,
  LETTER_T,
  MINUS,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  scanLiteral,
  scanNumber,
  scanPlain,
  scanString,
  skipWhite,
  syntax,
} from './scan.ts';
import { FlatArrays, scanColon, scanSeparator, skipValue, tooDeep } from './skip.ts';

/** The kind of a value, from its first byte. */
export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'true' | 'false' | 'null';

export interface JsonReaderOptions {
  /** Maximum nesting of objects and arrays. Default 64; `Infinity` = unlimited, for skipped values only. */
  readonly maxDepth?: number;
  /** True = skipped values may contain bytes that are not UTF-8, and lone surrogates. Default: false. */
  readonly lenientStrings?: boolean;
}

/** A range of the reader's bytes: `bytes.subarray(start, end)` is the text of the value. */
export interface JsonSpan {
  readonly start: number;
  readonly end: number;
}

const DEFAULT_MAX_DEPTH = 64;
/** Of the thread. */
const KEYS = new KnownKeys();

/**
 * A strict pull reader of RFC 8259 over UTF-8 bytes. It builds no objects, so that no key can collide, shadow or reach
 * a prototype, and it returns numbers as text, so that 64-bit ids are exact.
 *
 * Throws `JsonFault` for anything outside the grammar (byte order mark, comments, trailing commas, NaN, control
 * characters in strings), for strings that are not UTF-8 or have a lone surrogate, and for nesting beyond `maxDepth`. A
 * caller finishes with `end()`. The reader cannot be used after a fault, unless it goes back.
 */
export class JsonReader {
  readonly #bytes: Buffer;
  readonly #maxDepth: number;
  readonly #lenient: boolean;
  #position = 0;
  #depth = 0;
  #flat: FlatArrays | undefined;

  constructor(bytes: Uint8Array, options: JsonReaderOptions = {}) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#maxDepth = options.maxDepth ?? DEFAULT_MAX_DEPTH;
    this.#lenient = options.lenientStrings ?? false;
  }

  /** Number of bytes read. After `peek` it is the start of the next value. */
  get position(): number {
    return this.#position;
  }

  /** Number of open objects and arrays. */
  get depth(): number {
    return this.#depth;
  }

  /** Goes back to a value that was read, whatever was made of it, a fault included. @param depth at that position */
  goBack(position: number, depth: number): void {
    this.#position = position;
    this.#depth = depth;
  }

  /** The kind of the next value. Consumes white space only. */
  peek(): JsonKind {
    const at = skipWhite(this.#bytes, this.#position);
    this.#position = at;
    return kindOf(this.#bytes, at);
  }

  readString(): string {
    this.#expect('string');
    return this.#string();
  }

  /** The text of a number. */
  readNumberText(): string {
    this.#expect('number');
    const start = this.#position;
    this.#position = scanNumber(this.#bytes, start);
    return this.#bytes.toString('latin1', start, this.#position);
  }

  readBoolean(): boolean {
    const kind = this.peek();
    if (kind !== 'true' && kind !== 'false') throw syntax(this.#bytes, 'expected a boolean', this.#position);
    this.#position = scanLiteral(this.#bytes, this.#position, kind);
    return kind === 'true';
  }

  readNull(): void {
    this.#expect('null');
    this.#position = scanLiteral(this.#bytes, this.#position, 'null');
  }

  /**
   * Reads an object. Calls `onMember` for each key in order, including repeated ones; it must consume exactly one
   * value.
   */
  readObject(onMember: (key: string) => void): void {
    this.#enter('object');
    let at = skipWhite(this.#bytes, this.#position);
    if (byteAt(this.#bytes, at) === CLOSE_OBJECT) {
      this.#leave(at);
      return;
    }
    do {
      at = skipWhite(this.#bytes, at);
      if (byteAt(this.#bytes, at) !== QUOTE) throw syntax(this.#bytes, 'key must be a string', at);
      this.#position = at;
      const key = this.#string(KEYS);
      this.#position = scanColon(this.#bytes, this.#position);
      onMember(key);
      at = scanSeparator(this.#bytes, this.#position, CLOSE_OBJECT);
    } while (byteAt(this.#bytes, at - 1) === COMMA);
    this.#leave(at - 1);
  }

  /** Reads an array. Calls `onItem` with each index; it must consume exactly one value. */
  readArray(onItem: (index: number) => void): void {
    this.#enter('array');
    let at = skipWhite(this.#bytes, this.#position);
    if (byteAt(this.#bytes, at) === CLOSE_ARRAY) {
      this.#leave(at);
      return;
    }
    let index = 0;
    do {
      onItem(index);
      index += 1;
      at = scanSeparator(this.#bytes, this.#position, CLOSE_ARRAY);
      this.#position = at;
    } while (byteAt(this.#bytes, at - 1) === COMMA);
    this.#leave(at - 1);
  }

  /** Skips the next value, checking it like any other. Not recursive, for any depth. */
  skipValue(): JsonSpan {
    const start = skipWhite(this.#bytes, this.#position);
    this.#position = skipValue(this.#bytes, start, this.#maxDepth - this.#depth, this.#lenient);
    return { start, end: this.#position };
  }

  /**
   * The same for vectors, which are most of a large body. Scalars of a long array are left to the strict reader that gets the
   * bytes: here the array only ends where it ends for that reader, too.
   */
  skipVectors(): JsonSpan {
    const start = skipWhite(this.#bytes, this.#position);
    this.#flat ??= new FlatArrays(this.#bytes);
    this.#position = skipValue(this.#bytes, start, this.#maxDepth - this.#depth, this.#lenient, this.#flat);
    return { start, end: this.#position };
  }

  /**
   * The same for an array of numbers, or of such arrays, whose numbers are left to the strict reader that gets the bytes.
   * `undefined` = there is something else in it, and nothing is consumed.
   */
  skipNumbers(): JsonSpan | undefined {
    const start = skipWhite(this.#bytes, this.#position);
    const end = skipNumbers(this.#bytes, start, this.#maxDepth - this.#depth);
    if (end < 0) return undefined;
    this.#position = end;
    return { start, end };
  }

  /** Throws unless only white space is left. */
  end(): void {
    this.#position = skipWhite(this.#bytes, this.#position);
    if (this.#position < this.#bytes.length) throw syntax(this.#bytes, 'trailing characters', this.#position);
  }

  /** @param keys where the string is looked up, if it is a key */
  #string(keys?: KnownKeys): string {
    const bytes = this.#bytes;
    const start = this.#position + 1;
    const plain = scanPlain(bytes, start);
    if (byteAt(bytes, plain) === QUOTE) {
      this.#position = plain + 1;
      return keys ? keys.of(bytes, start, plain) : bytes.toString('latin1', start, plain);
    }
    this.#position = scanString(bytes, start - 1, false);
    return decodeString(bytes, start, this.#position - 1);
  }

  #expect(kind: JsonKind): void {
    if (this.peek() !== kind) throw syntax(this.#bytes, `expected a value of kind ${kind}`, this.#position);
  }

  #enter(kind: 'object' | 'array'): void {
    this.#expect(kind);
    this.#depth += 1;
    if (this.#depth > this.#maxDepth) throw tooDeep(this.#position);
    this.#position += 1;
  }

  #leave(closing: number): void {
    this.#depth -= 1;
    this.#position = closing + 1;
  }
}

function kindOf(bytes: Uint8Array, at: number): JsonKind {
  const byte = byteAt(bytes, at);
  switch (byte) {
    case OPEN_OBJECT:
      return 'object';
    case OPEN_ARRAY:
      return 'array';
    case QUOTE:
      return 'string';
    case LETTER_T:
      return 'true';
    case LETTER_F:
      return 'false';
    case LETTER_N:
      return 'null';
    default:
      if (byte === MINUS || (byte >= DIGIT_0 && byte <= DIGIT_9)) return 'number';
      throw syntax(bytes, 'expected value', at);
  }
}
