/** Public API of the package: a gateway inside of a program. */

export { ConfigError, type Problem } from './config/problem.ts';
export type { Listening } from './gateway/gateway.ts';
export type { Reload, ReloadCause } from './observability/operator.ts';
export {
  type Addresses,
  type EmbeddedGateway as Gateway,
  embedGateway as createGateway,
  type GatewaySources,
} from './supervisor/embedded.ts';
