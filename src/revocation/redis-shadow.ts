import { entryId, isOver, MAX_ENTRIES, type RevocationEntry, TOO_MANY } from './entry.ts';
import { MARKER, type RedisReading } from './redis-hash.ts';
import { StoreFault } from './source.ts';

/** A local copy of the hash. */
export type HashShadow = ReturnType<typeof createShadow>;

/** An empty copy of the hash. `now` in milliseconds since 1970. */
export function createShadow(now: () => number) {
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
    /** Forgets entries that were taken out. */
    remove: (ids: ReadonlySet<string>): void => {
      known = new Map([...known].filter(([id]) => !ids.has(id)));
      for (const id of ids) pending.delete(id);
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
