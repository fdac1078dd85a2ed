import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { pemBlocks } from '../x509/pem.ts';
import { AcmeFault } from './fault.ts';

/* Keys, requests and certificates of an order. */

const CURVE = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { ...CURVE, hash: 'SHA-256' } as const;
/** `id-pe-acmeIdentifier`, RFC 8737 section 6.1. */
const ACME_IDENTIFIER = '1.3.6.1.5.5.7.1.31';
const DAY_MS = 86_400_000;
/** Most certificates of a chain. */
const MOST_CHAIN = 10;

/** A fresh private key, PKCS#8 as PEM. */
export function newKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: CURVE.namedCurve });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

async function pairOf(pem: string): Promise<{ privateKey: CryptoKey; publicKey: CryptoKey }> {
  const key: KeyObject = createPrivateKey(pem);
  const [own, open] = [
    key.export({ type: 'pkcs8', format: 'der' }),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
  ];
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', own, CURVE, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', open, CURVE, true, ['verify']),
  };
}

/** A signing request for these names, DER. @param keyPem the key of the certificate */
export async function requestOf(keyPem: string, domains: readonly string[]): Promise<Buffer> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: await pairOf(keyPem),
    signingAlgorithm: SIGNING,
    extensions: [new x509.SubjectAlternativeNameExtension(domains.map((value) => ({ type: 'dns', value }) as const))],
  });
  return Buffer.from(request.rawData);
}

/** A certificate that proves a name by TLS-ALPN-01, and its key. All PEM. */
export interface ValidationCertificate {
  readonly domain: string;
  readonly cert: string;
  readonly key: string;
}

/** The certificate of RFC 8737 section 3. @param now milliseconds since 1970 */
export async function validationCertificate(
  domain: string,
  keyAuthorization: string,
  now: number,
): Promise<ValidationCertificate> {
  const key = newKeyPem();
  const digest = createHash('sha256').update(keyAuthorization).digest();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=acme validation',
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(now + DAY_MS),
    signingAlgorithm: SIGNING,
    keys: await pairOf(key),
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: domain }]),
      // An OCTET STRING of 32 bytes.
      new x509.Extension(ACME_IDENTIFIER, true, Buffer.concat([Buffer.from([0x04, 0x20]), digest])),
    ],
  });
  return { domain, cert: `${certificate.toString('pem')}\n`, key };
}

/** The certificate in force, as far as renewal needs it. Times in milliseconds since 1970. */
export interface Issued {
  readonly notBefore: number;
  readonly notAfter: number;
  /** False = it lacks one of the names. */
  readonly covers: (domains: readonly string[]) => boolean;
  /** Id for RFC 9773 section 4.1; `undefined` = it has no authority key identifier. */
  readonly renewalId: string | undefined;
}

/** Reads a file of certificates and a key; `undefined` = it holds no certificate with its key. */
export function readIssued(bundle: string): Issued | undefined {
  try {
    const leaf = new X509Certificate(bundle);
    if (!leaf.checkPrivateKey(createPrivateKey(bundle))) return undefined;
    return {
      notBefore: Date.parse(leaf.validFrom),
      notAfter: Date.parse(leaf.validTo),
      covers: (domains) => domains.every((domain) => leaf.checkHost(domain) !== undefined),
      renewalId: renewalIdOf(leaf),
    };
  } catch {
    return undefined;
  }
}

function renewalIdOf(leaf: X509Certificate): string | undefined {
  const parsed = new x509.X509Certificate(new Uint8Array(leaf.raw));
  const authority = parsed.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId;
  if (authority === undefined) return undefined;
  const hex = leaf.serialNumber.length % 2 === 0 ? leaf.serialNumber : `0${leaf.serialNumber}`;
  const serial = Buffer.from(hex, 'hex');
  // As in DER: a number whose first bit is set begins with a zero byte.
  const der = (serial[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), serial]) : serial;
  return `${Buffer.from(authority, 'hex').toString('base64url')}.${der.toString('base64url')}`;
}

/**
 * The file of a certificate: chain, then key. Throws `AcmeFault` if the chain is not of this key, lacks a name or is past its time:
 * then the certificate in force stays.
 *
 * @param now milliseconds since 1970
 */
export function bundleOf(chain: string, keyPem: string, domains: readonly string[], now: number): string {
  const fail = (why: string): never => {
    throw new AcmeFault('certificate', `the certificate authority issued a certificate that cannot be used: ${why}`);
  };
  const blocks = pemBlocks(Buffer.from(chain), 'certificate').map((block) => block.trim());
  if (blocks.length === 0 || blocks.length > MOST_CHAIN) fail(`its chain has ${blocks.length} certificates`);
  const bundle = `${blocks.join('\n')}\n${keyPem.trim()}\n`;
  const issued = readIssued(bundle);
  if (!issued) return fail('it is not of the key that was asked for');
  if (!issued.covers(domains)) fail('it lacks one of the names');
  if (issued.notAfter <= now) fail('it has ended');
  return bundle;
}
