import { type Flags, previewConfig } from '../../config/load.ts';
import { ConfigError } from '../../config/problem.ts';
import type { Config } from '../../config/schema.ts';
import { previewSecrets, readKeys, type Secrets } from '../../config/secrets.ts';
import type { State } from '../../config/state.ts';
import { OPERATION_NAMES } from '../../operations/names.ts';

/**
 * The state that questions are answered by: keys and policy as `serve` reads them. An upstream need not be configured, and
 * certificates need not be readable: no answer depends on them. Throws `ConfigError` with all other problems.
 *
 * @param policy a policy file in the place of the configured one
 */
export function stateToAsk(flags: Flags, policyFile?: string): State {
  const argv = policyFile === undefined ? flags : { ...flags, policyFile };
  const { config, policy, problems } = previewConfig({ argv, operations: OPERATION_NAMES });
  if (config === null || problems.length > 0) throw new ConfigError(problems);
  return { config, policy, secrets: previewSecrets(config).secrets ?? keysAlone(config) };
}

function keysAlone(config: Config): Secrets {
  const { api_key: apiKey, alt_api_key: altApiKey, read_only_api_key: readOnlyApiKey } = readKeys(config).keys;
  return { apiKey, altApiKey, readOnlyApiKey, adminToken: null, upstreamKey: null, tls: null, upstreamCa: null };
}
