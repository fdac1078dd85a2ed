import { hash } from 'node:crypto';
import { type BigIntStats, realpathSync, statSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import type { ReadFile } from '../secrets.ts';
import { readBounded, readBoundedLater } from './bounded-read.ts';

/** A file's metadata. */
export interface FileStat {
  /** Where the path leads when every link on the way is followed. */
  readonly target: string;
  /** Device and inode. */
  readonly inode: string;
  /** In bytes. */
  readonly size: number;
  /** Nanoseconds since 1970: of the last change of the content, and of the content or anything else. */
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

/** A file as it was read: how it looked just before, and what tells its content without holding it. */
export interface FileReading {
  /** `undefined` = there was none. */
  readonly stat: FileStat | undefined;
  /** SHA-256 in hexadecimal; `undefined` = it could not be read. */
  readonly digest: string | undefined;
  /** Its last line is an end mark; see `hasEndMark`. */
  readonly ended: boolean;
}

/** Files read, by absolute path. */
export type Readings = ReadonlyMap<string, FileReading>;

/** Access to files; replaced in tests. */
export interface FileProbe {
  readonly stat: (path: string) => Promise<FileStat | undefined>;
  /** Of the content; `undefined` = it cannot be read. */
  readonly digest: (path: string) => Promise<string | undefined>;
}

/** The real files, without holding up the process. */
export const fileProbe: FileProbe = {
  stat: async (path) => {
    try {
      const [found, target] = [await stat(path, { bigint: true }), await realpath(path)];
      return toFileStat(found, target);
    } catch {
      return undefined;
    }
  },
  digest: async (path) => {
    try {
      return digestOf(await readBoundedLater(path));
    } catch {
      return undefined;
    }
  },
};

/** The same, at once. */
export function statFile(path: string): FileStat | undefined {
  try {
    return toFileStat(statSync(path, { bigint: true }), realpathSync(path));
  } catch {
    return undefined;
  }
}

function toFileStat({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats, target: string): FileStat {
  return { target, inode: `${dev}:${ino}`, size: Number(size), modifiedNs: mtimeNs, changedNs: ctimeNs };
}

/** Is it the same file, unchanged? */
export function sameStat(one: FileStat | undefined, other: FileStat | undefined): boolean {
  if (!one || !other) return one === other;
  return (
    one.target === other.target &&
    one.inode === other.inode &&
    one.size === other.size &&
    one.modifiedNs === other.modifiedNs &&
    one.changedNs === other.changedNs
  );
}

function digestOf(bytes: Buffer): string {
  return hash('sha256', bytes, 'hex');
}

const END_MARK = /(^|\n)(#[ \t]*end|\.\.\.)[ \t]*\r?\n?$/;

/** Ends the text with a line `# end`, or with YAML's own end of a document (`...`)? Blank lines behind it do not count. */
export function hasEndMark(text: string): boolean {
  return END_MARK.test(text.trimEnd());
}

/** Describes bytes that were read. */
export function readingOf(stat: FileStat | undefined, bytes: Buffer | undefined): FileReading {
  if (!bytes) return { stat, digest: undefined, ended: false };
  return { stat, digest: digestOf(bytes), ended: hasEndMark(bytes.toString('latin1', Math.max(0, bytes.length - 64))) };
}

/**
 * Reads each file once, so that the bytes checked are the bytes used. Its metadata is taken before, so that a change during
 * the read counts as a later change.
 */
export function recordReads(readBytes: ReadFile = readBounded): {
  readonly read: ReadFile;
  readonly readings: Readings;
} {
  const readings = new Map<string, FileReading>();
  const results = new Map<string, () => Buffer>();
  const read = (path: string): Buffer => {
    const known = results.get(path);
    if (known) return known();
    const stat = statFile(path);
    const result = attempt(readBytes, path);
    readings.set(path, readingOf(stat, result.bytes));
    results.set(path, result.give);
    return result.give();
  };
  return { read, readings };
}

function attempt(readBytes: ReadFile, path: string): { readonly bytes?: Buffer; readonly give: () => Buffer } {
  try {
    const bytes = readBytes(path);
    return { bytes, give: () => bytes };
  } catch (error) {
    return {
      give: () => {
        throw error;
      },
    };
  }
}
