import { MadeTooLong } from '../context.ts';

/** Places kept from message to message. */
const KEPT = 4096;
const FIRST = 64;

/**
 * Changes to the bytes of a message, made from the front to the back, each behind the one before. Used for one message after the other:
 * `clear` comes before each.
 */
export class Edits {
  #count = 0;
  #from = new Int32Array(FIRST);
  #to = new Int32Array(FIRST);
  /** Length of what is put there; of a length, its value. */
  #size = new Int32Array(FIRST);
  /** Bytes to put there; `undefined` = a length, written as a varint. */
  #put: (Buffer | undefined)[] = [];
  #growth = 0;
  #most: number;

  /** @param most bytes of the changed message; more is a `MadeTooLong` before they are made */
  constructor(most: number) {
    this.#most = most;
  }

  /** Forgets all changes. @param most bytes of the next message */
  clear(most = 0): void {
    this.#count = 0;
    this.#growth = 0;
    this.#most = most;
    if (this.#from.length <= KEPT) return;
    this.#from = new Int32Array(FIRST);
    this.#to = new Int32Array(FIRST);
    this.#size = new Int32Array(FIRST);
    this.#put = [];
  }

  /** Bytes by which the message has grown so far. */
  get growth(): number {
    return this.#growth;
  }

  /** Puts bytes in the place of `[from, to)`. */
  replace(from: number, to: number, bytes: Buffer): void {
    this.#add(from, to, bytes.length, bytes);
    this.#growth += bytes.length - (to - from);
    // All of the client's message may still go, but nothing that was put.
    if (this.#growth > this.#most) throw new MadeTooLong();
  }

  /** Begins a message within, whose length stands at `[from, to)`. Returns its place for `close`. */
  open(from: number, to: number): number {
    this.#add(from, to, 0, undefined);
    return this.#count - 1;
  }

  /** Ends a message within. @param growth of the whole before it was opened @param length it had */
  close(place: number, growth: number, length: number): void {
    const grown = length + this.#growth - growth;
    const from = this.#from[place] ?? 0;
    const to = this.#to[place] ?? 0;
    this.#size[place] = grown;
    this.#growth += varintBytes(grown) - (to - from);
  }

  /** The changed message, in memory of its own. @param room bytes that are left free in front of it */
  applied(source: Buffer, room = 0): Buffer {
    if (source.length + this.#growth > this.#most) throw new MadeTooLong();
    const target = Buffer.allocUnsafe(room + source.length + this.#growth);
    for (let free = 0; free < room; free++) target[free] = 0;
    let read = 0;
    let at = room;
    for (let index = 0; index < this.#count; index++) {
      const put = this.#put[index];
      at = copied(source, target, at, read, this.#from[index] as number);
      if (put === undefined) at = writeVarint(target, at, this.#size[index] as number);
      else at = copied(put, target, at, 0, put.length);
      read = this.#to[index] as number;
    }
    at = copied(source, target, at, read, source.length);
    if (at !== target.length) throw new RangeError('the changes do not fit the message');
    return target;
  }

  #add(from: number, to: number, size: number, put: Buffer | undefined): void {
    const index = this.#count;
    if (index === this.#from.length) this.#widen();
    this.#from[index] = from;
    this.#to[index] = to;
    this.#size[index] = size;
    this.#put[index] = put;
    this.#count = index + 1;
  }

  #widen(): void {
    this.#from = widened(this.#from);
    this.#to = widened(this.#to);
    this.#size = widened(this.#size);
  }
}

function widened(numbers: Int32Array): Int32Array<ArrayBuffer> {
  const wider = new Int32Array(2 * numbers.length);
  wider.set(numbers);
  return wider;
}

/** Below this length a loop copies faster than a call into the runtime. */
const SHORT = 48;

/** Copies `source[from, to)`. Returns the place behind it. */
function copied(source: Buffer, target: Buffer, at: number, from: number, to: number): number {
  const length = to - from;
  if (length > SHORT) return at + source.copy(target, at, from, to);
  for (let i = 0; i < length; i++) target[at + i] = source[from + i] as number;
  return at + length;
}

/** Bytes of a whole number below 2^32 as a varint. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/** Writes a varint. Returns the place behind it. */
export function writeVarint(target: Buffer, at: number, value: number): number {
  let left = value;
  let next = at;
  while (left >= 0x80) {
    target[next++] = (left % 0x80) | 0x80;
    left = Math.floor(left / 0x80);
  }
  target[next++] = left;
  return next;
}

/** A field that holds bytes: tag, length and content. */
export function bytesField(number: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const tag = number * 8 + 2;
  const field = Buffer.allocUnsafe(varintBytes(tag) + varintBytes(length) + length);
  let at = writeVarint(field, writeVarint(field, 0, tag), length);
  for (const part of parts) at += part.copy(field, at);
  return field;
}
