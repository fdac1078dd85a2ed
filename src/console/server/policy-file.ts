import { createHash, randomUUID } from 'node:crypto';
import { accessSync, constants, realpathSync } from 'node:fs';
import { realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { readBounded } from '../../config/files/bounded-read.ts';
import { isSame, syncFolder, withLock, writeDurably } from '../../config/files/locked-file.ts';
import { reason } from '../../config/problem.ts';

/** A policy file as it is now. */
export interface PolicyText {
  readonly text: string;
  /** First digits of a digest of the text: another text has another one. */
  readonly revision: string;
}

/** A file that was not written. The text is a sentence for the reader. */
export class PolicyFileFault extends Error {
  readonly code = 'ERR_POLICY_FILE';
}

/** Reads the file. Throws if it cannot be read. */
export function readPolicyText(file: string): PolicyText {
  const text = readBounded(resolve(file)).toString('utf8');
  return { text, revision: revisionOf(text) };
}

/** The revision of a text. */
export function revisionOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/** The reason why this process may not replace the file; null = it may. */
export function fixedBecause(file: string): string | null {
  try {
    const path = realpathSync(resolve(file));
    accessSync(path, constants.W_OK);
    accessSync(dirname(path), constants.W_OK);
    return null;
  } catch (error) {
    return `The gateway may not write ${file}: ${reason(error)}.`;
  }
}

/**
 * Replaces the file in one step; a link stays, and its target is replaced. Rejects with `PolicyFileFault`, and changes nothing then.
 *
 * @param revision of the text that the new one was made from: if the file has another one by now, it is kept
 */
export async function writePolicyText(file: string, text: string, revision: string): Promise<void> {
  try {
    const path = await realpath(resolve(file));
    const locked = (): Error => new PolicyFileFault(`The policy file is locked by ${path}.lock.`);
    await withLock(`${path}.lock`, () => replace(path, text, revision), locked);
  } catch (error) {
    if (error instanceof PolicyFileFault) throw error;
    throw new PolicyFileFault(`The policy file cannot be written: ${reason(error)}.`);
  }
}

async function replace(path: string, text: string, revision: string): Promise<void> {
  const before = await stat(path);
  const changed = new PolicyFileFault(
    'The policy file has changed since you opened it. Open it again, and apply your changes to it.',
  );
  if (readPolicyText(path).revision !== revision) throw changed;
  const temporary = `${path}.${randomUUID()}`;
  try {
    await writeDurably(temporary, text, before);
    if (!isSame(before, await stat(path))) throw changed;
    await rename(temporary, path);
    await syncFolder(dirname(path)).catch(() => undefined);
  } finally {
    await rm(temporary, { force: true });
  }
}
