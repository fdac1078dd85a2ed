import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { readBounded } from '../config/files/bounded-read.ts';
import { ConfigError, reason } from '../config/problem.ts';
import { byId, entryId, MAX_ENTRIES, type RevocationEntry, TOO_MANY } from './entry.ts';
import { addEntry, readRevocations } from './file-text.ts';
import { StoreFault } from './source.ts';

/** Milliseconds to wait for another writer's lock, after which the lock counts as abandoned. */
const LOCK_WAIT_MS = 5000;
const LOCK_STALE_MS = 30_000;
const LOCK_PAUSE_MS = 10;

/**
 * Adds an entry to the file, all or nothing, also with concurrent writers. Resolves to the entries of the new file.
 * Rejects with a `StoreFault`.
 */
export async function appendToFile(
  file: string,
  entry: RevocationEntry,
): Promise<ReadonlyMap<string, RevocationEntry>> {
  try {
    // A link is kept: its target is replaced.
    const path = await realpath(resolve(file));
    return await withLock(`${path}.lock`, () => replace(file, path, entry));
  } catch (error) {
    if (error instanceof StoreFault) throw error;
    const why = error instanceof ConfigError ? 'it cannot be read' : reason(error);
    throw new StoreFault(`the revocation file could not be written (${why}): add the entry once it can`);
  }
}

async function replace(
  file: string,
  path: string,
  entry: RevocationEntry,
): Promise<ReadonlyMap<string, RevocationEntry>> {
  for (;;) {
    const before = await stat(path);
    const text = readBounded(path).toString('utf8');
    const list = readRevocations(file, text);
    const entries = byId(list);
    if (entries.has(entryId(entry))) return entries;
    if (entries.size >= MAX_ENTRIES) throw new StoreFault(TOO_MANY);
    const next = addEntry(file, text, entry, list.length);
    const temporary = `${path}.${randomUUID()}`;
    try {
      await writeDurably(temporary, next, before);
      // Another program changed the file in between: its change must be kept.
      if (isSame(before, await stat(path))) {
        await rename(temporary, path);
        await syncFolder(dirname(path));
        return new Map([...entries, [entryId(entry), entry]]);
      }
    } finally {
      await rm(temporary, { force: true });
    }
  }
}

function isSame(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.size === other.size && one.mtimeMs === other.mtimeMs;
}

async function writeDurably(path: string, text: string, { mode, uid, gid }: Stats): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.chmod(mode & 0o7777);
    await keepOwner(handle, uid, gid);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Only root can set the owner; otherwise the file gets the owner of this process. */
async function keepOwner(handle: FileHandle, uid: number, gid: number): Promise<void> {
  const made = await handle.stat();
  if (made.uid !== uid || made.gid !== gid) await handle.chown(uid, gid).catch(() => undefined);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function withLock<T>(lock: string, work: () => Promise<T>): Promise<T> {
  const end = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    try {
      await (await open(lock, 'wx', 0o600)).close();
      break;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    if (performance.now() > end) throw new StoreFault(`the revocation file is locked by \`${lock}\``);
    await breakStale(lock);
    await pause(LOCK_PAUSE_MS);
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

/** Removes the lock of a writer that has ended without releasing it. */
async function breakStale(lock: string): Promise<void> {
  const found = await stat(lock).catch(() => undefined);
  if (found && Date.now() - found.mtimeMs > LOCK_STALE_MS) await rm(lock, { force: true });
}
