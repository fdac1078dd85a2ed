import { type JsonList, type JsonNode, type JsonObject, type JsonWritten, NULL_NODE } from './tree.ts';

/** The text that is written has become longer than allowed. */
export class JsonTooLong extends RangeError {
  override readonly name = 'JsonTooLong';
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const LEAST_BYTES = 512;
/** Below this length a loop writes faster than a call into the runtime. */
const SHORT = 48;
/** Most bytes of a UTF-16 unit in UTF-8. */
const UNIT_BYTES = 3;

/**
 * Writes values. Its memory grows with what is written, and with nothing else.
 *
 * Recursive: the reader bounds the depth of values.
 */
export class JsonWriter {
  readonly #source: Buffer;
  readonly #most: number;
  #out: Buffer;
  readonly #start: number;
  #at: number;
  #items = 0;

  /**
   * @param source of the ranges
   * @param most bytes that may be written; more is a `JsonTooLong`
   * @param expected about so many will be
   * @param headroom bytes that are left free in front, see `around`
   */
  constructor(source: Buffer, most: number, expected = LEAST_BYTES, headroom = 0) {
    this.#source = source;
    this.#most = most;
    this.#out = Buffer.allocUnsafe(headroom + Math.max(LEAST_BYTES, expected));
    this.#start = headroom;
    this.#at = headroom;
  }

  /** Writes one item of a list. */
  item(node: JsonNode): void {
    if (this.#items > 0) this.#byte(COMMA);
    this.#items += 1;
    this.node(node);
  }

  /** Begins an item of a list that is an object, whose members follow one by one. */
  openItem(): void {
    if (this.#items > 0) this.#byte(COMMA);
    this.#items += 1;
    this.#byte(OPEN_OBJECT);
  }

  /** Begins an object in the place of a value. */
  open(): void {
    this.#byte(OPEN_OBJECT);
  }

  /** Writes the key of a member. @param isFirst of its object */
  key(key: string, isFirst: boolean): void {
    if (!isFirst) this.#byte(COMMA);
    this.#key(key);
    this.#byte(COLON);
  }

  /** Writes a range of the source. */
  range(start: number, end: number): void {
    this.#copy(this.#source, start, end);
  }

  /** Writes JSON text. */
  text(text: string): void {
    this.#text(text);
  }

  /** Ends an object. */
  close(): void {
    this.#byte(CLOSE_OBJECT);
  }

  /** The state to go back to. */
  get size(): number {
    return this.#at;
  }

  /** Forgets the item that was begun last. @param size before it */
  dropItem(size: number): void {
    this.#at = size;
    this.#items -= 1;
  }

  /** The items that were written. */
  written(): JsonWritten {
    return {
      kind: 'written',
      bytes: this.bytes(),
      count: this.#items,
      around: (head, tail) => this.#around(head, tail),
    };
  }

  /** All that was written. */
  bytes(): Buffer {
    return this.#out.subarray(this.#start, this.#at);
  }

  #around(head: Buffer, tail: Buffer): Buffer {
    const start = this.#start - head.length;
    if (start < 0) return Buffer.concat([head, this.bytes(), tail]);
    this.#copy(tail, 0, tail.length);
    this.#out.set(head, start);
    return this.#out.subarray(start, this.#at);
  }

  node(node: JsonNode): void {
    switch (node.kind) {
      case 'source':
        this.#copy(this.#source, node.start, node.end);
        return;
      case 'text':
        this.#text(node.text);
        return;
      case 'list':
        this.#list(node);
        return;
      default:
        this.#object(node);
    }
  }

  #list({ items, rest }: JsonList): void {
    this.#byte(0x5b);
    let first = true;
    for (const item of items) {
      if (!first) this.#byte(COMMA);
      first = false;
      this.node(item);
    }
    if (rest && rest.count > 0) {
      if (!first) this.#byte(COMMA);
      this.#copy(rest.bytes, 0, rest.bytes.length);
    }
    this.#byte(0x5d);
  }

