import type { State } from '../../config/state.ts';
import { shareOfLimit } from '../../policy/limits/limits.ts';

/**
 * The state of one of `count` workers: limits of the whole gateway are divided.
 *
 * @param leased amounts per time are counted together, and so are not divided
 */
export function shareOf(state: State, count: number, leased = false): State {
  const { config } = state;
  const { limits, upstream } = config.gateway;
  // INVARIANT: all together mint no more than is configured, unless there are more workers than tokens.
  const atMost = (whole: number): number => Math.max(1, Math.floor(whole / count));
  const share = (whole: number): number => Math.max(1, Math.ceil(whole / count));
  return {
    ...state,
    policy: {
      ...state.policy,
      ...(state.policy.tokenExchange && {
        tokenExchange: { ...state.policy.tokenExchange, perMinute: atMost(state.policy.tokenExchange.perMinute) },
      }),
      ...(state.policy.limits && {
        limits: state.policy.limits.map((limit) => shareOfLimit(limit, count, leased)),
      }),
    },
    config: {
      ...config,
      gateway: {
        ...config.gateway,
        limits: {
          ...limits,
          max_connections: share(limits.max_connections),
        },
        upstream: { ...upstream, max_connections: share(upstream.max_connections) },
      },
    },
  };
}
