import { webcrypto, X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

/** Files of a development CA and the server certificate it signed. All PEM. */
export type DevCerts = { readonly ca: string; readonly cert: string; readonly key: string; readonly made: boolean };

type KeyPair = { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey };

const DAY_MS = 86_400_000;
/** Mozilla's limit for a server's certificate. */
const LIFETIME_DAYS = 365;
const RENEW_DAYS = 7;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

async function pem(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`;
}

function newKeys(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function makeCa(keys: KeyPair, notBefore: Date, notAfter: Date) {
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

async function makeServer(ca: x509.X509Certificate, caKeys: KeyPair, keys: KeyPair, names: readonly string[]) {
  return x509.X509CertificateGenerator.create({
    subject: 'CN=localhost',
    issuer: ca.subject,
    notBefore: ca.notBefore,
    notAfter: ca.notAfter,
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

// Renamed into place, so that a reader never meets half a file.
function write(path: string, text: string, mode: number): void {
  const fresh = `${path}.new`;
  writeFileSync(fresh, text, { mode });
  chmodSync(fresh, mode);
  renameSync(fresh, path);
}

function stillGood(ca: string, cert: string, key: string, nowMs: number): boolean {
  try {
    readFileSync(key);
    const authority = new X509Certificate(readFileSync(ca));
    const server = new X509Certificate(readFileSync(cert));
    const end = Math.min(Date.parse(authority.validTo), Date.parse(server.validTo));
    return server.checkIssued(authority) && server.verify(authority.publicKey) && end > nowMs + RENEW_DAYS * DAY_MS;
  } catch {
    return false;
  }
}

/** An IPv4 or IPv6 address, beside host names. */
const ADDRESS = /^\d+\.\d+\.\d+\.\d+$|:/;
/** Names of every server certificate. */
const LOCAL: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** A development CA and a server certificate that it signed, all PEM. */
export interface DevCertTexts {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Makes both for localhost, 127.0.0.1, ::1 and these names or addresses. The key of the CA is forgotten. */
export async function newDevCerts(names: readonly string[], nowMs: number): Promise<DevCertTexts> {
  // An hour back: clocks of containers and their hosts differ.
  const notBefore = new Date(nowMs - 3_600_000);
  const caKeys = await newKeys();
  const keys = await newKeys();
  const authority = await makeCa(caKeys, notBefore, new Date(notBefore.getTime() + LIFETIME_DAYS * DAY_MS));
  const server = await makeServer(authority, caKeys, keys, [...new Set([...LOCAL, ...names])]);
  return {
    ca: `${authority.toString('pem')}\n`,
    cert: `${server.toString('pem')}\n`,
    key: await pem(keys.privateKey),
  };
}

/**
 * Provides `ca.pem`, `cert.pem` and `key.pem` (mode 0600) in a folder: a development CA and a server certificate for
 * localhost, 127.0.0.1 and ::1. Kept as they are until a week before they expire. The key of the CA is never written.
 */
export async function makeDevCerts(folder: string, nowMs: number = Date.now()): Promise<DevCerts> {
  const [ca, cert, key] = [join(folder, 'ca.pem'), join(folder, 'cert.pem'), join(folder, 'key.pem')];
  if (stillGood(ca, cert, key, nowMs)) return { ca, cert, key, made: false };
  mkdirSync(folder, { recursive: true });
  const made = await newDevCerts([], nowMs);
  write(key, made.key, 0o600);
  write(cert, made.cert, 0o644);
  write(ca, made.ca, 0o644);
  return { ca, cert, key, made: true };
}
