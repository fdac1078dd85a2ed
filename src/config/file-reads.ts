import { type BigIntStats, readFileSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { ReadFile } from './secrets.ts';

/** How files looked just before they were read, by absolute path; see `stampOf`. */
export type Stamps = ReadonlyMap<string, string>;

/** What a file is like without reading it: differs after every change, also when a link on the way points elsewhere. */
export function stampOf(path: string): string {
  try {
    return textOf(statSync(path, { bigint: true }));
  } catch {
    return ABSENT;
  }
}

/** The same of many files, without holding up the process. */
export async function stampsOf(paths: Iterable<string>): Promise<Stamps> {
  const stampLater = (path: string) => stat(path, { bigint: true }).then(textOf, () => ABSENT);
  return new Map(await Promise.all([...paths].map(async (path) => [path, await stampLater(path)] as const)));
}

const ABSENT = 'absent';

function textOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/**
 * Reads every file once, whoever asks for it and how often: what is checked and what is used are the same bytes. The stamp
 * is taken before the bytes, so that a change while they are read is seen as one afterwards.
 */
export function recordReads(readFile: ReadFile = readFileSync): { readonly read: ReadFile; readonly stamps: Stamps } {
  const stamps = new Map<string, string>();
  const results = new Map<string, () => Buffer>();
  const read = (path: string): Buffer => {
    const known = results.get(path);
    if (known) return known();
    stamps.set(path, stampOf(path));
    const result = attempt(readFile, path);
    results.set(path, result);
    return result();
  };
  return { read, stamps };
}

function attempt(readFile: ReadFile, path: string): () => Buffer {
  try {
    const bytes = readFile(path);
    return () => bytes;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
