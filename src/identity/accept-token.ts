import {
  type Denial,
  EXPIRED_SIGNATURE,
  INVALID_CREDENTIAL,
  INVALID_SIGNATURE,
  invalidClaims,
} from '../policy/denial.ts';
import { applyRules } from '../policy/rules.ts';
import { withPatterns } from '../policy/settings.ts';
import { tenancyOf } from '../policy/tenants/settings.ts';
import { checkTokenRules } from './check-token-rules.ts';
import { type Claims, readClaims } from './claims.ts';
import type { JwtSecret, KeyRing } from './key-ring.ts';
import type { Principal } from './principal.ts';
import type { RevocableToken } from './revocations.ts';
import { verifyToken } from './token.ts';
import type { TokenShape } from './token-shape.ts';
import type { ValueExists } from './value-exists-claim.ts';

/** The parts of a ring that decide about tokens. */
export type TokenRing = Pick<KeyRing, 'jwtSecrets' | 'rules' | 'tokenRules' | 'tenants'>;

/** An accepted token, and the claims that are checked again on each request. */
export interface AcceptedToken {
  readonly kind: 'accepted';
  readonly principal: Principal;
  /** Seconds since 1970. */
  readonly exp: number | undefined;
  readonly valueExists: ValueExists | undefined;
  readonly revocable: RevocableToken;
  /** False = the token must be verified again, though it may not be expired; absent = it stands. @param now milliseconds since 1970 */
  readonly stands?: (now: number) => boolean;
}

/** Upstream: leeway after `exp`, in seconds. */
const LEEWAY_SECONDS = 30;

/** True = `exp` plus the leeway has passed; exactly 30 s after `exp` it has not. `now` in milliseconds. */
export function isExpired(exp: number | undefined, now: number): boolean {
  return exp !== undefined && exp < Math.floor(now / 1000) - LEEWAY_SECONDS;
}

/**
 * Verifies a token with every secret.
 *
 * Upstream: the first secret that accepts wins. If none accepts, the first one with a result decides; "undecodable" is
 * not a result. So with two secrets, undecodable claims signed with the first are "InvalidSignature".
 *
 * @param now milliseconds since 1970
 */
export async function acceptToken(shape: TokenShape, ring: TokenRing, now: number): Promise<AcceptedToken | Denial> {
  let answer: Denial | undefined;
  for (const secret of ring.jwtSecrets) {
    const verified = await acceptWith(shape, secret, ring, now);
    if (verified?.kind === 'accepted') return verified;
    answer ??= verified;
  }
  return answer ?? INVALID_CREDENTIAL;
}

/** `undefined` = undecodable. */
async function acceptWith(
  shape: TokenShape,
  secret: JwtSecret,
  ring: TokenRing,
  now: number,
): Promise<AcceptedToken | Denial | undefined> {
  const verified = await verifyToken(shape, secret.bytes);
  if (verified.kind === 'invalid-signature') return INVALID_SIGNATURE;
  if (verified.kind === 'undecodable') return undefined;
  return acceptClaims(verified.claims, secret, ring, now);
}

/** Accepts the claims of a token whose signature is right, or taken as right. `undefined` = undecodable. */
export function acceptClaims(
  bytes: Uint8Array,
  secret: JwtSecret,
  ring: TokenRing,
  now: number,
): AcceptedToken | Denial | undefined {
  const { tokenRules } = ring;
  const claims = readClaims(bytes, undefined, ring.tenants?.claims);
  if (!claims) return undefined;
  if (isExpired(claims.exp, now)) return EXPIRED_SIGNATURE;
  if (claims.faults !== '') return invalidClaims(claims.faults);
  const refused = checkTokenRules(tokenRules, claims, secret.bytes.length, now);
  if (refused) return refused;
  const read = tokenRules.patterns ? { ...claims, access: withPatterns(claims.access) } : claims;
  return accept(read, secret.keyId, ring);
}

function accept(claims: Claims, keyId: string, { rules, tenants }: TokenRing): AcceptedToken {
  const { subject, exp, valueExists, jti, sub, issuedAt } = claims;
  const left = applyRules(rules, { access: claims.access, keyId, subject });
  const valuesFrom = (claim: string) => claims.tenants.get(claim);
  const tenancy = tenancyOf(tenants, { keyId, subject, credential: 'tokens', valuesFrom });
  const principal: Principal = Object.freeze({
    ...{ kind: 'principal', ...left, tenancy, authType: 'Jwt', keyId, subject },
  } as const);
  const revocable = Object.freeze({ jti, sub, subject, issuedAt, keyId });
  return Object.freeze({ kind: 'accepted', principal, exp, valueExists, revocable });
}
