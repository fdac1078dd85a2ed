import { hash, timingSafeEqual } from 'node:crypto';
import { GLOBAL_MANAGE, GLOBAL_READ, type GlobalAccess } from '../policy/access.ts';
import type { IssuerSettings } from '../policy/mapping/issuer.ts';
import type { NamedKeySettings } from '../policy/named-key.ts';
import { applyRules, type Rule } from '../policy/rules.ts';
import { type Tenants, tenancyOf } from '../policy/tenants/settings.ts';
import { NO_TOKEN_RULES, type TokenRules } from '../policy/token-rules.ts';
import { CertificateIdentities, type CertificateSources } from './certificates/identities.ts';
import { type Issuers, issuersOf } from './issuers/issuer.ts';
import { type AddressSet, NamedKeys } from './named-keys.ts';
import type { Principal } from './principal.ts';

/** The configured keys; `null` or absent = not set. */
export interface RingKeys {
  readonly apiKey?: string | null;
  readonly altApiKey?: string | null;
  readonly readOnlyApiKey?: string | null;
  /** True = tokens are accepted. */
  readonly jwtRbac?: boolean | null;
  /** Further token secrets, tried after the admin keys in this order. They are not accepted as keys. */
  readonly signingKeys?: readonly SigningKey[];
  /** Issuers of the policy. With any, the ring is not open. */
  readonly issuers?: readonly IssuerSettings[] | undefined;
  /** Client certificates as identities. With them the ring is not open. Default: they are none. */
  readonly certificates?: CertificateSources | undefined;
  /** The rules of the policy, applied to every principal. */
  readonly rules?: readonly Rule[];
  /** The tenants of the policy. Default: none. */
  readonly tenants?: Tenants | undefined;
  /** Named keys; `undefined` = there is no file of them. With a file, even an empty one, the ring is not open. */
  readonly namedKeys?: readonly NamedKeySettings[] | undefined;
  /** True = the named keys cannot be known: each text of their form is refused. */
  readonly namedKeysUnknown?: boolean;
  /** Ids of the limits of the policy; a key that carries another one is refused. Default: there are none. */
  readonly limitIds?: ReadonlySet<string>;
  /** Builds the networks of named keys. Default: no address is in any. */
  readonly rangesOf?: (entries: readonly string[]) => AddressSet;
  /** One name for all addresses that count as one client. Default: each is one. */
  readonly clientOf?: (address: string) => string;
  /** Requirements on tokens; default: none beyond Qdrant. */
  readonly tokenRules?: TokenRules;
  /** Secret of the tokens that the console puts into its requests. Default: there is no console. */
  readonly consoleSecret?: string | undefined;
  /** Ids of the configured keys that may be exchanged for a token. Default: none. */
  readonly exchangedKeys?: readonly string[] | undefined;
}

/** A secret that only signs tokens. */
export interface SigningKey {
  /** The key's name in `kid`, audit and revocations. */
  readonly id: string;
  readonly secret: string;
  /** True = it signs the tokens that the gateway mints in exchange, and no others. */
  readonly exchange?: boolean | undefined;
}

/** A key in its second use: the HMAC secret of tokens. */
export interface JwtSecret {
  readonly keyId: string;
  readonly bytes: Uint8Array;
  /** Set = it signs the tokens that the gateway mints, and no others. */
  readonly mints?: true;
  /** Set = it is the console's, for sources that are its sessions: it signs no token for a client. */
  readonly console?: true;
}

/** The accepted keys and token secrets, one immutable value. Rotation replaces the ring. */
export interface KeyRing {
  /** Number of the ring; increases with each rotation. */
  readonly generation: number;
  /** True = no key is set: every caller gets the open principal. */
  readonly open: boolean;
  /** Global `m` under the rules: the principal of every caller while the ring is open. */
  readonly openPrincipal: Principal;
  /** In the order they are tried; empty = every token is refused. */
  readonly jwtSecrets: readonly JwtSecret[];
  /** Identity providers whose tokens are accepted; absent = none. */
  readonly issuers?: Issuers | undefined;
  /** Client certificates as identities; absent = they are none. */
  readonly certificates?: CertificateIdentities | undefined;
  /** The rules applied to principals of this ring. */
  readonly rules: readonly Rule[];
  /** Conditions for principals of this ring; absent = none. */
  readonly tenants?: Tenants | undefined;
  readonly tokenRules: TokenRules;
  /** The configured keys that may be exchanged, by id. */
  readonly exchanged: ReadonlyMap<string, StaticKey>;
  /** The configured keys that a session of the console may have been opened with, by id, and `CONSOLE_ID`; empty without a console. */
  readonly consoleKeys: ReadonlyMap<string, StaticKey>;
  /** `undefined` = no named key. */
  readonly named: NamedKeys | undefined;
  /**
   * The principal of the key with this digest (see `digestOf`). The time does not depend on the key or on the number of
   * matching bytes.
   */
  readonly match: (digest: string) => Principal | undefined;
}

