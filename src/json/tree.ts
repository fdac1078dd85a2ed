/**
 * A JSON text taken apart as far as its reader goes, to be changed and written again. The rest stays a range of the bytes
 * that it was read from, which the reader has checked: numbers keep every digit, and no part is read by two rules.
 */

/** A value as it stands in the source, checked by the reader. */
export interface JsonSource {
  readonly kind: 'source';
  /** From the start of the source, in bytes. */
  readonly start: number;
  readonly end: number;
}

/** A value of the writer's own: JSON text. */
export interface JsonText {
  readonly kind: 'text';
  readonly text: string;
}

/** Items of a list that have been written already. */
export interface JsonWritten {
  readonly kind: 'written';
  /** With commas between, without brackets. */
  readonly bytes: Buffer;
  readonly count: number;
}

export interface JsonList {
  readonly kind: 'list';
  readonly items: readonly JsonNode[];
  /** Behind the items. */
  readonly rest: JsonWritten | undefined;
}

export type JsonNode = JsonSource | JsonText | JsonList | JsonObject;

/** An object with each key once, in the order in which they were set. */
export class JsonObject {
  readonly kind = 'object';
  readonly keys: string[] = [];
  readonly values: JsonNode[] = [];
  /** Of many keys, by key; a few are looked through. */
  #places: Map<string, number> | undefined;

  get(key: string): JsonNode | undefined {
    const at = this.#placeOf(key);
    return at < 0 ? undefined : this.values[at];
  }

  has(key: string): boolean {
    return this.#placeOf(key) >= 0;
  }

  /** Sets a new key, or another value in the place of the old one. */
  set(key: string, value: JsonNode): void {
    const at = this.#placeOf(key);
    if (at >= 0) {
      this.values[at] = value;
      return;
    }
    this.#places?.set(key, this.keys.length);
    this.keys.push(key);
    this.values.push(value);
  }

  remove(key: string): void {
    const at = this.#placeOf(key);
    if (at < 0) return;
    this.keys.splice(at, 1);
    this.values.splice(at, 1);
    this.#places = undefined;
  }

  #placeOf(key: string): number {
    if (this.keys.length <= FEW) return this.keys.indexOf(key);
    this.#places ??= new Map(this.keys.map((known, at) => [known, at]));
    return this.#places.get(key) ?? -1;
  }
}

const FEW = 12;

/** A value of JSON text. */
export function textNode(text: string): JsonText {
  return { kind: 'text', text };
}

export function stringNode(value: string): JsonText {
  return textNode(JSON.stringify(value));
}

export function listNode(items: readonly JsonNode[], rest?: JsonWritten): JsonList {
  return { kind: 'list', items, rest };
}

export function objectNode(members: Readonly<Record<string, JsonNode>>): JsonObject {
  const node = new JsonObject();
  for (const [key, value] of Object.entries(members)) node.set(key, value);
  return node;
}

export const NULL_NODE: JsonText = Object.freeze(textNode('null'));

/** The text that is written has become longer than allowed. */
export class JsonTooLong extends RangeError {
  override readonly name = 'JsonTooLong';
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
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
  #at = 0;
  #items = 0;

  /** @param source of the ranges @param most bytes that may be written; more is a `JsonTooLong` @param expected about so many */
  constructor(source: Buffer, most: number, expected = LEAST_BYTES) {
    this.#source = source;
    this.#most = most;
    this.#out = Buffer.allocUnsafe(Math.max(LEAST_BYTES, expected));
  }

  /** Writes one item of a list. */
  item(node: JsonNode): void {
    if (this.#items > 0) this.#byte(COMMA);
    this.#items += 1;
    this.node(node);
  }

  /** The items that were written. */
  written(): JsonWritten {
    return { kind: 'written', bytes: this.bytes(), count: this.#items };
  }

  /** All that was written. */
  bytes(): Buffer {
    return this.#out.subarray(0, this.#at);
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

  #object({ keys, values }: JsonObject): void {
    this.#byte(0x7b);
    for (let at = 0; at < keys.length; at += 1) {
      if (at > 0) this.#byte(COMMA);
      this.#key(keys[at] ?? '');
      this.#byte(COLON);
      this.node(values[at] ?? NULL_NODE);
    }
    this.#byte(0x7d);
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
    this.#at += this.#out.write(text, this.#at, 'utf8');
  }
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
