import { readBounded } from '../config/files/bounded-read.ts';
import { type Flags, previewConfig } from '../config/load.ts';
import type { PolicySettings } from '../config/policy/file.ts';
import { ConfigError, reason } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { previewSecrets, readKeys, type Secrets, withoutNewline } from '../config/secrets.ts';
import { claimsOfWish, readExpiry, WishFault, type WishMember } from '../explain/token/claims.ts';
import { type NamedSecret, tokenSays } from '../explain/token/says.ts';
import { mintToken } from '../identity/token.ts';
import { exitCode } from './exit-code.ts';
import type { Report } from './frame/declare.ts';
import { type Output, UsageError, writeWarnings } from './output.ts';

/** Options of `token`, as commander hands them over. */
export type TokenFlags = Flags & {
  readonly access?: string | undefined;
  readonly collection?: readonly string[] | undefined;
  readonly exp?: string | undefined;
  readonly sub?: string | undefined;
  readonly subject?: string | undefined;
  readonly valueExists?: string | undefined;
  readonly secretFile?: string | undefined;
  readonly signingKey?: string | undefined;
};

/** `30d`, `12h`, `90m`, `3600s`, `2w` from now, or an ISO date; returns seconds since 1970. Messages name `flag`. */
export function parseExpiry(text: string, nowMs: number, flag = '--exp'): number {
  return asUsage(() => readExpiry(text, nowMs), flag);
}

const FLAGS: Readonly<Record<WishMember, string>> = {
  either: '--access',
  access: '--access',
  collection: '--collection',
  exp: '--exp',
  value_exists: '--value-exists',
  claims: 'claims',
};

/** Runs a reading; a fault of a wish is a mistake in the arguments. */
function asUsage<T>(read: () => T, flag?: string): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof WishFault)) throw error;
    if (error.member === 'either') {
      throw new UsageError('give either --access r|m, or --collection name=r|rw|prw once or more');
    }
    throw new UsageError(`${flag ?? FLAGS[error.member]} ${error.message}`);
  }
}

function parseCollections(entries: readonly string[]): { collection: string; access: string }[] {
  return entries.map((entry) => {
    const cut = entry.lastIndexOf('=');
    if (cut < 1) throw new UsageError(`--collection must be name=r, name=rw or name=prw, not \`${entry}\``);
    return { collection: entry.slice(0, cut), access: entry.slice(cut + 1) };
  });
}

function parseValueExists(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError('--value-exists must be JSON');
  }
}

/**
 * The claims for the given flags, with `jti` and `iat`, so that the token can be revoked by either. Throws `UsageError`,
 * also without exactly one of `--access` and `--collection`: there is no default access.
 */
export function buildClaims(flags: TokenFlags, nowMs: number, id?: string): object {
  const { access, collection = [], exp, sub, subject, valueExists } = flags;
  const collections = parseCollections(collection);
  const exists = valueExists === undefined ? undefined : parseValueExists(valueExists);
  return asUsage(() => claimsOfWish({ access, collections, exp, sub, subject, valueExists: exists }, nowMs, id));
}

/** Every configured secret, in the order in which tokens are verified. */
function configuredSecrets(flags: Flags): { secrets: readonly NamedSecret[]; warnings: readonly string[] } {
  const { config, policy, problems, warnings } = previewConfig({ argv: flags });
  if (config === null || problems.length > 0) throw new ConfigError(problems);
  return { secrets: secretsOf(config, policy), warnings };
}

function secretsOf(config: Config, { signingKeys }: PolicySettings): readonly NamedSecret[] {
  const { keys } = readKeys(config);
  const admin = (['api_key', 'alt_api_key'] as const).flatMap((id) => {
    const secret = keys[id];
    return secret === null ? [] : [{ id, secret }];
  });
  return [...admin, ...signingKeys];
}

function secretFromFile(file: string): string {
  let secret: string;
  try {
    secret = withoutNewline(readBounded(file));
  } catch {
    throw new UsageError(`cannot read --secret-file \`${file}\``);
  }
  if (secret === '' || secret !== secret.trim()) {
    throw new UsageError('the secret file is empty, or the secret has leading or trailing whitespace');
  }
  return secret;
}

