import { createPrivateKey, X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { UnreadableDer } from '../x509/der.ts';
import { type RevocationList, readLists } from '../x509/revocation-list.ts';
import { readBounded } from './files/bounded-read.ts';
import { ConfigError, type Problem, reason } from './problem.ts';
import type { Config } from './schema.ts';
import { ownFiles, usesAcme } from './sections/certificates.ts';

/** Reads a whole file; throws the errors of `node:fs`. */
export type ReadFile = (path: string) => Buffer;

/** The folder of relative paths, the file reader, and the clock for the validity of certificates. */
export type SecretSources = { readonly cwd?: string; readonly readFile?: ReadFile; readonly now?: () => number };

/** Options of keys, strongest first; each has a `_file` variant. */
export const KEY_NAMES = ['api_key', 'alt_api_key', 'read_only_api_key'] as const;

/** The configured keys by option name; null = unset. */
export type Keys = Readonly<Record<(typeof KEY_NAMES)[number], string | null>>;

/**
 * PEM bytes for a TLS listener. The CAs are set if client certificates are required: of REST, of gRPC clients.
 * `ticketKeys`: 48 random bytes that encrypt session tickets in all processes, so that a session can be resumed in
 * another process.
 */
export type TlsMaterial = {
  /** Null, as is the key = the gateway gets its certificate itself and has none yet: every handshake fails. */
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
  readonly clientCa: Buffer | null;
  readonly grpcClientCa?: Buffer | undefined;
  /** Set if client certificates are identities, on both ports: their CAs and revocation lists, null = none. */
  readonly identities?: { readonly ca: Buffer; readonly crl: Buffer | null } | undefined;
  readonly ticketKeys?: Buffer;
};

/** All secrets of the gateway. Never logged, never serialised. */
export type Secrets = {
  readonly apiKey: string | null;
  readonly altApiKey: string | null;
  readonly readOnlyApiKey: string | null;
  /** Bearer token of the admin port. */
  readonly adminToken: string | null;
  /** Key that upstream requires; null = upstream requires none. */
  readonly upstreamKey: string | null;
  /** Null = TLS is off. */
  readonly tls: TlsMaterial | null;
  /** CA bundle for https upstreams; null = the CAs of the runtime. */
  readonly upstreamCa: Buffer | null;
  /** Shown to https upstreams that ask their clients for a certificate. Default: nothing is. */
  readonly upstreamIdentity?: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  /** Signs the tokens of the console's own requests; made at the start, in memory only. Default: there is no console. */
  readonly consoleSecret?: string | undefined;
  /** Of the console's client at an identity provider. Default: it has no secret, and the CAs of the runtime are trusted. */
  readonly consoleClient?: { readonly secret: string | null; readonly ca: Buffer | null } | undefined;
};

type Files = {
  readonly read: (path: string, place: string, what: string) => Buffer | null;
  /** The same for a file that need not be there: null then, and no problem. */
  readonly readIfThere: Files['read'];
  readonly problems: Problem[];
};

function openFiles({ cwd = process.cwd(), readFile = readBounded }: SecretSources): Files {
  const problems: Problem[] = [];
  const reader =
    (required: boolean): Files['read'] =>
    (path, place, what) => {
      try {
        return readFile(resolve(cwd, path));
      } catch (error) {
        if (!required && error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
        problems.push({ place, message: `cannot read ${what} \`${path}\`: ${reason(error)}` });
        return null;
      }
    };
  return { read: reader(true), readIfThere: reader(false), problems };
}

/** An option that holds a secret, and its `_file` variant; `path` is the option's. */
type SecretOption = { readonly path: string; readonly inline: string | null; readonly file: string | null };

/** The secret of a secret file, without one newline (LF or CRLF) at its end. */
export function withoutNewline(bytes: Buffer): string {
  return bytes.toString('utf8').replace(/\r?\n$/, '');
}

function readSecret(files: Files, { path, inline, file }: SecretOption, place: string, what: string): string | null {
  if (file === null) return inline;
  if (inline !== null) {
    files.problems.push({ place, message: `both \`${path}\` and \`${path}_file\` are set: keep one` });
    return inline;
  }
  const bytes = files.read(file, place, `the ${what} file`);
  if (bytes === null) return null;
  const value = withoutNewline(bytes);
  if (value !== '') return value;
  files.problems.push({ place, message: `the ${what} file \`${file}\` is empty` });
  return null;
}

/** The keys, from the options or the files they name. `placeOf` returns the place of an option for problems. */
export function readKeys(
  config: Config,
  sources: SecretSources = {},
  placeOf: (path: string) => string = (path) => path,
): { readonly keys: Keys; readonly problems: readonly Problem[] } {
  const files = openFiles(sources);
  const readOne = (name: (typeof KEY_NAMES)[number]): string | null => {
    const path = `service.${name}`;
    const option = { path, inline: config.service[name], file: config.service[`${name}_file`] };
    return readSecret(files, option, placeOf(`${path}_file`), 'key');
  };
  const keys = {
    api_key: readOne('api_key'),
    alt_api_key: readOne('alt_api_key'),
    read_only_api_key: readOne('read_only_api_key'),
  };
  return { keys, problems: files.problems };
}

function readAdminToken(config: Config, files: Files): string | null {
  const path = 'gateway.admin.token';
  const { token: inline, token_file: file } = config.gateway.admin;
  const place = file === null ? path : `${path}_file`;
  const token = readSecret(files, { path, inline, file }, place, 'token');
  if (token !== null && token !== token.trim()) {
    const message = 'the token has leading or trailing whitespace (one newline at the end of a file is allowed)';
    files.problems.push({ place, message });
  }
  return token;
}

function readConsoleClient(config: Config, files: Files): Secrets['consoleClient'] {
  const { issuer, client_secret: inline, client_secret_file: file, ca: caFile } = config.gateway.console.oidc;
  if (issuer === null) return undefined;
  const path = 'gateway.console.oidc.client_secret';
  const place = file === null ? path : `${path}_file`;
  const secret = readSecret(files, { path, inline, file }, place, 'secret');
  const caPlace = 'gateway.console.oidc.ca';
  const ca = caFile === null ? null : files.read(caFile, caPlace, 'the CA of the identity provider');
  files.problems.push(...checkCa(ca, caPlace, caFile ?? ''));
  return { secret, ca };
}

/** Values that a header carries unchanged, over HTTP/1.1 and HTTP/2. */
const SENDABLE = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;

function readUpstreamKey(config: Config, files: Files): string | null {
  const path = 'gateway.upstream.api_key';
  const { api_key: inline, api_key_file: file } = config.gateway.upstream;
  const place = file === null ? path : `${path}_file`;
  const value = readSecret(files, { path, inline, file }, place, 'key');
  if (value === null || SENDABLE.test(value)) return value;
  const message =
    value === value.trim()
      ? 'the key has characters that no request header can carry'
      : 'the key has leading or trailing whitespace (one newline at the end of a file is allowed)';
  files.problems.push({ place, message });
  return null;
}

/** A certificate with its key, and the names of both files; `place` is that of the options. */
type Pair = {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly place: readonly [cert: string, key: string];
  readonly file: readonly [cert: string, key: string];
};

function checkPair({ cert, key, place, file }: Pair, now: number): { problems: Problem[]; warnings: string[] } {
  const [certPlace, keyPlace] = place;
  const [certFile, keyFile] = file;
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    return {
      problems: [{ place: certPlace, message: `\`${certFile}\` contains no PEM certificate` }],
      warnings: [],
    };
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(key))) {
      const message = `the private key \`${keyFile}\` does not belong to the certificate \`${certFile}\``;
      return { problems: [{ place: keyPlace, message }], warnings: [] };
    }
  } catch {
    const message = `\`${keyFile}\` contains no usable PEM private key (keys with a passphrase are not supported)`;
    return { problems: [{ place: keyPlace, message }], warnings: [] };
  }
  const warnings: string[] = [];
  if (Date.parse(certificate.validTo) < now) {
    warnings.push(`${certPlace}: the certificate \`${certFile}\` expired on ${certificate.validTo}`);
  } else if (Date.parse(certificate.validFrom) > now) {
    warnings.push(`${certPlace}: the certificate \`${certFile}\` is not valid before ${certificate.validFrom}`);
  }
  return { problems: [], warnings };
}

