import * as errors from 'jose/errors';
import { CompactSign } from 'jose/jws/compact/sign';
import { compactVerify } from 'jose/jws/compact/verify';
import { decodeBase64url } from './base64url.ts';
import type { TokenShape } from './token-shape.ts';

/** `verified`: signed with this secret. `undecodable`: signed with it, but the claims part is not strict base64url. */
export type Verification =
  | { readonly kind: 'verified'; readonly claims: Uint8Array }
  | { readonly kind: 'invalid-signature' }
  | { readonly kind: 'undecodable' };

const INVALID_SIGNATURE: Verification = Object.freeze({ kind: 'invalid-signature' });
const UNDECODABLE: Verification = Object.freeze({ kind: 'undecodable' });

/**
 * Verifies the HS256 signature of a token and nothing else.
 *
 * Takes a shape instead of a text, because jose also accepts padding, blanks and unused bits.
 *
 * @param secret any length but 0
 */
export async function verifyToken(shape: TokenShape, secret: Uint8Array): Promise<Verification> {
  try {
    await compactVerify(shape.token, secret, { algorithms: ['HS256'] });
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return INVALID_SIGNATURE;
    if (error instanceof errors.JOSEError) return UNDECODABLE;
    throw error;
  }
  const claims = decodeBase64url(shape.claimsPart);
  return claims === undefined ? UNDECODABLE : { kind: 'verified', claims };
}

/**
 * Creates a token with these claims. The header is exactly `{"alg":"HS256","typ":"JWT"}`, plus `kid` if given.
 *
 * @param keyId value of `kid`; no decision depends on it
 * @throws RangeError if the secret is empty
 */
export async function mintToken(claims: object, secret: string, keyId?: string): Promise<string> {
  const utf8 = new TextEncoder();
  return await signClaims(utf8.encode(JSON.stringify(claims)), utf8.encode(secret), keyId);
}

/** The same for claims that are JSON text already. */
export async function signClaims(claims: Uint8Array, secret: Uint8Array, keyId?: string): Promise<string> {
  if (secret.length === 0) throw new RangeError('secret must not be empty');
  return await new CompactSign(claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT', ...(keyId === undefined ? {} : { kid: keyId }) })
    .sign(secret);
}
