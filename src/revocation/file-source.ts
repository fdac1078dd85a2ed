import { resolve } from 'node:path';
import { readBounded } from '../config/files/bounded-read.ts';
import { type Clock, machineClock } from '../config/files/clock.ts';
import { type FileProbe, type FileReading, type Readings, readingOf, statFile } from '../config/files/file-reads.ts';
import { SettledFiles } from '../config/files/settled-files.ts';
import { type WatchResult, watchFiles } from '../config/files/watch.ts';
import { withoutEndMark } from '../config/lost-protection.ts';
import { ConfigError, reason } from '../config/problem.ts';
import { byId, entryId, isOver, type RevocationEntry } from './entry.ts';
import { appendToFile, takeOutOfFile } from './file-append.ts';
import { readRevocations } from './file-text.ts';
import { BEING_WRITTEN, type EntrySource, type RevocationLog, StoreFault } from './source.ts';

/** Longest time that a requested reload waits for a file that is being written, in milliseconds. */
const ASKED_WAIT_MS = 15_000;

export interface FileSource extends EntrySource {
  /** Reads the file and starts watching it. Throws `ConfigError`. */
  readonly start: () => void;
  /**
   * Reads the file as soon as it is settled; the result applies it. Rejects with `ConfigError` and changes nothing if
   * it cannot be read or does not settle.
   */
  readonly prepare: () => Promise<() => void>;
}

/** Every entry of a revocation file. Throws `ConfigError`, with places. */
export function readRevocationFile(file: string): readonly RevocationEntry[] {
  return readRevocations(file, readBytes(file).toString('utf8'));
}

function readBytes(file: string): Buffer {
  try {
    const path = resolve(file);
    return readBounded(path);
  } catch (error) {
    const message = `cannot read the revocation file: ${reason(error)}; a file without entries is \`revocations: []\``;
    throw new ConfigError([{ place: file, message }]);
  }
}

export interface FileSourceOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: RevocationLog;
  readonly changed: () => void;
  readonly clock?: Clock | undefined;
  readonly probe?: FileProbe | undefined;
}

type Entries = ReadonlyMap<string, RevocationEntry>;

/** The content read, and the file's metadata just before. */
interface Read {
  readonly entries: Entries;
  readonly reading: FileReading;
  /** Number of own changes before the read. */
  readonly changes: number;
}

/** A watched revocation file. While it cannot be read, the last valid content stays in force. */
export function openFileSource(file: string, options: FileSourceOptions): FileSource {
  return new WatchedFile(file, options);
}

class WatchedFile implements FileSource {
  readonly #file: string;
  readonly #path: string;
  readonly #options: FileSourceOptions;
  readonly #clock: Clock;
  readonly #files: SettledFiles;
  #known: Entries = new Map();
  /** Readings of the last valid content. */
  #readings: Readings = new Map();
  #readAt = 0;
  #problem: string | undefined;
  #changing: Promise<unknown> = Promise.resolve();
  #changes = 0;
  #watch: { readonly stop: () => void } | undefined;

  constructor(file: string, options: FileSourceOptions) {
    this.#file = file;
    this.#path = resolve(file);
    this.#options = options;
    this.#clock = options.clock ?? machineClock;
    this.#files = new SettledFiles(this.#clock, options.probe);
  }

  readonly start = (): void => {
    const read = this.#read();
    this.#files.expect(new Map([[this.#path, read.reading]]));
    this.#commit(read);
    this.#watch = watchFiles(this.#files, this.#clock, (lasting) => Promise.resolve(this.#check(lasting)));
  };

