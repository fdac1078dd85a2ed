import type { KeyObject } from 'node:crypto';
import * as errors from 'jose/errors';
import { compactVerify } from 'jose/jws/compact/verify';

/**
 * Verifies the signature of a token by this key and algorithm, and nothing else. The key is never taken from the token.
 *
 * @param alg the one of the header, which the issuer and the key allow
 */
export async function verifySignature(token: string, key: KeyObject, alg: string): Promise<boolean> {
  try {
    await compactVerify(token, key, { algorithms: [alg] });
    return true;
  } catch (error) {
    // A TypeError: the key is too short or of another type than the algorithm.
    if (error instanceof errors.JOSEError || error instanceof TypeError) return false;
    throw error;
  }
}
