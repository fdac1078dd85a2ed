import {
  claimMissing,
  claimUnfit,
  type Denial,
  EXPIRED_SIGNATURE,
  ISSUER_TOKEN_UNFIT,
  TOKEN_NOT_YET_VALID,
  TOKEN_TOO_LONG,
  TOKEN_WITHOUT_EXP,
  WRONG_AUDIENCE,
} from '../../policy/denial.ts';
import { type ClaimPath, type ClaimValue, claimAt } from '../../policy/mapping/claims.ts';
import type { IssuerSettings } from '../../policy/mapping/issuer.ts';
import type { IssuedToken } from './issued-token.ts';

/** The registered claims that are used later (RFC 7519 section 4.1). Times in seconds since 1970. */
export interface RegisteredClaims {
  readonly kind: 'registered';
  readonly exp: number;
  readonly issuedAt: number | undefined;
  readonly jti: string | undefined;
  readonly sub: string | undefined;
  readonly subject: string;
}

/** Later times (after the year 5138) are not in seconds. */
const MAX_SECONDS = 100_000_000_000;
const MAX_TEXT = 1024;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const CONTROL = /[\u0000-\u001f\u007f]/;

type Rules = Pick<IssuerSettings, 'audiences' | 'types' | 'maxLifetime' | 'clockSkew' | 'subject'>;

/**
 * Checks header and registered claims of a token, in the order: form, audience, times, subject (RFC 7519, 8725, 9068).
 *
 * @param now milliseconds since 1970
 * @param subjectPath the path of `rules.subject`
 */
export function checkRegistered(
  { typ, hasCrit, claims }: IssuedToken,
  rules: Rules,
  subjectPath: ClaimPath,
  now: number,
): RegisteredClaims | Denial {
  if (!claims || hasCrit || !rules.types.includes(typ)) return ISSUER_TOKEN_UNFIT;
  const audience = audienceOf(claims.get('aud'));
  if (!audience) return ISSUER_TOKEN_UNFIT;
  if (!audience.some((one) => rules.audiences.includes(one))) return WRONG_AUDIENCE;
  const [exp, nbf, iat] = ['exp', 'nbf', 'iat'].map((name) => timeOf(claims.get(name)));
  if (exp === undefined) return TOKEN_WITHOUT_EXP;
  const jti = claims.get('jti');
  if (exp === 'unfit' || nbf === 'unfit' || iat === 'unfit' || (jti !== undefined && !isText(jti))) {
    return ISSUER_TOKEN_UNFIT;
  }
  const late = refusalOfTimes({ exp, nbf, iat }, rules, now);
  if (late) return late;
  const subject = claimAt(claims, subjectPath);
  if (subject === undefined) return claimMissing(rules.subject);
  if (!isText(subject)) return claimUnfit(rules.subject);
  const sub = claims.get('sub');
  return { kind: 'registered', exp, issuedAt: iat, jti, sub: isText(sub) ? sub : undefined, subject };
}

interface Times {
  readonly exp: number;
  readonly nbf: number | undefined;
  readonly iat: number | undefined;
}

function refusalOfTimes({ exp, nbf, iat }: Times, { maxLifetime, clockSkew }: Rules, now: number): Denial | undefined {
  const seconds = now / 1000;
  if (isPast(exp, clockSkew, now)) return EXPIRED_SIGNATURE;
  if (nbf !== undefined && nbf > seconds + clockSkew) return TOKEN_NOT_YET_VALID;
  if (iat !== undefined && iat > seconds + clockSkew) return TOKEN_NOT_YET_VALID;
  if (maxLifetime === undefined) return undefined;
  return exp - Math.min(iat ?? seconds, seconds) > maxLifetime ? TOKEN_TOO_LONG : undefined;
}

/** True = `exp` and the skew have passed (RFC 7519: on or after). @param now milliseconds since 1970 */
export function isPast(exp: number, clockSkew: number, now: number): boolean {
  return now / 1000 >= exp + clockSkew;
}

function audienceOf(value: ClaimValue | undefined): readonly string[] | undefined {
  if (value === undefined) return [];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : undefined;
}

/** A NumericDate, which may have a fraction. */
function timeOf(value: ClaimValue | undefined): number | undefined | 'unfit' {
  if (value === undefined) return undefined;
  const time = typeof value === 'bigint' ? Number(value) : value;
  return typeof time === 'number' && time >= 0 && time <= MAX_SECONDS ? time : 'unfit';
}

function isText(value: ClaimValue | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT && !CONTROL.test(value);
}
