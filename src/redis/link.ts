import { createHash } from 'node:crypto';
import type { RedisAddress } from './address.ts';

/** A full read may take this many times the deadline of a command. */
const READING_TIMES = 5;

/** A Lua script, which Redis runs as a whole. */
export interface RedisScript {
  readonly source: string;
  readonly sha1: string;
}

export function redisScript(source: string): RedisScript {
  return { source, sha1: createHash('sha1').update(source).digest('hex') };
}

/** One connection to Redis, until its first fault. There is no reconnect: another one is opened. */
export interface RedisLink {
  /** Id of the server's run; `undefined` = unknown. */
  run(): Promise<string | undefined>;
  /** Reads a whole hash. Rejects if it has more than `most` fields. @param what for that text, in the plural */
  read(hash: string, most: number, what: string): Promise<ReadonlyMap<string, string>>;
  /** Some fields of a hash; those that there are. */
  pick(hash: string, fields: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Number of fields in a hash. */
  count(hash: string): Promise<number>;
  /** Sets fields of a hash, and notifies all subscribers of a channel. */
  write(hash: string, fields: Readonly<Record<string, string>>, channel: string): Promise<void>;
  /** Removes fields of a hash without a notification. */
  remove(hash: string, fields: readonly string[]): Promise<void>;
  /** Runs a script, and answers what it returns. */
  eval(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  ping(): Promise<void>;
  close(): void;
}

export interface RedisLinkOptions {
  /** Longest wait for the connection, and for the answer to each command. */
  readonly deadlineMs: number;
  /** Channels that are subscribed before this resolves. */
  readonly channels?: readonly string[];
  /** Called for each notification. */
  readonly changed?: (channel: string, message: string) => void;
  /** Called when the connection is lost. */
  readonly lost?: () => void;
}

/** A fault other than one of the connection; its text is the gateway's own. */
export class RedisFault extends Error {
  readonly code = 'ERR_REDIS';
}

/** Content that is not what it should be: the connection is good. */
export class RedisContentFault extends RedisFault {}

/**
 * Opens a connection. It is subscribed before this resolves, so that no notification after the first read is missed.
 *
 * Commands and notifications use the same connection (RESP3, Redis 6 or later), so both fail together. The library's
 * own reconnecting is off, because it does not detect a server that hangs.
 */
export async function openRedisLink(address: RedisAddress, options: RedisLinkOptions): Promise<RedisLink> {
  const { deadlineMs, channels = [], changed, lost } = options;
  // Loaded only if Redis is configured.
  const { createClient } = await import('@redis/client');
  const client = createClient({ ...clientOptions(address, deadlineMs) });
  client.on('error', () => lost?.());
  const close = (): void => {
    // Rejects pending commands; throws if it was never open.
    if (client.isOpen) client.destroy();
  };
  const within = <T>(work: Promise<T>): Promise<T> => deadline(work, deadlineMs);

  try {
    await within(client.connect());
    if (channels.length > 0)
      await within(client.subscribe([...channels], (message, channel) => changed?.(channel, message)));
  } catch (error) {
    close();
    throw error;
  }
  return {
    async run() {
      const info = await within(client.info('server').catch(() => ''));
      return /^run_id:(\w+)/m.exec(info)?.[1];
    },
    async read(hash, most, what) {
      const count = await within(client.hLen(hash));
      if (count > most) throw new RedisContentFault(`more than ${most - 1} ${what}`);
      return new Map(Object.entries(await deadline(client.hGetAll(hash), deadlineMs * READING_TIMES)));
    },
    async pick(hash, fields) {
      const values = await within(client.hmGet(hash, [...fields]));
      return new Map(fields.flatMap((field, at) => (values[at] == null ? [] : [[field, values[at]]])));
    },
    count: (hash) => within(client.hLen(hash)),
    async write(hash, fields, channel) {
      // Not in a transaction: Redis 7.0 puts a client's own notification inside the transaction's answer, which no
      // client can parse.
      await within(Promise.all([client.hSet(hash, { ...fields }), client.publish(channel, '1')]));
    },
    async remove(hash, fields) {
      await within(client.hDel(hash, [...fields]));
    },
    async eval({ source, sha1 }, keys, args) {
      const given = { keys: [...keys], arguments: [...args] };
      return await within(
        client.evalSha(sha1, given).catch((error: unknown) => {
          if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return client.eval(source, given);
          throw error;
        }),
      );
    },
    async ping() {
      await within(client.ping());
    },
    close,
  };
}

/** Runs one piece of work on a connection of its own. */
export async function withRedisLink<T>(
  address: RedisAddress,
  deadlineMs: number,
  work: (link: RedisLink) => Promise<T>,
): Promise<T> {
  const link = await openRedisLink(address, { deadlineMs });
  try {
    return await work(link);
  } finally {
    link.close();
  }
}

function clientOptions({ host, port, tls, ca, username, password, database }: RedisAddress, deadlineMs: number) {
  const base = { host, port, connectTimeout: deadlineMs, reconnectStrategy: false as const };
  return {
    socket: tls ? { ...base, tls: true as const, ...(ca ? { ca } : {}) } : base,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    database,
    RESP: 3 as const,
    disableOfflineQueue: true,
    maintNotifications: 'disabled' as const,
  };
}

async function deadline<T>(work: Promise<T>, ms: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new RedisFault(`no answer within ${ms} ms`)), ms);
  // It may still reject after the wait has timed out.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The first word of an error that Redis itself answered, for example `NOPERM`; `undefined` = another fault. */
export function redisErrorWord(error: unknown): string | undefined {
  if (!(error instanceof Error) || 'code' in error) return undefined;
  const [word = ''] = error.message.split(' ');
  return /^[A-Z]{3,}$/.test(word) ? word : undefined;
}

/** A fault without secrets: a system code, the first word of Redis's answer, or the gateway's own text. */
export function describeRedisFault(error: unknown): string {
  if (error instanceof RedisFault) return error.message;
  if (!(error instanceof Error)) return 'unknown error';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return redisErrorWord(error) ?? (error.name === 'Error' ? 'connection lost' : error.name);
}
