import { entryFaults, settingsOf } from '../../config/keys/file.ts';
import { type KeyEntry, namedKeySchema } from '../../config/keys/schema.ts';
import { OPERATION_NAMES } from '../../operations/names.ts';
import type { NamedKeySettings } from '../../policy/named-key.ts';
import { RedisContentFault } from '../../redis/link.ts';

/*
 * The hash of named keys in Redis. A field is an id, its value `VERSION RECORD`: the record in JSON, as an entry of the file,
 * and the version of its last change. The field `@` is the mark: `1 VERSION ORIGIN`, the format, the version of the last
 * change of any record, and a random name of this hash. Versions grow, and are at least the time of the server in milliseconds.
 */

export const HASH = 'keys';
export const CHANNEL = 'keys:changed';
/** The hash of minutes of last use, by id. */
export const USED = 'keys:used';
export const MARK = '@';

/** A record, as it was read. */
export interface KeyRecord {
  /** Infinite = it has none, and so is damaged. */
  readonly version: number;
  /** As it stands in Redis. */
  readonly text: string;
  /** `undefined` = damaged: the key is refused. */
  readonly entry: KeyEntry | undefined;
  readonly settings: NamedKeySettings | undefined;
}

/** The mark of the hash. */
export interface KeyMark {
  readonly text: string;
  readonly version: number;
  readonly origin: string;
}

export type KeyRecords = ReadonlyMap<string, KeyRecord>;

const MARK_FORM = /^1 (\d{1,16}) (\w{1,64})$/;
const RECORD_FORM = /^(\d{1,16}) /;

/** The mark; `undefined` = the hash is empty. Throws `RedisContentFault` for a hash of something else. */
export function markIn(fields: ReadonlyMap<string, string>): KeyMark | undefined {
  if (fields.size === 0) return undefined;
  const text = fields.get(MARK);
  const [, version, origin] = MARK_FORM.exec(text ?? '') ?? [];
  if (text !== undefined && version !== undefined && origin !== undefined) {
    return { text, version: Number(version), origin };
  }
  throw new RedisContentFault(
    text === undefined ? 'the hash of named keys is not of this gateway' : 'the hash of named keys has another format',
  );
}

/** The records. One that did not change since is not read again. */
export function recordsIn(fields: ReadonlyMap<string, string>, known: KeyRecords): KeyRecords {
  const records = new Map<string, KeyRecord>();
  for (const [id, text] of fields) {
    if (id === MARK) continue;
    const old = known.get(id);
    records.set(id, old?.text === text ? old : recordOf(id, text));
  }
  return records;
}

function recordOf(id: string, text: string): KeyRecord {
  const version = RECORD_FORM.exec(text)?.[1];
  const entry = version === undefined ? undefined : entryOf(id, text.slice(version.length + 1));
  return { version: Number(version ?? Number.POSITIVE_INFINITY), text, entry, settings: entry && settingsOf(entry) };
}

function entryOf(id: string, json: string): KeyEntry | undefined {
  try {
    const { data } = namedKeySchema.safeParse(JSON.parse(json));
    return data && data.id === id && entryFaults(data, OPERATION_NAMES).length === 0 ? data : undefined;
  } catch {
    return undefined;
  }
}

/** All that a gateway knows of the hash. */
export interface KnownKeys {
  /** Version of the last change that it has read; 0 = none. */
  readonly version: number;
  readonly origin: string | undefined;
  readonly records: KeyRecords;
}

export const NOTHING_KNOWN: KnownKeys = Object.freeze({ version: 0, origin: undefined, records: new Map() });

/** The result of a read: all known records, and those that Redis has lost. */
export interface KeysMerged {
  readonly known: KnownKeys;
  /** Records that Redis lacks, or has an older version of. */
  readonly lost: readonly (readonly [id: string, record: KeyRecord])[];
  /** Records that Redis has although they were deleted. */
  readonly deleted: readonly string[];
}

/**
 * Takes a read. Redis is right, unless it was restarted with less than it had: then what is known of a later version holds, so
 * that no disabled key becomes active and no deleted one comes back.
 */
export function mergeKeys(known: KnownKeys, mark: KeyMark | undefined, stored: KeyRecords): KeysMerged {
  const records = new Map<string, KeyRecord>();
  const lost: (readonly [string, KeyRecord])[] = [];
  const deleted: string[] = [];
  const isOurs = mark !== undefined && mark.origin === known.origin;
  const hasLess = known.version > 0 && (!isOurs || mark.version < known.version);
  for (const [id, record] of stored) {
    const old = known.records.get(id);
    if (old?.entry && old.version > record.version) continue;
    if (old || known.version === 0 || record.version > known.version) records.set(id, record);
    else deleted.push(id);
  }
  for (const [id, record] of known.records) {
    if (records.has(id) || (!hasLess && !stored.has(id))) continue;
    if (!record.entry) continue;
    records.set(id, record);
    lost.push([id, record]);
  }
  const version = Math.max(known.version, mark?.version ?? 0);
  const origin = mark?.origin ?? known.origin;
  // INVARIANT: the gateway removes nothing from another hash.
  return { known: { version, origin, records }, lost, deleted: isOurs ? deleted : [] };
}
