import { fieldOf } from '../tenants/payload-path.ts';
import type { TenantValue } from '../tenants/tenancy.ts';

/*
 * The attributes that a verified credential gives its holder: the claims of a token of an identity provider, or the same made of a client
 * certificate.
 */

/**
 * A value, exact in its type: an integer of 64 bits is a bigint, any other number a `number`. An object is a map, each key once.
 */
export type ClaimValue = string | bigint | number | boolean | null | readonly ClaimValue[] | Claims;

/** Verified claims by name. */
export interface Claims extends ReadonlyMap<string, ClaimValue> {}

/** The keys from the top to a claim. At least one. */
export type ClaimPath = readonly string[];

/**
 * Parses the path of a claim: `groups`, `realm_access.roles`, `"https://example.com/roles"`. `undefined` = it is none.
 *
 * The grammar of payload paths: a key is letters, digits, `_` and `-`, or anything in double quotes but quotes and backslashes.
 */
export function claimPath(text: string): ClaimPath | undefined {
  return fieldOf(text);
}

/** The value at a path; `undefined` = there is none, or something above it is no object. */
export function claimAt(claims: Claims, path: ClaimPath): ClaimValue | undefined {
  let value: ClaimValue | undefined = claims;
  for (const key of path) {
    if (!isObject(value)) return undefined;
    value = value.get(key);
  }
  return value;
}

function isObject(value: ClaimValue | undefined): value is Claims {
  return value instanceof Map;
}

/**
 * The values of a claim that conditions are compared with: a text, an integer or a boolean, or a list of them. `undefined` = anything
 * else. An empty list has no values.
 */
export function comparedValues(value: ClaimValue): readonly TenantValue[] | undefined {
  const values = Array.isArray(value) ? value : [value];
  return values.every(isCompared) ? values : undefined;
}

/** The values of a claim that names tenants: at least one, and no empty text. `undefined` = the claim names none. */
export function tenantValuesIn(value: ClaimValue | undefined): readonly TenantValue[] | undefined {
  const values = value === undefined ? undefined : comparedValues(value);
  return values && values.length > 0 && !values.includes('') ? values : undefined;
}

function isCompared(value: ClaimValue): value is TenantValue {
  return typeof value === 'string' || typeof value === 'bigint' || typeof value === 'boolean';
}
