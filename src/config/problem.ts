import { MAX_FILE_BYTES } from './files/bounded-read.ts';

/** A problem of the configuration. `place`: `file:line:column`, a variable name, a flag or an option path. */
export type Problem = { readonly place: string; readonly message: string };

/** An invalid configuration, with all problems. No text contains a key or token. */
export class ConfigError extends Error {
  readonly code = 'ERR_CONFIG';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ place, message }) => `${place}: ${message}`).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** Text of a caught value, for a problem: the system's error code if there is one. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'no such file',
    EACCES: 'permission denied',
    EROFS: 'its file system is read-only',
    EISDIR: 'it is a folder',
    EFTYPE: 'it is no regular file',
    EFBIG: `it is larger than ${MAX_FILE_BYTES} bytes`,
  };
  return known[code] ?? (code === '' ? 'not readable' : code);
}
