import { hasNamedKeys } from '../keys/shared-rules.ts';
import type { Problem } from '../problem.ts';
import type { Config } from '../schema.ts';
import { parseUpstreamUrl, type UpstreamAddress } from '../upstream-url.ts';
import { discoveredAddress, listedNodes } from './rules.ts';

/* Rules for the key that upstream requires, `gateway.upstream.api_key`. */

/** True = the options name a key, which may not have been read yet. */
function hasKey({ gateway: { upstream } }: Config): boolean {
  return upstream.api_key !== null || upstream.api_key_file !== null;
}

/**
 * `compare` leaves only the gateway's own requests to the key; without one upstream refuses them. It sends the credentials of
 * callers upstream, where named keys are unknown.
 */
export function compareProblems(config: Config): Problem[] {
  if (!config.gateway.upstream.compare) return [];
  const place = 'gateway.upstream.compare';
  const problems: Problem[] = [];
  if (!hasKey(config)) {
    const options = '`gateway.upstream.api_key` or `gateway.upstream.api_key_file`';
    problems.push({ place, message: `needs ${options}: the gateway has questions of its own to qdrant` });
  }
  if (hasNamedKeys(config)) {
    problems.push({
      place,
      message:
        'does not go with `gateway.keys_file` or `gateway.shared.keys`: qdrant knows no named keys to compare with',
    });
  }
  return problems;
}

/** Warns of addresses to which the key is sent in cleartext over a network. */
export function upstreamKeyWarnings(config: Config): string[] {
  if (!hasKey(config)) return [];
  return addressesOf(config).flatMap(([place, address]) => {
    if (address === null || address.tls || 'path' in address || isLoopback(address.host)) return [];
    return `${place}: the key for qdrant is sent without TLS to \`${address.host}\`; use https`;
  });
}

/** Every address that is known without asking DNS, with its option. */
function addressesOf(config: Config): readonly (readonly [place: string, address: UpstreamAddress | null])[] {
  const { rest_url: rest, grpc_url: grpc, discovery } = config.gateway.upstream;
  const nodes = listedNodes(config).flatMap((node) => [node.rest, node.grpc]);
  return [
    ['gateway.upstream.rest_url', parseUpstreamUrl(rest ?? '')],
    ['gateway.upstream.grpc_url', parseUpstreamUrl(grpc ?? '')],
    ...nodes.map((address) => ['gateway.upstream.nodes', address] as const),
    [
      'gateway.upstream.discovery.dns',
      discovery.dns === null ? null : discoveredAddress(discovery, discovery.dns, discovery.rest_port),
    ],
  ];
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(host);
}
