import type { Problem } from '../problem.ts';
import type { Config } from '../schema.ts';

/** True = there are named keys, or may be. */
export function hasNamedKeys({ gateway }: Config): boolean {
  return gateway.keys_file !== null || gateway.shared.keys;
}

/** Rejects what is shared without a Redis server, and named keys of two stores. */
export function sharedProblems({ gateway }: Config, placeOf: (path: string) => string): Problem[] {
  const problems: Problem[] = [];
  for (const name of ['keys', 'limits'] as const) {
    if (!gateway.shared[name] || gateway.revocation.redis_url !== null) continue;
    const message = 'needs `gateway.revocation.redis_url`: the server that the gateways share';
    problems.push({ place: placeOf(`gateway.shared.${name}`), message });
  }
  const place = placeOf('gateway.shared.keys');
  if (gateway.shared.keys && gateway.keys_file !== null) {
    problems.push({ place, message: 'does not go with `gateway.keys_file`: named keys are kept in one place' });
  }
  return problems;
}
