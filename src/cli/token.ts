import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Flags, previewConfig } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import { type Keys, readKeys } from '../config/secrets.ts';
import { mintToken } from '../identity/token.ts';
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
};

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** `30d`, `12h`, `90m`, `3600s`, `2w` from now, or an ISO date; returns seconds since 1970. */
export function parseExpiry(text: string, nowMs: number): number {
  const [, count, unit = ''] = /^([0-9]{1,6})([smhdw])$/.exec(text) ?? [];
  const now = Math.floor(nowMs / 1000);
  if (count !== undefined) return now + Number(count) * (UNIT_SECONDS[unit] ?? 0);
  const date = /^[0-9]{4}-[0-9]{2}-[0-9]{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(date)) throw new UsageError(`--exp must be like 30d, 12h, 90m or an ISO date, not \`${text}\``);
  const seconds = Math.floor(date / 1000);
  if (seconds <= now) throw new UsageError(`--exp \`${text}\` lies in the past`);
  return seconds;
}

function parseCollections(entries: readonly string[]): { collection: string; access: string }[] {
  const names = new Set<string>();
  return entries.map((entry) => {
    const cut = entry.lastIndexOf('=');
    const collection = entry.slice(0, Math.max(cut, 0));
    const access = entry.slice(cut + 1);
    if (cut < 1 || !['r', 'rw', 'prw'].includes(access)) {
      throw new UsageError(`--collection must be name=r, name=rw or name=prw, not \`${entry}\``);
    }
    if (names.has(collection)) throw new UsageError(`--collection names \`${collection}\` twice`);
    names.add(collection);
    return { collection, access };
  });
}

function parseValueExists(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError('--value-exists must be JSON');
  }
  const shape = '{"collection": "name", "matches": [{"key": "field", "value": "text, integer or boolean"}]}';
  if (!isRecord(value) || typeof value.collection !== 'string' || !Array.isArray(value.matches)) {
    throw new UsageError(`--value-exists must be like ${shape}`);
  }
  const matches: unknown[] = value.matches;
  const fits = (value: unknown) => ['string', 'boolean'].includes(typeof value) || Number.isSafeInteger(value);
  const bad = matches.some((match) => !isRecord(match) || typeof match.key !== 'string' || !fits(match.value));
  if (bad) throw new UsageError(`--value-exists must be like ${shape}`);
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The claims for the given flags. Throws `UsageError`; asks for one of `--access` and `--collection`, never guesses. */
export function buildClaims(flags: TokenFlags, nowMs: number): object {
  const { access, collection = [], exp, sub, subject, valueExists } = flags;
  if ((access === undefined) === (collection.length === 0)) {
    throw new UsageError('give either --access r|m, or --collection name=r|rw|prw once or more');
  }
  if (access !== undefined && access !== 'r' && access !== 'm') {
    throw new UsageError(`--access must be r or m, not \`${access}\``);
  }
  return {
    ...(exp === undefined ? {} : { exp: parseExpiry(exp, nowMs) }),
    access: access ?? parseCollections(collection),
    ...(sub === undefined ? {} : { sub }),
    ...(subject === undefined ? {} : { subject }),
    ...(valueExists === undefined ? {} : { value_exists: parseValueExists(valueExists) }),
  };
}

function configuredKeys(flags: Flags): { keys: Keys; warnings: readonly string[] } {
  const { config, problems, warnings } = previewConfig({ argv: flags });
  if (config === null || problems.length > 0) throw new ConfigError(problems);
  return { keys: readKeys(config).keys, warnings };
}

function secretFrom(flags: TokenFlags, output: Output): string {
  if (flags.secretFile !== undefined) {
    let secret: string;
    try {
      secret = readFileSync(flags.secretFile, 'utf8').replace(/\r?\n$/, '');
    } catch {
      throw new UsageError(`cannot read --secret-file \`${flags.secretFile}\``);
    }
    if (secret === '' || secret !== secret.trim()) {
      throw new UsageError('the secret file is empty or has blanks around the secret');
    }
    return secret;
  }
  const { keys, warnings } = configuredKeys(flags);
  writeWarnings(output, warnings);
  const secret = keys.api_key ?? keys.alt_api_key;
  if (secret !== null) return secret;
  throw new UsageError('no secret: set QDRANT__SERVICE__API_KEY or give --secret-file (never on the command line)');
}

/** `token`: prints a signed token, alone, on standard output. */
export async function mint(flags: TokenFlags, output: Output, nowMs: number = Date.now()): Promise<void> {
  const claims = buildClaims(flags, nowMs);
  const token = await mintToken(claims, secretFrom(flags, output));
  output.out(`${token}\n`);
}

function decodePart(part: string | undefined, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8'));
  } catch {
    throw new UsageError(`the ${what} of the token is not base64url JSON`);
  }
}

function describeExpiry(claims: unknown, nowMs: number): string {
  const exp = isRecord(claims) ? claims.exp : undefined;
  if (exp === undefined) return 'never expires';
  if (typeof exp !== 'number') return 'expiry is not a number, the token will be refused';
  const date = new Date(exp * 1000);
  const shown = Number.isNaN(date.getTime()) ? `${exp}` : date.toISOString();
  return exp * 1000 < nowMs ? `expired on ${shown}` : `expires on ${shown}`;
}

// Only for showing a person whether a key fits; requests are verified in identity/token.ts.
function signedBy(token: string, secret: string | null): boolean {
  if (secret === null) return false;
  const cut = token.lastIndexOf('.');
  const expected = createHmac('sha256', secret).update(token.slice(0, cut)).digest();
  const given = Buffer.from(token.slice(cut + 1), 'base64url');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function describeSignature(token: string, flags: Flags): string {
  const { config } = previewConfig({ argv: flags });
  const keys = config === null ? null : readKeys(config).keys;
  if (keys === null || (keys.api_key === null && keys.alt_api_key === null)) return 'not checked, no key is configured';
  if (signedBy(token, keys.api_key)) return 'by `service.api_key`';
  if (signedBy(token, keys.alt_api_key)) return 'by `service.alt_api_key`';
  return 'by none of the configured keys';
}

/** `token inspect`: shows header, claims and expiry of the token given as text; checks the signature if a key is set. */
export function inspect(text: string, flags: Flags, output: Output, nowMs: number = Date.now()): void {
  const token = text.trim();
  const parts = token.split('.');
  if (parts.length !== 3) throw new UsageError('a token has three parts with dots between them');
  const header = decodePart(parts[0], 'header');
  const claims = decodePart(parts[1], 'claims');
  output.out(`header: ${JSON.stringify(header)}\nclaims: ${JSON.stringify(claims)}\n`);
  output.out(`expiry: ${describeExpiry(claims, nowMs)}\nsignature: ${describeSignature(token, flags)}\n`);
}
