import { type Denial, REVOCATION_UNKNOWN, REVOKED } from '../../policy/denial.ts';
import type { AcceptedToken } from '../accept-claims.ts';
import { isRevoked, type Revocations } from '../revocations.ts';

/** The denial of an accepted token that has been revoked. @param current `undefined` = none are kept */
export function revocationOf(token: AcceptedToken, current: Revocations | undefined): Denial | undefined {
  if (!current) return undefined;
  if (current.unknown) return REVOCATION_UNKNOWN;
  if (isRevoked(current, token.revocable)) return REVOKED;
  // INVARIANT: a minted token is revoked with the token it was exchanged for.
  return token.source && isRevoked(current, token.source) ? REVOKED : undefined;
}
