import { signedIntegerOf } from '../json/integer.ts';
import { JsonReader } from '../json/reader.ts';
import type { TenantValue } from '../policy/tenants/tenancy.ts';
import { decoded, UndecodableFault } from './struct.ts';

/** A list in a claim, and nothing in it. */
const MAX_DEPTH = 2;

/** The claims that the policy takes values from, by name; one that is given twice has no value. */
export class TenantClaims {
  readonly #wanted: ReadonlySet<string>;
  readonly #found = new Map<string, Uint8Array | 'twice'>();

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted;
  }

  /** Notes a claim of the token. @param value its JSON text */
  note(claim: string, value: Uint8Array): void {
    if (this.#wanted.has(claim)) this.#found.set(claim, this.#found.has(claim) ? 'twice' : value);
  }

  /** The JSON text of each claim that was noted. */
  texts(): ReadonlyMap<string, Uint8Array | 'twice'> {
    return this.#found;
  }

  /** The values of each claim that has any. */
  read(): ReadonlyMap<string, readonly TenantValue[]> {
    const read = new Map<string, readonly TenantValue[]>();
    for (const [claim, value] of this.#found) {
      const values = value === 'twice' ? undefined : readTenantValues(value);
      if (values) read.set(claim, values);
    }
    return read;
  }
}

/**
 * The exact values of a claim: a text, an integer of 64 bits with a sign, a boolean, or a list of them. `undefined` = anything
 * else; an empty text and an empty list are none, either.
 */
export function readTenantValues(json: Uint8Array): readonly TenantValue[] | undefined {
  return decoded(() => {
    const reader = new JsonReader(json, { maxDepth: MAX_DEPTH });
    const values: TenantValue[] = [];
    if (reader.peek() === 'array') reader.readArray(() => values.push(readValue(reader)));
    else values.push(readValue(reader));
    reader.end();
    if (values.length === 0) throw new UndecodableFault('the list is empty');
    return Object.freeze(values);
  });
}

function readValue(reader: JsonReader): TenantValue {
  switch (reader.peek()) {
    case 'string': {
      const text = reader.readString();
      if (text === '') throw new UndecodableFault('the text is empty');
      return text;
    }
    case 'number': {
      const text = reader.readNumberText();
      const value = signedIntegerOf(text);
      if (value === undefined) throw new UndecodableFault('it must be an integer of 64 bits');
      return value;
    }
    case 'true':
    case 'false':
      return reader.readBoolean();
    default:
      throw new UndecodableFault('it must be a text, an integer or a boolean');
  }
}
