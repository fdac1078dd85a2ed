import type { Clock } from '../config/files/clock.ts';
import type { Revocations } from '../identity/revocations.ts';
import { createRedisConnection, type RedisConnection } from '../redis/connection.ts';
import { checkEntry } from './check-entry.ts';
import {
  byId,
  entryId,
  isEntry,
  isOver,
  isSameRevocation,
  MAX_ENTRIES,
  type RevocationEntry,
  readEntry,
  readLifted,
  TOO_MANY,
} from './entry.ts';
import { type FileSource, openFileSource } from './file-source.ts';
import { foldEntries } from './fold.ts';
import { openRedisSource, type RedisSource } from './redis-source.ts';
import type { Lifted, RevocationPlace, RevocationReport, Revoked } from './report.ts';
import type { RevocationSettings } from './settings.ts';
import { type EntrySource, type RevocationLog, StoreFault } from './source.ts';

export interface RevocationStoreOptions {
  readonly settings: RevocationSettings;
  /** The connection of the gateway to Redis. Default: one of its own, if Redis is configured. */
  readonly connection?: RedisConnection | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: RevocationLog;
  /** Applies the revocations in every serving process. Calls are serialised. */
  readonly changed: (revocations: Revocations) => Promise<void>;
  /** Ids of the keys that tokens are verified with; others cannot be revoked. */
  readonly knownKeys: () => readonly string[];
  /** The clock of waits for the file. */
  readonly clock?: Clock | undefined;
}

/** All revocations of memory, file and Redis. */
export interface RevocationStore {
  /** Reads every source and applies the result. Throws `ConfigError` for an invalid file. */
  start(): Promise<void>;
  /**
   * Reads the file as soon as it is settled, and resolves to the function that applies it. Rejects with `ConfigError`.
   */
  prepare(): Promise<() => Promise<void>>;
  /** See `Operator.revoke`. */
  revoke(request: unknown): Promise<Revoked>;
  /** See `Operator.lift`. */
  lift(request: unknown): Promise<Lifted>;
  /** See `Operator.revocations`. */
  report(): RevocationReport;
  /** All entries; `undefined` = they are unknown. */
  entries(): Iterable<RevocationEntry> | undefined;
  close(): Promise<void>;
}

const MEMORY_ONLY =
  'kept in memory only, it does not survive a restart: set `gateway.revocation.file` or `gateway.revocation.redis_url`';

const NOT_REVOKED = 'there is no such revocation';

/** A store over the configured sources. Nothing is read before `start`. */
export function createRevocationStore(options: RevocationStoreOptions): RevocationStore {
  return new Store(options);
}

class Store implements RevocationStore {
  readonly #options: RevocationStoreOptions;
  readonly #redis: RedisSource | undefined;
  readonly #file: FileSource | undefined;
  /** In order of preference for a new entry. */
  readonly #sources: readonly EntrySource[];
  /** Entries that no source has stored. */
  readonly #memory = new Map<string, RevocationEntry>();
  #publishing: Promise<void> = Promise.resolve();
  /** One lift after the other: of several of one revocation one is made, and the others find none. */
  #lifting: Promise<unknown> = Promise.resolve();

  constructor(options: RevocationStoreOptions) {
    const { settings, connection, now, log, clock } = options;
    this.#options = options;
    const changed = (): void => void this.#publish().catch(() => undefined);
    const sourceOptions = { now, log, changed, clock };
    const { redis } = settings;
    this.#redis = redis && openRedisSource(redis, connection ?? createRedisConnection(redis.address), sourceOptions);
    this.#file = settings.file === undefined ? undefined : openFileSource(settings.file, sourceOptions);
    this.#sources = [this.#redis ?? [], this.#file ?? []].flat();
  }

  async start(): Promise<void> {
    this.#file?.start();
    await this.#redis?.start();
    await this.#publish();
  }

  async prepare(): Promise<() => Promise<void>> {
    const commit = await this.#file?.prepare();
    return async () => {
      commit?.();
      await this.#publish();
    };
  }

