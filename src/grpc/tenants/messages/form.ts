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
  readonly fields: ReadonlyMap<number, FieldForm>;
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

  constructor(table: ReadonlyMap<string, readonly FieldRow[]>) {
    const fields = new Map<string, Map<number, FieldForm>>();
    for (const name of table.keys()) {
      const own = new Map<number, FieldForm>();
      fields.set(name, own);
      this.#forms.set(name, { fields: own });
    }
    for (const [name, rows] of table) {
      const singles = [
        ...new Set(rows.filter(({ repeated }) => !repeated).map(({ oneof, name: own }) => oneof ?? own)),
      ];
      for (const row of rows) {
        const message = row.message === undefined ? undefined : this.#forms.get(row.message);
        const bit = row.repeated ? 0 : 1 << singles.indexOf(row.oneof ?? row.name);
        fields.get(name)?.set(row.number, formOf(row, message, bit));
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
    return this.#check(form, { bytes, end: bytes.length, at: 0 }, 0);
  }

  #check({ fields }: Form, cursor: Cursor, depth: number): FormFault | undefined {
    this.#parts += 1;
    if (this.#parts > MAX_PARTS) return { place: '', what: `has more than ${MAX_PARTS} parts` };
    const { bytes, end } = cursor;
    let seen = 0;
    while (cursor.at < end) {
      const tag = varint(cursor);
      if (tag < 0) return { place: '', what: 'has a tag that cannot be read' };
      const number = Math.floor(tag / 8);
      const field = fields.get(number);
      if (!field) return { place: String(number), what: 'is not a known field' };
      const what = ownFault(field, tag % 8, seen, cursor);
      if (typeof what === 'string') return { place: field.name, what };
      seen |= field.bit;
      const behind = cursor.at + what;
      if (field.message) {
        if (depth >= MAX_NESTING) return { place: field.name, what: 'nests too deeply' };
        const fault = this.#check(field.message, { bytes, end: behind, at: cursor.at }, depth + 1);
        if (fault) return { ...fault, place: below(field.name, fault.place) };
      } else if (field.isText && !isUtf8(bytes.subarray(cursor.at, behind))) {
        return { place: field.name, what: 'is not UTF-8' };
      }
      cursor.at = behind;
    }
    return undefined;
  }
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

interface Cursor {
  readonly bytes: Buffer;
  readonly end: number;
  at: number;
}

/** The fault of a field, or the bytes of its value. Moves the cursor to the value. */
function ownFault(field: FieldForm, wire: number, seen: number, cursor: Cursor): string | number {
  if (wire !== field.wire && !(field.packs && wire === WireType.bytes)) return 'has a wrong wire type';
  if ((seen & field.bit) !== 0) return 'is given more than once';
  const length = lengthOf(wire, cursor);
  if (length < 0 || length > cursor.end - cursor.at) return 'is cut off';
  const isRun = wire === WireType.bytes && field.run >= 0 && length > 0;
  return isRun && !isWhole(field.run, length, cursor) ? 'is cut off' : length;
}

/** True = a run of numbers ends with a whole one. Beyond it some decoders read what follows. */
function isWhole(run: number, length: number, { bytes, at }: Cursor): boolean {
  return run > 0 ? length % run === 0 : (bytes[at + length - 1] ?? 0x80) < 0x80;
}

/** Bytes of the value behind the tag. Moves the cursor behind a length. -1 = it cannot be read. */
function lengthOf(wire: number, cursor: Cursor): number {
  if (wire === WireType.bytes) return varint(cursor);
  if (wire === WireType.fixed64) return 8;
  if (wire === WireType.fixed32) return 4;
  const before = cursor.at;
  let at = before;
  while (at < cursor.end && at - before < MAX_VARINT && (cursor.bytes[at] ?? 0) >= 0x80) at += 1;
  return at < cursor.end && at - before < MAX_VARINT ? at - before + 1 : -1;
}

const MAX_VARINT = 10;

/** A tag or length; -1 = longer than 32 bits, or cut off. */
function varint(cursor: Cursor): number {
  const { bytes, end } = cursor;
  let value = 0;
  let scale = 1;
  for (let i = 0; i < 5 && cursor.at < end; i++) {
    const byte = bytes[cursor.at] ?? 0;
    cursor.at += 1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value <= 0xffff_ffff ? value : -1;
    scale *= 128;
  }
  return -1;
}

function below(place: string, name: string): string {
  return name === '' ? place : `${place}.${name}`;
}
