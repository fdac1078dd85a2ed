import { type FileHandle, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../config/files/make-folder.ts';
import { findChainEnd } from '../chain/chain-end.ts';
import { type ChainEnd, GENESIS, LINKS_BYTES, link } from '../chain/hash-chain.ts';
import { Appender, faultOf } from './appender.ts';
import { type AuditFileName, compareFileNames, fileName, parseFileName, periodOf } from './file-name.ts';
import type { AuditEntry, Destination, Written } from './sink.ts';

/** Rotation and retention of audit files. */
export interface FileOptions {
  readonly dir: string;
  readonly rotation: 'daily' | 'hourly';
  /** Files that are kept, including the current one. */
  readonly maxFiles: number;
  /** Largest size of a file; `undefined` = rotation by time only. */
  readonly maxBytes: number | undefined;
  readonly hashChain: boolean;
  /** Number of this worker; `undefined` = the only process. Each worker has its own files. */
  readonly worker: number | undefined;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;

/** Files rotated by day or hour, and by size. Rejects if the folder cannot be used; a full disk is retried. */
export async function fileDestination(options: FileOptions): Promise<Destination> {
  const destination = new FileDestination(options);
  await destination.begin().catch((error: unknown) => {
    if (!PASSING.has(faultOf(error))) throw error;
  });
  return destination;
}

/** A full disk is tried again with each write. */
const PASSING = new Set(['ENOSPC', 'EDQUOT']);

interface Current {
  readonly name: AuditFileName;
  readonly file: FileHandle;
  size: number;
}

function first(period: string, worker: number | undefined): AuditFileName {
  return { period, worker, sequence: 0, former: false };
}

function following(name: AuditFileName): AuditFileName {
  return { ...name, sequence: name.sequence + 1 };
}

class FileDestination implements Destination {
  readonly name = 'file';
  readonly #options: FileOptions;
  readonly #appender = new Appender();
  #current: Current | undefined;
  #end: ChainEnd = { last: GENESIS, torn: undefined };
  /** Hash of the last line in the file, not of a line in transit. */
  #head = GENESIS;

  constructor(options: FileOptions) {
    this.#options = options;
  }

  /** Continues at the end of the newest file. */
  async begin(): Promise<void> {
    const { dir, hashChain } = this.#options;
    await makeFolder(dir, FOLDER_MODE);
    this.#end = { last: GENESIS, torn: undefined };
    const files = await this.#list();
    const newest = files.at(-1);
    if (newest) {
      const found = await findChainEnd(files.map((name) => join(dir, fileName(name))).toReversed());
      // Chained lines never follow unchained lines in one file.
      const goesOn = newest.period === this.#period() && !newest.former;
      this.#end = { last: found.last, torn: found.torn };
      this.#head = found.last;
      if (goesOn) await this.#open(found.chained === hashChain ? newest : following(newest));
    }
    if (!this.#current) await this.#open(first(this.#period(), this.#options.worker));
  }

  async write(entries: readonly AuditEntry[]): Promise<Written> {
    try {
      if (this.#appender.isIdle) this.#encode(entries, await this.#roomy(this.#sizeOf(entries[0])));
      const written = await this.#appender.write((await this.#ready()).file);
      if (this.#appender.isIdle) this.#head = this.#end.last;
      return written;
    } catch (error) {
      return { done: 0, fault: faultOf(error) };
    }
  }

  head(): string | undefined {
    return this.#options.hashChain && this.#head !== GENESIS ? this.#head : undefined;
  }

  async close(): Promise<void> {
    await this.#current?.file.close().catch(() => undefined);
    this.#current = undefined;
  }

  #encode(entries: readonly AuditEntry[], current: Current): void {
    const room = (this.#options.maxBytes ?? Number.POSITIVE_INFINITY) - current.size;
    const lines: string[] = [];
    let size = 0;
    let end = this.#end;
    for (const entry of entries) {
      const linked = this.#options.hashChain ? link(entry.line, end) : undefined;
      const line = linked?.line ?? entry.line;
      const bytes = Buffer.byteLength(line) + 1;
      if (lines.length > 0 && size + bytes > room) break;
      size += bytes;
      lines.push(line);
      if (linked) end = { last: linked.hash, torn: undefined };
    }
    this.#end = end;
    current.size += this.#appender.begin(lines);
  }

  #sizeOf(entry: AuditEntry | undefined): number {
    return Buffer.byteLength(entry?.line ?? '') + 1 + (this.#options.hashChain ? LINKS_BYTES : 0);
  }

  /** The current file with space for a line of this size. Only between lines. */
  async #roomy(bytes: number): Promise<Current> {
    const current = await this.#ready();
    const period = this.#period();
    const { maxBytes } = this.#options;
    // A clock that is set back starts no new file: the order of files is the order of lines.
    if (period > current.name.period) return await this.#open(first(period, current.name.worker));
    if (maxBytes === undefined || current.size === 0 || current.size + bytes <= maxBytes) return current;
    return await this.#open(following(current.name));
  }

  async #ready(): Promise<Current> {
    if (!this.#current) await this.begin();
    if (!this.#current) throw new TypeError('no audit file is open');
    return this.#current;
  }

  async #open(name: AuditFileName): Promise<Current> {
    const { dir } = this.#options;
    const file = await open(join(dir, fileName(name)), 'a', FILE_MODE);
    const { size } = await file.stat();
    const before = this.#current;
    this.#current = { name, file, size };
    await before?.file.close().catch(() => undefined);
    await this.#prune();
    return this.#current;
  }

  /** Deletes old files. A failed deletion is tried again with the next file. */
  async #prune(): Promise<void> {
    const { dir, maxFiles } = this.#options;
    const files = await this.#list().catch(() => []);
    for (const name of files.slice(0, Math.max(0, files.length - maxFiles))) {
      await unlink(join(dir, fileName(name))).catch(() => undefined);
    }
  }

  /** Files of this worker, oldest first. */
  async #list(): Promise<readonly AuditFileName[]> {
    const names = await readdir(this.#options.dir);
    return names
      .flatMap((name) => parseFileName(name) ?? [])
      .filter(({ worker }) => worker === this.#options.worker)
      .toSorted(compareFileNames);
  }

  #period(): string {
    return periodOf(this.#options.clock(), this.#options.rotation);
  }
}