  readonly prepare = async (): Promise<() => void> => {
    const end = this.#clock.now() + ASKED_WAIT_MS;
    for (;;) {
      const before = await this.#files.check();
      const read = before.settled ? this.#read() : undefined;
      if (read && this.#isWhole(read) && (await this.#files.check()).settled && this.#holds(read)) {
        return () => this.#commit(read);
      }
      if (this.#clock.now() >= end) throw new ConfigError([{ place: this.#file, message: STILL_WRITTEN }]);
      await this.#clock.pause(Math.min(before.nextMs, LOOK_AGAIN_MS));
    }
  };

  readonly entries = (): Iterable<RevocationEntry> => this.#known.values();
  readonly unknown = (): boolean => false;

  readonly add = (entry: RevocationEntry): Promise<void> => this.#change(() => appendToFile(this.#file, entry));

  readonly remove = async (entries: readonly RevocationEntry[]): Promise<void> => {
    const ids = new Set(entries.map(entryId).filter((id) => this.#known.has(id)));
    if (ids.size > 0) await this.#change(() => takeOutOfFile(this.#file, (entry) => ids.has(entryId(entry))));
  };

  /** Serialised. */
  #change(make: () => Promise<Entries>): Promise<void> {
    const done = this.#changing
      .then(() => this.#rest())
      .then(make)
      .then((next) => {
        this.#known = next;
        this.#readAt = this.#options.now();
        this.#changes += 1;
      });
    this.#changing = done.catch(() => undefined);
    return done;
  }

  readonly report = () => ({
    place: 'file' as const,
    available: this.#problem === undefined,
    readAt: this.#readAt,
    entries: this.#known.size,
    problem: this.#problem,
  });

  readonly close = async (): Promise<void> => {
    this.#watch?.stop();
    await this.#changing;
  };

  /** INVARIANT: a partly written file is never changed. Rejects with a `StoreFault`. */
  async #rest(): Promise<void> {
    const end = this.#clock.now() + ASKED_WAIT_MS;
    for (;;) {
      const { lasting, nextMs } = await this.#files.check();
      if (lasting) return;
      if (this.#clock.now() >= end) throw new StoreFault(BEING_WRITTEN);
      await this.#clock.pause(Math.min(nextMs, LOOK_AGAIN_MS));
    }
  }

  #holds({ reading }: Read): boolean {
    return this.#files.holds(new Map([[this.#path, reading]]));
  }

  /** Throws `ConfigError`. */
  #read(): Read {
    // Before the read, so that a change during the read counts as a later change.
    const [stat, changes] = [statFile(this.#path), this.#changes];
    const bytes = readBytes(this.#file);
    return {
      entries: byId(readRevocations(this.#file, bytes.toString('utf8'))),
      reading: readingOf(stat, bytes),
      changes,
    };
  }

  /** Throws `ConfigError` for a file that lost its end mark. */
  #isWhole({ reading }: Read): true {
    const cut = withoutEndMark(this.#readings, new Map([[this.#path, reading]]));
    if (cut.length === 0 || this.#files.arrivalOf(this.#path) === 'whole') return true;
    throw new ConfigError([{ place: this.#file, message: NO_END_MARK }]);
  }

  #commit({ entries, reading, changes }: Read): void {
    // INVARIANT: an own change since was made after this reading.
    if (changes !== this.#changes) return;
    this.#known = entries;
    this.#readings = new Map([[this.#path, reading]]);
    this.#files.expect(this.#readings);
    this.#readAt = this.#options.now();
    const { log } = this.#options;
    if (this.#problem !== undefined) log.info({ entries: entries.size }, 'the revocation file can be read again');
    this.#problem = undefined;
  }

  /** The file has changed and is settled. */
  #check(lasting: boolean): WatchResult {
    const { log, changed } = this.#options;
    let read: Read | undefined;
    try {
      read = this.#read();
      if (!this.#holds(read)) return 'later';
      this.#isWhole(read);
      const lost = this.#lost(read.entries);
      if (lost > 0 && !lasting) {
        log.info({ lost }, 'the revocation file is read later: it may be incomplete');
        return 'later';
      }
      const before = this.#known;
      this.#commit(read);
      if (sameKeys(before, this.#known)) return 'read';
      log.info({ entries: this.#known.size }, 'the revocation file was read again');
      changed();
    } catch (error) {
      this.#refuse(error, read?.reading);
    }
    return 'read';
  }

  #refuse(error: unknown, reading: FileReading | undefined): void {
    const problems =
      error instanceof ConfigError
        ? error.problems.map(({ place, message }) => `${place}: ${message}`)
        : [`${this.#file}: internal error`];
    this.#problem = problems[0];
    // Waits for the next change.
    this.#files.expect(new Map([[this.#path, reading ?? readingOf(statFile(this.#path), undefined)]]));
    this.#options.log.error({ problems }, 'the revocation file cannot be used; earlier revocations stay in force');
  }

  /** Number of revocations still in force that are missing here. */
  #lost(next: Entries): number {
    const now = Math.floor(this.#options.now() / 1000);
    return [...this.#known].filter(([id, entry]) => !next.has(id) && !isOver(entry, now)).length;
  }
}

/** Interval between checks of a file that is waited for, in milliseconds. */
const LOOK_AGAIN_MS = 250;
const STILL_WRITTEN = 'the revocation file is still being written: ask again when it stands still';
const NO_END_MARK = 'the end mark (`# end` or `...`) that the last line was before is missing: the file may be cut off';

function sameKeys(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): boolean {
  return one.size === other.size && [...one.keys()].every((id) => other.has(id));
}
