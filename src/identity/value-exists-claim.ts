import { signedIntegerOf } from '../json/integer.ts';
import type { JsonReader } from '../json/reader.ts';
import { ignore, readString, readStruct, required, UndecodableFault } from './struct.ts';

/** The required value of a payload field. Integers have 64 bits. */
export type MatchValue = string | boolean | bigint;

/** One condition of a `value_exists` claim. */
export interface ValueMatch {
  /** A payload path, in upstream's grammar. */
  readonly key: string;
  readonly value: MatchValue;
}

/** The `value_exists` claim: some point of the collection must have all matches. No matches = any point. */
export interface ValueExists {
  readonly collection: string;
  readonly matches: readonly ValueMatch[];
}

/** Upstream: `a.b`, `a[0]`, `a[]`, `"a b".c`; a quoted name has no escapes. */
const PAYLOAD_PATH =
  /^(?:[\p{Alphabetic}\p{N}_-]+|"[^"\\]*")(?:\.(?:[\p{Alphabetic}\p{N}_-]+|"[^"\\]*")|\[[0-9]{0,19}\])*$/u;

/** Reads a `value_exists` claim; `undefined` = null. Throws if it is undecodable. */
export function readOptionalValueExists(reader: JsonReader): ValueExists | undefined {
  if (reader.peek() === 'null') {
    reader.readNull();
    return undefined;
  }
  const { collection, matches } = readStruct(reader, VALUE_EXISTS_FIELDS, ignore);
  return Object.freeze({ collection: required(collection), matches: required(matches) });
}

const MATCH_FIELDS = { key: readPayloadPath, value: readMatchValue };
const VALUE_EXISTS_FIELDS = { collection: readString, matches: readMatches };

function readMatches(reader: JsonReader): readonly ValueMatch[] {
  const matches: ValueMatch[] = [];
  reader.readArray(() => {
    const { key, value } = readStruct(reader, MATCH_FIELDS, ignore);
    matches.push(Object.freeze({ key: required(key), value: required(value) }));
  });
  return Object.freeze(matches);
}

function readPayloadPath(reader: JsonReader): string {
  const path = reader.readString();
  if (!PAYLOAD_PATH.test(path)) throw new UndecodableFault('no payload path');
  return path;
}

function readMatchValue(reader: JsonReader): MatchValue {
  switch (reader.peek()) {
    case 'string':
      return reader.readString();
    case 'true':
    case 'false':
      return reader.readBoolean();
    case 'number':
      return readInteger(reader.readNumberText());
    default:
      throw new UndecodableFault('no value to match');
  }
}

function readInteger(text: string): bigint {
  const integer = signedIntegerOf(text);
  if (integer === undefined) throw new UndecodableFault('no 64-bit integer');
  return integer;
}
