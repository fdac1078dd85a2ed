/**
 * The answer of each health route. Upstream: Qdrant v1.18.3; releases before v1.5.0 lack the routes. By name of the row.
 */
export const HEALTHY: ReadonlyMap<string, string> = new Map([
  ['service.healthz', 'healthz check passed'],
  ['service.livez', 'healthz check passed'],
  ['service.readyz', 'all shards are ready'],
]);
