import { JsonReader } from '../../json/reader.ts';
import type { CollectionMode } from '../../policy/access.ts';
import type { NamedAccess } from '../../policy/minting/named-access.ts';
import { decoded, ignore, oneOf, readString, readStruct, required } from '../struct.ts';

/*
 * The claim by which a minted token names the credential it stands for. It is believed only under a signing key for exchange.
 */

/** The source of a minted token. */
export interface SourceReference {
  /**
   * `key`: a configured or named key. `token`: a token of a client, whose claims are carried. `issued`: a token of an issuer of the
   * policy, which is carried without its signature.
   */
  readonly kind: 'key' | 'token' | 'issued';
  /** Id of the key, of the key that signed the token, or of the issuer. */
  readonly key: string;
  /** Ties it to the text of that key, see `print.ts`. */
  readonly print: string;
  /** Of a token: a JSON object with the claims that decide. */
  readonly claims: Uint8Array | undefined;
  /** Of a token of an issuer: header and claims, base64url with a dot between. */
  readonly unsigned?: string | undefined;
  /** Upper bound of the access: the claim `access`, this one, or only what the source has. */
  readonly bound: 'claim' | 'source' | NamedAccess;
}

const BOUNDS = ['claim', 'source', 'r', 'm'] as const;
const MODES: readonly CollectionMode[] = ['r', 'rw', 'prw', 'pr'];

/** The JSON text of a reference. */
export function writeReference({ kind, key, print, claims, unsigned, bound }: SourceReference): Buffer {
  const told = JSON.stringify({ kind, key, print, bound, unsigned });
  if (!claims) return Buffer.from(told);
  return Buffer.concat([Buffer.from(`${told.slice(0, -1)},"claims":`), claims, Buffer.from('}')]);
}

/** Reads a reference; `undefined` = it is none. */
export function readReference(json: Uint8Array): SourceReference | undefined {
  return decoded(() => {
    const reader = new JsonReader(json, { maxDepth: Number.POSITIVE_INFINITY, lenientStrings: true });
    const fields = {
      kind: () => oneOf(['key', 'token', 'issued'] as const, reader.readString()),
      key: readString,
      print: readString,
      bound: () => readBound(reader),
      unsigned: readString,
      claims: () => {
        const { start, end } = reader.skipValue();
        return json.subarray(start, end);
      },
    };
    const { kind, key, print, bound, claims, unsigned } = readStruct(reader, fields, ignore);
    reader.end();
    if (kind === 'token') required(claims);
    if (kind === 'issued') required(unsigned);
    const told = { kind: required(kind), key: required(key), print: required(print), bound: required(bound) };
    return { ...told, claims, unsigned };
  });
}

function readBound(reader: JsonReader): SourceReference['bound'] {
  if (reader.peek() === 'string') return oneOf(BOUNDS, reader.readString());
  const modes: [string, CollectionMode][] = [];
  reader.readArray(() => {
    const pair: string[] = [];
    reader.readArray(() => pair.push(reader.readString()));
    const [collection, mode, ...more] = pair;
    required(more.length === 0 ? true : undefined);
    modes.push([required(collection), oneOf(MODES, required(mode))]);
  });
  return modes;
}