  async revoke(request: unknown): Promise<Revoked> {
    const read = readEntry(request);
    if (!isEntry(read)) return { ok: false, problems: read.map(({ message }) => message) };
    const entry = { ...read, at: read.at ?? this.#seconds() };
    const { problems, warnings } = checkEntry(entry, this.#seconds(), this.#options.knownKeys());
    if (problems.length > 0) return { ok: false, problems };
    if (byId(this.#all()).size >= MAX_ENTRIES) return { ok: false, problems: [TOO_MANY] };
    try {
      return await this.#revoke(entry, warnings);
    } catch (error) {
      const fault = error instanceof Error ? error.name : typeof error;
      this.#options.log.error({ fault }, 'a revocation failed');
      return { ok: false, problems: ['internal error: it may be in force on some processes only'] };
    }
  }

  lift(request: unknown): Promise<Lifted> {
    const lifted = this.#lifting.then(() => this.#lift(request));
    this.#lifting = lifted.catch(() => undefined);
    return lifted;
  }

  async #lift(request: unknown): Promise<Lifted> {
    const read = readLifted(request);
    if (!isEntry(read)) return { ok: false, why: 'invalid', problems: read.map(({ message }) => message) };
    const lifted = [...byId(this.#all()).values()].filter((entry) => isSameRevocation(entry, read));
    if (lifted.length === 0) return { ok: false, why: 'unknown', problems: [NOT_REVOKED] };
    try {
      // INVARIANT: it stays in force until no store has it any more.
      for (const source of this.#sources) await source.remove(lifted);
      for (const entry of lifted) this.#memory.delete(entryId(entry));
      await this.#publish();
      this.#options.log.info({ kind: read.kind }, 'a revocation was lifted');
      return { ok: true, lifted };
    } catch (error) {
      if (error instanceof StoreFault) return { ok: false, why: 'store', problems: [error.message] };
      this.#options.log.error({ fault: error instanceof Error ? error.name : typeof error }, 'a lift failed');
      return { ok: false, why: 'store', problems: ['internal error: it may be lifted on some processes only'] };
    }
  }

  report(): RevocationReport {
    return {
      entries: [...byId(this.#all()).values()].filter((entry) => !isOver(entry, this.#seconds())),
      unknown: this.#unknown(),
      sources: this.#sources.map((source) => source.report()),
    };
  }

  entries(): Iterable<RevocationEntry> | undefined {
    return this.#unknown() ? undefined : this.#all();
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()));
  }

  async #revoke(entry: RevocationEntry, doubts: readonly string[]): Promise<Revoked> {
    // INVARIANT: in force here before any store is asked, which may be slow or fail.
    this.#memory.set(entryId(entry), entry);
    await this.#publish();
    const { stored, warnings } = await this.#keep(entry);
    // A source removes its own entries.
    if (this.#sources.some((source) => byId(source.entries()).has(entryId(entry)))) this.#memory.delete(entryId(entry));
    this.#options.log.info({ kind: entry.kind, stored }, 'revoked');
    return { ok: true, entry, stored, warnings: [...warnings, ...doubts] };
  }

  /** Stores an entry in the first source that accepts it. */
  async #keep(entry: RevocationEntry): Promise<{ stored: RevocationPlace; warnings: string[] }> {
    const warnings: string[] = [];
    for (const source of this.#sources) {
      try {
        await source.add(entry);
        return { stored: source.report().place, warnings };
      } catch (error) {
        if (!(error instanceof StoreFault)) throw error;
        warnings.push(error.message);
      }
    }
    return { stored: 'memory', warnings: this.#sources.length === 0 ? [MEMORY_ONLY] : warnings };
  }

  #publish(): Promise<void> {
    const { changed, log } = this.#options;
    const done = this.#publishing.then(() => changed(foldEntries(this.#all(), this.#seconds(), this.#unknown())));
    this.#publishing = done.catch(() => log.error({}, 'revocations could not be put in force'));
    return done;
  }

  *#all(): Generator<RevocationEntry> {
    yield* this.#memory.values();
    for (const source of this.#sources) yield* source.entries();
  }

  #unknown(): boolean {
    return this.#sources.some((source) => source.unknown());
  }

  #seconds(): number {
    return Math.floor(this.#options.now() / 1000);
  }
}
