import type { State } from '../../config/state.ts';

/** Callers that questions about all callers leave out, as sentences. */
export function leftOut(states: readonly Pick<State, 'policy' | 'config'>[]): readonly string[] {
  const issuers = [...new Set(states.flatMap(({ policy }) => (policy.issuers ?? []).map(({ id }) => id)))];
  const shared = states.some(({ config }) => config.gateway.shared.keys);
  return [
    ...(issuers.length > 0 ? [`tokens of identity providers are not asked: ${issuers.join(', ')}`] : []),
    ...(shared ? ['named keys in Redis are not asked'] : []),
  ];
}
