import { createHmac, timingSafeEqual } from 'node:crypto';
import type { PolicySettings } from '../../config/policy/file.ts';
import { readIssuedToken } from '../../identity/issuers/issued-token.ts';
import { isRecord } from './claims.ts';

/** A secret that signs tokens, with its key id. */
export interface NamedSecret {
  readonly id: string;
  readonly secret: string;
  readonly exchange?: true;
}

/** The content of a token, whether or not it is accepted. Texts are for a person. */
export interface TokenSays {
  /** `undefined` = not JSON. */
  readonly header: unknown;
  readonly claims: unknown;
  readonly id: string;
  readonly issued: string;
  readonly expiry: string;
  readonly signature: string;
}

/** Reads a token. @param now milliseconds since 1970 */
export function tokenSays(
  token: string,
  secrets: readonly NamedSecret[],
  { signingKeys }: Pick<PolicySettings, 'signingKeys'>,
  now: number,
): TokenSays {
  const [head, body] = token.split('.');
  const claims = partOf(body);
  return {
    ...{ header: partOf(head), claims },
    ...{ id: describeId(claims), issued: describeIssue(claims) },
    ...{ expiry: describeExpiry(claims, now), signature: describeSignature(token, secrets, signingKeys) },
  };
}

/** A part of a token; `undefined` = it is not JSON. */
function partOf(part: string | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

function describeExpiry(claims: unknown, nowMs: number): string {
  const exp = isRecord(claims) ? claims.exp : undefined;
  if (exp === undefined) return 'never expires';
  if (typeof exp !== 'number') return 'expiry is not a number, the token will be refused';
  const date = new Date(exp * 1000);
  const shown = Number.isNaN(date.getTime()) ? `${exp}` : date.toISOString();
  return exp * 1000 < nowMs ? `expired on ${shown}` : `expires on ${shown}`;
}

function describeId(claims: unknown): string {
  const id = isRecord(claims) ? claims.jti : undefined;
  return typeof id === 'string' ? id : 'none (no `jti`): the token cannot be revoked by id';
}

function describeIssue(claims: unknown): string {
  const at = isRecord(claims) ? claims.iat : undefined;
  // A larger number (after the year 5138) is not in seconds.
  const date = new Date(typeof at === 'number' && at < 100_000_000_000 ? at * 1000 : Number.NaN);
  return Number.isNaN(date.getTime())
    ? 'unknown (no `iat`): the token counts as issued before any time'
    : date.toISOString();
}

// Display only; requests are verified in identity/token.ts.
function signedBy(token: string, secret: string): boolean {
  const cut = token.lastIndexOf('.');
  const expected = createHmac('sha256', secret).update(token.slice(0, cut)).digest();
  const given = Buffer.from(token.slice(cut + 1), 'base64url');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function describeSignature(
  token: string,
  secrets: readonly NamedSecret[],
  signingKeys: PolicySettings['signingKeys'],
): string {
  if (readIssuedToken(token)) return 'by a private key: the verdict tells whether its issuer is known';
  if (secrets.length === 0) return 'not checked, no key is configured';
  const found = secrets.find(({ secret }) => signedBy(token, secret));
  if (!found) return 'by none of the configured keys';
  return signingKeys.some(({ id }) => id === found.id)
    ? `by the signing key \`${found.id}\``
    : `by \`service.${found.id}\``;
}