  #object(node: JsonObject): void {
    this.#byte(OPEN_OBJECT);
    this.members(node, 0, node.keys.length);
    this.#byte(CLOSE_OBJECT);
  }

  /** Writes some members of an object. */
  members({ keys, values }: JsonObject, from: number, to: number): void {
    for (let at = from; at < to; at += 1) {
      if (at > from) this.#byte(COMMA);
      this.#key(keys[at] ?? '');
      this.#byte(COLON);
      this.node(values[at] ?? NULL_NODE);
    }
  }

  #room(bytes: number): void {
    const size = this.#at + bytes;
    if (size <= this.#out.length) return;
    if (size > this.#most + UNIT_BYTES * LEAST_BYTES) throw new JsonTooLong('the text has become too long');
    const grown = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#out.length));
    grown.set(this.#out.subarray(0, this.#at));
    this.#out = grown;
  }

  #byte(byte: number): void {
    if (this.#at === this.#out.length) this.#room(1);
    this.#out[this.#at] = byte;
    this.#at += 1;
  }

  #copy(from: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#room(length);
    const [out, at] = [this.#out, this.#at];
    if (length > SHORT) from.copy(out, at, start, end);
    else for (let i = 0; i < length; i += 1) out[at + i] = from[start + i] as number;
    this.#at += length;
  }

  #key(key: string): void {
    if (!isPlain(key)) {
      this.#text(JSON.stringify(key));
      return;
    }
    this.#room(key.length + 2);
    const [out, at] = [this.#out, this.#at + 1];
    out[at - 1] = QUOTE;
    for (let i = 0; i < key.length; i += 1) out[at + i] = key.charCodeAt(i);
    out[at + key.length] = QUOTE;
    this.#at += key.length + 2;
  }

  #text(text: string): void {
    this.#room(text.length * UNIT_BYTES);
    if (text.length > SHORT || !this.#short(text)) this.#at += this.#out.write(text, this.#at, 'utf8');
  }

  /** Writes ASCII. `false` = it is other text, and nothing is written. */
  #short(text: string): boolean {
    const [out, at] = [this.#out, this.#at];
    for (let i = 0; i < text.length; i += 1) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return false;
      out[at + i] = unit;
    }
    this.#at = at + text.length;
    return true;
  }
}

/** From this size on what stands around a list is written beside it. */
const LARGE_BYTES = 65_536;

/** The text of a value. Recursive as the writer. @param source of its ranges @param most bytes */
export function writeJson(node: JsonNode, source: Buffer, most: number): Buffer {
  const at = node.kind === 'object' ? node.values.findIndex(isLarge) : -1;
  const large = node.kind === 'object' ? node.values[at] : undefined;
  if (node.kind !== 'object' || large?.kind !== 'list' || !large.rest) {
    const writer = new JsonWriter(source, most, source.length + LEAST_BYTES);
    writer.node(node);
    return writer.bytes();
  }
  const [head, tail] = [new JsonWriter(source, most), new JsonWriter(source, most)];
  head.members(node, 0, at);
  tail.members(node, at + 1, node.keys.length);
  const comma = (there: boolean): string => (there ? ',' : '');
  const before = [`{`, head.bytes(), `${comma(at > 0)}${JSON.stringify(node.keys[at])}:[`];
  const behind = [`]${comma(at + 1 < node.keys.length)}`, tail.bytes(), '}'];
  const [first, last] = [before, behind].map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part))));
  return large.rest.around(first ?? EMPTY, last ?? EMPTY);
}

const EMPTY = Buffer.alloc(0);

function isLarge(node: JsonNode): boolean {
  return node.kind === 'list' && node.items.length === 0 && (node.rest?.bytes.length ?? 0) >= LARGE_BYTES;
}

/** Short, and the same bytes within quotes. */
function isPlain(key: string): boolean {
  if (key.length > SHORT) return false;
  for (let i = 0; i < key.length; i += 1) {
    const unit = key.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e || unit === QUOTE || unit === BACKSLASH) return false;
  }
  return true;
}
