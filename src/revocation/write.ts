import { MAX_ENTRIES, type RevocationEntry, TOO_MANY } from './entry.ts';
import { appendToFile } from './file-append.ts';
import { describeRedisFault, openRedisLink } from './redis-link.ts';
import { fieldsOf } from './redis-source.ts';
import type { RedisAddress, RevocationSettings } from './settings.ts';
import { StoreFault } from './source.ts';

const DEADLINE_MS = 5000;

/**
 * Puts an entry into the configured store without a gateway: Redis if there is one, else the file. Gateways see it there.
 * `undefined` = no store is configured. Rejects with a `StoreFault`.
 */
export async function writeEntry(
  { redis, file }: RevocationSettings,
  entry: RevocationEntry,
): Promise<'redis' | 'file' | undefined> {
  if (redis) {
    await writeToRedis(redis.address, entry);
    return 'redis';
  }
  if (file === undefined) return undefined;
  await appendToFile(file, entry);
  return 'file';
}

async function writeToRedis(address: RedisAddress, entry: RevocationEntry): Promise<void> {
  try {
    const link = await openRedisLink(address, { deadlineMs: DEADLINE_MS });
    try {
      if ((await link.count()) > MAX_ENTRIES) throw new StoreFault(TOO_MANY);
      await link.write(fieldsOf([entry]));
    } finally {
      link.close();
    }
  } catch (error) {
    if (error instanceof StoreFault) throw error;
    throw new StoreFault(`redis could not be written (${describeRedisFault(error)}): nothing was revoked`);
  }
}
