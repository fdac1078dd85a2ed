import { isUtf8 } from 'node:buffer';
import { MAX_NESTING, WireType } from '../../message/wire.ts';
import type { FieldRow } from './table.ts';

/** Most messages within one: some hundred thousand points. Each takes time and memory beside its bytes. */
export const MAX_PARTS = 1_000_000;

/** The first place at which a message has not the form of its row. */
export interface FormFault {
  /** Names and numbers from the message down, with dots. */
  readonly place: string;
  readonly what: string;
}

/** A message type as the check reads it. */
interface Form {
  /** By number. */
  readonly fields: (FieldForm | undefined)[];
}

interface FieldForm {
  readonly name: string;
  readonly wire: number;
  readonly message: Form | undefined;
  readonly isText: boolean;
  /** True = packed numbers may come in runs of bytes, too. */
  readonly packs: boolean;
  /** Bytes of each number in a run; 0 = varints, -1 = its bytes are no run. */
  readonly run: number;
  /** Bit of a single field, common to the fields of a oneof; 0 = repeated. */
  readonly bit: number;
}

/**
 * Checks the form of messages: only fields of the table, each in its own wire type, a single one at most once. So all decoders
 * read the same from the bytes, and nothing in them is unknown.
 */
export class FormCheck {
  readonly #forms = new Map<string, Form>();
  #parts = 0;
  #bytes = NOTHING;
  #at = 0;

  constructor(table: ReadonlyMap<string, readonly FieldRow[]>) {
    for (const name of table.keys()) this.#forms.set(name, { fields: [] });
    for (const [name, rows] of table) {
      const singles = [
        ...new Set(rows.filter(({ repeated }) => !repeated).map(({ oneof, name: own }) => oneof ?? own)),
      ];
      const { fields } = this.#forms.get(name) ?? { fields: [] };
      for (const row of rows) {
        const message = row.message === undefined ? undefined : this.#forms.get(row.message);
        const bit = row.repeated ? 0 : 1 << singles.indexOf(row.oneof ?? row.name);
        while (fields.length <= row.number) fields.push(undefined);
        fields[row.number] = formOf(row, message, bit);
      }
    }
  }

  /** Messages in the one that was checked last, itself included. */
  get parts(): number {
    return this.#parts;
  }

  /** The first fault of a message; `undefined` = it has the form of its type. */
  faultOf(type: string, bytes: Buffer): FormFault | undefined {
    const form = this.#forms.get(type);
    if (!form) return { place: type, what: 'is not known' };
    this.#parts = 0;
    this.#bytes = bytes;
    this.#at = 0;
    const fault = this.#check(form, bytes.length, 0);
    this.#bytes = NOTHING;
    return fault;
  }

  /** Checks the message from `#at` to `end`. */
  #check({ fields }: Form, end: number, depth: number): FormFault | undefined {
    this.#parts += 1;
    if (this.#parts > MAX_PARTS) return { place: '', what: `has more than ${MAX_PARTS} parts` };
    let seen = 0;
    while (this.#at < end) {
      const tag = this.#varint(end);
      if (tag < 0) return { place: '', what: 'has a tag that cannot be read' };
      const number = tag >>> 3;
      const field = number < fields.length ? fields[number] : undefined;
      if (!field) return { place: String(number), what: 'is not a known field' };
      const length = this.#length(field, tag & 7, seen, end);
      if (length < 0) return { place: field.name, what: FAULTS[-length] ?? '' };
      seen |= field.bit;
      const behind = this.#at + length;
      if (field.message) {
        if (depth >= MAX_NESTING) return { place: field.name, what: 'nests too deeply' };
        const fault = this.#check(field.message, behind, depth + 1);
        if (fault) return { ...fault, place: below(field.name, fault.place) };
      } else if (field.isText && !isText(this.#bytes, this.#at, behind)) {
        return { place: field.name, what: 'is not UTF-8' };
      }
      this.#at = behind;
    }
    return undefined;
  }

  /** The bytes of the value of a field, or a `Fault`. Moves to the value. */
  #length(field: FieldForm, wire: number, seen: number, end: number): number {
    if (wire !== field.wire && !(field.packs && wire === WireType.bytes)) return Fault.wire;
    if ((seen & field.bit) !== 0) return Fault.twice;
    const length = wire === WireType.bytes ? this.#varint(end) : this.#scalar(wire, end);
    if (length < 0 || length > end - this.#at) return Fault.cut;
    const isRun = wire === WireType.bytes && field.run >= 0 && length > 0;
    return isRun && !this.#isWhole(field.run, length) ? Fault.cut : length;
  }

  /** True = a run of numbers ends with a whole one. Beyond it some decoders read what follows. */
  #isWhole(run: number, length: number): boolean {
    return run > 0 ? length % run === 0 : (this.#bytes[this.#at + length - 1] ?? 0x80) < 0x80;
  }

  /** Bytes of a value without a length; -1 = it cannot be read. */
  #scalar(wire: number, end: number): number {
    if (wire === WireType.fixed64) return 8;
    if (wire === WireType.fixed32) return 4;
    const before = this.#at;
    const most = Math.min(end, before + MAX_VARINT);
    let at = before;
    while (at < most && (this.#bytes[at] as number) >= 0x80) at += 1;
    return at < most ? at - before + 1 : -1;
  }

  /** A tag or length; -1 = longer than 32 bits, or cut off. */
  #varint(end: number): number {
    const first = this.#at < end ? (this.#bytes[this.#at] as number) : 0x80;
    if (first < 0x80) {
      this.#at += 1;
      return first;
    }
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 5 && this.#at < end; i++) {
      const byte = this.#bytes[this.#at] as number;
      this.#at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value <= 0xffff_ffff ? value : -1;
      scale *= 128;
    }
    return -1;
  }
}

/** Faults of a field, below every length. */
const Fault = { wire: -1, twice: -2, cut: -3 } as const;
const FAULTS = ['', 'has a wrong wire type', 'is given more than once', 'is cut off'];

const NOTHING: Buffer = Buffer.alloc(0);
const MAX_VARINT = 10;

/** Text up to this size is mostly ASCII, which is checked in place: a view of it costs more. */
const SHORT_TEXT = 64;

/** True = `bytes[from, to)` is UTF-8. */
function isText(bytes: Buffer, from: number, to: number): boolean {
  let at = from;
  if (to - from <= SHORT_TEXT) while (at < to && (bytes[at] as number) < 0x80) at += 1;
  return at === to || isUtf8(bytes.subarray(at, to));
}

function formOf({ name, type, repeated }: FieldRow, message: Form | undefined, bit: number): FieldForm {
  const wire = WIRE[type] ?? WireType.bytes;
  const packs = repeated && wire !== WireType.bytes;
  return { name, message, bit, wire, isText: type === 'string', packs, run: packs ? (RUN[wire] ?? -1) : runOf(type) };
}

const RUN: Readonly<Record<number, number>> = {
  [WireType.varint]: 0,
  [WireType.fixed64]: 8,
  [WireType.fixed32]: 4,
};

function runOf(type: string): number {
  if (type === 'floats') return 4;
  return type === 'packed' ? 0 : -1;
}

const WIRE: Readonly<Record<string, number>> = {
  bool: WireType.varint,
  enum: WireType.varint,
  int32: WireType.varint,
  int64: WireType.varint,
  uint32: WireType.varint,
  uint64: WireType.varint,
  double: WireType.fixed64,
  float: WireType.fixed32,
};

function below(place: string, name: string): string {
  return name === '' ? place : `${place}.${name}`;
}
