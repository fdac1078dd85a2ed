import type { State } from '../../config/state.ts';

/** Callers that questions about all callers leave out, as sentences. */
export function leftOut(states: readonly Pick<State, 'config'>[]): readonly string[] {
  const shared = states.some(({ config }) => config.gateway.shared.keys);
  return shared ? ['named keys in Redis are not asked without --online'] : [];
}
