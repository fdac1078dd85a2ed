import { acceptClaims } from '../../identity/accept-token.ts';
import type { Principal } from '../../identity/principal.ts';
import { mintToken } from '../../identity/token.ts';
import { type Denial, INVALID_CREDENTIAL, INVALID_SIGNATURE } from '../../policy/denial.ts';
import { ANONYMOUS, callerIds, configuredKeys, present, signingSecrets } from '../caller.ts';
import { mappedClasses } from '../mapped/classes.ts';
import type { OfflineParts } from '../parts.ts';
import { tokenLabel } from './labels.ts';
import type { PrincipalClass } from './principal-class.ts';
import { subjectsOf } from './subjects.ts';

/** Accesses of tokens, as far as one collection can tell them apart. Absent `mode` = global or none. */
export const TOKEN_ACCESS = ['m', 'r', 'rw', 'prw', 'r only', 'another collection'] as const;
export type TokenAccess = (typeof TOKEN_ACCESS)[number];

const ACCESS_LABELS: Readonly<Record<TokenAccess, string>> = {
  m: 'access m',
  r: 'access r',
  rw: 'rw on it',
  prw: 'prw on it',
  'r only': 'r on it',
  'another collection': 'nothing on it',
};

/** The classes of these states: keys by id, tokens by signing key, subject, tenant and access. */
export function principalClasses(states: readonly OfflineParts[]): readonly PrincipalClass[] {
  const [first] = states;
  if (!first) return [];
  if (states.every(({ ring }) => ring.open)) return [openClass()];
  const ids = [
    ...new Set(
      states.flatMap(({ state }) => Object.entries(configuredKeys(state)).flatMap(([id, text]) => (text ? [id] : []))),
    ),
  ];
  const named = new Map(
    states.flatMap(({ state }) => (state.policy.namedKeys ?? []).map((key) => [key.id, key] as const)),
  );
  return [
    keyClass('anonymous', ANONYMOUS),
    ...ids.map((id) => keyClass('key', id)),
    ...[...named.values()].map(({ id, name }) => keyClass('named_key', id, name)),
    ...tokenClasses(states),
    ...mappedClasses(states),
  ];
}

function openClass(): PrincipalClass {
  return { ...keyClass('anonymous', ANONYMOUS), label: 'any caller: no key is set' };
}

function keyClass(kind: PrincipalClass['kind'], key: string, name?: string): PrincipalClass {
  const label = kind === 'anonymous' ? 'no credential' : `key ${key}${name === undefined ? '' : ` (${name})`}`;
  return {
    ...{ label, kind, key, byCollection: false },
    ...(name !== undefined && { name }),
    identify: (parts) => identityOf(parts, key),
    headersFor: async () => [],
  };
}

/** A key that a state does not have is refused as any text. */
async function identityOf(parts: OfflineParts, id: string): Promise<Principal | Denial> {
  const isThere = callerIds(parts.state).includes(id);
  if (!isThere) return INVALID_CREDENTIAL;
  const presented = await present({ kind: 'key', id }, parts);
  return presented.kind === 'identity'
    ? presented.identity
    : parts.authenticate(presented.headers, undefined, parts.assumptions.remote);
}

/** Every signing key that one of the states has, with the subjects and claims of tenants that one of them mentions. */
function tokenClasses(states: readonly OfflineParts[]): readonly PrincipalClass[] {
  const signing = [
    ...new Set(
      states.flatMap(({ state, ring }) =>
        ring.jwtSecrets.length > 0 ? signingSecrets(state).map(({ id }) => id) : [],
      ),
    ),
  ];
  const subjects = subjectsOf(states);
  const claims = [...new Set(states.flatMap(({ ring }) => [...(ring.tenants?.claims ?? [])]))];
  const lives = states.some(({ ring: { tokenRules: rules } }) => rules.requireExp || rules.maxLifetime !== undefined)
    ? [true, false]
    : [true];
  return signing.flatMap((key) =>
    subjects.flatMap((subject) =>
      (claims.length > 0 ? [claims, []] : [[]]).flatMap((tenants) =>
        lives.flatMap((ends) =>
          TOKEN_ACCESS.map((access) =>
            tokenClass({ key, subject, tenants, ends, access, told: { subjects: subjects.length > 1, claims, lives } }),
          ),
        ),
      ),
    ),
  );
}

interface TokenForm {
  readonly key: string;
  readonly subject: string | undefined;
  /** Claims that it has, of those that name tenants. */
  readonly tenants: readonly string[];
  readonly ends: boolean;
  readonly access: TokenAccess;
  /** The differences between tokens that have to be told. */
  readonly told: { readonly subjects: boolean; readonly claims: readonly string[]; readonly lives: readonly boolean[] };
}

/** Longest life of such a token, in seconds: within every limit. */
const LIFE = 1;

function tokenClass(form: TokenForm): PrincipalClass {
  const { key, subject, tenants, ends, access, told } = form;
  const family = `token of ${key}`;
  const traits = [
    ACCESS_LABELS[access],
    subject === undefined ? (told.subjects ? 'without subject' : '') : `subject ${subject}`,
    told.claims.length === 0
      ? ''
      : tenants.length > 0
        ? `with ${tenants.join(', ')}`
        : `without ${told.claims.join(', ')}`,
    told.lives.length > 1 && !ends ? 'without exp' : '',
  ];
  return {
    ...{ label: tokenLabel(family, traits), kind: 'token', key, family, subject, traits },
    byCollection: access !== 'm' && access !== 'r',
    async headersFor({ state, assumptions: { now } }, collection) {
      const secret = signingSecrets(state).find(({ id }) => id === key)?.secret;
      const claims = claimsOf(form, claimOf(access, collection, undefined), now);
      return secret === undefined ? [] : ['api-key', await mintToken(claims, secret)];
    },
    async identify({ ring, assumptions: { now } }, collection, target) {
      const secret = ring.jwtSecrets.find(({ keyId }) => keyId === key);
      if (!secret) return ring.jwtSecrets.length === 0 ? INVALID_CREDENTIAL : INVALID_SIGNATURE;
      const claims = claimsOf(form, claimOf(access, collection, target), now);
      const accepted = acceptClaims(Buffer.from(JSON.stringify(claims)), secret, ring, now);
      if (accepted?.kind !== 'accepted') return accepted ?? INVALID_CREDENTIAL;
      return accepted.principal.kind === 'principal' ? accepted.principal : INVALID_CREDENTIAL;
    },
  };
}

function claimsOf({ subject, tenants, ends }: TokenForm, access: unknown, now: number): object {
  const at = Math.floor(now / 1000);
  return {
    ...{ iat: at, access },
    ...(ends && { exp: at + LIFE }),
    ...(subject !== undefined && { subject }),
    ...Object.fromEntries(tenants.map((claim) => [claim, 'the tenant'])),
  };
}

function claimOf(access: TokenAccess, collection: string, target: string | undefined): unknown {
  if (access === 'm' || access === 'r') return access;
  const own = access === 'another collection' ? [] : [{ collection, access: access === 'r only' ? 'r' : access }];
  return target === undefined || target === collection ? own : [{ collection: target, access: 'rw' }, ...own];
}
