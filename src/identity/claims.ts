import { integerOf } from '../json/integer.ts';
import { JsonReader } from '../json/reader.ts';
import { type Access, type CollectionMode, GLOBAL_MANAGE, GLOBAL_READ } from '../policy/access.ts';
import type { TenantValue } from '../policy/tenants/tenancy.ts';
import {
  decoded,
  type Explain,
  ignore,
  oneOf,
  readOptionalString,
  readString,
  readStruct,
  required,
  UndecodableFault,
} from './struct.ts';
import { TenantClaims } from './tenant-claims.ts';
import { readOptionalValueExists, type ValueExists } from './value-exists-claim.ts';

/** The claims of a token whose signature is valid. */
export interface Claims {
  /** Seconds since 1970; rounded beyond 2^53. `undefined` = never expires. */
  readonly exp: number | undefined;
  readonly access: Access;
  /** False = the claim is absent, which natively is global manage. */
  readonly hasAccess: boolean;
  readonly subject: string | undefined;
  readonly sub: string | undefined;
  /** `jti` and `iat`, for revocation only. Of another type they count as absent, since upstream ignores them. */
  readonly jti: string | undefined;
  /** Seconds since 1970. */
  readonly issuedAt: number | undefined;
  readonly valueExists: ValueExists | undefined;
  /** JSON text of the claim with the source of a minted token; `undefined` = absent. */
  readonly source: Uint8Array | undefined;
  /** Values of the claims that were asked for, exact in their types; a claim of another form is absent. */
  readonly tenants: ReadonlyMap<string, readonly TenantValue[]>;
  /** Faults of well-formed claims, in upstream's words, joined without separator; empty = none. */
  readonly faults: string;
}

/** The default of upstream's JSON parser. Unknown claims are not limited by it. */
const MAX_DEPTH = 127;
const COLLECTION_MODES: readonly CollectionMode[] = ['r', 'rw', 'prw'];
/** Claims that have no effect, but must be well-formed. */
const CHECKED_CLAIMS = ['aud', 'iss', 'nbf'];
/** The claim of minted tokens that names their source. No client may sign it. */
export const SOURCE_CLAIM = 'qdrant_gateway_source';
const KNOWN_CLAIMS = new Set(['exp', 'access', 'sub', 'subject', 'value_exists', ...CHECKED_CLAIMS, SOURCE_CLAIM]);
/** May repeat and be of any type; the last one of the right type counts. */
const LENIENT_CLAIMS = new Set(['jti', 'iat']);
const NO_CLAIMS: ReadonlySet<string> = new Set();

/**
 * Decodes the claims of a token. `undefined` = undecodable.
 *
 * Upstream: Qdrant v1.18.3. Unknown claims may repeat, nest to any depth and contain strings that are not Unicode;
 * known ones may not. Stricter than upstream: enums and structs written as objects and arrays (`{"r":null}`,
 * `["name","r"]`) are refused.
 *
 * @param explain called with the reason if they are undecodable
 * @param wanted claims that name tenants. Default: none
 */
export function readClaims(
  bytes: Uint8Array,
  explain?: Explain,
  wanted: ReadonlySet<string> = NO_CLAIMS,
): Claims | undefined {
  let at = '';
  const told = explain && ((reason: string) => explain(at === '' ? reason : `\`${at}\`: ${reason}`));
  return decoded(() => {
    const tenants = new TenantClaims(wanted);
    const known = splitClaims(bytes, tenants);
    const read = <T>(claim: string, reads: (reader: JsonReader) => T): T | undefined => {
      const value = known.get(claim);
      at = claim;
      return value && reads(new JsonReader(value, { maxDepth: MAX_DEPTH }));
    };
    read('aud', ignore);
    read('iss', ignore);
    read('nbf', readNotBefore);
    const { access, faults } = read('access', readAccess) ?? { access: GLOBAL_MANAGE, faults: '' };
    return {
      exp: read('exp', readExpiry),
      access,
      hasAccess: known.has('access'),
      sub: read('sub', readOptionalString),
      subject: read('subject', readOptionalString),
      jti: lenient(known.get('jti'), (reader) => reader.readString()),
      issuedAt: lenient(known.get('iat'), (reader) => Number(reader.readNumberText())),
      valueExists: read('value_exists', readOptionalValueExists),
      source: known.get(SOURCE_CLAIM),
      tenants: tenants.read(),
      faults,
    };
  }, told);
}

/** Claims that say nothing about what a token may do. */
const NOT_CARRIED: ReadonlySet<string> = new Set([...CHECKED_CLAIMS, SOURCE_CLAIM]);

