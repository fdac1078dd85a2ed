import { readFileSync, statSync, unwatchFile, watchFile } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError, reason } from '../config/problem.ts';
import { byId, type RevocationEntry } from './entry.ts';
import { appendToFile } from './file-append.ts';
import { MAX_FILE_BYTES, readRevocations } from './file-text.ts';
import type { EntrySource, RevocationLog } from './source.ts';

/** Between two looks at the file. */
const POLL_MS = 200;
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

  const prepare = (): (() => void) => {
    const next = byId(readRevocationFile(file));
    return () => {
      known = next;
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
      if (!(error instanceof ConfigError)) throw error;
      const problems = error.problems.map(({ place, message }) => `${place}: ${message}`);
      problem = problems[0];
      log.error({ problems }, 'the revocation file cannot be used; what was revoked before still is');
    }
  };
  const watched = resolve(file);

  return {
    start: () => {
      prepare()();
      watchFile(watched, { interval: POLL_MS, persistent: false }, look);
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
        });
      adding = done.catch(() => undefined);
      return done;
    },
    report: () => ({ place: 'file', available: problem === undefined, readAt, entries: known.size, problem }),
    close: async () => {
      unwatchFile(watched, look);
      await adding;
    },
  };
}

function sameKeys(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): boolean {
  return one.size === other.size && [...one.keys()].every((id) => other.has(id));
}
