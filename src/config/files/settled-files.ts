import type { Clock } from './clock.ts';
import { type FileProbe, type FileStat, fileProbe, type Readings, sameStat } from './file-reads.ts';

/*
 * A partly written file must never be taken for a complete one. Files do not tell whether they are complete, so the
 * kind of the last change decides how long a file must be unchanged before it is read. There are two times: a state
 * that lacks protection (a rule, a key) is applied after the longer one.
 */

/** The kind of change that led to a file's present state. */
export type Arrival =
  /** Replaced atomically: by renaming, or by a link to another file. */
  | 'whole'
  /** Another file, which was renamed or newly created: the file system's times do not tell which. */
  | 'new'
  /** The same file, overwritten in place. */
  | 'written';

/** Time without a change, in milliseconds. */
export const STILL_MS: Readonly<Record<Arrival, { readonly settled: number; readonly lasting: number }>> = {
  whole: { settled: 100, lasting: 100 },
  new: { settled: 200, lasting: 500 },
  written: { settled: 2_000, lasting: 10_000 },
};

/** A file last changed before this time (milliseconds) is complete when it is first seen. */
const OLD_MS = 60_000;
/** Shortest interval between checks of changed files, in milliseconds. */
const SHORTEST_LOOK_MS = 25;

/** Files changed since they were read, and the time since the last change. */
export interface Changes {
  /** Absolute paths; none = everything is as it was read. */
  readonly paths: readonly string[];
  /** True = all are unchanged for long enough to be read. */
  readonly settled: boolean;
  /** True = all are unchanged for long enough to be applied even if protection is missing. */
  readonly lasting: boolean;
  /** Milliseconds until the next check; at least a few. */
  readonly nextMs: number;
}

const NO_CHANGES: Changes = { paths: [], settled: true, lasting: true, nextMs: Number.POSITIVE_INFINITY };

interface Seen {
  readonly stat: FileStat | undefined;
  /** On the monotonic clock. */
  readonly since: number;
  readonly arrival: Arrival;
  /** Digest of the content when it was first seen; only of files overwritten in place. */
  readonly digest: string | undefined;
}

/**
 * Tracks a set of files: which have changed since they were read, and since when they are unchanged. It polls, because
 * notifications follow no links, do not exist on network file systems, and lose replaced files. Times are measured from
 * when a change was seen, never from the file system's times, whose clock may be another one.
 */
export class SettledFiles {
  readonly #clock: Clock;
  readonly #probe: FileProbe;
  /** Metadata of the files when they were read. */
  #read: ReadonlyMap<string, FileStat | undefined> = new Map();
  readonly #seen = new Map<string, Seen>();
  /** Further files to check, until the next `expect`. */
  #beside: ReadonlySet<string> = new Set();

  constructor(clock: Clock, probe: FileProbe = fileProbe) {
    this.#clock = clock;
    this.#probe = probe;
  }

  /** Sets the files to track and their metadata when they were read, valid or not. */
  expect(readings: Readings): void {
    this.#read = new Map([...readings].map(([path, { stat }]) => [path, stat]));
    this.#beside = new Set();
    for (const [path, stat] of this.#read) {
      const seen = this.#seen.get(path);
      if (!seen) this.#seen.set(path, { stat, since: this.#clock.now(), arrival: 'new', digest: undefined });
    }
    for (const path of [...this.#seen.keys()]) if (!this.#read.has(path)) this.#seen.delete(path);
  }

  /** The kind of change that led to the file's last seen state. */
  arrivalOf(path: string): Arrival {
    return this.#seen.get(path)?.arrival ?? 'written';
  }

  /**
   * Adds files that were read and are not expected yet. They count as changed, since only their present state is known.
   */
  include(paths: Iterable<string>): void {
    this.#beside = new Set([...paths].filter((path) => !this.#read.has(path)));
  }

  /** Checks all files. @param only absolute paths to report; default: all */
  async check(only?: ReadonlySet<string>): Promise<Changes> {
    const expected = this.#read;
    const paths = [...expected.keys(), ...this.#beside].filter((path) => only?.has(path) ?? true);
    const stats = await Promise.all(paths.map(async (path) => [path, await this.#probe.stat(path)] as const));
    await Promise.all(stats.map(([path, stat]) => this.#note(path, stat)));
    const changed = stats.filter(([path, stat]) => !expected.has(path) || !sameStat(expected.get(path), stat));
    return changed.length === 0 ? NO_CHANGES : this.#changes(changed.map(([path]) => path));
  }

  /** True = the files still have the content that was read. Detects changes that leave metadata unchanged. */
  holds(readings: Readings): boolean {
    return [...readings].every(([path, { stat, digest }]) => {
      const seen = this.#seen.get(path);
      if (!seen || !sameStat(seen.stat, stat)) return false;
      if (seen.digest === undefined || seen.digest === digest) return true;
      this.#seen.set(path, { ...seen, since: this.#clock.now(), digest });
      return false;
    });
  }

  #changes(paths: readonly string[]): Changes {
    const now = this.#clock.now();
    const left = paths.flatMap((path) => {
      const seen = this.#seen.get(path);
      if (!seen) return [];
      const { settled, lasting } = STILL_MS[seen.arrival];
      return [{ settled: seen.since + settled - now, lasting: seen.since + lasting - now }];
    });
    const settledIn = Math.max(...left.map(({ settled }) => settled));
    const lastingIn = Math.max(...left.map(({ lasting }) => lasting));
    const nextMs = Math.max(SHORTEST_LOOK_MS, settledIn > 0 ? settledIn : lastingIn);
    return { paths, settled: settledIn <= 0, lasting: lastingIn <= 0, nextMs };
  }

  async #note(path: string, stat: FileStat | undefined): Promise<void> {
    const before = this.#seen.get(path);
    if (before && sameStat(before.stat, stat)) return;
    const arrival = before ? arrivalOf(before.stat, stat) : 'written';
    const digest = arrival === 'written' ? await this.#probe.digest(path) : undefined;
    const old = !before && stat !== undefined && this.#isOld(stat);
    this.#seen.set(path, { stat, since: old ? Number.NEGATIVE_INFINITY : this.#clock.now(), arrival, digest });
  }

  #isOld({ changedNs }: FileStat): boolean {
    return this.#clock.wall() - Number(changedNs / 1_000_000n) > OLD_MS;
  }
}

/** The kind of change between two checks. */
function arrivalOf(before: FileStat | undefined, now: FileStat | undefined): Arrival {
  // An empty file is newly created and about to be written.
  if (!now || now.size === 0 || before?.inode === now.inode) return 'written';
  if (before && before.target !== now.target) return 'whole';
  // Renaming changes ctime only. Both within one tick of the file system's clock are indistinguishable.
  if (now.changedNs > now.modifiedNs) return 'whole';
  return before ? 'new' : 'written';
}
