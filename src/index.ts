/** Public API of the package: build a gateway from a configuration. */

export { loadConfig } from './config/load.ts';
export { ConfigError } from './config/problem.ts';
export type { Config } from './config/schema.ts';
export { loadSecrets, type Secrets } from './config/secrets.ts';
export { createGateway, type Gateway, type Listening } from './gateway.ts';
