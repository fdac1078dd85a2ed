import { compactDecrypt } from 'jose/jwe/compact/decrypt';
import { CompactEncrypt } from 'jose/jwe/compact/encrypt';

/** Bytes of a key that seals. */
export const SEAL_KEY_BYTES = 32;

/**
 * Seals a value with a key of 32 bytes: JWE, compact, `dir` with A256GCM (RFC 7516). Without the key it can neither be read nor be
 * changed.
 *
 * @param use what it is for; a value sealed for another use is not opened
 */
export async function seal(value: object, key: Uint8Array, use: string): Promise<string> {
  return await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(value)))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', typ: use })
    .encrypt(key);
}

/** Opens it; `undefined` = it was not sealed with this key for this use. Never rejects. */
export async function openSealed(text: string, key: Uint8Array, use: string): Promise<unknown> {
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(text, key, {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
    });
    return protectedHeader.typ === use ? (JSON.parse(new TextDecoder().decode(plaintext)) as unknown) : undefined;
  } catch {
    return undefined;
  }
}