/** A configured key: SHA-256 of its text, see `digestOf`, and its principal. */
export interface StaticKey {
  readonly digest: string;
  readonly principal: Principal;
}

/** Compares two buffers of the same length in constant time. */
export type EqualBytes = (left: Buffer, right: Buffer) => boolean;

/** The principal of every caller while no key is set and no rule applies. */
export const OPEN_PRINCIPAL: Principal = Object.freeze({
  kind: 'principal',
  access: GLOBAL_MANAGE,
  bounds: undefined,
  tenancy: undefined,
  authType: 'None',
  keyId: 'none',
  subject: undefined,
});

/** Id of callers that an identity provider has let into the console. */
export const CONSOLE_ID = 'gateway_console';

const DIGEST_LENGTH = 32;

/**
 * SHA-256 of a key or token: 32 bytes for every length, so that a comparison reveals no length.
 *
 * A string of one character per byte: Node creates it in a third of the time of a buffer, and it can be the key of a
 * map.
 */
export function digestOf(credential: string): string {
  return hash('sha256', credential, 'binary');
}

/** SHA-256 of a key, in hexadecimal digits: the form in which a generated named key is stored. */
export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex');
}

/**
 * Creates a ring of the given keys. Upstream: the order is `api_key`, `alt_api_key`, `read_only_api_key`; the last is
 * never a token secret.
 *
 * @param equal only for tests that count comparisons
 * @throws RangeError for an empty key: Qdrant v1.18.3 accepts an empty header with it
 */
export function createKeyRing(keys: RingKeys, generation: number, equal: EqualBytes = timingSafeEqual): KeyRing {
  const { tenants } = keys;
  const rules = Object.freeze([...(keys.rules ?? [])]);
  const around = { rules, tenants };
  const admin = [
    ...entry('api_key', keys.apiKey, GLOBAL_MANAGE, around),
    ...entry('alt_api_key', keys.altApiKey, GLOBAL_MANAGE, around),
  ];
  const all = [...admin, ...entry('read_only_api_key', keys.readOnlyApiKey, GLOBAL_READ, around)];
  const secrets = [...admin.map(({ secret }) => secret), ...(keys.signingKeys ?? []).map(secretOf)];
  const issuers = issuersOf(keys.issuers);
  const pages = consoleOf(keys.consoleSecret, all, around);
  const lastFirst = all.toReversed();
  const presented = Buffer.alloc(DIGEST_LENGTH); // filled anew by each call, which runs to its end
  return Object.freeze({
    generation,
    open:
      [...all, ...secrets].length === 0 && keys.namedKeys === undefined && !issuers && keys.certificates === undefined,
    openPrincipal: openPrincipalUnder(around),
    jwtSecrets: Object.freeze([...(keys.jwtRbac ? secrets : []), ...pages.secrets]),
    issuers,
    certificates: keys.certificates && new CertificateIdentities(keys.certificates, around),
    rules,
    tenants,
    tokenRules: keys.tokenRules ?? NO_TOKEN_RULES,
    exchanged: exchangedOf(all, keys.exchangedKeys),
    consoleKeys: pages.keys,
    named: namedKeysOf(keys, rules),
    match: (digest: string) => {
      if (digest.length !== DIGEST_LENGTH) return undefined;
      presented.write(digest, 'latin1');
      let found: Principal | undefined;
      // INVARIANT: every key is compared every time; the last assignment is the first key's, so the order holds.
      for (const key of lastFirst) {
        if (equal(key.digest, presented)) found = key.principal;
      }
      return found;
    },
  });
}

