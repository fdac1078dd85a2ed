import type { RedisAddress } from './settings.ts';

/** A field that is always present. A hash without it has been lost or replaced. */
export const MARKER = '@';

/** A full read may take this many times the deadline of a command. */
const READING_TIMES = 5;

/** A consistent copy of the hash. */
export interface RedisReading {
  /** Id of the server's run; `undefined` = unknown. */
  readonly run: string | undefined;
  readonly fields: ReadonlyMap<string, string>;
}

/** One connection to Redis, until its first fault. There is no reconnect: another one is opened. */
export interface RedisLink {
  /** Reads the whole hash. Rejects if it has more than `most` fields beside the marker. */
  read(most: number): Promise<RedisReading>;
  /** Number of fields in the hash, including the marker. */
  count(): Promise<number>;
  /** Sets fields and the marker, and notifies all subscribers. */
  write(fields: Readonly<Record<string, string>>): Promise<void>;
  /** Removes fields without a notification: expired entries need none. */
  remove(fields: readonly string[]): Promise<void>;
  ping(): Promise<void>;
  close(): void;
}

export interface RedisLinkOptions {
  /** Longest wait for the connection, and for the answer to each command. */
  readonly deadlineMs: number;
  /** Called for each notification. */
  readonly changed?: () => void;
  /** Called when the connection is lost. */
  readonly lost?: () => void;
}

/** A fault other than one of the connection; its text is the gateway's own. */
export class RedisFault extends Error {
  readonly code = 'ERR_REDIS';
}

/**
 * Opens a connection. With `changed`, it is subscribed before this resolves, so that no notification after the first
 * read is missed.
 *
 * Commands and notifications use the same connection (RESP3, Redis 6 or later), so both fail together. The library's
 * own reconnecting is off, because it does not detect a server that hangs.
 */
export async function openRedisLink(address: RedisAddress, options: RedisLinkOptions): Promise<RedisLink> {
  const { deadlineMs, changed, lost } = options;
  const { prefix } = address;
  const hash = `${prefix}revocations`;
  const channel = `${prefix}revocations:changed`;
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
    if (changed) await within(client.subscribe(channel, changed));
  } catch (error) {
    close();
    throw error;
  }
  return {
    async read(most) {
      const [count, info] = await within(Promise.all([client.hLen(hash), client.info('server').catch(() => '')]));
      if (count > most + 1) throw new RedisFault(`more than ${most} revocations`);
      const fields = await deadline(client.hGetAll(hash), deadlineMs * READING_TIMES);
      return { run: /^run_id:(\w+)/m.exec(info)?.[1], fields: new Map(Object.entries(fields)) };
    },
    count: () => within(client.hLen(hash)),
    async write(fields) {
      // Not in a transaction: Redis 7.0 puts a client's own notification inside the transaction's answer, which no
      // client can parse.
      await within(Promise.all([client.hSet(hash, { ...fields, [MARKER]: '1' }), client.publish(channel, '1')]));
    },
    async remove(fields) {
      await within(client.hDel(hash, [...fields]));
    },
    async ping() {
      await within(client.ping());
    },
    close,
  };
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

/** A fault without secrets: a system code, the first word of Redis's answer, or the gateway's own text. */
export function describeRedisFault(error: unknown): string {
  if (error instanceof RedisFault) return error.message;
  if (!(error instanceof Error)) return 'unknown error';
  if ('code' in error && typeof error.code === 'string') return error.code;
  const [word = ''] = error.message.split(' ');
  return /^[A-Z]{3,}$/.test(word) ? word : error.name === 'Error' ? 'connection lost' : error.name;
}
