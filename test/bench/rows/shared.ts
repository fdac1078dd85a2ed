import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_REDIS, type RedisServer, startRedis } from '../../support/process/redis.ts';
import { namedKeyEntries } from './named-keys.ts';

/* Named keys and limits that are in a Redis server, beside those that are not. */

/** Why rows that need Redis cannot be measured; null = they can. */
export const WITHOUT_REDIS: string | null = NO_REDIS === false ? null : NO_REDIS;

/** Fields of a hash in one command. */
const AT_ONCE = 500;

type Settings = Readonly<Record<string, string>>;

let server: Promise<RedisServer> | undefined;

/** One server for all rows, on a free port, until `closeRedis`. */
function redis(): Promise<RedisServer> {
  server ??= startRedis();
  return server;
}

/** Ends the server, if rows have started one. Never rejects. */
export async function closeRedis(): Promise<void> {
  await server?.then((started) => started.close()).catch(() => undefined);
}

/** Settings of a gateway that reads so many named keys from Redis, and the text of one in their middle. */
export function sharedKeys(keys: number): { readonly settings: () => Promise<Settings>; readonly credential: string } {
  const { entries, credential } = namedKeyEntries(keys);
  const prefix = `bench-${keys}:`;
  return {
    credential,
    settings: async () => {
      const { url, cli } = await redis();
      const version = Date.now();
      for (let from = 0; from < entries.length; from += AT_ONCE) {
        const some = entries
          .slice(from, from + AT_ONCE)
          .flatMap((entry) => [entry.id, `${version} ${JSON.stringify(entry)}`]);
        cli('hset', `${prefix}keys`, ...some);
      }
      cli('hset', `${prefix}keys`, '@', `1 ${version} bench`);
      return {
        QDRANT_GATEWAY__REVOCATION__REDIS_URL: url,
        QDRANT_GATEWAY__REVOCATION__REDIS_PREFIX: prefix,
        QDRANT_GATEWAY__SHARED__KEYS: 'true',
      };
    },
  };
}

let limitFile: string | undefined;

/** Settings with a limit for each caller that is never reached: counted by the process alone. */
export function localLimit(): Settings {
  limitFile ??= policyWithLimit();
  return { QDRANT_GATEWAY__POLICY_FILE: limitFile };
}

function policyWithLimit(): string {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-bench-limits-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'policy.json');
  const requests = { per: 'second', most: 1_000_000 };
  writeFileSync(file, JSON.stringify({ limits: [{ id: 'bench', requests, concurrent: 100_000 }] }));
  return file;
}

/** The same limit, counted with other gateways. */
export async function sharedLimit(): Promise<Settings> {
  const { url } = await redis();
  return { ...localLimit(), QDRANT_GATEWAY__REVOCATION__REDIS_URL: url, QDRANT_GATEWAY__SHARED__LIMITS: 'true' };
}
