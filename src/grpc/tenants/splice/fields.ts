import { WireType } from '../../message/wire.ts';

/** Thrown where bytes are not those of a message whose form has been checked: a fault of ours. */
export class UncheckedForm extends Error {
  readonly code = 'ERR_UNCHECKED_FORM';
}

const NOTHING = Buffer.alloc(0);

/**
 * Walks over the fields of a message whose form has been checked (`FormCheck`), and over those of one message after the other: `begin`
 * comes before each.
 */
export class Fields {
  bytes: Buffer = NOTHING;
  end = 0;
  /** Of the current field: its number, where it begins, and where its value is. */
  number = 0;
  start = 0;
  /** Where the length of a field with a length begins. */
  lengthAt = 0;
  from = 0;
  to = 0;

  /** Begins at the fields in `bytes[from, to)`. */
  begin(bytes: Buffer, from: number, to: number): this {
    this.bytes = bytes;
    this.end = to;
    this.to = from;
    return this;
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.bytes = NOTHING;
  }

  /** Moves to the next field. `false` = there is none. */
  next(): boolean {
    if (this.to >= this.end) return false;
    this.start = this.to;
    this.from = this.start;
    const tag = this.#varint();
    this.number = tag >>> 3;
    this.lengthAt = this.from;
    const wire = tag & 7;
    if (wire === WireType.bytes) {
      const length = this.#varint();
      this.to = this.from + length;
    } else if (wire === WireType.varint) {
      let at = this.from;
      while ((this.bytes[at] ?? 0) >= 0x80) at += 1;
      this.to = at + 1;
    } else if (wire === WireType.fixed64) this.to = this.from + 8;
    else if (wire === WireType.fixed32) this.to = this.from + 4;
    else throw new UncheckedForm('a wire type that the form does not have');
    if (this.to > this.end) throw new UncheckedForm('a field is cut off');
    return true;
  }

  #varint(): number {
    const first = this.bytes[this.from] ?? 0;
    if (first < 0x80) {
      this.from += 1;
      return first;
    }
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 5; i++) {
      const byte = this.bytes[this.from] ?? 0;
      this.from += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new UncheckedForm('a number is too long');
  }
}
