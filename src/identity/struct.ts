import { JsonFault } from '../json/fault.ts';
import type { JsonReader } from '../json/reader.ts';

/** Valid JSON of another shape than required. The message contains nothing of the input. */
export class UndecodableFault extends Error {
  override readonly name = 'UndecodableFault';
}

/** Called with the reason why bytes cannot be decoded, which contains nothing of them. */
export type Explain = (reason: string) => void;

/** Runs a reader; `undefined` = undecodable. Other exceptions pass. */
export function decoded<T>(read: () => T, explain?: Explain): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof JsonFault || error instanceof UndecodableFault)) throw error;
    explain?.(error.message);
    return undefined;
  }
}

/** Reader of each named field. Each function must consume exactly one value. */
export type FieldReaders = Readonly<Record<string, (reader: JsonReader) => unknown>>;

/** Field values; a missing field is absent. */
export type Struct<F extends FieldReaders> = { readonly [K in keyof F]?: ReturnType<F[K]> };

/**
 * Reads an object as a struct: a named field may be missing, but not repeated. Other fields go to `other`. @param place
 * called with the name of each field
 */
export function readStruct<F extends FieldReaders>(
  reader: JsonReader,
  fields: F,
  other: (reader: JsonReader) => void,
  place?: (field: string) => void,
): Struct<F> {
  const found: Record<string, unknown> = {};
  reader.readObject((field) => {
    const read = Object.hasOwn(fields, field) ? fields[field] : undefined;
    place?.(read ? field : '');
    if (!read) {
      other(reader);
      return;
    }
    if (Object.hasOwn(found, field)) throw new UndecodableFault('a field is given twice');
    found[field] = read(reader);
  });
  return found as Struct<F>; // only names of `fields` get in, each with what its reader gave
}

/** Skips a value. */
export function ignore(reader: JsonReader): void {
  reader.skipValue();
}

export function readString(reader: JsonReader): string {
  return reader.readString();
}

/** A string; `undefined` = null. */
export function readOptionalString(reader: JsonReader): string | undefined {
  if (reader.peek() !== 'null') return reader.readString();
  reader.readNull();
  return undefined;
}

/** The value; throws if it is missing. */
export function required<T>(value: T | undefined): T {
  if (value === undefined) throw new UndecodableFault('a field is missing');
  return value;
}

/** The allowed word equal to `text`. */
export function oneOf<T extends string>(allowed: readonly T[], text: string): T {
  const word = allowed.find((one) => one === text);
  if (word === undefined) throw new UndecodableFault(`it must be ${allowed.join(', ')}`);
  return word;
}
