/** Changes to the bytes of a message, made from the front to the back, each behind the one before. */
export class Edits {
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  /** Bytes to put there; a number is a length, written as a varint. */
  readonly #put: (Buffer | number)[] = [];
  #growth = 0;

  /** Bytes by which the message has grown so far. */
  get growth(): number {
    return this.#growth;
  }

  /** Puts bytes in the place of `[from, to)`. */
  replace(from: number, to: number, bytes: Buffer): void {
    this.#add(from, to, bytes);
    this.#growth += bytes.length - (to - from);
  }

  /** Begins a message within, whose length stands at `[from, to)`. Returns its place for `close`. */
  open(from: number, to: number): number {
    this.#add(from, to, 0);
    return this.#put.length - 1;
  }

  /** Ends a message within. @param growth of the whole before it was opened @param length it had */
  close(place: number, growth: number, length: number): void {
    const grown = length + this.#growth - growth;
    const from = this.#from[place] ?? 0;
    const to = this.#to[place] ?? 0;
    this.#put[place] = grown;
    this.#growth += varintBytes(grown) - (to - from);
  }

  /** The changed message, in memory of its own. */
  applied(source: Buffer): Buffer {
    const target = Buffer.allocUnsafe(source.length + this.#growth);
    let read = 0;
    let at = 0;
    for (let index = 0; index < this.#put.length; index++) {
      const put = this.#put[index] ?? 0;
      const from = this.#from[index] ?? 0;
      at += source.copy(target, at, read, from);
      if (typeof put === 'number') at = writeVarint(target, at, put);
      else at += put.copy(target, at);
      read = this.#to[index] ?? 0;
    }
    at += source.copy(target, at, read);
    if (at !== target.length) throw new RangeError('the changes do not fit the message');
    return target;
  }

  #add(from: number, to: number, put: Buffer | number): void {
    this.#from.push(from);
    this.#to.push(to);
    this.#put.push(put);
  }
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
