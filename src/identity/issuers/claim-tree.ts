import { signedIntegerOf } from '../../json/integer.ts';
import { JsonReader } from '../../json/reader.ts';
import type { Claims, ClaimValue } from '../../policy/mapping/claims.ts';
import { decoded, type Explain, UndecodableFault } from '../struct.ts';

const MAX_DEPTH = 16;
/** Most members and items in all. */
const MAX_VALUES = 10_000;

/**
 * The claims of a token. `undefined` = they are no JSON object, not strict UTF-8, nested deeper than 16, or a name is given twice in
 * one object (RFC 7519 section 4 leaves that to the reader, and two readers may differ).
 */
export function readClaimTree(bytes: Uint8Array, explain?: Explain): Claims | undefined {
  return decoded(() => {
    const reader = new JsonReader(bytes, { maxDepth: MAX_DEPTH });
    const count = { left: MAX_VALUES };
    const claims = readObject(reader, count);
    reader.end();
    return claims;
  }, explain);
}

interface Count {
  left: number;
}

function readObject(reader: JsonReader, count: Count): Claims {
  const members = new Map<string, ClaimValue>();
  reader.readObject((name) => {
    if (members.has(name)) throw new UndecodableFault('a claim is given twice');
    members.set(name, readValue(reader, count));
  });
  return members;
}

function readValue(reader: JsonReader, count: Count): ClaimValue {
  count.left -= 1;
  if (count.left < 0) throw new UndecodableFault('there are too many values');
  switch (reader.peek()) {
    case 'string':
      return reader.readString();
    case 'number':
      return numberOf(reader.readNumberText());
    case 'true':
    case 'false':
      return reader.readBoolean();
    case 'null':
      reader.readNull();
      return null;
    case 'object':
      return readObject(reader, count);
    case 'array': {
      const items: ClaimValue[] = [];
      reader.readArray(() => void items.push(readValue(reader, count)));
      return items;
    }
  }
}

function numberOf(text: string): bigint | number {
  return signedIntegerOf(text) ?? Number(text);
}
