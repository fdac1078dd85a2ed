import { entryId, isEntry, isOver, MAX_ENTRIES, type RevocationEntry, readEntry, TOO_MANY } from './entry.ts';
import { describeRedisFault, MARKER, RedisFault, type RedisLink, type RedisReading } from './redis-link.ts';
import { type RedisLoop, startRedisLoop } from './redis-loop.ts';
import type { RedisSettings } from './settings.ts';
import { type EntrySource, type RevocationLog, StoreFault } from './source.ts';

/** Longest wait for the first read at the start, in milliseconds; then the gateway starts without it. */
const START_WAIT_MS = 2000;
const MAX_DEADLINE_MS = 2000;
const MAX_HEARTBEAT_MS = 1000;
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
export function openRedisSource(settings: RedisSettings, options: RedisSourceOptions): RedisSource {
  const { now, log, changed } = options;
  const { address, refreshMs, unavailableAfterMs, whenUnavailable } = settings;
  const shadow = createShadow(now);
  let loop: RedisLoop | undefined;
  let readAt = 0;
  let problem: string | undefined;
  const first = Promise.withResolvers<void>();
  const reach = createReach(unavailableAfterMs, (available) => {
    if (available) log.info({ entries: shadow.entries().length }, 'redis answers: revocations are known');
    else log.error({ reason: problem ?? 'no answer' }, MEANING[whenUnavailable]);
    changed();
  });

  async function read(link: RedisLink): Promise<void> {
    const reading = await link.read(MAX_ENTRIES);
    const { differs, lost } = shadow.take(reading, readFields(reading.fields));
    readAt = now();
    if (differs) changed();
    await mend(link, reading, lost);
  }

  /** Writes missing entries, and removes expired ones. */
  async function mend(link: RedisLink, { fields }: RedisReading, lost: number): Promise<void> {
    const missing = shadow.pending();
    if (missing.length > 0 || !fields.has(MARKER)) {
      const written = await attempt('write', () => link.write(fieldsOf(missing)));
      if (written && lost > 0) log.warn({ entries: lost }, 'redis had lost revocations; the gateway wrote them again');
    }
    const over = shadow.overSince(PRUNE_AFTER_SECONDS);
    if (over.length > 0) await attempt('take out what is over', () => link.remove(over));
  }

  /** Runs a command that a gateway with read-only permissions may not be allowed to use. */
  async function attempt(what: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      log.warn({ reason: describeRedisFault(error) }, `redis does not let this gateway ${what}`);
      return false;
    }
  }

  function failed(reason: string): void {
    if (reason === problem) return;
    problem = reason;
    log.warn({ reason }, 'revocations cannot be read from redis; trying again');
  }

  return {
    async start() {
      loop = startRedisLoop({
        address,
        deadlineMs: Math.min(MAX_DEADLINE_MS, unavailableAfterMs),
        refreshMs,
        heartbeatMs: Math.min(MAX_HEARTBEAT_MS, refreshMs, Math.ceil(unavailableAfterMs / 4)),
        read,
        confirmed: () => {
          problem = undefined;
          reach.confirm();
          first.resolve();
        },
        failed,
      });
      const timer = setTimeout(first.resolve, START_WAIT_MS);
      await first.promise;
      clearTimeout(timer);
      if (!reach.available()) log.error({ reason: problem ?? 'no answer' }, MEANING[whenUnavailable]);
    },
    entries: shadow.entries,
    unknown: () => whenUnavailable === 'closed' && !reach.available(),
    async add(entry) {
      if (!shadow.add(entry)) return;
      try {
        const link = loop?.link();
        if (!link) throw new RedisFault(problem ?? 'not connected');
        await link.write(fieldsOf([entry]));
      } catch (error) {
        loop?.refresh();
        throw new StoreFault(
          `redis could not be written (${describeRedisFault(error)}): in force on this gateway, and written when redis answers; lost if this gateway ends before`,
        );
      }
    },
    report: () => ({
      place: 'redis',
      available: reach.available(),
      readAt,
      entries: shadow.entries().length,
      problem,
    }),
    async close() {
      reach.close();
      await loop?.close();
    },
  };
}

const MEANING = {
  closed: 'redis cannot be reached: every token is refused until it answers',
  open: 'redis cannot be reached: the last known revocations stay in force',
} as const;

/** Availability of Redis: from a confirmation until `afterMs` without one. */
function createReach(afterMs: number, turned: (available: boolean) => void) {
  let available = false;
  let timer: NodeJS.Timeout | undefined;
  const turn = (next: boolean): void => {
    if (available === next) return;
    available = next;
    turned(next);
  };
  return {
    available: () => available,
    confirm: () => {
      clearTimeout(timer);
      timer = setTimeout(() => turn(false), afterMs).unref();
      turn(true);
    },
    close: () => clearTimeout(timer),
  };
}

/** A local copy of the hash. `now` in milliseconds since 1970. */
function createShadow(now: () => number) {
  let known: ReadonlyMap<string, RevocationEntry> = new Map();
  /** Entries in force that were missing in the last read; disjoint from `known`. */
  const pending = new Map<string, RevocationEntry>();
  let run: string | undefined;
  const seconds = (): number => Math.floor(now() / 1000);
  const entries = (): RevocationEntry[] => [...known.values(), ...pending.values()];
  return {
    entries,
    pending: () => [...pending.values()],
    /** Ids of entries that expired at least `age` seconds ago. */
    overSince: (age: number) => [...known].filter(([, entry]) => isOver(entry, seconds() - age)).map(([id]) => id),
    /** Keeps an entry until a read contains it. False = already present. */
    add: (entry: RevocationEntry): boolean => {
      const id = entryId(entry);
      if (known.has(id)) return false;
      if (known.size + pending.size >= MAX_ENTRIES) throw new StoreFault(TOO_MANY);
      pending.set(id, entry);
      return true;
    },
    /**
     * Applies a read. Entries that a restarted, emptied or replaced server has lost stay in force and are pending; on
     * the same server a missing entry was removed on purpose.
     */
    take: (reading: RedisReading, next: ReadonlyMap<string, RevocationEntry>) => {
      const before = new Set(entries().map(entryId));
      const suspect = run === undefined || run !== reading.run || !reading.fields.has(MARKER);
      const lost = suspect ? [...known].filter(([id, entry]) => !next.has(id) && !isOver(entry, seconds())) : [];
      for (const id of next.keys()) pending.delete(id);
      for (const [id, entry] of lost) pending.set(id, entry);
      known = next;
      run = reading.run;
      const after = entries();
      const differs = after.length !== before.size || after.some((entry) => !before.has(entryId(entry)));
      return { differs, lost: lost.length };
    },
  };
}

/** Entries as fields of the hash. */
export function fieldsOf(entries: readonly RevocationEntry[]): Readonly<Record<string, string>> {
  return Object.fromEntries(entries.map((entry) => [entryId(entry), JSON.stringify(entry)]));
}

/** The entries of the hash. Throws for an unknown form: it may be a revocation. */
function readFields(fields: ReadonlyMap<string, string>): Map<string, RevocationEntry> {
  const entries = new Map<string, RevocationEntry>();
  for (const [field, text] of fields) {
    if (field === MARKER) continue;
    const read = readText(text);
    if (read === undefined) throw new RedisFault('a field of the hash is not a revocation');
    entries.set(entryId(read), read);
  }
  return entries;
}

function readText(text: string): RevocationEntry | undefined {
  try {
    const read = readEntry(JSON.parse(text));
    return isEntry(read) ? read : undefined;
  } catch {
    return undefined;
  }
}
