import type { PublishedKey } from '../../../policy/mapping/issuer.ts';

/** Largest key set, in bytes, and most keys in it. */
export const MAX_KEY_SET_BYTES = 1_048_576;
export const MAX_KEYS_IN_SET = 1024;

/** A key set as far as it is of use. */
export interface KeySetText {
  readonly keys: readonly PublishedKey[];
  /** Keys that verify no signature here: of another use, type or form. */
  readonly ignored: number;
  /** Keys that hold secret members, which a key set must not publish. They are ignored. */
  readonly secret: number;
  /** Keys under which signatures can be forged. They are ignored. */
  readonly forgeable: number;
}

const MEMBERS: Readonly<Record<PublishedKey['kty'], readonly string[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
};
const CURVES: ReadonlySet<string> = new Set(['P-256', 'P-384', 'P-521', 'Ed25519']);
const BASE64URL = /^[A-Za-z0-9_-]+$/;
const MAX_TEXT = 4096;

/** The fault of a set without a usable key, where one is needed. */
export const NO_KEY = 'it has no public key that verifies signatures';

/**
 * Reads a key set (RFC 7517 section 5). A text instead of it says why it is none, and holds nothing of it. A set without a usable key is
 * one: its provider trusts no key.
 */
export function readKeySet(text: string): KeySetText | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  const list = memberOf(parsed, 'keys');
  if (!Array.isArray(list)) return 'it has no list `keys`';
  if (list.length > MAX_KEYS_IN_SET) return `it has more than ${MAX_KEYS_IN_SET} keys`;
  const secret = list.filter((key) => memberOf(key, 'd') !== undefined || memberOf(key, 'k') !== undefined).length;
  const read = list.flatMap((key) => publishedKey(key) ?? []);
  const keys = read.filter((key) => !isForgeable(key));
  return { keys, ignored: list.length - keys.length, secret, forgeable: read.length - keys.length };
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

function publishedKey(key: unknown): PublishedKey | undefined {
  const kty = memberOf(key, 'kty');
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return undefined;
  if (memberOf(key, 'd') !== undefined) return undefined;
  const [use, operations] = [memberOf(key, 'use'), memberOf(key, 'key_ops')];
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  const [kid, alg] = [optionalText(memberOf(key, 'kid')), optionalText(memberOf(key, 'alg'))];
  if (kid === null || alg === null) return undefined;
  const members: Record<string, string> = {};
  for (const name of MEMBERS[kty]) {
    const value = memberOf(key, name);
    if (typeof value !== 'string' || value.length > MAX_TEXT) return undefined;
    if (name === 'crv' ? !CURVES.has(value) : !BASE64URL.test(value)) return undefined;
    members[name] = value;
  }
  return Object.freeze({ kty, kid, alg, members: Object.freeze(members) });
}

/**
 * True = RSA under which signatures can be forged, and which OpenSSL takes. With the exponent 1 a signature is the padded hash itself; RFC 8017 section
 * 3.1 begins at 3. An even modulus has the factor 2, an even exponent has no private key.
 */
function isForgeable({ kty, members }: PublishedKey): boolean {
  if (kty !== 'RSA') return false;
  const [modulus, exponent] = [integer(members.n), integer(members.e)];
  return exponent < 3n || exponent % 2n === 0n || modulus % 2n === 0n;
}

function integer(base64url = ''): bigint {
  return BigInt(`0x0${Buffer.from(base64url, 'base64url').toString('hex')}`);
}

/** null = of another type. */
function optionalText(value: unknown): string | undefined | null {
  if (value === undefined) return undefined;
  return typeof value === 'string' && value.length <= MAX_TEXT ? value : null;
}
