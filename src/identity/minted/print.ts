import { createHmac, hash } from 'node:crypto';
import type { PublishedKey } from '../../policy/mapping/issuer.ts';
import type { KeyHash } from '../../policy/named-key.ts';

/*
 * Prints tie a minted token to the text of the credential it stands for, so that a rotation ends it. A print is an HMAC: without
 * the key that signs minted tokens, no text can be compared with it.
 */

/** Characters of base64url: 132 bits. */
const LENGTH = 22;
/** No token begins so: what is signed of a token has neither blank nor line break. */
const DOMAIN = 'qdrant-gateway source\n';

function printOf(secret: Uint8Array, kind: string, text: string): string {
  return createHmac('sha256', secret)
    .update(`${DOMAIN}${kind}\n${text}`, 'latin1')
    .digest('base64url')
    .slice(0, LENGTH);
}

/** The print of a configured key. @param digest see `digestOf` */
export function staticPrint(secret: Uint8Array, digest: string): string {
  return printOf(secret, 'key', digest);
}

/** The print of a named key with this text. */
export function namedPrint(secret: Uint8Array, stored: KeyHash): string {
  if (stored.kind === 'sha256') return printOf(secret, 'sha256', stored.digest);
  const { cost, blockSize, parallelization, salt, hash } = stored;
  return printOf(secret, 'scrypt', [cost, blockSize, parallelization, salt, hash].join(' '));
}

/** The print of a key that signs tokens. */
export function signerPrint(secret: Uint8Array, signer: Uint8Array): string {
  return printOf(secret, 'signer', hash('sha256', signer, 'hex'));
}

/** The print of a key that an issuer publishes. */
export function publishedPrint(secret: Uint8Array, { kty, members }: PublishedKey): string {
  const told = Object.entries(members).sort(([one], [other]) => (one < other ? -1 : 1));
  return printOf(secret, 'published', JSON.stringify([kty, told]));
}
