import { isTrusted } from '../../policy/access.ts';
import {
  type Denial,
  GROUPS_OVERAGE,
  INVALID_SIGNATURE,
  ISSUER_KEY_UNKNOWN,
  ISSUER_KEYS_UNKNOWN,
  TOKEN_MANAGES,
} from '../../policy/denial.ts';
import { type Claims, tenantValuesIn } from '../../policy/mapping/claims.ts';
import type { PublishedKey } from '../../policy/mapping/issuer.ts';
import type { Mapped } from '../../policy/mapping/mapper.ts';
import type { AcceptedSource, AcceptedToken, ClaimRing } from '../accept-claims.ts';
import { verifySignature } from '../jwks.ts';
import type { Principal } from '../principal.ts';
import type { IssuedToken } from './issued-token.ts';
import type { Issuer } from './issuer.ts';
import { type Found, type IssuerKey, type KeySets, keyObjectOf } from './key-sets.ts';
import { mappedPrincipal } from './mapped-principal.ts';
import { checkRegistered, isPast, type RegisteredClaims } from './registered-claims.ts';

/** Ring, key sets and clock for the verification of a token. */
export interface IssuedSurroundings {
  readonly ring: ClaimRing;
  readonly sets: KeySets;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Verifies a token of the issuer and maps its claims. Waits for a fresh key set at most once. */
export async function acceptIssued(
  token: IssuedToken,
  issuer: Issuer,
  around: IssuedSurroundings,
): Promise<AcceptedToken | Denial> {
  const { settings } = issuer;
  if (!settings.algorithms.includes(token.alg)) return ISSUER_KEY_UNKNOWN;
  // First, so that a token that is refused anyway asks for no keys.
  const registered = registeredIn(token, issuer, around);
  if (registered.kind === 'denial') return registered;
  const key = await signerOf(token, issuer, around);
  if ('code' in key) return key;
  return mapToken(token.claims ?? NO_CLAIMS, { registered, key, issuer }, around);
}

/** The registered claims of a token, or its refusal by them. */
export function registeredIn(
  token: IssuedToken,
  { settings, subjectPath }: Issuer,
  { ring: { tokenRules }, now }: Pick<IssuedSurroundings, 'ring' | 'now'>,
): RegisteredClaims | Denial {
  const lifetimes = [settings.maxLifetime, tokenRules.maxLifetime].filter((one) => one !== undefined);
  const rules = { ...settings, maxLifetime: lifetimes.length > 0 ? Math.min(...lifetimes) : undefined };
  return checkRegistered(token, rules, subjectPath, now());
}

/**
 * Judges a token again that was verified before, without its signature: by the claims that it had, under the issuer and the keys
 * in force. `undefined` = the key that signed it is not published any more.
 *
 * @param signedIt whether this key signed it
 */
export function acceptAgain(
  token: IssuedToken,
  issuer: Issuer,
  signedIt: (key: PublishedKey) => boolean,
  around: IssuedSurroundings,
): AcceptedSource | Denial | undefined {
  const { algorithms, id } = issuer.settings;
  if (!algorithms.includes(token.alg)) return ISSUER_KEY_UNKNOWN;
  const registered = registeredIn(token, issuer, around);
  if (registered.kind === 'denial') return registered;
  const found = around.sets.find(id, token.kid, token.alg);
  if (found === 'unusable') return ISSUER_KEYS_UNKNOWN;
  const key = found.find(({ published }) => signedIt(published));
  return key && mapToken(token.claims ?? NO_CLAIMS, { registered, key, issuer }, around);
}

const NO_CLAIMS: Claims = new Map();

/** The key that signed the token. */
export async function signerOf(token: IssuedToken, { settings: { id } }: Issuer, { sets }: IssuedSurroundings) {
  let found = sets.find(id, token.kid, token.alg);
  let signer = await signerAmong(found, token);
  if (!signer) {
    // Also where a key of this name is known: a provider may have given the name to another key.
    await sets.refresh(id);
    const fresh = sets.find(id, token.kid, token.alg);
    signer = isSame(found, fresh) ? undefined : await signerAmong(fresh, token);
    found = fresh;
  }
  if (signer) return signer;
  if (found === 'unusable') return ISSUER_KEYS_UNKNOWN;
  return found.length === 0 ? ISSUER_KEY_UNKNOWN : INVALID_SIGNATURE;
}

async function signerAmong(found: Found, token: IssuedToken): Promise<IssuerKey | undefined> {
  if (found === 'unusable') return undefined;
  for (const key of found) {
    const object = keyObjectOf(key);
    if (object && (await verifySignature(token.token, object, token.alg))) return key;
  }
  return undefined;
}

function isSame(one: Found, other: Found): boolean {
  if (one === 'unusable' || other === 'unusable') return one === other;
  return one.length === other.length && one.every((key, at) => key === other[at]);
}

interface VerifiedToken {
  readonly registered: RegisteredClaims;
  readonly key: IssuerKey;
  readonly issuer: Issuer;
}

function mapToken(
  claims: Claims,
  { registered, key, issuer }: VerifiedToken,
  { ring, sets }: IssuedSurroundings,
): AcceptedSource | Denial {
  const { id, clockSkew } = issuer.settings;
  const { subject, exp, jti, sub, issuedAt } = registered;
  const principal = issuedPrincipal(issuer, claims, subject, ring);
  if (principal.kind === 'denial') return principal;
  return Object.freeze({
    ...{ kind: 'accepted', principal, exp: undefined, valueExists: undefined },
    revocable: Object.freeze({ jti, sub, subject, issuedAt, keyId: id }),
    stands: (now: number) => !isPast(exp, clockSkew, now) && sets.holds(id, key),
  } as const);
}

/** The principal of verified claims under rules and tenants, or why they give no access. Pure. */
export function issuedPrincipal(
  { mapper, settings: { id } }: Pick<Issuer, 'mapper' | 'settings'>,
  claims: Claims,
  subject: string,
  ring: ClaimRing,
): Principal | Denial {
  const mapped = mapIssued({ mapper }, claims);
  // Only a token that its issuer has signed is refused by name.
  const refused = (denial: Denial): Denial => ({ ...denial, key: { id, name: id, owner: undefined } });
  if (mapped.kind === 'denial') return refused(mapped);
  if (ring.tokenRules.refuseManage && isTrusted(mapped.access)) return refused(TOKEN_MANAGES);
  const valuesFrom = (claim: string) => tenantValuesIn(claims.get(claim));
  return mappedPrincipal({ authType: 'Jwt', keyId: id, subject, mapped, valuesFrom }, ring);
}

/** The access that the claims of a token give, or why they give none. Pure. */
export function mapIssued({ mapper }: Pick<Issuer, 'mapper'>, claims: Claims): Mapped | Denial {
  const mapped = mapper.map(claims);
  return mapped.kind === 'denial' && leftOut(claims) ? GROUPS_OVERAGE : mapped;
}

/**
 * True = the provider left the groups out of the token (Entra ID: more than 200; "groups overage claim"). They are not asked for:
 * that would need a right to read the directory.
 */
function leftOut(claims: Claims): boolean {
  const names = claims.get('_claim_names');
  if (claims.has('groups')) return false;
  return claims.get('hasgroups') === true || (names instanceof Map && names.has('groups'));
}
