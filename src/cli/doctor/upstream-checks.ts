import { networkInterfaces } from 'node:os';
import { reason } from '../../config/problem.ts';
import type { State } from '../../config/state.ts';
import type { NetworkAddress } from '../../config/upstream-url.ts';
import { tenantWarnings } from '../../gateway/tenant-warnings.ts';
import { openLookups } from '../../gateway/usable.ts';
import type { UpstreamLookup } from '../../upstream/lookup.ts';
import { advisoriesOf } from './advisories.ts';
import { type Check, type Finding, finding } from './finding.ts';
import { CLUSTER_PORT } from './from-outside.ts';
import { checkOf, placeOf, type UpstreamNode, upstreamNodes } from './nodes.ts';
import { askAsStranger, PATIENCE_MS, releaseIn, takesConnections } from './stranger.ts';

/** Checks of the Qdrant behind a configuration, by name: of each node, and of all together. */
export async function upstreamChecks(state: State): Promise<Readonly<Record<string, Check>>> {
  let nodes: readonly UpstreamNode[];
  try {
    nodes = await upstreamNodes(state.config);
  } catch (error) {
    return { nodes: async () => [finding('nodes', 'bad', `DNS gives no nodes: ${reason(error)}`)] };
  }
  const [first] = nodes;
  if (!first) return { upstream: async () => [finding('upstream', 'bad', 'none is configured')] };
  const several = nodes.length > 1 ? { releases: () => mixedFindings(state, nodes) } : {};
  return {
    ...Object.assign({}, ...nodes.map((node) => nodeChecks(state, node))),
    ...several,
    tenants: () => tenantFindings(state, first),
  };
}

function nodeChecks(state: State, node: UpstreamNode): Readonly<Record<string, Check>> {
  const { rest } = node;
  const checks: Record<string, Check> = {
    upstream: async () => releaseFindings(node, await askNode(state, node, (lookup, signal) => lookup.version(signal))),
    'upstream grpc': () => grpcFindings(node),
    'upstream key': () => keyFindings(state, node),
  };
  if (!('path' in rest)) {
    checks['way around'] = () => aroundFindings(state, rest, checkOf('way around', node));
    checks['cluster port'] = () => clusterFindings(rest, checkOf('cluster port', node));
  }
  return Object.fromEntries(Object.entries(checks).map(([name, check]) => [checkOf(name, node), check]));
}

async function askNode<T>(
  state: State,
  { rest }: UpstreamNode,
  question: (lookup: UpstreamLookup, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const lookups = openLookups(state, rest);
  if (!lookups) throw new Error('no upstream is configured');
  try {
    return await question(lookups.lookup, AbortSignal.timeout(PATIENCE_MS));
  } finally {
    await lookups.close();
  }
}

function releaseFindings(node: UpstreamNode, release: string | { readonly message: string }): readonly Finding[] {
  const check = checkOf('upstream', node);
  if (typeof release !== 'string') return [finding(check, 'bad', `Qdrant does not answer: ${release.message}`)];
  const advisory = checkOf('advisory', node);
  const flaws = advisoriesOf(release).map(({ id, flaw, fixed, kept }) =>
    kept === undefined
      ? finding(advisory, 'bad', `${id}: ${flaw}; update Qdrant to ${fixed} or later`)
      : finding(advisory, 'note', `${id}: ${flaw}; ${kept}. Fixed in ${fixed}`),
  );
  return [finding(check, 'ok', `Qdrant ${release} answers`), ...flaws];
}

/** Nodes of one cluster answer alike only if their releases are. */
async function mixedFindings(state: State, nodes: readonly UpstreamNode[]): Promise<readonly Finding[]> {
  const releases = await Promise.all(
    nodes.map((node) => askNode(state, node, (lookup, signal) => lookup.version(signal))),
  );
  const known = new Set(releases.filter((release) => typeof release === 'string'));
  if (known.size <= 1) return [finding('releases', 'ok', 'all nodes that answer have one release')];
  return [
    finding('releases', 'warn', `the nodes have releases ${[...known].sort().join(', ')}: update all to the latest`),
  ];
}

async function tenantFindings(state: State, node: UpstreamNode): Promise<readonly Finding[]> {
  const { tenants = [] } = state.policy;
  if (tenants.length === 0) return [finding('tenants', 'ok', 'the policy has none')];
  const warnings = await askNode(state, node, (lookup, signal) => tenantWarnings(tenants, lookup, signal));
  if (warnings.length === 0) return [finding('tenants', 'ok', 'indexes and release fit')];
  return warnings.map((text) => finding('tenants', 'warn', text));
}

async function grpcFindings(node: UpstreamNode): Promise<readonly Finding[]> {
  const check = checkOf('upstream grpc', node);
  const { grpc } = node;
  if (grpc === null || 'path' in grpc) return [finding(check, 'note', 'no address of its own to look at')];
  const isThere = await takesConnections(grpc.host, grpc.port);
  return [
    isThere ? finding(check, 'ok', 'takes connections') : finding(check, 'bad', `${placeOf(grpc)} takes no connection`),
  ];
}

async function keyFindings(state: State, node: UpstreamNode): Promise<readonly Finding[]> {
  const check = checkOf('upstream key', node);
  const verdict = await askNode(state, node, (lookup, signal) => lookup.checkKey(signal));
  if (typeof verdict !== 'string') return [finding(check, 'unknown', verdict.message)];
  if (state.secrets.upstreamKey === null) {
    return verdict === 'accepted'
      ? [finding(check, 'ok', 'Qdrant asks for no key: only the network keeps others away from it')]
      : [finding(check, 'bad', 'Qdrant asks for a key: set `gateway.upstream.api_key_file`')];
  }
  return verdict === 'accepted'
    ? [finding(check, 'ok', 'Qdrant accepts the key of the gateway')]
    : [finding(check, 'bad', 'Qdrant refuses the key of the gateway: it must be one that manages everything')];
}

/** Addresses of this machine that others can reach. */
function outerAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list = []) =>
    list.filter(({ internal, address }) => !internal && !address.startsWith('fe80:')).map(({ address }) => address),
  );
}

