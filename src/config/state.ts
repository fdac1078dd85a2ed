import { type Readings, recordReads } from './files/file-reads.ts';
import { missingIn, previewConfig, type Sources } from './load.ts';
import type { PolicySettings } from './policy/file.ts';
import { ConfigError, type Problem } from './problem.ts';
import type { Config } from './schema.ts';
import { previewSecrets, readTls, type Secrets } from './secrets.ts';

/** Everything a gateway runs by, read at one moment and checked as a whole: plain data that can go to another process. */
export interface State {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly policy: PolicySettings;
}

/** A state, what its owner should hear about it, and the files it came from. */
export interface LoadedState extends State {
  readonly warnings: readonly string[];
  /** Absolute paths; a change of one of them is worth reading everything again. */
  readonly files: readonly string[];
  /** Each file's state when it was read. */
  readonly readings: Readings;
}

/** A state that cannot be used. The files that were looked at are known all the same: a change of one may mend it. */
export class StateError extends ConfigError {
  readonly readings: Readings;

  constructor(problems: readonly Problem[], readings: Readings) {
    super(problems);
    this.readings = readings;
  }
}

/** Reads everything anew. Throws `StateError` with every problem of configuration, keys, certificates and policy. */
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
 * The same state with the certificate files as they are now, and these files as they were read. Upstream: all that
 * `tls.cert_ttl` means. Throws `StateError`.
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
