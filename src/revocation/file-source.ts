import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { stampOf } from '../config/file-reads.ts';
import { ConfigError, reason } from '../config/problem.ts';
import { type FileWatch, watchFiles } from '../config/watch.ts';
import { byId, type RevocationEntry } from './entry.ts';
import { appendToFile } from './file-append.ts';
import { MAX_FILE_BYTES, readRevocations } from './file-text.ts';
import type { EntrySource, RevocationLog } from './source.ts';

export interface FileSource extends EntrySource {
  /** Reads the file and watches it from now on. Throws `ConfigError`. */
  readonly start: () => void;
  /** Reads the file now; the result puts it in force. Throws `ConfigError` and changes nothing. */
  readonly prepare: () => () => void;
}

/** Every entry of a revocation file. Throws `ConfigError`, with places. */
export function readRevocationFile(file: string): readonly RevocationEntry[] {
  let text: string;
  try {
    const path = resolve(file);
    if (statSync(path).size > MAX_FILE_BYTES) throw new ConfigError([{ place: file, message: TOO_LARGE }]);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const message = `cannot read the revocation file: ${reason(error)}; one without entries holds \`revocations: []\``;
    throw new ConfigError([{ place: file, message }]);
  }
  return readRevocations(file, text);
}

const TOO_LARGE = `the revocation file is larger than ${MAX_FILE_BYTES} bytes`;

/** A revocation file that is watched. What cannot be read leaves in force what was read last. */
export function openFileSource(
  file: string,
  { now, log, changed }: { readonly now: () => number; readonly log: RevocationLog; readonly changed: () => void },
): FileSource {
  let known: ReadonlyMap<string, RevocationEntry> = new Map();
  let readAt = 0;
  let problem: string | undefined;
  let adding: Promise<unknown> = Promise.resolve();
  let added = 0;
  const path = resolve(file);
  let watch: FileWatch | undefined;

  const prepare = (): (() => void) => {
    // Before it is read: a change while it is read is one afterwards.
    const stamps = new Map([[path, stampOf(path)]]);
    const next = byId(readRevocationFile(file));
    const before = added;
    return () => {
      // INVARIANT: what was added since was read later than this.
      if (added !== before) return;
      known = next;
      watch?.expect(stamps);
      readAt = now();
      if (problem !== undefined) log.info({ entries: known.size }, 'the revocation file can be read again');
      problem = undefined;
    };
  };
  const look = (): void => {
    try {
      const before = known;
      prepare()();
      if (sameKeys(before, known)) return;
      log.info({ entries: known.size }, 'the revocation file was read again');
      changed();
    } catch (error) {
      const problems =
        error instanceof ConfigError
          ? error.problems.map(({ place, message }) => `${place}: ${message}`)
          : [`${file}: internal error`];
      problem = problems[0];
      log.error({ problems }, 'the revocation file cannot be used; what was revoked before still is');
    }
  };

  return {
    start: () => {
      watch = watchFiles(look);
      try {
        prepare()();
      } catch (error) {
        watch.stop();
        throw error;
      }
    },
    prepare,
    entries: () => known.values(),
    unknown: () => false,
    // One after the other.
    add: (entry) => {
      const done = adding
        .then(() => appendToFile(file, entry))
        .then((next) => {
          known = next;
          readAt = now();
          added += 1;
        });
      adding = done.catch(() => undefined);
      return done;
    },
    report: () => ({ place: 'file', available: problem === undefined, readAt, entries: known.size, problem }),
    close: async () => {
      watch?.stop();
      await adding;
    },
  };
}

function sameKeys(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): boolean {
  return one.size === other.size && [...one.keys()].every((id) => other.has(id));
}
