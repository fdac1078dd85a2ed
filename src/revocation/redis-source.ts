import type { RedisConnection, RedisSeat } from '../redis/connection.ts';
import { describeRedisFault, RedisFault, type RedisLink } from '../redis/link.ts';
import { createReach, type Reach } from '../redis/reach.ts';
import { entryId, type RevocationEntry } from './entry.ts';
import { CHANNEL, fieldsOf, HASH, MARKER, type RedisReading, readFields, readHash, writeFields } from './redis-hash.ts';
import { createShadow, type HashShadow } from './redis-shadow.ts';
import type { RedisSettings } from './settings.ts';
import { type EntrySource, type RevocationLog, StoreFault } from './source.ts';

/** Longest wait for the first read at the start, in milliseconds; then the gateway starts without it. */
const START_WAIT_MS = 2000;
/** Expired entries are removed after this time in seconds, since clocks differ. */
const PRUNE_AFTER_SECONDS = 3600;

export interface RedisSource extends EntrySource {
  /** Connects and reads; resolves after the first read, or after its time limit. */
  readonly start: () => Promise<void>;
}

export interface RedisSourceOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: RevocationLog;
  /** The entries, or their availability, have changed. */
  readonly changed: () => void;
}

/**
 * Revocations in a Redis hash, one field each, read as a whole: at each connection, at each notification, and
 * periodically. The field is the id of an entry, so concurrent writers never overwrite each other's entries.
 */
export function openRedisSource(
  settings: RedisSettings,
  connection: RedisConnection,
  options: RedisSourceOptions,
): RedisSource {
  return new RedisEntries(settings, connection, options);
}

class RedisEntries implements RedisSource {
  readonly #settings: RedisSettings;
  readonly #options: RedisSourceOptions;
  readonly #shadow: HashShadow;
  readonly #reach: Reach;
  readonly #first = Promise.withResolvers<void>();
  readonly #connection: RedisConnection;
  readonly #seat: RedisSeat;
  #readAt = 0;
  #problem: string | undefined;

  constructor(settings: RedisSettings, connection: RedisConnection, options: RedisSourceOptions) {
    this.#settings = settings;
    this.#connection = connection;
    this.#options = options;
    this.#shadow = createShadow(options.now);
    this.#reach = createReach(settings.unavailableAfterMs, (available) => this.#turned(available));
    this.#seat = connection.join({
      channel: CHANNEL,
      refreshMs: settings.refreshMs,
      unavailableAfterMs: settings.unavailableAfterMs,
      read: (link) => this.#read(link),
      confirmed: () => {
        this.#problem = undefined;
        this.#reach.confirm();
        this.#first.resolve();
      },
      failed: (reason) => this.#failed(reason),
    });
  }

  async start(): Promise<void> {
    this.#connection.start();
    const timer = setTimeout(this.#first.resolve, START_WAIT_MS);
    await this.#first.promise;
    clearTimeout(timer);
    if (!this.#reach.available()) this.#tellUnavailable();
  }

  entries(): Iterable<RevocationEntry> {
    return this.#shadow.entries();
  }

  unknown(): boolean {
    return this.#settings.whenUnavailable === 'closed' && !this.#reach.available();
  }

  async add(entry: RevocationEntry): Promise<void> {
    if (!this.#shadow.add(entry)) return;
    try {
      const link = this.#seat.link();
      if (!link) throw new RedisFault(this.#problem ?? 'not connected');
      await this.#write(link, [entry]);
    } catch (error) {
      this.#seat.refresh();
      throw new StoreFault(
        `redis could not be written (${describeRedisFault(error)}): in force on this gateway, and written when redis answers; lost if this gateway ends before`,
      );
    }
  }

  async remove(entries: readonly RevocationEntry[]): Promise<void> {
    const held = new Set(this.#shadow.entries().map(entryId));
    const ids = new Set(entries.map(entryId).filter((id) => held.has(id)));
    if (ids.size === 0) return;
    const link = this.#seat.link();
    try {
      if (!link) throw new RedisFault(this.#problem ?? 'not connected');
      await link.remove(this.#connection.address.prefix + HASH, [...ids]);
    } catch (error) {
      this.#seat.refresh();
      throw new StoreFault(`redis could not be written (${describeRedisFault(error)}): the revocation stays in force`);
    }
    this.#shadow.remove(ids);
    await this.#attempt('tell the others', () => this.#write(link, []));
  }

  report(): ReturnType<RedisSource['report']> {
    return {
      place: 'redis',
      available: this.#reach.available(),
      readAt: this.#readAt,
      entries: this.#shadow.entries().length,
      problem: this.#problem,
    };
  }

  async close(): Promise<void> {
    this.#reach.close();
    await this.#connection.close();
  }

  #turned(available: boolean): void {
    const { log, changed } = this.#options;
    if (available) log.info({ entries: this.#shadow.entries().length }, 'redis answers: revocations are known');
    else this.#tellUnavailable();
    changed();
  }

  #tellUnavailable(): void {
    this.#options.log.error({ reason: this.#problem ?? 'no answer' }, MEANING[this.#settings.whenUnavailable]);
  }

  async #read(link: RedisLink): Promise<void> {
    const reading = await readHash(link, this.#connection.address.prefix);
    const { differs, lost } = this.#shadow.take(reading, readFields(reading.fields));
    this.#readAt = this.#options.now();
    if (differs) this.#options.changed();
    await this.#mend(link, reading, lost);
  }

  /** Writes missing entries, and removes expired ones. */
  async #mend(link: RedisLink, { fields }: RedisReading, lost: number): Promise<void> {
    const missing = this.#shadow.pending();
    if (missing.length > 0 || !fields.has(MARKER)) {
      const written = await this.#attempt('write', () => this.#write(link, missing));
      if (written && lost > 0) {
        this.#options.log.warn({ entries: lost }, 'redis had lost revocations; the gateway wrote them again');
      }
    }
    const over = this.#shadow.overSince(PRUNE_AFTER_SECONDS);
    if (over.length > 0)
      await this.#attempt('take out what is over', () => link.remove(this.#connection.address.prefix + HASH, over));
  }

  #write(link: RedisLink, entries: readonly RevocationEntry[]): Promise<void> {
    return writeFields(link, this.#connection.address.prefix, fieldsOf(entries));
  }

  /** Runs a command that a gateway with read-only permissions may not be allowed to use. */
  async #attempt(what: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.#options.log.warn({ reason: describeRedisFault(error) }, `redis does not let this gateway ${what}`);
      return false;
    }
  }

  #failed(reason: string): void {
    if (reason === this.#problem) return;
    this.#problem = reason;
    this.#options.log.warn({ reason }, 'revocations cannot be read from redis; trying again');
  }
}

const MEANING = {
  closed: 'redis cannot be reached: every token is refused until it answers',
  open: 'redis cannot be reached: the last known revocations stay in force',
} as const;