/** The console's part of a ring: its secret is no key, and is tried last. */
function consoleOf(secret: string | undefined, all: readonly RingEntry[], around: Around) {
  if (secret === undefined) return { secrets: [], keys: new Map<string, StaticKey>() };
  const own = entry(CONSOLE_ID, secret, GLOBAL_MANAGE, around);
  const ids = [...all, ...own].map(({ principal }) => principal.keyId);
  const bytes = new TextEncoder().encode(secret);
  const signer: JwtSecret = Object.freeze({ keyId: CONSOLE_ID, bytes, mints: true, console: true });
  return { secrets: [signer], keys: exchangedOf([...all, ...own], ids) };
}

function exchangedOf(all: readonly RingEntry[], ids: readonly string[] = []): ReadonlyMap<string, StaticKey> {
  return new Map(
    all.flatMap(({ digest, principal }) =>
      ids.includes(principal.keyId)
        ? [[principal.keyId, { digest: digest.toString('latin1'), principal }] as const]
        : [],
    ),
  );
}

/** The named keys of a ring; `undefined` = none. */
export function namedKeysOf(keys: RingKeys, rules: readonly Rule[]): NamedKeys | undefined {
  const { namedKeys = [], namedKeysUnknown: unknown = false, rangesOf = noRanges, clientOf = same, limitIds } = keys;
  if (namedKeys.length === 0 && !unknown) return undefined;
  const taken = takenIds({ ...keys, certificates: keys.certificates?.use.id });
  return new NamedKeys(namedKeys, { rules, tenants: keys.tenants, rangesOf, clientOf, limitIds, taken, unknown });
}

/** The sections of a policy whose ids are those of callers. */
export interface CallerIds {
  readonly signingKeys?: readonly { readonly id: string }[] | undefined;
  readonly issuers?: readonly { readonly id: string }[] | undefined;
  /** Id of the client certificates. */
  readonly certificates?: string | undefined;
}

/** Ids that a named key may not have: callers of other kinds are told by them in rules, limits, tenants, revocations and the audit. */
export function takenIds({ signingKeys = [], issuers = [], certificates }: CallerIds): ReadonlySet<string> {
  const ids = [...signingKeys, ...issuers].map(({ id }) => id);
  return new Set(certificates === undefined ? ids : [...ids, certificates]);
}

function same(address: string): string {
  return address;
}

function noRanges(): AddressSet {
  return { has: () => false };
}

/** Restrictions of the policy on one principal. */
interface Around {
  readonly rules: readonly Rule[];
  readonly tenants: Tenants | undefined;
}

/** The tenancy of a configured key, which has no value of its own. */
function tenancyOfKey(tenants: Tenants | undefined, keyId: string) {
  return tenancyOf(tenants, { keyId, subject: undefined, credential: 'keys', valuesFrom: () => undefined });
}

function openPrincipalUnder({ rules, tenants }: Around): Principal {
  const { access, keyId, subject } = OPEN_PRINCIPAL;
  const left = applyRules(rules, { access, keyId, subject });
  const tenancy = tenancyOfKey(tenants, keyId);
  return left.bounds || tenancy ? Object.freeze({ ...OPEN_PRINCIPAL, ...left, tenancy }) : OPEN_PRINCIPAL;
}

interface RingEntry {
  readonly digest: Buffer;
  readonly principal: Principal;
  readonly secret: JwtSecret;
}

function secretOf({ id, secret, exchange }: SigningKey): JwtSecret {
  if (secret === '') throw new RangeError(`the signing key \`${id}\` must not be empty`);
  return Object.freeze({ keyId: id, bytes: new TextEncoder().encode(secret), ...(exchange && { mints: true }) });
}

function entry(
  keyId: string,
  key: string | null | undefined,
  access: GlobalAccess,
  { rules, tenants }: Around,
): readonly RingEntry[] {
  if (key === undefined || key === null) return [];
  if (key === '') throw new RangeError(`\`${keyId}\` must not be empty`);
  const principal: Principal = Object.freeze({
    kind: 'principal',
    ...applyRules(rules, { access, keyId, subject: undefined }),
    tenancy: tenancyOfKey(tenants, keyId),
    authType: 'ApiKey',
    keyId,
    subject: undefined,
  });
  return [
    {
      digest: Buffer.from(digestOf(key), 'latin1'),
      principal,
      secret: Object.freeze({ keyId, bytes: new TextEncoder().encode(key) }),
    },
  ];
}
