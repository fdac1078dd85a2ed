import { RedisContentFault, type RedisLink } from '../redis/link.ts';
import { entryId, isEntry, MAX_ENTRIES, type RevocationEntry, readEntry } from './entry.ts';

/* Revocations as a hash in Redis: names without the prefix, and the form of the fields. */

export const HASH = 'revocations';
export const CHANNEL = 'revocations:changed';

/** A field that is always present. A hash without it has been lost or replaced. */
export const MARKER = '@';

/** A consistent copy of the hash. */
export interface RedisReading {
  /** Id of the server's run; `undefined` = unknown. */
  readonly run: string | undefined;
  readonly fields: ReadonlyMap<string, string>;
}

/** Reads the whole hash. */
export async function readHash(link: RedisLink, prefix: string): Promise<RedisReading> {
  const [run, fields] = await Promise.all([link.run(), link.read(prefix + HASH, MAX_ENTRIES + 1, HASH)]);
  return { run, fields };
}

/** Sets fields and the marker, and notifies all subscribers. */
export function writeFields(link: RedisLink, prefix: string, fields: Readonly<Record<string, string>>): Promise<void> {
  return link.write(prefix + HASH, { ...fields, [MARKER]: '1' }, prefix + CHANNEL);
}

/** Entries as fields of the hash. */
export function fieldsOf(entries: readonly RevocationEntry[]): Readonly<Record<string, string>> {
  return Object.fromEntries(entries.map((entry) => [entryId(entry), JSON.stringify(entry)]));
}

/** The entries of the hash. Throws for an unknown form: it may be a revocation. */
export function readFields(fields: ReadonlyMap<string, string>): Map<string, RevocationEntry> {
  const entries = new Map<string, RevocationEntry>();
  for (const [field, text] of fields) {
    if (field === MARKER) continue;
    const read = readText(text);
    if (read === undefined) throw new RedisContentFault('a field of the hash is not a revocation');
    entries.set(entryId(read), read);
  }
  return entries;
}

function readText(text: string): RevocationEntry | undefined {
  try {
    const read = readEntry(JSON.parse(text));
    return isEntry(read) ? read : undefined;
  } catch {
    return undefined;
  }
}
