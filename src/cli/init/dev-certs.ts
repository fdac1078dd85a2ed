import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allNames, makeCa, makeServer, newKeys, pem } from '../../dev-certs/make.ts';

/** Files of a development CA and the server certificate it signed. All PEM. */
export type DevCerts = { readonly ca: string; readonly cert: string; readonly key: string; readonly made: boolean };

const DAY_MS = 86_400_000;
/** Mozilla's limit for a server's certificate. */
const LIFETIME_DAYS = 365;
const RENEW_DAYS = 7;

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
  const server = await makeServer(authority, caKeys, keys, allNames(names));
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
