import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { compareFileNames, parseFileName } from '../sinks/file-name.ts';
import { GENESIS, readLink, sha256 } from './hash-chain.ts';

/** The result for one chain. */
export type Verified =
  | {
      readonly ok: true;
      readonly lines: number;
      /** Incomplete lines left by interrupted writes, each covered by the hash of the next line. */
      readonly torn: number;
      /** True = the chain starts here; false = lines before the first one were not given. */
      readonly whole: boolean;
      /** The previous hash in the first line. */
      readonly before: string;
      /** Hash of the last line, to be compared with one that is stored elsewhere. */
      readonly last: string;
      /** Anchors that are hashes of lines of this chain, and the number of lines after the last of them. */
      readonly found: ReadonlySet<string>;
      readonly behind: number;
    }
  | Broken;

/** The first broken place of a chain. */
export interface Broken {
  readonly ok: false;
  readonly file: string;
  readonly line: number;
  readonly reason: string;
}

/** Longer than any line that is written. A longer line is not buffered. */
const MAX_LINE = 1_048_576;
const LINE_BREAK = 0x0a;

/** Sorts files by the time of writing, one list per worker. Files whose names carry no period keep their order. */
export function orderFiles(paths: readonly string[]): readonly (readonly string[])[] {
  const chains = new Map<number | undefined | 'other', string[]>();
  for (const path of paths) {
    const name = parseFileName(basename(path));
    const chain = name ? name.worker : 'other';
    chains.set(chain, [...(chains.get(chain) ?? []), path]);
  }
  return [...chains.values()].map((files) => files.toSorted(compareByName));
}

function compareByName(left: string, right: string): number {
  const [first, second] = [parseFileName(basename(left)), parseFileName(basename(right))];
  return first && second ? compareFileNames(first, second) : 0;
}

/**
 * Verifies one chain across its files, in the given order, in constant memory. Rejects if a file cannot be read.
 *
 * @param progress called for each piece read, with the bytes so far
 * @param anchors hashes of lines to look for
 */
export async function verifyChain(
  files: readonly string[],
  progress: (bytes: number) => void,
  anchors: ReadonlySet<string> = new Set(),
): Promise<Verified> {
  const chain = new ChainReader(anchors);
  let bytes = 0;
  for (const file of files) {
    let number = 0;
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of createReadStream(file, { highWaterMark: 1_048_576 })) {
      const piece: Buffer = chunk;
      bytes += piece.length;
      progress(bytes);
      const text = rest.length > 0 ? Buffer.concat([rest, piece]) : piece;
      let from = 0;
      for (let end = text.indexOf(LINE_BREAK); end >= 0; end = text.indexOf(LINE_BREAK, from)) {
        number += 1;
        const broken = chain.next(text.toString('latin1', from, end), file, number);
        if (broken) return broken;
        from = end + 1;
      }
      rest = text.subarray(from);
      if (rest.length > MAX_LINE) return { ok: false, file, line: number + 1, reason: 'the line is too long' };
    }
    if (rest.length > 0) {
      const broken = chain.next(rest.toString('latin1'), file, number + 1);
      if (broken) return broken;
    }
  }
  return chain.end();
}

/** Reader state of a chain. Text is one character per byte, as it is hashed. */
class ChainReader {
  readonly #anchors: ReadonlySet<string>;
  readonly #found = new Set<string>();
  #behind = 0;
  #before: string | undefined;
  #last: string | undefined;
  #lines = 0;
  #torn = 0;
  /** Unchained lines that the next chained line has to cover, and the place of the first. */
  #unlinked: string[] = [];
  #at = { file: '', line: 0 };

  constructor(anchors: ReadonlySet<string>) {
    this.#anchors = anchors;
  }

  /** Takes the next line. Returns the fault if the chain is broken there. */
  next(line: string, file: string, number: number): Broken | undefined {
    const found = readLink(line);
    const broken = (reason: string): Broken => ({ ok: false, file, line: number, reason });
    if (!found) {
      if (this.#unlinked.length === 0) this.#at = { file, line: number };
      this.#unlinked.push(line);
      return this.#unlinked.length > MAX_UNLINKED ? this.#noHash() : undefined;
    }
    if (!found.sound) return broken('the line was changed: its hash does not fit');
    const torn = this.#unlinked.length > 0 ? sha256(Buffer.from(this.#unlinked.join('\n'), 'latin1')) : undefined;
    if (torn !== undefined && found.torn === undefined) return this.#noHash();
    if (this.#last === undefined) this.#before = found.prev;
    else if (found.prev !== this.#last) return broken('the line does not follow the one before it');
    if (torn !== found.torn) return broken('the piece of a line before it was changed or removed');
    this.#torn += this.#unlinked.length;
    this.#unlinked = [];
    this.#last = found.hash;
    this.#lines += 1;
    this.#behind += 1;
    if (this.#anchors.has(found.hash)) {
      this.#found.add(found.hash);
      this.#behind = 0;
    }
    return undefined;
  }

  end(): Verified {
    if (this.#unlinked.length > 0) return this.#noHash();
    const [before, last] = [this.#before, this.#last];
    if (before === undefined || last === undefined) {
      return { ok: false, ...this.#at, line: 1, reason: 'there is no line' };
    }
    return {
      ...{ ok: true, lines: this.#lines, torn: this.#torn, whole: before === GENESIS, before, last },
      found: this.#found,
      behind: this.#behind,
    };
  }

  #noHash(): Broken {
    return { ok: false, ...this.#at, reason: 'the line has no hash' };
  }
}

/** Most interrupted writes in a row; more are an error. */
const MAX_UNLINKED = 16;
