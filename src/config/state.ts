import { type Readings, recordReads } from './files/file-reads.ts';
import { missingIn, previewConfig, type Sources } from './load.ts';
import type { PolicySettings } from './policy/file.ts';
import { ConfigError, type Problem } from './problem.ts';
import type { Config } from './schema.ts';
import { previewSecrets, readTls, type Secrets } from './secrets.ts';
import { usesAcme } from './sections/certificates.ts';

/**
 * The complete input of a gateway, read at one time and checked as a whole: plain data that can be sent to another
 * process.
 */
export interface State {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly policy: PolicySettings;
}

/** A state with warnings for the operator, and its files. */
export interface LoadedState extends State {
  readonly warnings: readonly string[];
  /** Absolute paths of the files whose changes trigger a reload. */
  readonly files: readonly string[];
  /** Each file's metadata and digest when it was read. */
  readonly readings: Readings;
}

/** A state that cannot be used, with the files that were read: a change of one of them may fix it. */
export class StateError extends ConfigError {
  readonly readings: Readings;

  constructor(problems: readonly Problem[], readings: Readings) {
    super(problems);
    this.readings = readings;
  }
}

/** Reads everything. Throws `StateError` with all problems of configuration, keys, certificates and policy. */
export function loadState(sources: Sources = {}): LoadedState {
  const { read, readings } = recordReads(sources.readFile);
  const reading = { ...sources, readFile: read };
  const preview = previewConfig(reading);
  const { config, policy } = preview;
  const found = config === null ? undefined : previewSecrets(config, reading);
  const problems = [...preview.problems, ...missingIn(preview), ...(found?.problems ?? [])];
  if (config === null || !found?.secrets || problems.length > 0) throw new StateError(problems, readings);
  const warnings = [...preview.warnings, ...found.warnings];
  return { config, secrets: found.secrets, policy, warnings, files: [...readings.keys()], readings };
}

/**
 * The same state with the current certificate files, and the readings of these files. Upstream: the whole meaning of
 * `tls.cert_ttl`. Throws `StateError`.
 */
export function withCertificates(state: LoadedState): { readonly state: LoadedState; readonly read: Readings } {
  const { read, readings } = recordReads();
  try {
    const { tls, warnings: found } = readTls(state.config, { readFile: read });
    const warnings = [...new Set([...state.warnings, ...found])];
    const secrets = { ...state.secrets, tls };
    return {
      state: { ...state, secrets, warnings, readings: new Map([...state.readings, ...readings]) },
      read: readings,
    };
  } catch (error) {
    if (error instanceof ConfigError) throw new StateError(error.problems, readings);
    throw error;
  }
}

/**
 * `next` with the issued certificate of `before`, if ACME is on and the one in its folder is missing or damaged: a reload takes no
 * certificate away.
 */
export function keepingIssued(before: LoadedState, next: LoadedState): LoadedState {
  const [kept, tls] = [before.secrets.tls, next.secrets.tls];
  if (!usesAcme(next.config) || !usesAcme(before.config) || !tls || tls.cert || !kept?.cert) return next;
  return { ...next, secrets: { ...next.secrets, tls: { ...tls, cert: kept.cert, key: kept.key } } };
}
