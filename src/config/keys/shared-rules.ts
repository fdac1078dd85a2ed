import type { Problem } from '../problem.ts';
import type { Config } from '../schema.ts';

/** True = there are named keys, or may be. */
export function hasNamedKeys({ gateway }: Config): boolean {
  return gateway.keys_file !== null || gateway.shared.keys;
}

/** Rejects what is shared without a Redis server, and named keys of two stores. */
export function sharedProblems({ gateway }: Config, placeOf: (path: string) => string): Problem[] {
  const problems: Problem[] = [];
  const place = placeOf('gateway.shared.keys');
  if (!gateway.shared.keys) return problems;
  if (gateway.revocation.redis_url === null) {
    problems.push({ place, message: 'needs `gateway.revocation.redis_url`: the server that the gateways share' });
  }
  if (gateway.keys_file !== null) {
    problems.push({ place, message: 'does not go with `gateway.keys_file`: named keys are kept in one place' });
  }
  return problems;
}
