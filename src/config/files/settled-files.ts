import type { Clock } from './clock.ts';
import { type FileProbe, type FileStat, fileProbe, type Readings, sameStat } from './file-reads.ts';

/*
 * Half a file is never taken for the whole. No file says whether it is complete, so what came to pass with it says how
 * long it has to stand still before it is believed, and twice: a state in which something is missing that protects is
 * believed later than any other.
 */

/** The kind of change that led to a file's present state. */
export type Arrival =
  /** Put in its place in one step: by renaming, or by a link that leads elsewhere now. */
  | 'whole'
  /** Another file, which may have been renamed or made anew and written: the clock of the file system does not tell. */
  | 'new'
  /** The file that was there, written over. */
  | 'written';

/** Milliseconds that files have to stand still. */
export const STILL_MS: Readonly<Record<Arrival, { readonly settled: number; readonly lasting: number }>> = {
  whole: { settled: 100, lasting: 100 },
  new: { settled: 200, lasting: 500 },
  written: { settled: 2_000, lasting: 10_000 },
};

/** A file that was last changed so long ago (milliseconds) when it is first looked at is not being written. */
const OLD_MS = 60_000;
/** Between two looks at files that were changed (milliseconds). */
const SHORTEST_LOOK_MS = 25;

/** Files changed since they were read, and the time since the last change. */
export interface Changes {
  /** Absolute paths; none = everything is as it was read. */
  readonly paths: readonly string[];
  /** Each has stood still long enough to be read. */
  readonly settled: boolean;
  /** Each has stood still long enough to be believed where something is missing. */
  readonly lasting: boolean;
  /** Milliseconds until more may be known; at least a few. */
  readonly nextMs: number;
}

const NO_CHANGES: Changes = { paths: [], settled: true, lasting: true, nextMs: Number.POSITIVE_INFINITY };

interface Seen {
  readonly stat: FileStat | undefined;
  /** On the monotonic clock. */
  readonly since: number;
  readonly arrival: Arrival;
  /** Of the content when it was first seen so; only of files that were written over. */
  readonly digest: string | undefined;
}

/**
 * Tells of a set of files which have changed since they were read, and since when they stand still. By looking and not by
 * notification: those follow no link, say nothing on network file systems, and lose a file that is replaced. Times are
 * counted from when a change was seen, never from what the file system says, whose clock may be another.
 */
export class SettledFiles {
  readonly #clock: Clock;
  readonly #probe: FileProbe;
  /** As they were read. */
  #read: ReadonlyMap<string, FileStat | undefined> = new Map();
  readonly #seen = new Map<string, Seen>();
  /** Looked at beside, until others are expected. */
  #beside: ReadonlySet<string> = new Set();

  constructor(clock: Clock, probe: FileProbe = fileProbe) {
    this.#clock = clock;
    this.#probe = probe;
  }

  /** These are the files from now on, and what they were like when they were read, to good effect or not. */
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

  /** Files that were read and are not expected yet count as changed: nothing is known of them but what is seen. */
  include(paths: Iterable<string>): void {
    this.#beside = new Set([...paths].filter((path) => !this.#read.has(path)));
  }

  /** Looks at all of them. @param only absolute paths; of others nothing is told */
  async check(only?: ReadonlySet<string>): Promise<Changes> {
    const expected = this.#read;
    const paths = [...expected.keys(), ...this.#beside].filter((path) => only?.has(path) ?? true);
    const stats = await Promise.all(paths.map(async (path) => [path, await this.#probe.stat(path)] as const));
    await Promise.all(stats.map(([path, stat]) => this.#note(path, stat)));
    const changed = stats.filter(([path, stat]) => !expected.has(path) || !sameStat(expected.get(path), stat));
    return changed.length === 0 ? NO_CHANGES : this.#changes(changed.map(([path]) => path));
  }

  /** Do files still hold what was read? Else they were changed meanwhile, or behind the back of their times. */
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
  // An empty file has been made and is about to be written, whatever else happened to it.
  if (!now || now.size === 0 || before?.inode === now.inode) return 'written';
  if (before && before.target !== now.target) return 'whole';
  // Renaming changes a file, but not its content. Both within one tick of the file system's clock leave no trace.
  if (now.changedNs > now.modifiedNs) return 'whole';
  return before ? 'new' : 'written';
}
