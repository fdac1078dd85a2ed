import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { AcmeFault } from './fault.ts';

/* Records that leave the machine: AES-256-GCM under a key from the operator's secret, bound to the name of the record. */

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CONTEXT = 'qdrant-gateway acme records v1';

/** Encrypts and decrypts records. @param secret at least 32 bytes of the operator's */
export function createSeal(secret: Buffer): {
  readonly seal: (name: string, text: string) => string;
  /** Throws `AcmeFault` for what was not sealed under this name with this secret. */
  readonly open: (name: string, sealed: string) => string;
} {
  const key = Buffer.from(hkdfSync('sha256', secret, '', CONTEXT, 32));
  return {
    seal(name, text) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(name));
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64');
    },
    open(name, sealed) {
      const bytes = Buffer.from(sealed, 'base64');
      try {
        const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
          .setAAD(Buffer.from(name))
          .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
        const body = bytes.subarray(NONCE_BYTES + TAG_BYTES);
        return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
      } catch {
        throw new AcmeFault(
          'storage',
          `the record \`${name}\` in Redis was not made with this \`gateway.acme.shared_secret_file\``,
        );
      }
    },
  };
}
