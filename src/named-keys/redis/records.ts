import { entryFaults, settingsOf } from '../../config/keys/file.ts';
import { type KeyEntry, namedKeySchema } from '../../config/keys/schema.ts';
import { OPERATION_NAMES } from '../../operations/names.ts';
import type { NamedKeySettings } from '../../policy/named-key.ts';
import { RedisContentFault } from '../../redis/link.ts';

/*
 * The hash of named keys in Redis. A field is an id, its value `VERSION RECORD`: the record in JSON, as an entry of the file,
 * and the version of its last change. The field `@` is the mark: `1 VERSION ORIGIN`, the format, the version of the last
 * change of any record, and a random name of this hash. Versions grow, and are at least the time of the server in milliseconds.
 * INVARIANT: no gateway writes one that is far ahead of the time, so one that is was written by another: it is not believed. A counter
 * that was would take every later change for an older one, also after it was put right.
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
  /** `undefined` = it is not believed. */
  readonly version: number | undefined;
  readonly origin: string;
}

export type KeyRecords = ReadonlyMap<string, KeyRecord>;

const MARK_FORM = /^1 (\d{1,16}) (\w{1,64})$/;
const RECORD_FORM = /^(\d{1,16}) /;
/** Versions that are as many milliseconds ahead of the time are damaged: clocks are not as wrong. */
export const FAR_AHEAD_MS = 366 * 86_400_000;

/** The version; `undefined` = it is not believed. @param now milliseconds since 1970 */
function believed(digits: string | undefined, now: number): number | undefined {
  const version = Number(digits ?? Number.NaN);
  return version <= now + FAR_AHEAD_MS ? version : undefined;
}

/** The mark; `undefined` = the hash is empty. Throws `RedisContentFault` for a hash of something else. */
export function markIn(fields: ReadonlyMap<string, string>, now: number): KeyMark | undefined {
  if (fields.size === 0) return undefined;
  const text = fields.get(MARK);
  const [, version, origin] = MARK_FORM.exec(text ?? '') ?? [];
  if (text !== undefined && version !== undefined && origin !== undefined) {
    return { text, version: believed(version, now), origin };
  }
  throw new RedisContentFault(
    text === undefined ? 'the hash of named keys is not of this gateway' : 'the hash of named keys has another format',
  );
}

/** The records. One that did not change since is not read again. */
export function recordsIn(fields: ReadonlyMap<string, string>, known: KeyRecords, now: number): KeyRecords {
  const records = new Map<string, KeyRecord>();
  for (const [id, text] of fields) {
    if (id === MARK) continue;
    const old = known.get(id);
    records.set(id, old?.text === text ? old : recordOf(id, text, now));
  }
  return records;
}

function recordOf(id: string, text: string, now: number): KeyRecord {
  const digits = RECORD_FORM.exec(text)?.[1];
  const version = believed(digits, now);
  const entry = version === undefined ? undefined : entryOf(id, text.slice((digits?.length ?? 0) + 1));
  return { version: version ?? Number.POSITIVE_INFINITY, text, entry, settings: entry && settingsOf(entry) };
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
  /** The mark is not believed, or is behind what is known of this hash: changes of others would be taken for older ones. */
  readonly isMarkWrong: boolean;
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
  const isBehind = mark?.version !== undefined && mark.version < known.version;
  const hasLess = known.version > 0 && (!isOurs || isBehind);
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
  // Instead of a mark that is not believed, the newest record tells how far the hash is.
  const isDamaged = mark !== undefined && mark.version === undefined;
  const newest = isDamaged ? newestOf(stored) : (mark?.version ?? 0);
  const version = Math.max(known.version, newest);
  const origin = mark?.origin ?? known.origin;
  // INVARIANT: the gateway removes nothing from another hash.
  return {
    ...{ known: { version, origin, records }, lost, deleted: isOurs ? deleted : [] },
    isMarkWrong: isDamaged || (isOurs && isBehind),
  };
}

function newestOf(records: KeyRecords): number {
  return Math.max(0, ...[...records.values()].flatMap(({ version }) => (Number.isFinite(version) ? version : [])));
}
