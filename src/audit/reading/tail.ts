import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compareFileNames, parseFileName } from '../sinks/file-name.ts';
import { type Entry, GrowingFile } from './entries.ts';

/** Entries that are kept in memory. */
const MOST_KEPT = 5000;
/** Bytes that one look reads of one file, and of all, the newest files first: it is done in one turn of the event loop. Of more, the newest. */
const MOST_OF_FILE = 1_048_576;
const MOST_BYTES = 2_097_152;
/** Files of workers that are followed; older ones have no new entries. */
const MOST_FILES = 64;

/** An entry with its place in the order of reading; it grows by 1. */
export interface NumberedEntry {
  readonly number: number;
  readonly entry: Entry;
}

/**
 * The newest entries of a folder of audit files, in bounded memory, for readers that come back for more. It reads only when it is
 * asked, and no more than is new.
 */
export class AuditTail {
  readonly #dir: string;
  /** Tells the numbers of this one from those of another, before a restart. */
  readonly id: string = randomUUID().slice(0, 8);
  readonly #files = new Map<string, GrowingFile>();
  #kept: NumberedEntry[] = [];
  #last = 0;

  /** @param dir of the audit files */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Number of the newest entry; 0 = none. */
  get last(): number {
    return this.#last;
  }

  /** Reads what has been written. Throws if the folder cannot be read. */
  look(): void {
    const found: Entry[] = [];
    let left = MOST_BYTES;
    for (const path of this.#newestFiles().toReversed()) {
      const file = this.#files.get(path) ?? new GrowingFile(path);
      this.#files.set(path, file);
      left -= file.more((entry) => found.push(entry), Math.min(left, MOST_OF_FILE));
    }
    // Files of several workers follow each other, and their entries do not.
    for (const entry of found.sort(byTime)) {
      this.#last += 1;
      this.#kept.push({ number: this.#last, entry });
    }
    if (this.#kept.length > MOST_KEPT) this.#kept = this.#kept.slice(-MOST_KEPT);
  }

  /** The kept entries after a number that fit, the newest first. @param most entries */
  newest(after: number, fits: (entry: Entry) => boolean, most: number): readonly NumberedEntry[] {
    const found: NumberedEntry[] = [];
    for (let at = this.#kept.length - 1; at >= 0 && found.length < most; at -= 1) {
      const one = this.#kept[at];
      if (!one || one.number <= after) break;
      if (fits(one.entry)) found.push(one);
    }
    return found;
  }

  #newestFiles(): readonly string[] {
    const named = readdirSync(this.#dir, { withFileTypes: true }).flatMap((found) => {
      const { name } = found;
      const parsed = found.isFile() || found.isSymbolicLink() ? parseFileName(name) : undefined;
      return parsed ? [{ name, parsed }] : [];
    });
    const inOrder = named.sort((left, right) => compareFileNames(left.parsed, right.parsed));
    const paths = inOrder.slice(-MOST_FILES).map(({ name }) => join(this.#dir, name));
    const there = new Set(paths);
    for (const path of this.#files.keys()) if (!there.has(path)) this.#files.delete(path);
    return paths;
  }
}

function byTime(left: Entry, right: Entry): number {
  const [one, other] = [String(left.timestamp), String(right.timestamp)];
  return one < other ? -1 : one > other ? 1 : 0;
}
