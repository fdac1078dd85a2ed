import { KeyObject, sign as signBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { readDer } from '../../src/x509/der.ts';
import { serialOf } from '../../src/x509/serial.ts';

/* CAs, client certificates and revocation lists of tests, also ones that no careful CA would sign. */

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;
const fromNow = (hours: number): Date => new Date(Date.now() + hours * HOUR_MS);

const OF_A_CA = new x509.BasicConstraintsExtension(true, undefined, true);

type Keys = webcrypto.CryptoKeyPair;
const newKeys = (): Promise<Keys> => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

/** A certificate with its key, PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
  /** The bytes of its INTEGER, in hexadecimal digits. */
  readonly serial: string;
  /** The bytes of the certificate. */
  readonly der: Buffer;
}

export interface IssueOptions {
  /** Default: `CN=client`. A name in JSON of @peculiar/x509. */
  readonly subject?: x509.JsonName | string;
  /** Alternative names by tag of `GeneralName`: 1 email, 2 DNS, 6 URI, 7 address. Default: none. */
  readonly san?: readonly (readonly [tag: number, value: string | Buffer])[];
  /** Hours from now. Default: -1 and 1. */
  readonly from?: number;
  readonly until?: number;
  /** Default: clientAuth. */
  readonly usages?: readonly string[];
  readonly extensions?: readonly x509.Extension[];
  /** Hexadecimal digits. Default: any. */
  readonly serial?: string;
}

export interface RevocationOptions {
  /** Serial numbers. Default: none. */
  readonly revoked?: readonly string[];
  /** Hours from now. Default: -1 and 1. */
  readonly from?: number;
  readonly until?: number;
  readonly extensions?: readonly x509.Extension[];
  /** Signs in place of the CA. */
  readonly signer?: ClientCa;
  /** Default: SHA-256. */
  readonly hash?: string;
}

/** A CA that signs whatever it is asked to. */
export interface ClientCa {
  /** Its certificate, PEM. */
  readonly cert: string;
  readonly name: string;
  readonly keys: Keys;
  readonly issue: (options?: IssueOptions) => Promise<Pair>;
  /** A CA below this one. @param until hours from now, default 1 */
  readonly below: (name: string, until?: number) => Promise<ClientCa>;
  /** Another certificate for a CA, PEM. @param until hours from now */
  readonly sign: (other: ClientCa, until: number) => Promise<string>;
  /** A revocation list, PEM. */
  readonly list: (options?: RevocationOptions) => Promise<string>;
  /** A certificate of its own name and key, signed by itself. Default: hours -1 and 1. */
  readonly again: (from?: number, until?: number) => Promise<string>;
}

export async function newCa(name: string): Promise<ClientCa> {
  const keys = await newKeys();
  const again = (from = -1, until = 1): Promise<x509.X509Certificate> =>
    x509.X509CertificateGenerator.createSelfSigned({
      ...{ keys, name: `CN=${name}`, notBefore: fromNow(from), notAfter: fromNow(until), signingAlgorithm: ALGORITHM },
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    });
  return caOf(name, keys, (await again()).toString('pem'), async (from, until) =>
    (await again(from, until)).toString('pem'),
  );
}

function caOf(name: string, keys: Keys, cert: string, again: ClientCa['again']): ClientCa {
  const sign = async (publicKey: CryptoKey, options: IssueOptions, extensions: readonly x509.Extension[]) =>
    x509.X509CertificateGenerator.create({
      ...{ issuer: `CN=${name}`, subject: options.subject ?? 'CN=client', signingAlgorithm: ALGORITHM },
      ...{ notBefore: fromNow(options.from ?? -1), notAfter: fromNow(options.until ?? 1) },
      ...(options.serial !== undefined && { serialNumber: options.serial.replace(/^../, '01') }),
      ...{ publicKey, signingKey: keys.privateKey, extensions: [...extensions] },
    });
  const ca: ClientCa = {
    ...{ name, keys, cert, again },
    async issue(options = {}) {
      const own = await newKeys();
      const certificate = await sign(own.publicKey, options, [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.ExtendedKeyUsageExtension([...(options.usages ?? [x509.ExtendedKeyUsage.clientAuth])]),
        ...(options.san ? [sanOf(options.san)] : []),
        ...(options.extensions ?? []),
      ]);
      const bytes = Buffer.from(certificate.rawData);
      return pairOf(options.serial === undefined ? bytes : withSerial(bytes, options.serial, keys), own);
    },
    async sign(other, until) {
      return (await sign(other.keys.publicKey, { subject: `CN=${other.name}`, until }, [OF_A_CA])).toString('pem');
    },
    async below(subject, until = 1) {
      const own = await newKeys();
      const certificate = await sign(own.publicKey, { subject: `CN=${subject}`, until }, [OF_A_CA]);
      return caOf(subject, own, certificate.toString('pem'), () => Promise.reject(new TypeError('it is no root')));
    },
    async list({ revoked = [], from = -1, until = 1, extensions = [], signer = ca, hash = 'SHA-256' } = {}) {
      const made = await x509.X509CrlGenerator.create({
        ...{ issuer: `CN=${name}`, thisUpdate: fromNow(from), nextUpdate: fromNow(until), extensions: [...extensions] },
        entries: revoked.map((serialNumber) => ({ serialNumber })),
        ...{ signingAlgorithm: { ...ALGORITHM, hash }, signingKey: signer.keys.privateKey },
      });
      return listPem(Buffer.from(made.rawData));
    },
  };
  return ca;
}

/** A revocation list as PEM, as OpenSSL writes it. */
export function listPem(der: Buffer): string {
  return `-----BEGIN X509 CRL-----\n${der.toString('base64')}\n-----END X509 CRL-----\n`;
}

/** A certificate that signs itself and is no CA. */
export async function selfSigned(): Promise<Pair> {
  const keys = await newKeys();
  const extensions = [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])];
  const times = { notBefore: fromNow(-1), notAfter: fromNow(1) };
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ keys, name: 'CN=self', signingAlgorithm: ALGORITHM, extensions, ...times },
  });
  return pairOf(Buffer.from(certificate.rawData), keys);
}

/** The certificate with another serial number of the same length, which the library would not write, signed again. */
function withSerial(der: Buffer, serial: string, { privateKey }: Keys): Buffer {
  const patched = Buffer.from(der);
  const at = patched.indexOf(Buffer.from('a003020102', 'hex')) + 7;
  Buffer.from(serial, 'hex').copy(patched, at);
  const content = readDer(patched).children[0]?.whole ?? Buffer.alloc(0);
  const signature = signBytes('sha256', content, { key: KeyObject.from(privateKey), dsaEncoding: 'der' });
  const scheme = Buffer.from('300a06082a8648ce3d040302', 'hex');
  return derOf(0x30, Buffer.concat([content, scheme, derOf(0x03, Buffer.concat([Buffer.of(0), signature]))]));
}

/** PEM of a certificate. */
function certificatePem(der: Buffer): string {
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----`;
}

async function pairOf(der: Buffer, keys: Keys): Promise<Pair> {
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    cert: certificatePem(der),
    key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
    serial: serialOf(der),
    der,
  };
}

/** The extension with these names, byte for byte. */
export function sanOf(names: readonly (readonly [tag: number, value: string | Buffer])[]): x509.Extension {
  const list = names.map(([tag, value]) => derOf(0x80 | tag, Buffer.from(value as string)));
  return new x509.Extension('2.5.29.17', false, derOf(0x30, Buffer.concat(list)));
}

/** An element: tag, length, content. */
export function derOf(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
