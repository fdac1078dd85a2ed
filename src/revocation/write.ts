import { resolve } from 'node:path';
import { type Clock, machineClock } from '../config/files/clock.ts';
import { fileProbe } from '../config/files/file-reads.ts';
import type { RedisAddress } from '../redis/address.ts';
import { describeRedisFault, withRedisLink } from '../redis/link.ts';
import { entryId, MAX_ENTRIES, type RevocationEntry, TOO_MANY } from './entry.ts';
import { appendToFile, takeOutOfFile } from './file-append.ts';
import { readRevocationFile } from './file-source.ts';
import { fieldsOf, HASH, readFields, readHash, writeFields } from './redis-hash.ts';
import type { RevocationSettings } from './settings.ts';
import { BEING_WRITTEN, StoreFault } from './source.ts';

const DEADLINE_MS = 5000;

/**
 * Writes an entry to the configured store without a gateway: to Redis if configured, else to the file. Running gateways
 * read it there. `undefined` = no store is configured. Waits for a file that is being written in place. Rejects with a
 * `StoreFault`.
 */
export async function writeEntry(
  { redis, file }: RevocationSettings,
  entry: RevocationEntry,
  clock: Clock = machineClock,
): Promise<'redis' | 'file' | undefined> {
  if (redis) {
    await writeToRedis(redis.address, entry);
    return 'redis';
  }
  if (file === undefined) return undefined;
  await standsStill(resolve(file), clock);
  await appendToFile(file, entry);
  return 'file';
}

/** Entries of the configured store; `undefined` = no store is configured. Rejects with a `StoreFault` or `ConfigError`. */
export async function storedEntries({
  redis,
  file,
}: RevocationSettings): Promise<
  { readonly place: 'redis' | 'file'; readonly entries: readonly RevocationEntry[] } | undefined
> {
  if (!redis) return file === undefined ? undefined : { place: 'file', entries: readRevocationFile(file) };
  const { address } = redis;
  try {
    const { fields } = await withRedisLink(address, DEADLINE_MS, (link) => readHash(link, address.prefix));
    return { place: 'redis', entries: [...readFields(fields).values()] };
  } catch (error) {
    throw new StoreFault(`redis could not be read (${describeRedisFault(error)})`);
  }
}

/** Takes entries out of the configured store; running gateways read it. Rejects with a `StoreFault`. */
export async function takeOut(
  { redis, file }: RevocationSettings,
  entries: readonly RevocationEntry[],
  clock: Clock = machineClock,
): Promise<void> {
  const ids = new Set(entries.map(entryId));
  if (!redis) {
    if (file === undefined) return;
    await standsStill(resolve(file), clock);
    await takeOutOfFile(file, (entry) => ids.has(entryId(entry)));
    return;
  }
  const { address } = redis;
  try {
    await withRedisLink(address, DEADLINE_MS, async (link) => {
      await link.remove(address.prefix + HASH, [...ids]);
      // Tells the gateways.
      await writeFields(link, address.prefix, {});
    });
  } catch (error) {
    throw new StoreFault(`redis could not be written (${describeRedisFault(error)}): nothing was lifted`);
  }
}

/** A file written in place within this time (milliseconds) may be incomplete. */
const YOUNG_MS = 2_000;
const AT_MOST_MS = 10_000;
const LOOK_MS = 250;

/** INVARIANT: an entry is never added to a partly written file. Rejects with a `StoreFault`. */
async function standsStill(path: string, clock: Clock): Promise<void> {
  for (const end = clock.now() + AT_MOST_MS; ; ) {
    const stat = await fileProbe.stat(path);
    const written = stat?.changedNs === stat?.modifiedNs && stat;
    if (!written || clock.wall() - Number(written.changedNs / 1_000_000n) >= YOUNG_MS) return;
    if (clock.now() >= end) throw new StoreFault(BEING_WRITTEN);
    await clock.pause(LOOK_MS);
  }
}

async function writeToRedis(address: RedisAddress, entry: RevocationEntry): Promise<void> {
  try {
    await withRedisLink(address, DEADLINE_MS, async (link) => {
      if ((await link.count(address.prefix + HASH)) > MAX_ENTRIES) throw new StoreFault(TOO_MANY);
      await writeFields(link, address.prefix, fieldsOf([entry]));
    });
  } catch (error) {
    if (error instanceof StoreFault) throw error;
    throw new StoreFault(`redis could not be written (${describeRedisFault(error)}): nothing was revoked`);
  }
}
