import { hash } from 'node:crypto';
import { type BigIntStats, realpathSync, statSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import type { ReadFile } from '../secrets.ts';
import { readBounded, readBoundedLater } from './bounded-read.ts';

/** A file's metadata. */
export interface FileStat {
  /** The path after following all links. */
  readonly target: string;
  /** Device, inode, and the time of birth: a file system gives the number of a file that was replaced to the next one. */
  readonly inode: string;
  /** In bytes. */
  readonly size: number;
  /** Nanoseconds since 1970 of the last change: of the content (mtime), and of content or metadata (ctime). */
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

/** A file that was read: its metadata just before, and a digest of its content. */
export interface FileReading {
  /** `undefined` = there was no file. */
  readonly stat: FileStat | undefined;
  /** SHA-256 in hexadecimal; `undefined` = unreadable. */
  readonly digest: string | undefined;
  /** True = its last line is an end mark; see `hasEndMark`. */
  readonly ended: boolean;
}

/** Files read, by absolute path. */
export type Readings = ReadonlyMap<string, FileReading>;

/** Access to files; replaced in tests. */
export interface FileProbe {
  readonly stat: (path: string) => Promise<FileStat | undefined>;
  /** SHA-256 of the content; `undefined` = unreadable. */
  readonly digest: (path: string) => Promise<string | undefined>;
}

/** False = the kernel does not tell times of birth (no `statx`), and Node gives the time of the last change in their place. */
const TELLS_BIRTH = ((): boolean => {
  const { birthtimeNs, ctimeNs } = statSync(process.execPath, { bigint: true });
  return birthtimeNs !== ctimeNs;
})();

/** The real files, asynchronous. */
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

/** The same as `stat`, synchronous. */
export function statFile(path: string): FileStat | undefined {
  try {
    return toFileStat(statSync(path, { bigint: true }), realpathSync(path));
  } catch {
    return undefined;
  }
}

function toFileStat({ dev, ino, size, mtimeNs, ctimeNs, birthtimeNs }: BigIntStats, target: string): FileStat {
  const born = TELLS_BIRTH ? birthtimeNs : 0n;
  return { target, inode: `${dev}:${ino}:${born}`, size: Number(size), modifiedNs: mtimeNs, changedNs: ctimeNs };
}

/** True = the same file, unchanged. */
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

/**
 * True = the text ends with a line `# end`, or with YAML's own end of a document (`...`). Blank lines after it are
 * ignored.
 */
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
