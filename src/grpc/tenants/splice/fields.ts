import { WireType } from '../../message/wire.ts';

/** Thrown where bytes are not those of a message whose form has been checked: a fault of ours. */
export class UncheckedForm extends Error {
  readonly code = 'ERR_UNCHECKED_FORM';
}

/** Walks over the fields of a message whose form has been checked (`FormCheck`). */
export class Fields {
  readonly bytes: Buffer;
  readonly end: number;
  /** Of the current field: its number, where it begins, and where its value is. */
  number = 0;
  begin = 0;
  /** Where the length of a field with a length begins. */
  lengthAt = 0;
  from = 0;
  to: number;

  constructor(bytes: Buffer, from: number, to: number) {
    this.bytes = bytes;
    this.end = to;
    this.to = from;
  }

  /** Moves to the next field. `false` = there is none. */
  next(): boolean {
    if (this.to >= this.end) return false;
    this.begin = this.to;
    this.from = this.begin;
    const tag = this.#varint();
    this.number = Math.floor(tag / 8);
    this.lengthAt = this.from;
    const wire = tag % 8;
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