/** Of a certificate that is not there yet. */
const NO_PAIR = { problems: [], warnings: [] };

/** Of files that ACME writes: what is damaged there is as good as missing, because the next order replaces it. */
function damagedText(problems: readonly Problem[]): string {
  const why = problems.map(({ message }) => message).join('; ');
  return `gateway.acme.folder: ${why}: TLS handshakes fail until another certificate is issued`;
}

function checkCa(ca: Buffer | null, place: string, file: string): Problem[] {
  if (ca === null) return [];
  try {
    new X509Certificate(ca);
    return [];
  } catch {
    return [{ place, message: `\`${file}\` contains no PEM certificate` }];
  }
}

const CRL = 'gateway.client_certificates.crl';

/** Whether the lists can be read. Whether the CAs have signed them is looked at where a state is made usable. */
function checkLists(crl: Buffer | null, file: string, now: number): { problems: Problem[]; warnings: string[] } {
  if (crl === null) return { problems: [], warnings: [] };
  try {
    return { problems: [], warnings: readLists(crl).flatMap((list) => listWarning(list, file, now) ?? []) };
  } catch (error) {
    if (!(error instanceof UnreadableDer)) throw error;
    return { problems: [{ place: CRL, message: `\`${file}\` cannot be used: ${error.message}` }], warnings: [] };
  }
}

