import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError, type Problem, reason } from './problem.ts';
import type { Config } from './schema.ts';

/** Reads a whole file; throws what `node:fs` throws. */
export type ReadFile = (path: string) => Buffer;

/** Where files are looked for, and by which clock certificates are judged. */
export type SecretSources = { readonly cwd?: string; readonly readFile?: ReadFile; readonly now?: () => number };

/** Options that hold keys, strongest first; each has a `_file` twin. */
export const KEY_NAMES = ['api_key', 'alt_api_key', 'read_only_api_key'] as const;

/** The configured keys under their option names; null where unset. */
export type Keys = Readonly<Record<(typeof KEY_NAMES)[number], string | null>>;

/**
 * PEM bytes for a TLS listener. `clientCa` is set when client certificates are asked for. `ticketKeys`: 48 random bytes
 * that several processes seal session tickets with, so that a session begun in one resumes in another.
 */
export type TlsMaterial = {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly clientCa: Buffer | null;
  readonly ticketKeys?: Buffer;
};

/** Everything secret the gateway runs with. Never logged, never serialised. */
export type Secrets = {
  readonly apiKey: string | null;
  readonly altApiKey: string | null;
  readonly readOnlyApiKey: string | null;
  /** Null when TLS is off. */
  readonly tls: TlsMaterial | null;
  /** CA bundle for https upstreams; null: the CAs of the runtime. */
  readonly upstreamCa: Buffer | null;
};

type Files = {
  readonly read: (path: string, place: string, what: string) => Buffer | null;
  readonly problems: Problem[];
};

function openFiles({ cwd = process.cwd(), readFile = readFileSync }: SecretSources): Files {
  const problems: Problem[] = [];
  const read = (path: string, place: string, what: string) => {
    try {
      return readFile(resolve(cwd, path));
    } catch (error) {
      problems.push({ place, message: `cannot read ${what} \`${path}\`: ${reason(error)}` });
      return null;
    }
  };
  return { read, problems };
}

/**
 * The keys, from the options or the files they name. A key file holds the key alone; one newline (LF or CRLF) at its
 * end is removed. `placeOf` gives the place of an option for problems.
 */
export function readKeys(
  config: Config,
  sources: SecretSources = {},
  placeOf: (path: string) => string = (path) => path,
): { readonly keys: Keys; readonly problems: readonly Problem[] } {
  const files = openFiles(sources);
  const readOne = (name: (typeof KEY_NAMES)[number]): string | null => {
    const inline = config.service[name];
    const file = config.service[`${name}_file`];
    const place = placeOf(`service.${name}_file`);
    if (file === null) return inline;
    if (inline !== null) {
      const message = `both \`service.${name}\` and \`service.${name}_file\` are set: keep one`;
      files.problems.push({ place, message });
      return inline;
    }
    const bytes = files.read(file, place, 'the key file');
    if (bytes === null) return null;
    const value = bytes.toString('utf8').replace(/\r?\n$/, '');
    if (value !== '') return value;
    files.problems.push({ place, message: `the key file \`${file}\` is empty` });
    return null;
  };
  const keys = {
    api_key: readOne('api_key'),
    alt_api_key: readOne('alt_api_key'),
    read_only_api_key: readOne('read_only_api_key'),
  };
  return { keys, problems: files.problems };
}

function checkPair(
  cert: Buffer,
  key: Buffer,
  config: Config,
  now: number,
): { problems: Problem[]; warnings: string[] } {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    return {
      problems: [{ place: 'tls.cert', message: `\`${config.tls.cert}\` holds no PEM certificate` }],
      warnings: [],
    };
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(key))) {
      const message = `the private key \`${config.tls.key}\` does not belong to the certificate \`${config.tls.cert}\``;
      return { problems: [{ place: 'tls.key', message }], warnings: [] };
    }
  } catch {
    const message = `\`${config.tls.key}\` holds no usable PEM private key (keys with a passphrase are not supported)`;
    return { problems: [{ place: 'tls.key', message }], warnings: [] };
  }
  const warnings: string[] = [];
  if (Date.parse(certificate.validTo) < now) {
    warnings.push(`tls.cert: the certificate \`${config.tls.cert}\` expired on ${certificate.validTo}`);
  } else if (Date.parse(certificate.validFrom) > now) {
    warnings.push(`tls.cert: the certificate \`${config.tls.cert}\` is not valid before ${certificate.validFrom}`);
  }
  return { problems: [], warnings };
}

function checkCa(ca: Buffer | null, place: string, file: string): Problem[] {
  if (ca === null) return [];
  try {
    new X509Certificate(ca);
    return [];
  } catch {
    return [{ place, message: `\`${file}\` holds no PEM certificate` }];
  }
}

/**
 * Reads the TLS files of the listeners and checks that they fit together. Null material when TLS is off. Throws
 * `ConfigError`. Call again to reload: the files are read anew each time.
 */
export function readTls(
  config: Config,
  sources: SecretSources = {},
): { readonly tls: TlsMaterial | null; readonly warnings: readonly string[] } {
  if (!config.service.enable_tls) return { tls: null, warnings: [] };
  const files = openFiles(sources);
  const cert = files.read(config.tls.cert, 'tls.cert', 'the certificate');
  const key = files.read(config.tls.key, 'tls.key', 'the private key');
  const wanted = config.service.verify_https_client_certificate;
  const clientCa = wanted ? files.read(config.tls.ca_cert, 'tls.ca_cert', 'the client CA') : null;
  const problems = [...files.problems, ...checkCa(clientCa, 'tls.ca_cert', config.tls.ca_cert)];
  if (cert === null || key === null) throw new ConfigError(problems);
  const pair = checkPair(cert, key, config, (sources.now ?? Date.now)());
  if (problems.length + pair.problems.length > 0) throw new ConfigError([...problems, ...pair.problems]);
  return { tls: { cert, key, clientCa }, warnings: pair.warnings };
}

function attempt<T>(problems: Problem[], run: () => T): T | null {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
    return null;
  }
}

/** All secrets for a configuration. Throws `ConfigError` with every problem of keys, certificates and CAs at once. */
export function loadSecrets(
  config: Config,
  sources: SecretSources = {},
): { readonly secrets: Secrets; readonly warnings: readonly string[] } {
  const { keys, problems: keyFileProblems } = readKeys(config, sources);
  const problems: Problem[] = [...keyFileProblems];
  const tls = attempt(problems, () => readTls(config, sources));
  const files = openFiles(sources);
  const caFile = config.gateway.upstream.tls_ca;
  const place = 'gateway.upstream.tls_ca';
  const upstreamCa = caFile === null ? null : files.read(caFile, place, 'the upstream CA');
  problems.push(...files.problems, ...checkCa(upstreamCa, place, caFile ?? ''));
  if (problems.length > 0 || tls === null) throw new ConfigError(problems);
  const secrets: Secrets = {
    apiKey: keys.api_key,
    altApiKey: keys.alt_api_key,
    readOnlyApiKey: keys.read_only_api_key,
    tls: tls.tls,
    upstreamCa,
  };
  return { secrets: Object.freeze(secrets), warnings: tls.warnings };
}
