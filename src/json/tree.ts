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
  /** Writes what stands around them beside them, where there is room; else into other memory. */
  readonly around: (head: Buffer, tail: Buffer) => Buffer;
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
