import { envName } from '../options.ts';
import type { Problem } from '../problem.ts';
import type { Config } from '../schema.ts';
import { type NetworkAddress, parseUpstreamUrl, type UpstreamAddress } from '../upstream-url.ts';
import { type NodeEntry, nodeName, parseNodeList } from './node-list.ts';

/** True = several nodes, by a list or by DNS; false = one address. */
export function hasNodes({ gateway: { upstream } }: Config): boolean {
  return upstream.nodes !== null || upstream.discovery.dns !== null;
}

/** The listed nodes; empty without a list. */
export function listedNodes({ gateway: { upstream } }: Config): readonly NodeEntry[] {
  return upstream.nodes === null ? [] : parseNodeList(upstream.nodes).nodes;
}

/** An address that answers questions about any node's data; null = none is configured, or only DNS knows the ports. */
export function anyRestAddress(config: Config): UpstreamAddress | null {
  const { rest_url: url, discovery } = config.gateway.upstream;
  if (url !== null) return parseUpstreamUrl(url);
  const [node] = listedNodes(config);
  if (node) return node.rest;
  if (discovery.dns === null || discovery.srv) return null;
  return discoveredAddress(discovery, discovery.dns, discovery.rest_port);
}

type Discovery = Config['gateway']['upstream']['discovery'];

/** The address of one node that DNS gives, or of any of them. */
export function discoveredAddress(
  { dns, tls, server_name: serverName }: Discovery,
  host: string,
  port: number,
): NetworkAddress {
  if (!tls) return { tls, host, port };
  // INVARIANT: the name that was asked for, not one of the answer: DNS is not authenticated (RFC 6125 section 6.2.1).
  return { tls, host, port, serverName: serverName ?? domainOf(dns ?? host) };
}

/** The domain of a name of services, which has them as its first labels (RFC 2782). */
function domainOf(name: string): string {
  return name.replace(/^(_[^.]+\.)+/, '').replace(/\.$/, '');
}

/** A missing upstream, one that is given twice, and nodes that cannot be used. */
export function upstreamProblems(config: Config): Problem[] {
  return [...tlsProblems(config), ...addressProblems(config)];
}

/** Half of a certificate with its key, and a name that nothing is verified against. */
function tlsProblems({ gateway: { upstream } }: Config): Problem[] {
  const { tls_cert: cert, tls_key: key, discovery } = upstream;
  const problems: Problem[] = [];
  if ((cert === null) !== (key === null)) {
    const [given, missing] = cert === null ? ['tls_key', 'tls_cert'] : ['tls_cert', 'tls_key'];
    problems.push({ place: `gateway.upstream.${given}`, message: `needs \`gateway.upstream.${missing}\`` });
  }
  if (discovery.server_name !== null && !discovery.tls) {
    problems.push({
      place: 'gateway.upstream.discovery.server_name',
      message: 'needs `gateway.upstream.discovery.tls: true`',
    });
  }
  return problems;
}

function addressProblems(config: Config): Problem[] {
  if (hasNodes(config)) return [...conflicts(config), ...nodeProblems(config)];
  const { rest_url: rest, grpc_url: grpc } = config.gateway.upstream;
  const problems: Problem[] = [];
  if (rest === null) {
    const message = `no upstream is configured: set \`${envName('gateway.upstream.rest_url')}\` or \`--upstream\` to http://host:port of the unsecured qdrant, or list its nodes in \`gateway.upstream.nodes\``;
    problems.push({ place: 'gateway.upstream.rest_url', message });
  }
  if (grpc === null && config.service.grpc_port !== null) {
    const message = `set \`${envName('gateway.upstream.grpc_url')}\` or \`--upstream-grpc\`, or turn grpc off with \`service.grpc_port: null\``;
    problems.push({ place: 'gateway.upstream.grpc_url', message });
  }
  for (const [name, url] of [
    ['rest_url', rest],
    ['grpc_url', grpc],
  ] as const) {
    if (isOwn(config, parseUpstreamUrl(url ?? ''))) problems.push(ownAddress(`gateway.upstream.${name}`));
  }
  return problems;
}

function conflicts({ gateway: { upstream } }: Config): Problem[] {
  const given = [
    ['gateway.upstream.nodes', upstream.nodes],
    ['gateway.upstream.discovery.dns', upstream.discovery.dns],
    ['gateway.upstream.rest_url', upstream.rest_url],
    ['gateway.upstream.grpc_url', upstream.grpc_url],
  ] as const;
  const [first, ...others] = given.filter(([, value]) => value !== null).map(([path]) => path);
  return others.map((place) => ({ place, message: `cannot be set beside \`${first}\`: give the upstream once` }));
}

function nodeProblems(config: Config): Problem[] {
  const { nodes: text } = config.gateway.upstream;
  if (text === null) return [];
  const place = 'gateway.upstream.nodes';
  const { nodes, problems } = parseNodeList(text);
  const found = problems.map((message) => ({ place, message }));
  for (const { rest, grpc } of nodes) {
    if (grpc === null && config.service.grpc_port !== null) {
      const message = `the node \`${nodeName(rest)}\` has no \`grpc_url\`: set it, or turn grpc off with \`service.grpc_port: null\``;
      found.push({ place, message });
    }
    if (isOwn(config, rest) || isOwn(config, grpc)) found.push(ownAddress(place));
  }
  return found;
}

function isOwn(
  { service: { host, http_port: http, grpc_port: grpc }, gateway: { listen } }: Config,
  address: UpstreamAddress | null,
): boolean {
  if (address === null) return false;
  if ('path' in address) return [listen.rest, listen.grpc].includes(`unix:${address.path}`);
  const local = ['127.0.0.1', '::1', 'localhost', host].includes(address.host);
  return local && (address.port === http || address.port === grpc);
}

function ownAddress(place: string): Problem {
  return { place, message: 'the upstream is the address the gateway itself listens on' };
}