/** A list past its time refuses every certificate of its CA: said before, in the last quarter of its time. */
function listWarning({ issuer, thisUpdate, nextUpdate }: RevocationList, file: string, now: number) {
  const which = `${CRL}: the list of \`${issuer}\` in \`${file}\``;
  const end = new Date(nextUpdate).toISOString();
  if (now >= nextUpdate) return `${which} ended on ${end}: every client certificate of this CA is refused`;
  if (now < thisUpdate) return `${which} begins later: every client certificate of this CA is refused until then`;
  if (nextUpdate - now > (nextUpdate - thisUpdate) / 4) return undefined;
  return `${which} ends on ${end}: renew it before, or every client certificate of this CA is refused`;
}

/**
 * Reads the TLS files of the listeners and checks that they match. Null material = TLS is off. Throws `ConfigError`.
 * Reads the files on each call.
 */
export function readTls(
  config: Config,
  sources: SecretSources = {},
): { readonly tls: TlsMaterial | null; readonly warnings: readonly string[] } {
  if (!config.service.enable_tls) return { tls: null, warnings: [] };
  const files = openFiles(sources);
  // The gateway's own files appear after the first start.
  const own = ownFiles(config.gateway) !== undefined;
  const read = own ? files.readIfThere : files.read;
  const cert = read(config.tls.cert, 'tls.cert', 'the certificate');
  const key = read(config.tls.key, 'tls.key', 'the private key');
  const { verify_https_client_certificate: ofRest } = config.service;
  const { grpc_client_certificates: ofGrpc } = config.gateway;
  const { mode, crl: crlFile } = config.gateway.client_certificates;
  const identities = mode !== 'off';
  const ca = ofRest || ofGrpc || identities ? files.read(config.tls.ca_cert, 'tls.ca_cert', 'the client CA') : null;
  const crl = identities && crlFile !== null ? files.read(crlFile, CRL, 'the revocation lists') : null;
  const now = (sources.now ?? Date.now)();
  const lists = checkLists(crl, crlFile ?? '', now);
  const problems = [...files.problems, ...checkCa(ca, 'tls.ca_cert', config.tls.ca_cert), ...lists.problems];
  const names = { place: ['tls.cert', 'tls.key'], file: [config.tls.cert, config.tls.key] } as const;
  if (!own && (cert === null || key === null)) throw new ConfigError(problems);
  const pair = cert && key ? checkPair({ cert, key, ...names }, now) : NO_PAIR;
  const isDamaged = usesAcme(config) && pair.problems.length > 0;
  if (!isDamaged) problems.push(...pair.problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const isUsable = cert !== null && key !== null && !isDamaged;
  return {
    tls: {
      ...{ cert: isUsable ? cert : null, key: isUsable ? key : null, clientCa: ofRest ? ca : null },
      ...(ofGrpc && ca && { grpcClientCa: ca }),
      ...(identities && ca && { identities: { ca, crl } }),
    },
    warnings: [...(isDamaged ? [damagedText(pair.problems)] : pair.warnings), ...lists.warnings],
  };
}

/** The identity for https upstreams; null = it is invalid. */
function readIdentity(
  { gateway: { upstream } }: Config,
  files: Files,
  now: number,
): { readonly identity: Secrets['upstreamIdentity'] | null; readonly warnings: readonly string[] } {
  const { tls_cert: certFile, tls_key: keyFile } = upstream;
  if (certFile === null || keyFile === null) return { identity: undefined, warnings: [] };
  const place = ['gateway.upstream.tls_cert', 'gateway.upstream.tls_key'] as const;
  const cert = files.read(certFile, place[0], 'the certificate for upstream');
  const key = files.read(keyFile, place[1], 'the private key for upstream');
  if (cert === null || key === null) return { identity: null, warnings: [] };
  const { problems, warnings } = checkPair({ cert, key, place, file: [certFile, keyFile] }, now);
  files.problems.push(...problems);
  return { identity: { cert, key }, warnings };
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

/** Secrets as far as they could be read. */
export type SecretsPreview = {
  /** Null = at least one secret is invalid. */
  readonly secrets: Secrets | null;
  /** Problems of key files; `previewConfig` reports them, too, with their places. */
  readonly keyProblems: readonly Problem[];
  /** All other problems. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
};

/** All secrets of a configuration, or all problems of keys, tokens, certificates and CAs. */
export function previewSecrets(config: Config, sources: SecretSources = {}): SecretsPreview {
  const { keys, problems: keyProblems } = readKeys(config, sources);
  const problems: Problem[] = [];
  const tls = attempt(problems, () => readTls(config, sources));
  const files = openFiles(sources);
  const caFile = config.gateway.upstream.tls_ca;
  const place = 'gateway.upstream.tls_ca';
  const upstreamCa = caFile === null ? null : files.read(caFile, place, 'the upstream CA');
  const adminToken = readAdminToken(config, files);
  const upstreamKey = readUpstreamKey(config, files);
  const consoleClient = readConsoleClient(config, files);
  const { identity, warnings } = readIdentity(config, files, (sources.now ?? Date.now)());
  problems.push(...files.problems, ...checkCa(upstreamCa, place, caFile ?? ''));
  if (keyProblems.length + problems.length > 0 || tls === null) {
    return { secrets: null, keyProblems, problems, warnings: [] };
  }
  const secrets = Object.freeze({
    apiKey: keys.api_key,
    altApiKey: keys.alt_api_key,
    readOnlyApiKey: keys.read_only_api_key,
    adminToken,
    upstreamKey,
    tls: tls.tls,
    upstreamCa,
    ...(identity ? { upstreamIdentity: identity } : {}),
    ...(consoleClient ? { consoleClient } : {}),
  });
  return { secrets, keyProblems, problems, warnings: [...tls.warnings, ...warnings] };
}

/** The same, or a `ConfigError` with all problems. */
export function loadSecrets(
  config: Config,
  sources: SecretSources = {},
): { readonly secrets: Secrets; readonly warnings: readonly string[] } {
  const { secrets, keyProblems, problems, warnings } = previewSecrets(config, sources);
  if (secrets === null) throw new ConfigError([...keyProblems, ...problems]);
  return { secrets, warnings };
}
