import { type Flags, previewConfig } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import { readKeys } from '../config/secrets.ts';
import { checkEntry, revocableIds } from '../revocation/check-entry.ts';
import { isEntry, type RevocationEntry, readEntry } from '../revocation/entry.ts';
import { revocationSettings } from '../revocation/settings.ts';
import { writeEntry } from '../revocation/write.ts';
import { printable } from '../text/printable.ts';
import type { Report } from './frame/declare.ts';
import { type Output, UsageError, writeWarnings } from './output.ts';
import { parseExpiry } from './token.ts';

/** Options of `revoke`, as commander hands them over. */
export type RevokeFlags = Flags & {
  readonly tokenId?: string | undefined;
  readonly subject?: string | undefined;
  readonly key?: string | undefined;
  readonly before?: string | undefined;
  readonly forSubject?: string | undefined;
  readonly until?: string | undefined;
  readonly reason?: string | undefined;
};

/** The flag of each member of an entry, for messages. */
const FLAG_OF: Readonly<Record<string, string>> = {
  subject: '--for-subject',
  until: '--until',
  reason: '--reason',
};

/** The revocation that the flags ask for. Throws `UsageError`. */
export function buildEntry(flags: RevokeFlags, nowMs: number): RevocationEntry {
  const { tokenId, subject, key, before, forSubject, until, reason } = flags;
  const asked = [
    ['token', '--token-id', tokenId],
    ['subject', '--subject', subject],
    ['key', '--key', key],
    ['before', '--before', before],
  ] as const;
  const given = asked.filter(([, , value]) => value !== undefined);
  const [first] = given;
  if (!first || given.length > 1) {
    throw new UsageError('give one of --token-id ID, --subject S, --key ID and --before TIME');
  }
  const [kind, flag, value] = first;
  if (forSubject !== undefined && kind !== 'before') throw new UsageError('--for-subject needs --before');
  const now = Math.floor(nowMs / 1000);
  const read = readEntry({
    kind,
    value: kind === 'before' ? parseMoment(value, nowMs) : value,
    ...(forSubject === undefined ? {} : { subject: forSubject }),
    ...(until === undefined ? {} : { until: parseExpiry(until, nowMs, '--until') }),
    ...(reason === undefined ? {} : { reason }),
    at: now,
  });
  if (isEntry(read)) return read;
  const problems = read.map(({ member = '', message }) => `${FLAG_OF[member] ?? flag}: ${message}`);
  throw new UsageError(problems.join('; '));
}

/** `now` includes the current second. Digits are seconds since 1970; other texts are returned unchanged. */
export function parseMoment(text: string | undefined, nowMs: number): number | string | undefined {
  if (text === 'now') return Math.floor(nowMs / 1000) + 1;
  return text !== undefined && /^[0-9]{1,12}$/.test(text) ? Number(text) : text;
}

function describe(entry: RevocationEntry): string {
  const until = entry.until === undefined ? '' : ` until ${isoSeconds(entry.until)}`;
  switch (entry.kind) {
    case 'token':
      return `the token with the id \`${entry.value}\`${until}`;
    case 'subject':
      return `every token of the subject \`${entry.value}\`${until}`;
    case 'key':
      return `every token signed with the key \`${entry.value}\`${until}`;
    case 'before': {
      const whose = entry.subject === undefined ? '' : ` of the subject \`${entry.subject}\``;
      return `every token${whose} issued before ${isoSeconds(entry.value)}, or without an issue time${until}`;
    }
    default:
      return entry satisfies never;
  }
}

/** `2030-01-01T00:00:00Z` of seconds since 1970. */
export function isoSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** `revoke`: writes a revocation to the configured store, which running gateways read, and reports it. */
export async function revoke(flags: RevokeFlags, output: Output, nowMs: number): Promise<Report> {
  const entry = buildEntry(flags, nowMs);
  const { config, policy, problems, warnings } = previewConfig({ argv: flags });
  if (config === null || problems.length > 0) throw new ConfigError(problems);
  writeWarnings(output, warnings);
  const { api_key: apiKey, alt_api_key: altApiKey } = readKeys(config).keys;
  const ids = revocableIds(apiKey, altApiKey, policy);
  const judged = checkEntry(entry, Math.floor(nowMs / 1000), ids);
  if (judged.problems.length > 0) throw new UsageError(judged.problems.join('; '));
  writeWarnings(output, judged.warnings);
  const settings = revocationSettings(config);
  const stored = await writeEntry(settings, entry);
  if (stored === undefined) {
    throw new UsageError(
      'no revocation store is configured: set `gateway.revocation.redis_url` or `gateway.revocation.file`',
    );
  }
  const where = stored === 'file' ? `the file \`${settings.file}\`` : 'redis';
  return { text: `revoked ${printable(describe(entry))}; written to ${where}\n`, json: { revoked: entry, stored } };
}
