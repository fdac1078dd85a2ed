import { type Flags, previewConfig } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import { isOver, type RevocationEntry } from '../revocation/entry.ts';
import { type RevocationSettings, revocationSettings } from '../revocation/settings.ts';
import { storedEntries, takeOut } from '../revocation/write.ts';
import type { Report } from './frame/declare.ts';
import { textTable } from './frame/table.ts';
import { type Output, UsageError, writeWarnings } from './output.ts';
import { isoSeconds, parseMoment, type RevokeFlags, revoke } from './revoke.ts';

type Entries = readonly RevocationEntry[];

/** `revoke list`: the revocations in the configured store. @param all also those that are over */
export async function listRevocations(flags: Flags, all: boolean, now: number): Promise<Report> {
  const { entries } = await stored(settingsOf(flags));
  const shown = entries.filter((entry) => all || !isOver(entry, now / 1000));
  const rows = shown.map(({ kind, value, until, at, reason, ...more }) => [
    kind,
    kind === 'before' ? isoSeconds(Number(value)) : String(value),
    'subject' in more ? (more.subject ?? '-') : '-',
    at === undefined ? '-' : isoSeconds(at),
    until === undefined ? 'never' : isoSeconds(until),
    reason ?? '-',
  ]);
  const text = textTable(['KIND', 'VALUE', 'SUBJECT', 'REVOKED', 'ENDS', 'REASON'], rows);
  return { text: shown.length === 0 ? 'no revocations\n' : text, json: shown };
}

/** `revoke lift`: takes revocations of one value out of the configured store. Throws `UsageError` if there is none. */
export async function liftRevocations(flags: RevokeFlags, now: number): Promise<Report> {
  const isMeant = meant(flags, now);
  const settings = settingsOf(flags);
  const { place, entries } = await stored(settings);
  const found = entries.filter(isMeant);
  if (found.length === 0) {
    throw new UsageError(
      `there is no such revocation in ${place === 'file' ? 'the file' : 'redis'}: \`revoke list\` shows them`,
    );
  }
  await takeOut(settings, found);
  const noun = found.length === 1 ? 'revocation' : 'revocations';
  return { text: `lifted ${found.length} ${noun}\n`, json: { lifted: found, stored: place } };
}

/** The entries that the flags of `revoke` name, whatever their end. */
function meant(
  { tokenId, subject, key, before, forSubject }: RevokeFlags,
  now: number,
): (entry: RevocationEntry) => boolean {
  const given = Object.entries({ token: tokenId, subject, key, before }).filter(([, value]) => value !== undefined);
  const [first] = given;
  if (!first || given.length > 1) {
    throw new UsageError('give one of --token-id ID, --subject S, --key ID and --before TIME');
  }
  const [kind, text] = first;
  if (kind !== 'before') return (entry) => entry.kind === kind && entry.value === text;
  const moment = parseMoment(text, now);
  const seconds = typeof moment === 'number' ? moment : Math.ceil(Date.parse(String(moment)) / 1000);
  return (entry) => entry.kind === 'before' && entry.value === seconds && entry.subject === forSubject;
}

/** `token revoke`: revokes one token by its id. Throws `UsageError` for a token without one. */
export async function revokeToken(token: string, flags: RevokeFlags, output: Output, now: number): Promise<Report> {
  const { jti, exp } = claimsOf(token);
  if (typeof jti !== 'string' || jti === '') {
    throw new UsageError('the token has no id (`jti`): revoke its subject, its key, or what was issued before a time');
  }
  if (typeof exp === 'number' && exp * 1000 < now) writeWarnings(output, ['the token has ended before']);
  return revoke({ ...flags, tokenId: jti }, output, now);
}

/** The claims as they stand: the signature is of no matter for a revocation. */
function claimsOf(token: string): { readonly jti?: unknown; readonly exp?: unknown } {
  try {
    return Object(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')));
  } catch {
    throw new UsageError('the claims of the token are no JSON');
  }
}

function settingsOf(flags: Flags): RevocationSettings {
  const { config, problems } = previewConfig({ argv: flags });
  if (config === null || problems.length > 0) throw new ConfigError(problems);
  return revocationSettings(config);
}

async function stored(settings: RevocationSettings): Promise<{ place: 'redis' | 'file'; entries: Entries }> {
  const found = await storedEntries(settings);
  if (found) return found;
  throw new UsageError(
    'no revocation store is configured: set `gateway.revocation.redis_url` or `gateway.revocation.file`',
  );
}
