/** Public API of the package: build a gateway from a configuration. */

export { loadConfig } from './config/load.ts';
export { NO_POLICY, type PolicySettings } from './config/policy/file.ts';
export { ConfigError } from './config/problem.ts';
export type { Config } from './config/schema.ts';
export { loadSecrets, type Secrets } from './config/secrets.ts';
export { type LoadedState, loadState, type State } from './config/state.ts';
export type { Observer } from './gateway/exchange-parts.ts';
export { createGateway, type Gateway, type Listening } from './gateway/gateway.ts';