/** The secret to sign with; `keyId` only if a signing key was requested. */
function secretFrom(flags: TokenFlags, output: Output): { readonly secret: string; readonly keyId?: string } {
  const { secretFile, signingKey } = flags;
  if (secretFile !== undefined) {
    return { secret: secretFromFile(secretFile), ...(signingKey === undefined ? {} : { keyId: signingKey }) };
  }
  const { secrets, warnings } = configuredSecrets(flags);
  writeWarnings(output, warnings);
  if (signingKey !== undefined) {
    const found = secrets.find(({ id }) => id === signingKey);
    if (found?.exchange) throw new UsageError(`the key \`${signingKey}\` signs only tokens that the gateway mints`);
    if (found) return { secret: found.secret, keyId: found.id };
    const ids = secrets.map(({ id }) => `\`${id}\``).join(', ');
    throw new UsageError(`no signing key has the id \`${signingKey}\`${ids === '' ? '' : `, there are ${ids}`}`);
  }
  const first = secrets.find(({ id }) => id === 'api_key' || id === 'alt_api_key');
  if (first) return { secret: first.secret };
  if (secrets.length > 0) throw new UsageError('no admin key is set: name a key of the policy file with --signing-key');
  throw new UsageError('no secret: set QDRANT__SERVICE__API_KEY or use --secret-file; a secret is never an argument');
}

/** `token mint`: a signed token, and as text nothing else. */
export async function mint(flags: TokenFlags, output: Output, nowMs: number): Promise<Report> {
  const claims = buildClaims(flags, nowMs);
  const { secret, keyId } = secretFrom(flags, output);
  const token = await mintToken(claims, secret, keyId);
  return { text: `${token}\n`, json: { token, claims } };
}

/**
 * A token as a caller has it: given as an argument, in a file or on standard input, with or without `Bearer`. Throws
 * `UsageError` if it has no three parts. An argument gets a warning.
 */
export async function presentedToken(
  {
    argument,
    file,
    readStdin,
  }: {
    readonly argument: string | undefined;
    readonly file: string | undefined;
    readonly readStdin: () => Promise<string>;
  },
  output: Output,
): Promise<string> {
  if (argument !== undefined && file !== undefined) throw new UsageError('give a token or --file, not both');
  if (argument !== undefined) {
    writeWarnings(output, ['other users see arguments: give the token on standard input, or with --file']);
  }
  const text = argument ?? (file === undefined ? await readStdin() : tokenFile(file));
  const token = text.trim().replace(/^(?:authorization:[ \t]*)?bearer[ \t]+/i, '');
  if (token.split('.').length !== 3) throw new UsageError('a token has three parts, separated by dots');
  return token;
}

function tokenFile(file: string): string {
  try {
    return readBounded(file).toString('utf8');
  } catch (error) {
    throw new UsageError(`cannot read --file \`${file}\`: ${reason(error)}`);
  }
}

/**
 * `token inspect`: header, claims, id, issue time and expiry of a token. If a key is configured, also the verdict of a
 * gateway with this configuration; a refusal has exit code 1. Rejects with `ConfigError`, after the text of what the token says.
 */
export async function inspect(
  token: string,
  flags: Flags,
  output: Output,
  nowMs: number,
  fetchesKeys = false,
): Promise<Report> {
  const { config, policy, problems } = previewConfig({ argv: flags });
  const secrets = config === null ? [] : secretsOf(config, policy);
  const { header, claims, ...says } = tokenSays(token, secrets, policy, nowMs);
  const lines = Object.entries(says).map(([name, text]) => `${name}: ${text}\n`);
  const text = `header: ${partText(header)}\nclaims: ${partText(claims)}\n${lines.join('')}`;
  if (config === null || problems.length > 0) {
    output.err(text);
    throw new ConfigError(problems);
  }
  const json = { header: header ?? null, claims: claims ?? null, ...says };
  if (secrets.length === 0 && !policy.issuers && readKeys(config).keys.read_only_api_key === null) {
    return { text, json: { ...json, verdict: null } };
  }
  const { verdictOf } = await import('../explain/token/verdict.ts');
  const found = previewSecrets(config);
  const state = { config, policy, secrets: found.secrets ?? bareSecrets(config) };
  const { accepted, text: verdict, code, mapped, tenants = [] } = await verdictOf(token, state, nowMs, fetchesKeys);
  const given = mapped ? `mappings: ${mapped.mappings.join(', ')}\naccess: ${mapped.access}\n` : '';
  if (!accepted) output.err('error: a gateway with this configuration refuses the token\n');
  return {
    text: `${text}verdict: ${verdict}\n${code ? `code: ${code}\n` : ''}${given}${tenants.join('')}`,
    json: {
      ...json,
      verdict: { accepted, text: verdict, code: code ?? null, ...mapped, tenants: tenants.map((one) => one.trim()) },
    },
    code: accepted ? exitCode.ok : exitCode.failure,
  };
}

function partText(part: unknown): string {
  return part === undefined ? 'not base64url JSON' : JSON.stringify(part);
}

/** The keys alone, if certificates cannot be read: tokens do not depend on certificates. */
function bareSecrets(config: Config): Secrets {
  const { api_key: apiKey, alt_api_key: altApiKey, read_only_api_key: readOnlyApiKey } = readKeys(config).keys;
  return { apiKey, altApiKey, readOnlyApiKey, adminToken: null, upstreamKey: null, tls: null, upstreamCa: null };
}
