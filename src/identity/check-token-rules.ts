import { isTrusted } from '../policy/access.ts';
import {
  type Denial,
  TOKEN_MANAGES,
  TOKEN_SECRET_SHORT,
  TOKEN_TOO_LONG,
  TOKEN_WITHOUT_ACCESS,
  TOKEN_WITHOUT_EXP,
} from '../policy/denial.ts';
import type { TokenRules } from '../policy/token-rules.ts';
import type { Claims } from './claims.ts';

/**
 * The denial of a valid token by the operator's rules for tokens; `undefined` = none. @param now milliseconds since 1970
 */
export function checkTokenRules(
  rules: TokenRules,
  claims: Claims,
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
function lifetime({ exp = 0, issuedAt }: Claims, now: number): number {
  const seconds = Math.floor(now / 1000);
  const begun = issuedAt !== undefined && issuedAt <= seconds ? issuedAt : seconds;
  return exp - begun;
}
