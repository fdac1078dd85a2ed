import { randomBytes } from 'node:crypto';
import { entryFaults, MAX_KEYS } from '../../config/keys/file.ts';
import { type KeyEntry, namedKeySchema } from '../../config/keys/schema.ts';
import { OPERATION_NAMES } from '../../operations/names.ts';
import type { RedisAddress } from '../../redis/address.ts';
import { describeRedisFault, type RedisLink, withRedisLink } from '../../redis/link.ts';
import type { KeyStorage } from '../edit.ts';
import type { KeyChange } from '../edit-text.ts';
import { KeyFault } from '../fault.ts';
import {
  CHANNEL,
  HASH,
  type KeyMark,
  type KeyRecords,
  type KnownKeys,
  MARK,
  markIn,
  recordsIn,
  USED,
} from './records.ts';
import { CHANGE } from './scripts.ts';

/** Longest wait of a command line for each answer, in milliseconds. */
const DEADLINE_MS = 5000;
/** Most tries of one change while others change the same key. */
const TRIES = 50;
const NOTHING: KeyRecords = new Map();

/** Runs work on a connection. */
export type OnRedis = <T>(work: (link: RedisLink) => Promise<T>) => Promise<T>;

/** The whole hash. @param now milliseconds since 1970 */
export async function readKeyHash(
  link: RedisLink,
  prefix: string,
  now: number,
  known: KeyRecords = NOTHING,
): Promise<{ readonly mark: KeyMark | undefined; readonly records: KeyRecords }> {
  const fields = await link.read(prefix + HASH, MAX_KEYS + 1, 'named keys');
  const mark = markIn(fields, now);
  return { mark, records: recordsIn(fields, known, now) };
}

/** Reads the records with these ids; `undefined` = nothing has changed since the last read. */
export async function readKeyChanges(
  link: RedisLink,
  prefix: string,
  { version, records }: KnownKeys,
  { ids, now }: { readonly ids: ReadonlySet<string>; readonly now: number },
): Promise<{ readonly mark: KeyMark | undefined; readonly records: KeyRecords } | undefined> {
  const hash = prefix + HASH;
  const [fields, count] = await Promise.all([link.pick(hash, [MARK, ...ids]), link.count(hash)]);
  const mark = markIn(fields, now);
  const next = new Map(records);
  for (const id of ids) next.delete(id);
  const picked = recordsIn(fields, records, now);
  for (const [id, record] of picked) next.set(id, record);
  const newest = Math.max(version, ...[...picked.values()].map((record) => record.version));
  // INVARIANT: these records are all that changed, or everything is read. A deletion has no record, and so is read with everything.
  if (mark?.version !== newest || count !== next.size + 1) return await readKeyHash(link, prefix, now, records);
  return picked.size === 0 ? undefined : { mark, records: next };
}

/** Minutes since 1970 of the last use on any gateway, by id. */
export async function readUses(link: RedisLink, prefix: string): Promise<ReadonlyMap<string, number>> {
  const fields = await link.read(prefix + USED, MAX_KEYS + 1, 'minutes of use');
  return new Map([...fields].flatMap(([id, minute]) => (/^\d{1,9}$/.test(minute) ? [[id, Number(minute)]] : [])));
}

/** A command line's own connection for each piece of work. */
export function onRedisAt(address: RedisAddress): OnRedis {
  return (work) => withRedisLink(address, DEADLINE_MS, work);
}

export interface RedisKeyStorageOptions {
  readonly prefix: string;
  readonly on: OnRedis;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The version that a running gateway knows of: a change is made newer than that. Default: none. */
  readonly version?: () => number;
}

/** Named keys in Redis. A damaged record is in no list, and its id is taken. */
export function redisKeyStorage(options: RedisKeyStorageOptions): KeyStorage {
  const { prefix, on, now } = options;
  return {
    read: () => guarded('read', on, async (link) => entriesOf((await readKeyHash(link, prefix, now())).records)),
    edit: (decide) =>
      guarded('written', on, async (link) => {
        for (let tries = 0; tries < TRIES; tries += 1) {
          const done = await tryEdit(link, options, decide);
          if (done) return done;
        }
        throw new KeyFault('locked', ['the key is changed by others at the moment: nothing was changed, try again']);
      }),
  };
}

/** `undefined` = the record has changed since it was read. */
async function tryEdit(
  link: RedisLink,
  { prefix, now, version = () => 0 }: RedisKeyStorageOptions,
  decide: (entries: readonly KeyEntry[]) => KeyChange,
): Promise<readonly KeyEntry[] | undefined> {
  const { records } = await readKeyHash(link, prefix, now());
  const change = decide(entriesOf(records));
  const id = change.kind === 'add' ? change.entry.id : change.id;
  const before = records.get(id);
  if (change.kind === 'add' && before) throw new KeyFault('exists', [`a key has the id \`${id}\` already`]);
  const after = recordAfter(change, before?.entry);
  const answer = await link.eval(
    CHANGE,
    [prefix + HASH, prefix + USED],
    [
      ...[id, before?.text ?? '', after ? JSON.stringify(after) : ''],
      ...[prefix + CHANNEL, String(MAX_KEYS), randomBytes(8).toString('hex'), String(version())],
    ],
  );
  if (answer === 'conflict') return undefined;
  if (answer === 'full') throw new KeyFault('invalid', [`there are ${MAX_KEYS} keys already`]);
  if (answer !== 'ok') throw new KeyFault('redis', ['the hash of named keys in redis is not of this gateway']);
  const others = entriesOf(records).filter((entry) => entry.id !== id);
  return after ? [...others, after] : others;
}

function recordAfter(change: KeyChange, before: KeyEntry | undefined): KeyEntry | undefined {
  if (change.kind === 'add') return change.entry;
  if (change.kind === 'remove') return undefined;
  const merged = Object.entries({ ...before, ...change.fields }).filter(([, value]) => value !== null);
  const { data } = namedKeySchema.safeParse(Object.fromEntries(merged));
  if (data && entryFaults(data, OPERATION_NAMES).length === 0) return data;
  throw new KeyFault('invalid', ['the record would be no named key']);
}

function entriesOf(records: KeyRecords): readonly KeyEntry[] {
  return [...records.values()].flatMap(({ entry }) => entry ?? []);
}

async function guarded<T>(what: 'read' | 'written', on: OnRedis, work: (link: RedisLink) => Promise<T>): Promise<T> {
  try {
    return await on(work);
  } catch (error) {
    if (error instanceof KeyFault) throw error;
    const after = what === 'read' ? '' : ': look at the key before you try again';
    throw new KeyFault('redis', [`the named keys in redis cannot be ${what} (${describeRedisFault(error)})${after}`]);
  }
}
