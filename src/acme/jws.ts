import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, FlattenedSign, type JWK } from 'jose';

/** The key of an account: ECDSA on P-256. */
export interface AccountKey {
  /** PKCS#8. Never logged. */
  readonly pem: string;
  readonly privateKey: KeyObject;
  readonly jwk: JWK;
  /** RFC 7638, for key authorizations (RFC 8555 section 8.1). */
  readonly thumbprint: string;
}

/** A fresh key of an account, PKCS#8 as PEM. */
export function newAccountKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Throws if the text is no private key of P-256. */
export async function readAccountKey(pem: string): Promise<AccountKey> {
  const privateKey = createPrivateKey(pem);
  const { kty, crv, x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (kty !== 'EC' || crv !== 'P-256' || x === undefined || y === undefined) throw new TypeError('not a key of P-256');
  const jwk: JWK = { kty, crv, x, y };
  return { pem, privateKey, jwk, thumbprint: await calculateJwkThumbprint(jwk) };
}

/** The signer: an account by its address, or the key itself before it has an account. */
export type Signer = { readonly kid: string } | { readonly jwk: JWK };

/** A request as RFC 8555 section 6.2 wants it. @param payload `undefined` = POST-as-GET, section 6.3 */
export async function signed(
  key: AccountKey,
  signer: Signer,
  { url, nonce, payload }: { readonly url: string; readonly nonce: string; readonly payload: object | undefined },
): Promise<string> {
  const bytes = new TextEncoder().encode(payload === undefined ? '' : JSON.stringify(payload));
  const jws = await new FlattenedSign(bytes)
    .setProtectedHeader({ alg: 'ES256', nonce, url, ...signer })
    .sign(key.privateKey);
  return JSON.stringify(jws);
}

/** External account binding, RFC 8555 section 7.3.4. */
export interface AccountBinding {
  readonly keyId: string;
  /** The HMAC key's bytes. Never logged. */
  readonly hmac: Uint8Array;
}

/** The binding of a key to an account of the provider. @param url the `newAccount` address */
export async function bindingOf(key: AccountKey, { keyId, hmac }: AccountBinding, url: string): Promise<object> {
  return await new FlattenedSign(new TextEncoder().encode(JSON.stringify(key.jwk)))
    .setProtectedHeader({ alg: 'HS256', kid: keyId, url })
    .sign(hmac);
}
