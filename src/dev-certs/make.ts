import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/* A CA for development and certificates of servers that it signs: ECDSA on P-256. */

export type KeyPair = { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey };

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
/** An IPv4 or IPv6 address, beside host names. */
const ADDRESS = /^\d+\.\d+\.\d+\.\d+$|:/;
/** Names of every server certificate. */
const LOCAL: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** All names of a server's certificate: those of this machine, then these. */
export function allNames(names: readonly string[]): readonly string[] {
  return [...new Set([...LOCAL, ...names])];
}

/** A private key, PKCS#8 as PEM. */
export async function pem(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`;
}

/** Reads what `pem` wrote. Throws for anything else. */
export async function keysOf(text: string): Promise<KeyPair> {
  const der = Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const privateKey = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, true, ['sign']);
  const { d: _own, key_ops: _ops, ...open } = await webcrypto.subtle.exportKey('jwk', privateKey);
  return { privateKey, publicKey: await webcrypto.subtle.importKey('jwk', open, ALGORITHM, true, ['verify']) };
}

export function newKeys(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

/** A CA that signs no further CAs. */
export async function makeCa(keys: KeyPair, notBefore: Date, notAfter: Date): Promise<x509.X509Certificate> {
  const usages = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;
  return x509.X509CertificateGenerator.createSelfSigned({
    // A name of its own per CA: two development CAs in one trust store must not be taken for each other.
    name: `CN=Development CA ${Buffer.from(webcrypto.getRandomValues(new Uint8Array(4))).toString('hex')}`,
    notBefore,
    notAfter,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(usages, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
}

/** The times of a certificate. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** A certificate for these host names and addresses. */
export async function makeServer(
  ca: x509.X509Certificate,
  caKeys: KeyPair,
  keys: KeyPair,
  names: readonly string[],
  { notBefore, notAfter }: Validity = ca,
): Promise<x509.X509Certificate> {
  return x509.X509CertificateGenerator.create({
    subject: 'CN=localhost',
    issuer: ca.subject,
    notBefore,
    notAfter,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: ADDRESS.test(value) ? 'ip' : 'dns', value }) as const),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      // Strict verifiers (Python 3.13) refuse a certificate without it.
      await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });
}
