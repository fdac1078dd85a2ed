import type { Stats } from 'node:fs';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/* Changes of a file that several programs write: one at a time, and each as a whole. */

/** Milliseconds to wait for another writer's lock, after which the lock counts as abandoned. */
const LOCK_WAIT_MS = 5000;
const LOCK_STALE_MS = 30_000;
const LOCK_PAUSE_MS = 10;

/** True = the same file, unchanged. */
export function isSame(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.size === other.size && one.mtimeMs === other.mtimeMs;
}

/** Writes a new file with this mode and, if possible, this owner, and waits until it is on the disk. */
export async function writeDurably(
  path: string,
  text: string,
  { mode, uid, gid }: Pick<Stats, 'mode' | 'uid' | 'gid'>,
): Promise<void> {
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

/** Waits until a changed folder is on the disk. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Runs `work` while no other program holds the lock file. Throws `locked()` if another one keeps it. */
export async function withLock<T>(lock: string, work: () => Promise<T>, locked: () => Error): Promise<T> {
  const end = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    try {
      await (await open(lock, 'wx', 0o600)).close();
      break;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    if (performance.now() > end) throw locked();
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
