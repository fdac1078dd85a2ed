import { randomUUID } from 'node:crypto';
import { realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { readBounded, readBoundedLater } from '../config/files/bounded-read.ts';
import { isSame, syncFolder, withLock, writeDurably } from '../config/files/locked-file.ts';
import { readKeyEntries, readKeysAhead } from '../config/keys/file.ts';
import type { KeyEntry } from '../config/keys/schema.ts';
import { nearest } from '../config/nearest.ts';
import { ConfigError, reason } from '../config/problem.ts';
import { OPERATION_NAMES } from '../operations/names.ts';
import { changedText, type KeyChange } from './edit-text.ts';
import { KeyFault } from './fault.ts';

/** Where named keys are kept. Methods reject with `KeyFault` or `ConfigError`, and change nothing then. */
export interface KeyStorage {
  /** All entries as they are now. */
  readonly read: () => Promise<readonly KeyEntry[]>;
  /**
   * Makes one change, or none, also with concurrent writers. Resolves to the entries after the change.
   *
   * @param decide gets the entries in force; it may be called again when another writer came first
   */
  readonly edit: (decide: (entries: readonly KeyEntry[]) => KeyChange) => Promise<readonly KeyEntry[]>;
}

/** The storage in a file. */
export function fileStorage(file: string): KeyStorage {
  return { read: async () => readKeys(file), edit: (decide) => editKeys(file, decide) };
}

/** The valid entries of the file. Throws `ConfigError` with its problems, `KeyFault` if it cannot be read. */
export function readKeys(file: string): readonly KeyEntry[] {
  return entriesIn(file, textOf(file));
}

/** Reads the file some at a time while requests are served, so that the reload that follows is short. Never rejects. */
export async function readFileAhead(file: string): Promise<void> {
  const text = await readBoundedLater(resolve(file)).catch(() => undefined);
  if (text) await readKeysAhead(text.toString('utf8'), OPERATION_NAMES);
}

/** The entry with this id. Throws `KeyFault` with the nearest one. */
export function findKey(entries: readonly KeyEntry[], id: string): KeyEntry {
  const found = entries.find((entry) => entry.id === id);
  if (found) return found;
  const byName = entries.find(({ name }) => name === id)?.id;
  const meant =
    byName ??
    nearest(
      id,
      entries.map((entry) => entry.id),
    );
  const suggestion = meant === undefined ? '' : `, did you mean \`${meant}\`?`;
  throw new KeyFault('unknown', [`no key has the id \`${id}\`${suggestion}`], meant);
}

/**
 * Changes the file, all or nothing, also with concurrent writers; comments of YAML are kept. The file is made if it is not
 * there and a key is added, readable for its owner only; otherwise it keeps its mode. Resolves to the entries after the change.
 *
 * @param decide gets the entries in force under the lock
 */
export async function editKeys(
  file: string,
  decide: (entries: readonly KeyEntry[]) => KeyChange,
): Promise<readonly KeyEntry[]> {
  try {
    // A link is kept: its target is replaced.
    const path = await realpath(resolve(file)).catch(() => pathOfNew(file));
    const locked = () => new KeyFault('locked', [`the file of named keys is locked by \`${path}.lock\``]);
    return await withLock(`${path}.lock`, () => replace(file, path, decide), locked);
  } catch (error) {
    if (error instanceof KeyFault || error instanceof ConfigError) throw error;
    throw new KeyFault('file', [`cannot write the file of named keys \`${file}\`: ${reason(error)}`]);
  }
}

async function pathOfNew(file: string): Promise<string> {
  const path = resolve(file);
  return join(await realpath(dirname(path)), basename(path));
}

async function replace(
  file: string,
  path: string,
  decide: (entries: readonly KeyEntry[]) => KeyChange,
): Promise<readonly KeyEntry[]> {
  for (;;) {
    const before = await stat(path).catch(() => undefined);
    const text = before ? textOf(path) : '';
    await readKeysAhead(text, OPERATION_NAMES);
    const known = entriesIn(file, text);
    const next = changedText(path, text, decide(known), known);
    const entries = entriesIn(file, next);
    const temporary = `${path}.${randomUUID()}`;
    try {
      const own = { mode: 0o600, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
      await writeDurably(temporary, next, before ?? own);
      const now = await stat(path).catch(() => undefined);
      // Another program changed the file in between: its change must be kept.
      if (before && now ? isSame(before, now) : before === now) {
        await rename(temporary, path);
        // The file is replaced: a folder that cannot be synced must not be told as a change that was not made.
        await syncFolder(dirname(path)).catch(() => undefined);
        return entries;
      }
    } finally {
      await rm(temporary, { force: true });
    }
  }
}

function textOf(file: string): string {
  try {
    return readBounded(resolve(file)).toString('utf8');
  } catch (error) {
    throw new KeyFault('file', [`cannot read the file of named keys \`${file}\`: ${reason(error)}`]);
  }
}

function entriesIn(file: string, text: string): readonly KeyEntry[] {
  if (text.trim() === '') return [];
  const { entries, problems } = readKeyEntries(file, text, OPERATION_NAMES);
  if (problems.length > 0) throw new ConfigError(problems);
  return entries;
}
