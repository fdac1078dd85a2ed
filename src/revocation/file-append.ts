import { randomUUID } from 'node:crypto';
import { realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { readBounded } from '../config/files/bounded-read.ts';
import { isSame, syncFolder, withLock, writeDurably } from '../config/files/locked-file.ts';
import { ConfigError, reason } from '../config/problem.ts';
import { byId, entryId, MAX_ENTRIES, type RevocationEntry, TOO_MANY } from './entry.ts';
import { addEntry, readRevocations, removeEntries } from './file-text.ts';
import { StoreFault } from './source.ts';

/**
 * Adds an entry to the file, all or nothing, also with concurrent writers. Resolves to the entries of the new file.
 * Rejects with a `StoreFault`.
 */
export function appendToFile(file: string, entry: RevocationEntry): Promise<ReadonlyMap<string, RevocationEntry>> {
  return changeFile(file, 'add the entry', (text, list) => {
    const entries = byId(list);
    if (entries.has(entryId(entry))) return undefined;
    if (entries.size >= MAX_ENTRIES) throw new StoreFault(TOO_MANY);
    return addEntry(file, text, entry, list.length);
  });
}

/** Takes entries out of the file, in the same way. Resolves to the entries that are left. */
export function takeOutOfFile(
  file: string,
  isOut: (entry: RevocationEntry) => boolean,
): Promise<ReadonlyMap<string, RevocationEntry>> {
  const change: Change = (text, list) => (list.some(isOut) ? removeEntries(file, text, isOut) : undefined);
  return changeFile(file, 'take the entry out', change);
}

/** The next text of a file; `undefined` = it stays. */
type Change = (text: string, entries: readonly RevocationEntry[]) => string | undefined;

async function changeFile(file: string, todo: string, change: Change): Promise<ReadonlyMap<string, RevocationEntry>> {
  try {
    // A link is kept: its target is replaced.
    const path = await realpath(resolve(file));
    const lock = `${path}.lock`;
    const locked = () => new StoreFault(`the revocation file is locked by \`${lock}\``);
    return await withLock(lock, () => replace(file, path, change), locked);
  } catch (error) {
    if (error instanceof StoreFault) throw error;
    const why = error instanceof ConfigError ? 'it cannot be read' : reason(error);
    throw new StoreFault(`the revocation file could not be written (${why}): ${todo} once it can`);
  }
}

async function replace(file: string, path: string, change: Change): Promise<ReadonlyMap<string, RevocationEntry>> {
  for (;;) {
    const before = await stat(path);
    const text = readBounded(path).toString('utf8');
    const list = readRevocations(file, text);
    const next = change(text, list);
    if (next === undefined) return byId(list);
    const temporary = `${path}.${randomUUID()}`;
    try {
      await writeDurably(temporary, next, before);
      // Another program changed the file in between: its change must be kept.
      if (isSame(before, await stat(path))) {
        await rename(temporary, path);
        await syncFolder(dirname(path));
        return byId(readRevocations(file, next));
      }
    } finally {
      await rm(temporary, { force: true });
    }
  }
}
