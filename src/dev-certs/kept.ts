import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { syncFolder, withLock, writeDurably } from '../config/files/locked-file.ts';
import { makeFolder } from '../config/files/make-folder.ts';
import { allNames, type KeyPair, keysOf, makeCa, makeServer, newKeys, pem } from './make.ts';

/*
 * A development CA that stays, with its key, so that clients go on to trust the certificates that it renews.
 */

const DAY_MS = 86_400_000;
const CA_DAYS = 730;
/** Clocks of containers and their hosts differ. */
const BACK_MS = 3_600_000;

export interface DevCertsOptions {
  readonly folder: string;
  /** Names and addresses beside localhost, 127.0.0.1 and ::1. */
  readonly names: readonly string[];
  /** Lifetime of the server's certificate. */
  readonly days: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Paths of the files, all PEM, and what was made anew. */
export interface KeptDevCerts {
  readonly ca: string;
  readonly caKey: string;
  readonly cert: string;
  readonly key: string;
  readonly made: { readonly ca: boolean; readonly cert: boolean };
}

/**
 * Provides `ca.pem`, `ca-key.pem`, `cert.pem` and `key.pem` in a folder; keys have mode 0600. The certificate is made anew when a
 * third of its life is left, or another name is wanted, with the same key: so both files fit at every moment. The CA is made anew
 * when it would end before the certificate, or its key is not there. Rejects with the errors of `node:fs`.
 */
export async function keepDevCerts(options: DevCertsOptions): Promise<KeptDevCerts> {
  const { folder } = options;
  await makeFolder(folder);
  const locked = (): Error => new Error(`\`${folder}\` is locked by another program`);
  return await withLock(join(folder, 'lock'), () => keep(options), locked);
}

async function keep({ folder, names, days, now }: DevCertsOptions): Promise<KeptDevCerts> {
  const [ca, caKey, cert, key] = ['ca.pem', 'ca-key.pem', 'cert.pem', 'key.pem'].map((file) => join(folder, file)) as [
    string,
    string,
    string,
    string,
  ];
  const notBefore = new Date(now - BACK_MS);
  const notAfter = new Date(now + days * DAY_MS);
  const known = await authorityIn(ca, caKey, notAfter.getTime());
  const keys = known?.keys ?? (await newKeys());
  const authority = known?.text ?? (await makeCa(keys, notBefore, new Date(now + CA_DAYS * DAY_MS))).toString('pem');
  const made = { ca: known === undefined, cert: false };
  if (!known) {
    await replace(caKey, await pem(keys.privateKey), 0o600);
    await replace(ca, `${authority}\n`, 0o644);
  }
  const own = await ownKeys(key);
  if (!own || !(await isGood(cert, key, authority, { names, now }))) {
    const pair = own ?? (await newKeys());
    const issuer = new x509.X509Certificate(authority);
    const server = await makeServer(issuer, keys, pair, allNames(names), { notBefore, notAfter });
    if (!own) await replace(key, await pem(pair.privateKey), 0o600);
    await replace(cert, `${server.toString('pem')}\n`, 0o644);
    made.cert = true;
  }
  return { ca, caKey, cert, key, made };
}

/** The CA of a folder with its key; `undefined` = there is none that lives long enough. */
async function authorityIn(
  ca: string,
  caKey: string,
  until: number,
): Promise<{ readonly text: string; readonly keys: KeyPair } | undefined> {
  try {
    const [text, keyText] = [await readFile(ca, 'utf8'), await readFile(caKey, 'utf8')];
    const authority = new X509Certificate(text);
    const fits = authority.ca && authority.checkPrivateKey(createPrivateKey(keyText));
    return fits && Date.parse(authority.validTo) > until ? { text, keys: await keysOf(keyText) } : undefined;
  } catch {
    return undefined;
  }
}

async function ownKeys(key: string): Promise<KeyPair | undefined> {
  try {
    return await keysOf(await readFile(key, 'utf8'));
  } catch {
    return undefined;
  }
}

/** True = the certificate is of the CA and the key, has every name, and more than a third of its life is left. */
async function isGood(
  cert: string,
  key: string,
  authority: string,
  { names, now }: Pick<DevCertsOptions, 'names' | 'now'>,
): Promise<boolean> {
  try {
    const [server, issuer] = [new X509Certificate(await readFile(cert)), new X509Certificate(authority)];
    const [from, to] = [Date.parse(server.validFrom), Date.parse(server.validTo)];
    const has = (name: string): boolean => (server.checkHost(name) ?? server.checkIP(name)) !== undefined;
    return (
      server.checkIssued(issuer) &&
      server.verify(issuer.publicKey) &&
      server.checkPrivateKey(createPrivateKey(await readFile(key))) &&
      to - now > (to - from) / 3 &&
      allNames(names).every(has)
    );
  } catch {
    return false;
  }
}

/** Replaces a file as a whole. */
async function replace(path: string, text: string, mode: number): Promise<void> {
  const fresh = `${path}.new`;
  await rm(fresh, { force: true });
  await writeDurably(fresh, text, { mode, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 });
  await rename(fresh, path);
  await syncFolder(join(path, '..'));
}
