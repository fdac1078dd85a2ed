import type { Clock } from '../config/files/clock.ts';
import type { Revocations } from '../identity/revocations.ts';
import { checkEntry } from './check-entry.ts';
import { byId, entryId, isEntry, isOver, MAX_ENTRIES, type RevocationEntry, readEntry, TOO_MANY } from './entry.ts';
import { openFileSource } from './file-source.ts';
import { foldEntries } from './fold.ts';
import { openRedisSource } from './redis-source.ts';
import type { RevocationPlace, RevocationReport, Revoked } from './report.ts';
import type { RevocationSettings } from './settings.ts';
import { type EntrySource, type RevocationLog, StoreFault } from './source.ts';

export interface RevocationStoreOptions {
  readonly settings: RevocationSettings;
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
  /** See `Operator.revocations`. */
  report(): RevocationReport;
  close(): Promise<void>;
}

const MEMORY_ONLY =
  'kept in memory only, it does not survive a restart: set `gateway.revocation.file` or `gateway.revocation.redis_url`';

/** A store over the configured sources. Nothing is read before `start`. */
export function createRevocationStore(options: RevocationStoreOptions): RevocationStore {
  const { settings, now, log, changed } = options;
  /** Entries that no source has stored. */
  const memory = new Map<string, RevocationEntry>();
  let publishing: Promise<void> = Promise.resolve();

  const seconds = (): number => Math.floor(now() / 1000);
  const publish = (): Promise<void> => {
    const done = publishing.then(() => changed(foldEntries(all(), seconds(), unknown())));
    publishing = done.catch(() => log.error({}, 'revocations could not be put in force'));
    return done;
  };
  const inBackground = (): void => void publish().catch(() => undefined);
  const sourceOptions = { now, log, changed: inBackground, clock: options.clock };
  const redis = settings.redis ? openRedisSource(settings.redis, sourceOptions) : undefined;
  const file = settings.file === undefined ? undefined : openFileSource(settings.file, sourceOptions);
  // In order of preference for a new entry.
  const sources: readonly EntrySource[] = [redis ?? [], file ?? []].flat();

  const unknown = (): boolean => sources.some((source) => source.unknown());
  function* all(): Generator<RevocationEntry> {
    yield* memory.values();
    for (const source of sources) yield* source.entries();
  }

  /** Stores an entry in the first source that accepts it. */
  async function keep(entry: RevocationEntry): Promise<{ stored: RevocationPlace; warnings: string[] }> {
    const warnings: string[] = [];
    for (const source of sources) {
      try {
        await source.add(entry);
        return { stored: source.report().place, warnings };
      } catch (error) {
        if (!(error instanceof StoreFault)) throw error;
        warnings.push(error.message);
      }
    }
    return { stored: 'memory', warnings: sources.length === 0 ? [MEMORY_ONLY] : warnings };
  }

  async function revoke(entry: RevocationEntry, doubts: readonly string[]): Promise<Revoked> {
    // INVARIANT: in force here before any store is asked, which may be slow or fail.
    memory.set(entryId(entry), entry);
    await publish();
    const { stored, warnings } = await keep(entry);
    // A source removes its own entries.
    if (sources.some((source) => byId(source.entries()).has(entryId(entry)))) memory.delete(entryId(entry));
    log.info({ kind: entry.kind, stored }, 'revoked');
    return { ok: true, entry, stored, warnings: [...warnings, ...doubts] };
  }

  return {
    async start() {
      file?.start();
      await redis?.start();
      await publish();
    },
    prepare: async () => {
      const commit = await file?.prepare();
      return async () => {
        commit?.();
        await publish();
      };
    },
    async revoke(request) {
      const read = readEntry(request);
      if (!isEntry(read)) return { ok: false, problems: read.map(({ message }) => message) };
      const entry = { ...read, at: read.at ?? seconds() };
      const { problems, warnings } = checkEntry(entry, seconds(), options.knownKeys());
      if (problems.length > 0) return { ok: false, problems };
      if (byId(all()).size >= MAX_ENTRIES) return { ok: false, problems: [TOO_MANY] };
      try {
        return await revoke(entry, warnings);
      } catch (error) {
        log.error({ fault: error instanceof Error ? error.name : typeof error }, 'a revocation failed');
        return { ok: false, problems: ['internal error: it may be in force on some processes only'] };
      }
    },
    report: () => ({
      entries: [...byId(all()).values()].filter((entry) => !isOver(entry, seconds())),
      unknown: unknown(),
      sources: sources.map((source) => source.report()),
    }),
    async close() {
      await Promise.all(sources.map((source) => source.close()));
    },
  };
}