/**
 * The claims of a token that decide, as a JSON object that `readClaims` reads as it reads the whole. Each value is copied byte for
 * byte. Throws if the claims are undecodable.
 *
 * @param wanted claims that name tenants
 */
export function decidingClaims(bytes: Uint8Array, wanted: ReadonlySet<string> = NO_CLAIMS): Uint8Array {
  const tenants = new TenantClaims(wanted);
  const members = new Map(splitClaims(bytes, tenants));
  for (const claim of NOT_CARRIED) members.delete(claim);
  const texts = [...members].map(([claim, value]) => memberOf(claim, value));
  for (const [claim, value] of tenants.texts()) {
    // INVARIANT: what is given twice has no value, and has none in the copy.
    if (value === 'twice') texts.push(...repeated(claim, members.get(claim)));
    else if (!members.has(claim)) texts.push(memberOf(claim, value));
  }
  return Buffer.concat([
    Buffer.from('{'),
    ...texts.flatMap((text, at) => (at === 0 ? [text] : [COMMA, text])),
    Buffer.from('}'),
  ]);
}

/** The JSON text of one claim; `undefined` = absent. @param bytes as `decidingClaims` made them */
export function claimText(bytes: Uint8Array, claim: string): Uint8Array | undefined {
  return splitClaims(bytes, new TenantClaims(NO_CLAIMS)).get(claim);
}

const COMMA = Buffer.from(',');

function memberOf(claim: string, value: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify(claim)}:`), value]);
}

function repeated(claim: string, last: Uint8Array | undefined): readonly Uint8Array[] {
  return last ? [memberOf(claim, last)] : [];
}

/** The JSON text of each known claim. */
function splitClaims(bytes: Uint8Array, tenants: TenantClaims): ReadonlyMap<string, Uint8Array> {
  const known = new Map<string, Uint8Array>();
  const reader = new JsonReader(bytes, { maxDepth: Number.POSITIVE_INFINITY, lenientStrings: true });
  reader.readObject((claim) => {
    const { start, end } = reader.skipValue();
    tenants.note(claim, bytes.subarray(start, end));
    if (LENIENT_CLAIMS.has(claim)) known.set(claim, bytes.subarray(start, end));
    if (!KNOWN_CLAIMS.has(claim)) return;
    if (known.has(claim)) throw new UndecodableFault('a claim is given twice');
    known.set(claim, bytes.subarray(start, end));
  });
  reader.end();
  return known;
}

/** Upstream ignores these claims: a value of another type counts as absent. */
function lenient<T>(value: Uint8Array | undefined, read: (reader: JsonReader) => T): T | undefined {
  return value && decoded(() => read(new JsonReader(value, { maxDepth: MAX_DEPTH })));
}

/** Upstream: an unsigned 64-bit integer, written as one. */
function readExpiry(reader: JsonReader): number {
  const text = reader.readNumberText();
  const seconds = integerOf(text);
  if (seconds === undefined || seconds < 0n) {
    throw new UndecodableFault('it must be a whole number of seconds since 1970, without sign, fraction or exponent');
  }
  return Number(seconds);
}

/** Upstream: not enforced, and of any type except an object. */
function readNotBefore(reader: JsonReader): void {
  if (reader.peek() === 'object') throw new UndecodableFault('it must not be an object');
  reader.skipValue();
}

interface ReadAccess {
  readonly access: Access;
  readonly faults: string;
}

function readAccess(reader: JsonReader): ReadAccess {
  if (reader.peek() === 'string') {
    const mode = oneOf(['r', 'm'], reader.readString());
    return { access: mode === 'r' ? GLOBAL_READ : GLOBAL_MANAGE, faults: '' };
  }
  const modes = new Map<string, CollectionMode>();
  let faults = '';
  reader.readArray((index) => {
    const entry = readStruct(reader, ENTRY_FIELDS, ignore);
    const collection = required(entry.collection);
    const mode = required(entry.access);
    if (modes.has(collection)) faults += `access[${index}].collection: Collection name should be unique`;
    else modes.set(collection, mode);
    if (entry.payload) {
      faults += `access[${index}].payload: The 'payload' constraint is deprecated and should not be used`;
    }
  });
  return { access: Object.freeze({ kind: 'list', modes }), faults };
}

const ENTRY_FIELDS = { collection: readString, access: readCollectionMode, payload: readHasPayload };

function readCollectionMode(reader: JsonReader): CollectionMode {
  return oneOf(COLLECTION_MODES, reader.readString());
}

/** True = a payload constraint is present. Upstream: removed in Qdrant v1.16.0. */
function readHasPayload(reader: JsonReader): boolean {
  const given = reader.peek() !== 'null';
  reader.skipValue();
  return given;
}
