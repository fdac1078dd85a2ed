import { type Denial, INVALID_CREDENTIAL, INVALID_SIGNATURE, TOKEN_WRONG_SIGNER } from '../policy/denial.ts';
import { type AcceptedToken, acceptRead } from './accept-claims.ts';
import { readClaims } from './claims.ts';
import type { JwtSecret } from './key-ring.ts';
import { acceptMinted, type BesideRing, type MintingRing } from './minted/accept.ts';
import { verifyToken } from './token.ts';
import type { TokenShape } from './token-shape.ts';

/**
 * Verifies a token with every secret.
 *
 * Upstream: the first secret that accepts wins. If none accepts, the first one with a result decides; "undecodable" is
 * not a result. So with two secrets, undecodable claims signed with the first are "InvalidSignature".
 *
 * @param now milliseconds since 1970
 * @param beside for tokens that the gateway has minted
 */
export async function acceptToken(
  shape: TokenShape,
  ring: MintingRing,
  now: number,
  beside?: BesideRing,
): Promise<AcceptedToken | Denial> {
  let answer: Denial | undefined;
  for (const secret of ring.jwtSecrets) {
    const verified = await acceptWith(shape, secret, { ring, now, beside });
    if (verified?.kind === 'accepted') return verified;
    // INVARIANT: the console's secret changes no answer to a token that it has not signed.
    if (secret.console && (verified === undefined || verified === INVALID_SIGNATURE)) continue;
    // The gateway's own: no other key has signed it.
    if (verified && verified !== INVALID_SIGNATURE && (secret.mints || verified === TOKEN_WRONG_SIGNER))
      return verified;
    answer ??= verified;
  }
  return answer ?? INVALID_CREDENTIAL;
}

/** `undefined` = undecodable. */
async function acceptWith(
  shape: TokenShape,
  secret: JwtSecret,
  around: { readonly ring: MintingRing; readonly now: number; readonly beside: BesideRing | undefined },
): Promise<AcceptedToken | Denial | undefined> {
  const verified = await verifyToken(shape, secret.bytes);
  if (verified.kind === 'invalid-signature') return INVALID_SIGNATURE;
  if (verified.kind === 'undecodable') return undefined;
  const { ring, now, beside } = around;
  return acceptClaims(verified.claims, secret, ring, now, beside);
}

/** Accepts the claims of a token whose signature is right, or taken as right. `undefined` = undecodable. */
export function acceptClaims(
  bytes: Uint8Array,
  secret: JwtSecret,
  ring: MintingRing,
  now: number,
  beside?: BesideRing,
): AcceptedToken | Denial | undefined {
  const claims = readClaims(bytes, undefined, ring.tenants?.claims);
  if (!claims) return undefined;
  // INVARIANT: a source is believed under a key for exchange alone, and such a key signs nothing else.
  if (secret.mints) return acceptMinted(claims, secret, { ring, now, ...beside });
  return claims.source ? TOKEN_WRONG_SIGNER : acceptRead(claims, secret, ring, now);
}
