import { closeSync, constants, createReadStream, fstatSync, openSync, readSync } from 'node:fs';

/** One entry of an audit file, as it was written: an unknown member is kept. */
export type Entry = Readonly<Record<string, unknown>>;

const LINE_BREAK = 0x0a;
/** Longer than any line that is written. A longer line is left out. */
const MAX_LINE = 1_048_576;
const PIECE_BYTES = 262_144;

/** Cuts bytes into entries. Lines that are no entry, as an interrupted write leaves them, are counted and left out. */
export class EntryReader {
  #rest: Buffer = Buffer.alloc(0);
  #skips = false;
  unread = 0;

  /** Leaves out the line that the next bytes begin in. */
  jump(): void {
    this.#rest = Buffer.alloc(0);
    this.#skips = true;
  }

  /** The entries that are complete with these bytes. */
  feed(piece: Buffer): readonly Entry[] {
    const text = this.#rest.length > 0 ? Buffer.concat([this.#rest, piece]) : piece;
    const entries: Entry[] = [];
    let from = 0;
    for (let end = text.indexOf(LINE_BREAK); end >= 0; end = text.indexOf(LINE_BREAK, from)) {
      const entry = this.#skips ? undefined : parsed(text.toString('utf8', from, end));
      if (entry) entries.push(entry);
      else if (this.#skips || end > from) this.unread += 1;
      this.#skips = false;
      from = end + 1;
    }
    this.#rest = text.subarray(from);
    if (this.#rest.length > MAX_LINE) {
      this.#rest = Buffer.alloc(0);
      this.#skips = true;
    }
    return entries;
  }
}

function parsed(line: string): Entry | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Entry) : undefined;
  } catch {
    return undefined;
  }
}

/** Calls `take` with every entry of the files, in constant memory. Resolves with the number of lines that are no entry. */
export async function readEntries(files: readonly string[], take: (entry: Entry) => void): Promise<number> {
  let unread = 0;
  for (const file of files) {
    const reader = new EntryReader();
    for await (const piece of createReadStream(file, { highWaterMark: PIECE_BYTES })) {
      for (const entry of reader.feed(piece)) take(entry);
    }
    unread += reader.unread;
  }
  return unread;
}

/** INVARIANT: opening never blocks, not even on a named pipe without a writer. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** A file that grows while it is read. */
export class GrowingFile {
  readonly #reader = new EntryReader();
  readonly #path: string;
  #at = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Calls `take` with the entries since the last call, from the first one on; with none of a file that is gone, or is no regular file.
   *
   * @param most bytes that are read; of more, the last ones
   * @returns the bytes that were read
   */
  more(take: (entry: Entry) => void, most = Number.POSITIVE_INFINITY): number {
    const piece = Buffer.alloc(PIECE_BYTES);
    let fd: number;
    try {
      fd = openSync(this.#path, FLAGS);
    } catch {
      return 0;
    }
    try {
      const found = fstatSync(fd);
      if (!found.isFile()) return 0;
      const { size } = found;
      if (size - this.#at > most) {
        this.#at = size - most;
        this.#reader.jump();
      }
      const from = this.#at;
      // The next call reads bytes that are written meanwhile.
      for (let read = readSync(fd, piece, 0, PIECE_BYTES, this.#at); read > 0; ) {
        this.#at += read;
        for (const entry of this.#reader.feed(Buffer.from(piece.subarray(0, read)))) take(entry);
        read = this.#at < size ? readSync(fd, piece, 0, PIECE_BYTES, this.#at) : 0;
      }
      return this.#at - from;
    } finally {
      closeSync(fd);
    }
  }
}

/** The newest entries, oldest first, in bounded memory. */
export class Newest {
  readonly #limit: number;
  #kept: Entry[] = [];
  found = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  readonly add = (entry: Entry): void => {
    this.found += 1;
    this.#kept.push(entry);
    if (this.#kept.length > this.#limit * 2 + 1000) this.#settle();
  };

  entries(): readonly Entry[] {
    this.#settle();
    return this.#kept;
  }

  /** Files of several workers follow each other, and their entries do not. */
  #settle(): void {
    const all = this.#kept.toSorted((left, right) => (String(left.timestamp) < String(right.timestamp) ? -1 : 1));
    this.#kept = all.slice(Math.max(0, all.length - this.#limit));
  }
}
