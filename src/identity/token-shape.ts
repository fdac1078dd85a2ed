import { JsonReader } from '../json/reader.ts';
import { decodeBase64url } from './base64url.ts';
import {
  decoded,
  type Explain,
  oneOf,
  readOptionalString,
  readString,
  readStruct,
  required,
  UndecodableFault,
} from './struct.ts';

/** A token with valid form and header. Its signature is not verified. */
export interface TokenShape {
  readonly token: string;
  /** The claims part, undecoded until the signature is verified. */
  readonly claimsPart: string;
}

/**
 * Checks form and header of a compact JWS, before any cryptography.
 *
 * Upstream: Qdrant v1.18.3 requires three parts, strict base64url, `alg` HS256 and the field types below. Stricter than
 * upstream in three points: a header with `crit` is refused, since no extension is supported (RFC 7515 section 4.1.11);
 * only `typ`, `cty`, `kid` and `jwk` may be null; fields of `jwk` must be strings or lists of strings.
 *
 * @param explain called with the reason if the token is refused
 */
export function readTokenShape(token: string, explain?: Explain): TokenShape | undefined {
  const [header, claimsPart, signature, ...rest] = token.split('.', 4);
  const refused = (reason: string): undefined => void explain?.(reason);
  if (header === undefined || claimsPart === undefined || signature === undefined || rest.length > 0) {
    return refused('a token has three parts, separated by dots');
  }
  if (decodeBase64url(signature) === undefined) return refused('the signature is not strict base64url');
  const headerBytes = decodeBase64url(header);
  if (headerBytes === undefined) return refused('the header is not strict base64url');
  let at = '';
  const place = (field: string): void => {
    at = field;
  };
  const told = explain && ((reason: string) => explain(`the header: ${at === '' ? '' : `\`${at}\`: `}${reason}`));
  return decoded(() => readHeader(headerBytes, place), told) ? { token, claimsPart } : undefined;
}

const HEADER_FIELDS = {
  alg: (reader: JsonReader) => oneOf(['HS256'], reader.readString()),
  typ: readOptionalString,
  cty: readOptionalString,
  kid: readOptionalString,
  jwk: readOptionalJwk,
  x5c: readStrings,
  jku: readString,
  x5u: readString,
  x5t: readString,
  'x5t#S256': readString,
  zip: readString,
  enc: readString,
  url: readString,
  nonce: readString,
  crit: refuse,
};

function readHeader(bytes: Uint8Array, place: (field: string) => void): true {
  const reader = new JsonReader(bytes);
  const header = readStruct(reader, HEADER_FIELDS, readString, place);
  reader.end();
  place('alg');
  required(header.alg);
  return true;
}

const JWK_MEMBERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['oct', ['k']],
  ['RSA', ['n', 'e']],
  ['EC', ['crv', 'x', 'y']],
  ['OKP', ['crv', 'x']],
]);

/** Never used as a key; upstream only parses it. */
function readOptionalJwk(reader: JsonReader): void {
  if (reader.peek() === 'null') {
    reader.readNull();
    return;
  }
  const members = new Map<string, string | undefined>();
  reader.readObject((member) => {
    if (members.has(member)) throw new UndecodableFault('a key member is given twice');
    if (reader.peek() === 'array') {
      readStrings(reader);
      members.set(member, undefined);
    } else {
      members.set(member, reader.readString());
    }
  });
  for (const member of required(JWK_MEMBERS.get(required(members.get('kty'))))) required(members.get(member));
}

function readStrings(reader: JsonReader): void {
  reader.readArray(() => void reader.readString());
}

function refuse(): never {
  throw new UndecodableFault('the header asks for an extension');
}
