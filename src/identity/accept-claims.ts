import { isTrusted } from '../policy/access.ts';
import {
  type Denial,
  EXPIRED_SIGNATURE,
  invalidClaims,
  TOKEN_MANAGES,
  TOKEN_SECRET_SHORT,
  TOKEN_TOO_LONG,
  TOKEN_WITHOUT_ACCESS,
  TOKEN_WITHOUT_EXP,
} from '../policy/denial.ts';
import { applyRules } from '../policy/rules.ts';
import { withPatterns } from '../policy/settings.ts';
import { tenancyOf } from '../policy/tenants/settings.ts';
import type { TokenRules } from '../policy/token-rules.ts';
import type { Claims } from './claims.ts';
import type { JwtSecret, KeyRing } from './key-ring.ts';
import type { KeySource } from './minted/key-source.ts';
import type { Principal } from './principal.ts';
import type { RevocableToken } from './revocations.ts';
import type { ValueExists } from './value-exists-claim.ts';

/** The parts of a ring that decide about claims. */
export type ClaimRing = Pick<KeyRing, 'rules' | 'tokenRules' | 'tenants'>;

/** An accepted token, and what is checked again on each request. */
export interface AcceptedToken {
  readonly kind: 'accepted';
  /** A named key is asked on each request: whether a token that stands for it is still accepted, and as whom. */
  readonly principal: Principal | KeySource;
  /** Seconds since 1970. */
  readonly exp: number | undefined;
  readonly valueExists: ValueExists | undefined;
  readonly revocable: RevocableToken;
  /** False = the token must be verified again, though it may not be expired; absent = it stands. @param now milliseconds since 1970 */
  readonly stands?: (now: number) => boolean;
  /** Of the token that a minted one was exchanged for. */
  readonly source?: RevocableToken;
}

/** An accepted token that a minted one may stand for. */
export type AcceptedSource = AcceptedToken & { readonly principal: Principal };

/** Upstream: leeway after `exp`, in seconds. */
const LEEWAY_SECONDS = 30;

/** True = `exp` plus the leeway has passed; exactly 30 s after `exp` it has not. `now` in milliseconds. */
export function isExpired(exp: number | undefined, now: number): boolean {
  return exp !== undefined && exp < Math.floor(now / 1000) - LEEWAY_SECONDS;
}

/** The verdict on the claims of a token with a valid signature. @param now milliseconds since 1970 */
export function acceptRead(claims: Claims, secret: JwtSecret, ring: ClaimRing, now: number): AcceptedSource | Denial {
  const { tokenRules } = ring;
  if (isExpired(claims.exp, now)) return EXPIRED_SIGNATURE;
  if (claims.faults !== '') return invalidClaims(claims.faults);
  const refused = checkTokenRules(tokenRules, claims, secret.bytes.length, now);
  if (refused) return refused;
  const read = tokenRules.patterns ? { ...claims, access: withPatterns(claims.access) } : claims;
  return accept(read, secret.keyId, ring);
}

function accept(claims: Claims, keyId: string, { rules, tenants }: ClaimRing) {
  const { subject, exp, valueExists, jti, sub, issuedAt } = claims;
  const left = applyRules(rules, { access: claims.access, keyId, subject });
  const valuesFrom = (claim: string) => claims.tenants.get(claim);
  const tenancy = tenancyOf(tenants, { keyId, subject, credential: 'tokens', valuesFrom });
  const principal: Principal = Object.freeze({
    ...{ kind: 'principal', ...left, tenancy, authType: 'Jwt', keyId, subject },
  } as const);
  const revocable = Object.freeze({ jti, sub, subject, issuedAt, keyId });
  return Object.freeze({ kind: 'accepted', principal, exp, valueExists, revocable } as const);
}

/**
 * The denial of a valid token by the operator's rules for tokens; `undefined` = none. @param now milliseconds since 1970
 */
export function checkTokenRules(
  rules: TokenRules,
  claims: Pick<Claims, 'exp' | 'issuedAt' | 'access' | 'hasAccess'>,
  secretBytes: number,
  now: number,
): Denial | undefined {
  if (secretBytes < rules.minSecretBytes) return TOKEN_SECRET_SHORT;
  if (claims.exp === undefined && (rules.requireExp || rules.maxLifetime !== undefined)) return TOKEN_WITHOUT_EXP;
  if (rules.maxLifetime !== undefined && lifetime(claims, now) > rules.maxLifetime) return TOKEN_TOO_LONG;
  if (rules.requireAccess && !claims.hasAccess) return TOKEN_WITHOUT_ACCESS;
  if (rules.refuseManage && isTrusted(claims.access)) return TOKEN_MANAGES;
  return undefined;
}

/** Seconds. An issue time in the future or without sense counts as now, so that it lengthens nothing. */
function lifetime({ exp = 0, issuedAt }: Pick<Claims, 'exp' | 'issuedAt'>, now: number): number {
  const seconds = Math.floor(now / 1000);
  const begun = issuedAt !== undefined && issuedAt <= seconds ? issuedAt : seconds;
  return exp - begun;
}
