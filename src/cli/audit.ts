import { statSync } from 'node:fs';
import { orderFiles, verifyChain } from '../audit/verify.ts';
import { type Output, UsageError } from './output.ts';

const MIB = 1_048_576;
const SHOWN_EVERY = 256 * MIB;

/** A chain of entries that does not hold. */
export class BrokenChain extends Error {
  readonly code = 'ERR_AUDIT_CHAIN';
}

/**
 * `audit verify`: follows the hash chain through audit files, in the order they were written in, whatever order they are
 * given in. Throws `BrokenChain` with file and line, `UsageError` for what is no file.
 */
export async function verifyAudit(paths: readonly string[], output: Output): Promise<void> {
  const total = paths.reduce((sum, path) => sum + sizeOf(path), 0);
  let before = 0;
  for (const files of orderFiles(paths)) {
    let shown = 0;
    const found = await verifyChain(files, (bytes) => {
      if (bytes - shown < SHOWN_EVERY) return;
      shown = bytes;
      output.err(`${toMib(before + bytes)} of ${toMib(total)} MiB\n`);
    });
    if (!found.ok) throw new BrokenChain(`${found.file}:${found.line}: ${found.reason}`);
    before += files.reduce((sum, path) => sum + sizeOf(path), 0);
    if (!found.whole) output.err(`note: the chain begins before ${files[0]}\n`);
    if (found.torn > 0) output.err(`note: ${found.torn} pieces of lines that interrupted writes left\n`);
    output.out(`ok: ${found.lines} lines in ${files.length} files, last hash ${found.last}\n`);
  }
}

function sizeOf(path: string): number {
  try {
    const found = statSync(path);
    if (found.isFile()) return found.size;
  } catch {
    // Said below.
  }
  throw new UsageError(`\`${path}\` is no file that can be read`);
}

function toMib(bytes: number): number {
  return Math.round(bytes / MIB);
}
