import type { State } from '../../config/state.ts';
import { shareOfLimit } from '../../policy/limits/limits.ts';

/**
 * The state of one of `count` workers: limits of the whole gateway are divided, and all workers use the same keys for
 * TLS session tickets.
 */
export function shareOf(state: State, count: number, ticketKeys: Buffer): State {
  const { config, secrets } = state;
  const { limits, upstream } = config.gateway;
  const share = (whole: number): number => Math.max(1, Math.ceil(whole / count));
  return {
    ...state,
    policy: {
      ...state.policy,
      ...(state.policy.limits && { limits: state.policy.limits.map((limit) => shareOfLimit(limit, count)) }),
    },
    secrets: { ...secrets, tls: secrets.tls && { ...secrets.tls, ticketKeys } },
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
