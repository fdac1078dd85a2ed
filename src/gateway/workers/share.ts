import type { State } from '../../config/state.ts';

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
