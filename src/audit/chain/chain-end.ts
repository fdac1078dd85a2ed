import { open } from 'node:fs/promises';
import { GENESIS, readLink, sha256 } from './hash-chain.ts';

/** The end of a worker's files. */
export interface FoundEnd {
  /** Hash of the last complete line. */
  readonly last: string;
  /** Hash of the incomplete line that an interrupted write left after it. */
  readonly torn: string | undefined;
  /** True = the newest file may be continued with chained lines. */
  readonly chained: boolean;
}

/** More than the longest possible line. */
const TAIL_BYTES = 1_048_576;
const LINE_BREAK = 0x0a;

/**
 * Finds the end of the chain and terminates an incomplete line that an interrupted write left. Idempotent.
 *
 * @param files newest first
 */
export async function findChainEnd(files: readonly string[]): Promise<FoundEnd> {
  let torn: string | undefined;
  for (const file of files) {
    const { lines, piece } = await readTail(file);
    const at = lines.findLastIndex((line) => readLink(line) !== undefined);
    const behind = [...lines.slice(at + 1), ...(piece === '' ? [] : [piece])];
    if (behind.length > 0) torn = sha256(Buffer.from(behind.join('\n'), 'latin1'));
    const found = readLink(lines[at] ?? '');
    if (found) return { last: found.hash, torn, chained: true };
    // Complete lines without links are unchained lines, not the rest of an interrupted write.
    if (lines.length > 0) return { last: GENESIS, torn: undefined, chained: false };
  }
  return { last: GENESIS, torn, chained: true };
}

async function readTail(path: string): Promise<{ readonly lines: readonly string[]; readonly piece: string }> {
  const file = await open(path, 'a+');
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - TAIL_BYTES);
    const bytes = Buffer.alloc(size - from);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
    const tail = bytes.subarray(0, bytesRead);
    const end = tail.lastIndexOf(LINE_BREAK) + 1;
    const piece = tail.toString('latin1', end);
    if (piece !== '') await file.appendFile('\n');
    const lines = end === 0 ? [] : tail.toString('latin1', 0, end - 1).split('\n');
    return { lines: from > 0 ? lines.slice(1) : lines, piece };
  } finally {
    await file.close();
  }
}
