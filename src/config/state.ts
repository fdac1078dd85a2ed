import { type Loaded, loadConfig, type Sources } from './load.ts';
import { NO_POLICY, type PolicySettings } from './policy-file.ts';
import type { Config } from './schema.ts';
import { loadSecrets, type Secrets } from './secrets.ts';

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
}

/** Reads everything anew. Throws `ConfigError` with every problem of configuration, keys, certificates and policy. */
export function loadState(sources: Sources = {}): LoadedState {
  const { config, warnings }: Loaded = loadConfig(sources);
  const { secrets, warnings: secretWarnings } = loadSecrets(config);
  return { config, secrets, policy: NO_POLICY, warnings: [...warnings, ...secretWarnings], files: [] };
}
