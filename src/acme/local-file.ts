import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder, writeDurably } from '../config/files/locked-file.ts';
import { reason } from '../config/problem.ts';
import { AcmeFault } from './fault.ts';

/**
 * Replaces the certificate file of this gateway as a whole, mode 0600, unless it has this content already. Throws `AcmeFault`; the
 * file is as it was then.
 */
export async function replaceLocal(file: string, text: string): Promise<void> {
  try {
    if ((await readFile(file, 'utf8').catch(() => undefined)) === text) return;
    const fresh = `${file}.${randomUUID()}.new`;
    try {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await writeDurably(fresh, text, { mode: 0o600, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 });
      await rename(fresh, file);
      await syncFolder(dirname(file));
    } finally {
      await rm(fresh, { force: true });
    }
  } catch (error) {
    throw new AcmeFault('storage', `the certificate file \`${file}\` cannot be written: ${reason(error)}`);
  }
}
