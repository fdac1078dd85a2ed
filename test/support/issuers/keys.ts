import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readKeySet } from '../../../src/config/policy/issuers/key-set.ts';
import type { IssuerSettings, PublishedKey } from '../../../src/policy/mapping/issuer.ts';

/* Keys and tokens of a test's own identity provider, made without the code under test. */

/** A signing key of a provider. */
export interface ProviderKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: KeyObject;
  /** As in a key set. */
  readonly jwk: Readonly<Record<string, unknown>>;
}

/** A new key for this algorithm. */
export function providerKey(alg: string, kid: string): ProviderKey {
  const { privateKey } = pairFor(alg);
  const jwk = { ...createPublicKey(privateKey).export({ format: 'jwk' }), kid, alg, use: 'sig' };
  return { kid, alg, privateKey, jwk };
}

function pairFor(alg: string): { readonly privateKey: KeyObject } {
  if (alg.startsWith('ES')) {
    const namedCurve = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[alg] ?? 'P-256';
    return generateKeyPairSync('ec', { namedCurve });
  }
  return alg.startsWith('Ed') ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: 2048 });
}

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token over header and claims as they are; texts are taken as JSON text. @param alg how it is really signed; default: that of the key */
export function signToken(
  key: ProviderKey,
  claims: object | string,
  header: object | string = {},
  alg = key.alg,
): string {
  const head = typeof header === 'string' ? header : { alg: key.alg, kid: key.kid, typ: 'JWT', ...header };
  const text = `${encode(head)}.${encode(claims)}`;
  return `${text}.${signature(key.privateKey, alg, text).toString('base64url')}`;
}

function signature(key: KeyObject, alg: string, text: string): Buffer {
  const data = Buffer.from(text);
  const hash = `sha${alg.slice(2)}`;
  if (alg.startsWith('Ed')) return sign(null, data, key);
  if (alg.startsWith('ES')) return sign(hash, data, { key, dsaEncoding: 'ieee-p1363' });
  if (alg.startsWith('PS')) return sign(hash, data, { key, padding: 6, saltLength: Number(alg.slice(2)) / 8 });
  return sign(hash, data, key);
}

/** A token signed with HMAC. */
export function hmacToken(secret: string | Buffer, claims: object, header: object = {}): string {
  const text = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** The key set of these keys. */
export function published(...keys: readonly ProviderKey[]): readonly PublishedKey[] {
  const set = readKeySet(JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }));
  if (typeof set === 'string') throw new Error(set);
  return set.keys;
}

export const ISSUER = 'https://login.example.com/realms/main';
export const AUDIENCE = 'qdrant';

/** An issuer with these keys in a file; its tokens read. */
export function issuerWith(keys: readonly ProviderKey[], more: Partial<IssuerSettings> = {}): IssuerSettings {
  return {
    ...{ id: 'corp', issuer: ISSUER, audiences: [AUDIENCE], source: { from: 'file', keys: published(...keys) } },
    algorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
    types: ['jwt', 'at+jwt', 'none'],
    ...{ maxLifetime: undefined, clockSkew: 30, subject: 'sub', mappings: [{ id: 'all', access: 'r' }], examples: [] },
    ...more,
  };
}

/** Claims of a good token at this second. */
export function goodClaims(now: number, more: object = {}): Readonly<Record<string, unknown>> {
  return { iss: ISSUER, aud: AUDIENCE, sub: 'alice', iat: now, exp: now + 300, ...more };
}
