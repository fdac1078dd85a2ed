import { JsonReader } from '../../json/reader.ts';
import type { Claims } from '../../policy/mapping/claims.ts';
import { ISSUER_ALGORITHMS, type IssuerAlgorithm } from '../../policy/mapping/issuer.ts';
import { decodeBase64url } from '../base64url.ts';
import { decoded, ignore, readStruct } from '../struct.ts';
import { readClaimTree } from './claim-tree.ts';

/** A token of the form that providers issue. Nothing of it is verified. */
export interface IssuedToken {
  readonly token: string;
  readonly alg: IssuerAlgorithm;
  readonly kid: string | undefined;
  /** In lower case, without `application/` (RFC 7515 section 4.1.9); `none` = absent. */
  readonly typ: string;
  /** True = the header asks for an extension. */
  readonly hasCrit: boolean;
  /** `undefined` = another form than the claims of a token have. */
  readonly claims: Claims | undefined;
  /** `iss`; `undefined` = not to be read. */
  readonly issuer: string | undefined;
}

/** Longest token, in characters. */
const MAX_TOKEN = 32_768;
const ALGORITHMS: ReadonlySet<string> = new Set(ISSUER_ALGORITHMS);

/**
 * Reads a token without verifying it. `undefined` = it has another form, or an algorithm with a shared secret or none: it is judged
 * as Qdrant judges it.
 *
 * Members by which a token brings its own key (`jwk`, `jku`, `x5c`, `x5u`) are never read.
 */
export function readIssuedToken(token: string): IssuedToken | undefined {
  if (token.length > MAX_TOKEN) return undefined;
  const [header, claimsPart, signature, ...rest] = token.split('.', 4);
  if (header === undefined || claimsPart === undefined || signature === undefined || rest.length > 0) return undefined;
  const headerBytes = decodeBase64url(header);
  const read = headerBytes && decoded(() => readHeader(headerBytes));
  if (!read || !isAlgorithm(read.alg)) return undefined;
  const { alg, kid, typ, hasCrit } = read;
  const bytes = decodeBase64url(signature) && decodeBase64url(claimsPart);
  const claims = bytes && readClaimTree(bytes);
  const issuer = claims?.get('iss');
  return { token, alg, kid, typ, hasCrit, claims, issuer: typeof issuer === 'string' ? issuer : undefined };
}

function isAlgorithm(alg: string | undefined): alg is IssuerAlgorithm {
  return alg !== undefined && ALGORITHMS.has(alg);
}

const FIELDS = {
  alg: (reader: JsonReader) => reader.readString(),
  kid: (reader: JsonReader) => reader.readString(),
  typ: (reader: JsonReader) => reader.readString(),
  crit: ignore,
};

/** `none` stands for a header without a type: a header that says so has another one. */
function givenType(typ: string): string {
  const given = typ.toLowerCase().replace(/^application\//, '');
  return given === 'none' ? '' : given;
}

function readHeader(bytes: Uint8Array) {
  const reader = new JsonReader(bytes);
  let hasCrit = false;
  const header = readStruct(reader, FIELDS, ignore, (field) => {
    hasCrit ||= field === 'crit';
  });
  reader.end();
  const typ = header.typ === undefined ? 'none' : givenType(header.typ);
  return { alg: header.alg, kid: header.kid, typ, hasCrit };
}
