import { resolve } from 'node:path';
import { readBounded } from '../config/files/bounded-read.ts';
import { ConfigError, type Problem, reason } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { textList } from '../config/text-list.ts';
import type { AccountBinding } from './jws.ts';

/** Least size of the secret for Redis, in bytes. */
const SECRET_BYTES = 32;
/** Least size of an HMAC key of an external account binding, in bytes. */
const HMAC_BYTES = 16;

/** `gateway.acme` with the content of its files. Never logged. */
export interface AcmeSettings {
  readonly domains: readonly string[];
  readonly email: string | null;
  readonly directory: string;
  /** PEM; `undefined` = the CAs of the runtime. */
  readonly directoryCa: Buffer | undefined;
  /** Absolute. */
  readonly folder: string;
  readonly challenge: 'tls-alpn-01' | 'http-01';
  readonly http: { readonly host: string; readonly port: number };
  readonly binding: AccountBinding | undefined;
  readonly profile: string | null;
  /** Encrypts records in Redis; `undefined` = they are kept in the folder. */
  readonly sharedSecret: Buffer | undefined;
}

/** Reads the files of `gateway.acme`; `undefined` = it is off. Throws `ConfigError` with all problems. */
export function acmeSettingsOf({ gateway: { acme, shared } }: Config): AcmeSettings | undefined {
  const domains = textList(acme.domains);
  if (domains.length === 0) return undefined;
  const problems: Problem[] = [];
  const read = (option: string, file: string | null): Buffer | undefined => {
    if (file === null) return undefined;
    try {
      return readBounded(file);
    } catch (error) {
      problems.push({ place: `gateway.acme.${option}`, message: `cannot read \`${file}\`: ${reason(error)}` });
      return undefined;
    }
  };
  const directoryCa = read('directory_ca', acme.directory_ca);
  const hmac = hmacOf(read('eab_hmac_file', acme.eab_hmac_file), problems);
  const sharedSecret = shared.certificates ? read('shared_secret_file', acme.shared_secret_file) : undefined;
  if (sharedSecret && sharedSecret.toString('utf8').trim().length < SECRET_BYTES) {
    const message = `the secret is shorter than ${SECRET_BYTES} bytes`;
    problems.push({ place: 'gateway.acme.shared_secret_file', message });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    ...{ domains, directoryCa, email: acme.email, directory: acme.directory, challenge: acme.challenge },
    folder: resolve(acme.folder),
    http: { host: acme.http_host, port: acme.http_port },
    binding: acme.eab_key_id !== null && hmac ? { keyId: acme.eab_key_id, hmac } : undefined,
    profile: acme.profile,
    sharedSecret: sharedSecret && Buffer.from(sharedSecret.toString('utf8').trim()),
  };
}

function hmacOf(file: Buffer | undefined, problems: Problem[]): Uint8Array | undefined {
  if (!file) return undefined;
  const text = file.toString('utf8').trim();
  const bytes = Buffer.from(text, 'base64url');
  if (/^[A-Za-z0-9_-]+=*$/.test(text) && bytes.length >= HMAC_BYTES) return new Uint8Array(bytes);
  const message = `must be base64url of at least ${HMAC_BYTES} bytes, as the certificate authority gives it`;
  problems.push({ place: 'gateway.acme.eab_hmac_file', message });
  return undefined;
}