const LOOPBACK = /^(?:localhost|127\.|::1$)/;

/** Can the Qdrant be asked past the gateway? @param outer addresses of this machine that others can reach */
export async function aroundFindings(
  { secrets, config }: Pick<State, 'secrets' | 'config'>,
  { tls, host, port }: NetworkAddress,
  check = 'way around',
  outer: readonly string[] = outerAddresses(),
): Promise<readonly Finding[]> {
  const clear = tls || LOOPBACK.test(host) ? [] : [finding('upstream tls', 'warn', `${host} is asked without TLS`)];
  const isLocal = LOOPBACK.test(host) || outer.includes(host);
  const places = isLocal ? outer : [host];
  const open = await Promise.all(
    places.map(async (place) => ((await isOpen({ tls, host: place, port })) ? place : [])),
  );
  const found = open.flat();
  if (found.length === 0)
    return [...clear, finding(check, 'ok', 'Qdrant answers no stranger on the addresses known here')];
  const list = found.map((place) => `${place}:${port}`).join(', ');
  if (isLocal) {
    const listens = `${config.service.host}:${config.service.http_port}`;
    const text = `Qdrant answers strangers on ${list}, past the gateway (${listens}): bind it to 127.0.0.1, or close the port`;
    return [...clear, finding(check, 'bad', text)];
  }
  const keyed = secrets.upstreamKey === null ? 'give it a key' : 'it answers without its key';
  const text = `Qdrant answers on ${list} without a credential: nothing but the network may let only the gateway there (${keyed}); look from another machine with --from`;
  return [...clear, finding(check, 'warn', text)];
}

async function isOpen(address: { tls: boolean; host: string; port: number }): Promise<boolean> {
  const [root, data] = await Promise.all(
    ['/', '/collections'].map((path) => askAsStranger(address, path, { isVerified: false })),
  );
  if (!root || !data || 'failure' in root || 'failure' in data) return false;
  return data.status === 200 && releaseIn(root.body) !== undefined;
}

async function clusterFindings({ host }: NetworkAddress, check: string): Promise<readonly Finding[]> {
  if (!(await takesConnections(host, CLUSTER_PORT))) return [finding(check, 'ok', `${host}:${CLUSTER_PORT} is closed`)];
  const text = `${host}:${CLUSTER_PORT} takes connections: only other nodes of the cluster may reach it (GHSA-3gph-6c29-p29v)`;
  return [finding(check, 'warn', text)];
}
