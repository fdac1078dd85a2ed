import { checkKey, malformed, shortVarint, WireType } from '../../message/wire.ts';
import type { Shape } from './shapes.ts';

/** Up to this size bytes are copied one by one: a call costs more. */
const SMALL_BYTES = 24;

/**
 * Copies a message without the fields that are hidden in it, in one pass over its bytes: nothing is decoded, and an object is made for
 * none of its parts. Throws `WireFault` if the bytes are not such a message.
 */
export class WireCopy {
  readonly #bytes: Buffer;
  readonly #copy: Buffer;
  #at = 0;
  #to = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#copy = Buffer.allocUnsafeSlow(bytes.length);
  }

  /** All that has been written. */
  get written(): Buffer {
    return this.#copy.subarray(0, this.#to);
  }

  /** Copies the bytes `[from, end)`, the content of one message. */
  content(from: number, end: number, shape: Shape): void {
    this.#at = from;
    this.#content(end, shape);
  }

  /** Copies the message whose length stands at `from` as a field with another tag of one byte. */
  field(tag: number, from: number, shape: Shape): void {
    this.#copy[this.#to++] = tag;
    this.#at = from;
    this.#within(this.#bytes.length, shape);
  }

  /** Copies a value as it is, behind another tag of one byte. */
  value(tag: number, from: number, to: number): void {
    this.#copy[this.#to++] = tag;
    this.#put(from, to);
  }

  #content(end: number, shape: Shape): void {
    const { inner, copiedTo = Number.POSITIVE_INFINITY } = shape;
    // The bytes from here to `#at` are to be copied, and not yet written.
    let from = this.#at;
    while (this.#at < end) {
      const start = this.#at;
      const key = checkKey(this.#varint(end));
      const number = key >>> 3;
      const below = inner.get(number);
      if (below === undefined) {
        this.#skip(key & 7, end);
        if (number <= copiedTo) continue;
        this.#put(from, start);
        from = this.#at;
      } else {
        if ((key & 7) !== WireType.bytes) throw malformed('wrong wire type of a known field');
        if (below.keys) {
          const value = this.#at;
          const found = this.#keyed(end, below.keys);
          if (found === 'copied') continue;
          this.#put(from, found ? value : start);
          from = this.#at;
          if (!found) continue;
          this.#at = value;
          this.#within(end, found);
        } else {
          this.#put(from, this.#at);
          this.#within(end, below);
        }
        from = this.#at;
      }
    }
    this.#put(from, end);
  }

  /** Copies a message with the length that stands at `#at`; its own length is written when it is known. */
  #within(outer: number, shape: Shape): void {
    const end = this.#length(outer);
    const width = varintBytes(end - this.#at);
    const place = this.#to;
    const begun = place + width;
    this.#to = begun;
    this.#content(end, shape);
    const length = this.#to - begun;
    const spare = width - varintBytes(length);
    if (spare > 0) {
      this.#copy.copyWithin(begun - spare, begun, this.#to);
      this.#to -= spare;
    }
    writeVarint(this.#copy, place, length);
  }

  /**
   * Reads over an entry of a map: its key, then its value, either of which may be absent.
   * Returns its new shape; `undefined` = it is hidden.
   */
  #keyed(outer: number, keys: NonNullable<Shape['keys']>): Shape | 'copied' | undefined {
    const end = this.#length(outer);
    let from = end;
    let to = end;
    if (this.#at < end && this.#bytes[this.#at] === KEY) {
      this.#at += 1;
      to = this.#length(end);
      from = this.#at;
      this.#at = to;
    }
    if (this.#at < end) {
      if (this.#bytes[this.#at] !== VALUE) throw malformed('an entry of a map has another form');
      this.#at += 1;
      this.#at = this.#length(end);
    }
    if (this.#at !== end) throw malformed('an entry of a map has another form');
    for (const { bytes, entry } of keys) {
      if (bytes.length === to - from && bytes.compare(this.#bytes, from, to) === 0) return entry;
    }
    return 'copied';
  }

  /** Reads a length and returns the end of what has it. */
  #length(outer: number): number {
    const length = this.#varint(outer);
    if (length > outer - this.#at) throw malformed('length beyond the end');
    return this.#at + length;
  }

  #skip(type: number, end: number): void {
    if (type === WireType.bytes) this.#at = this.#length(end);
    else if (type === WireType.varint) this.#varint(end);
    else if (type === WireType.fixed64 || type === WireType.fixed32) this.#at += type === WireType.fixed64 ? 8 : 4;
    else throw malformed('a group');
    if (this.#at > end) throw malformed('a value beyond the end');
  }

  /** Exact below 2^53, and never smaller than a limit it exceeds. */
  #varint(end: number): number {
    const short = shortVarint(this.#bytes, this.#at, end);
    if (short >= 0) {
      this.#at += short & 3;
      return short >>> 2;
    }
    let value = 0;
    for (let scale = 1, count = 0; count < 10 && this.#at < end; count += 1, scale *= 128) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw malformed('truncated varint');
  }

  #put(from: number, to: number): void {
    if (to - from > SMALL_BYTES) {
      this.#bytes.copy(this.#copy, this.#to, from, to);
      this.#to += to - from;
      return;
    }
    for (let at = from; at < to; at++) this.#copy[this.#to++] = this.#bytes[at] ?? 0;
  }
}

/** Tags of the fields of an entry of a map. */
const KEY = 0x0a;
const VALUE = 0x12;

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}

/** @param value below 2^31 */
function writeVarint(target: Buffer, place: number, value: number): void {
  let at = place;
  let left = value;
  for (; left >= 0x80; left >>>= 7) target[at++] = (left & 0x7f) | 0x80;
  target[at] = left;
}
