import { randomUUID } from 'node:crypto';
import type { RedisConnection } from '../redis/connection.ts';
import { describeRedisFault, type RedisLink, redisScript } from '../redis/link.ts';
import { AcmeFault, LeaseLost } from './fault.ts';
import { createSeal } from './sealed.ts';
import { type AcmeStore, LEASE_MS, type Lease, type RecordName } from './store.ts';

const CHANNEL = 'acme';
const REFRESH_MS = 10_000;

/** Keys: the hash. Arguments: id, milliseconds of a lease, own fence or 0. Answers the fence, or 0 if another gateway is the leader. */
const HOLD = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'holder', 'fence', 'until')
local ends = tonumber(lease[3] or '')
local mine = lease[1] == ARGV[1] and lease[2] == ARGV[3]
local free = not lease[1] or lease[1] == '' or not ends or ends <= now or ends > now + 10 * tonumber(ARGV[2])
if not mine and not free then return 0 end
if not mine then
  if not tonumber(lease[2] or '0') then redis.call('HSET', KEYS[1], 'fence', '0') end
  redis.call('HINCRBY', KEYS[1], 'fence', 1)
end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', string.format('%.0f', now + ARGV[2]))
return tonumber(redis.call('HGET', KEYS[1], 'fence'))
`);

/** Keys: the hash, the channel. Arguments: id, fence, field, `set` or `del`, value. Answers 1, or 0 if the lease is not in force. */
const WRITE = redisScript(`
local lease = redis.call('HMGET', KEYS[1], 'holder', 'fence')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return 0 end
if ARGV[4] == 'set' then redis.call('HSET', KEYS[1], ARGV[3], ARGV[5]) else redis.call('HDEL', KEYS[1], ARGV[3]) end
redis.call('PUBLISH', KEYS[2], '1')
return 1
`);

export interface RedisStoreOptions {
  readonly connection: Pick<RedisConnection, 'join' | 'address'>;
  /** Encrypts the records. */
  readonly secret: Buffer;
  /** A record has changed. */
  readonly changed: () => void;
  /** Default: `LEASE_MS`. */
  readonly leaseMs?: number;
}

/** Records as fields of one hash in Redis, encrypted. INVARIANT: created before the connection is started. */
export function createRedisStore(options: RedisStoreOptions): AcmeStore {
  const { connection, secret, changed, leaseMs = LEASE_MS } = options;
  const id = randomUUID();
  const { prefix } = connection.address;
  const hash = `${prefix}acme`;
  const { seal, open } = createSeal(secret);
  let problem = 'not connected yet';
  let fence = 0;
  const seat = connection.join({
    channel: CHANNEL,
    refreshMs: REFRESH_MS,
    unavailableAfterMs: REFRESH_MS,
    read: async () => changed(),
    confirmed: () => undefined,
    failed: (why) => {
      problem = why;
    },
  });
  const within = async <T>(work: (link: RedisLink) => Promise<T>): Promise<T> => {
    const link = seat.link();
    if (!link) throw new AcmeFault('storage', `Redis cannot be used: ${problem}`);
    try {
      return await work(link);
    } catch (error) {
      if (error instanceof AcmeFault || error instanceof LeaseLost) throw error;
      throw new AcmeFault('storage', `Redis cannot be used: ${describeRedisFault(error)}`);
    }
  };
  return {
    hold: () =>
      within(async (link): Promise<Lease | undefined> => {
        fence = Number(await link.eval(HOLD, [hash], [id, String(leaseMs), String(fence)]));
        return fence > 0 ? { fence } : undefined;
      }),
    read: (names) =>
      within(async (link) => {
        const found = await link.pick(hash, names);
        return new Map(
          names.flatMap((name): (readonly [RecordName, string])[] => {
            const text = found.get(name);
            return text === undefined ? [] : [[name, open(name, text)]];
          }),
        );
      }),
    write: (lease, name, text) =>
      within(async (link) => {
        const value = text === null ? ['del', ''] : ['set', seal(name, text)];
        const done = await link.eval(WRITE, [hash, `${prefix}${CHANNEL}`], [id, String(lease.fence), name, ...value]);
        if (Number(done) !== 1) throw new LeaseLost('another gateway is the leader');
      }),
    async release() {
      if (fence === 0) return;
      // A leader that is not there: others see no one.
      await within((link) => link.eval(RELEASE, [hash], [id, String(fence)])).catch(() => undefined);
      fence = 0;
    },
  };
}

/** Keys: the hash. Arguments: id, fence. */
const RELEASE = redisScript(`
local lease = redis.call('HMGET', KEYS[1], 'holder', 'fence')
if lease[1] == ARGV[1] and lease[2] == ARGV[2] then redis.call('HSET', KEYS[1], 'holder', '') end
return 1
`);
