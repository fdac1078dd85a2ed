import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;
const validity = { notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + HOUR_MS) };

/** Paths of a certificate and its key, PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

/** A CA of a test's own. */
export interface Authority {
  /** Path of its certificate, PEM. */
  readonly ca: string;
  /** A certificate for these DNS names and no address, for servers and clients. */
  readonly issue: (...names: readonly string[]) => Promise<Issued>;
}

/** @param folder for the files @param name of the CA, unique in the folder */
export async function makeAuthority(folder: string, name: string): Promise<Authority> {
  const keys = await newKeys();
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ ...validity, keys, name: `CN=${name}`, signingAlgorithm: ALGORITHM },
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  const path = (file: string): string => join(folder, `${name}-${file}.pem`);
  writeFileSync(path('ca'), authority.toString('pem'));
  return {
    ca: path('ca'),
    async issue(...names) {
      const own = await newKeys();
      const certificate = await x509.X509CertificateGenerator.create({
        ...{ ...validity, subject: `CN=${names[0]}`, issuer: authority.subject, signingAlgorithm: ALGORITHM },
        ...{ publicKey: own.publicKey, signingKey: keys.privateKey },
        extensions: [
          new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        ],
      });
      const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', own.privateKey)).toString('base64');
      const made = { cert: path(`${names[0]}-cert`), key: path(`${names[0]}-key`) };
      writeFileSync(made.cert, certificate.toString('pem'));
      writeFileSync(made.key, `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`);
      return made;
    },
  };
}

function newKeys() {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}
