import { networkInterfaces } from 'node:os';
import type { State } from '../../config/state.ts';
import { anyRestAddress } from '../../config/upstream/rules.ts';
import type { NetworkAddress } from '../../config/upstream-url.ts';
import { parseUpstreamUrl } from '../../config/upstream-url.ts';
import { tenantWarnings } from '../../gateway/tenant-warnings.ts';
import { openLookups } from '../../gateway/usable.ts';
import type { UpstreamLookup } from '../../upstream/lookup.ts';
import { advisoriesOf } from './advisories.ts';
import { type Check, type Finding, finding } from './finding.ts';
import { CLUSTER_PORT } from './from-outside.ts';
import { askAsStranger, PATIENCE_MS, releaseIn, takesConnections } from './stranger.ts';

/** Checks of the Qdrant behind a configuration, by name. */
export function upstreamChecks(state: State): Readonly<Record<string, Check>> {
  const address = anyRestAddress(state.config);
  if (address === null) {
    return { upstream: async () => [finding('upstream', 'note', 'only DNS knows its nodes: they are not looked at')] };
  }
  const asked = <T>(question: (lookup: UpstreamLookup, signal: AbortSignal) => Promise<T>): Promise<T> =>
    askUpstream(state, question);
  return {
    upstream: async () => [...releaseFindings(await asked((lookup, signal) => lookup.version(signal)))],
    'upstream grpc': () => grpcFindings(state),
    'upstream key': () => keyFindings(state, asked),
    tenants: async () => {
      const { tenants = [] } = state.policy;
      const warnings = await asked((lookup, signal) => tenantWarnings(tenants, lookup, signal));
      if (tenants.length === 0) return [finding('tenants', 'ok', 'the policy has none')];
      if (warnings.length === 0) return [finding('tenants', 'ok', 'indexes and release fit')];
      return warnings.map((text) => finding('tenants', 'warn', text));
    },
    ...('path' in address
      ? {}
      : { 'way around': () => aroundFindings(state, address), 'cluster port': () => clusterFindings(address) }),
  };
}

async function askUpstream<T>(
  state: State,
  question: (lookup: UpstreamLookup, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const lookups = openLookups(state);
  if (!lookups) throw new Error('no upstream is configured');
  try {
    return await question(lookups.lookup, AbortSignal.timeout(PATIENCE_MS));
  } finally {
    await lookups.close();
  }
}

function releaseFindings(release: string | { readonly message: string }): readonly Finding[] {
  if (typeof release !== 'string') return [finding('upstream', 'bad', `Qdrant does not answer: ${release.message}`)];
  const flaws = advisoriesOf(release).map(({ id, flaw, fixed, kept }) =>
    kept === undefined
      ? finding('advisory', 'bad', `${id}: ${flaw}; update Qdrant to ${fixed} or later`)
      : finding('advisory', 'note', `${id}: ${flaw}; ${kept}. Fixed in ${fixed}`),
  );
  return [finding('upstream', 'ok', `Qdrant ${release} answers`), ...flaws];
}

async function grpcFindings({ config }: State): Promise<readonly Finding[]> {
  const check = 'upstream grpc';
  const { grpc_url: url } = config.gateway.upstream;
  const address = config.service.grpc_port === null || url === null ? null : parseUpstreamUrl(url);
  if (address === null || 'path' in address) return [finding(check, 'note', 'no address of its own to look at')];
  const isThere = await takesConnections(address.host, address.port);
  return [isThere ? finding(check, 'ok', 'takes connections') : finding(check, 'bad', `${url} takes no connection`)];
}

async function keyFindings(
  { secrets }: State,
  asked: <T>(question: (lookup: UpstreamLookup, signal: AbortSignal) => Promise<T>) => Promise<T>,
): Promise<readonly Finding[]> {
  const check = 'upstream key';
  const verdict = await asked((lookup, signal) => lookup.checkKey(signal));
  if (typeof verdict !== 'string') return [finding(check, 'unknown', verdict.message)];
  if (secrets.upstreamKey === null) {
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
  outer: readonly string[] = outerAddresses(),
): Promise<readonly Finding[]> {
  const check = 'way around';
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

async function clusterFindings({ host }: NetworkAddress): Promise<readonly Finding[]> {
  const check = 'cluster port';
  if (!(await takesConnections(host, CLUSTER_PORT))) return [finding(check, 'ok', `${host}:${CLUSTER_PORT} is closed`)];
  const text = `${host}:${CLUSTER_PORT} takes connections: only other nodes of the cluster may reach it (GHSA-3gph-6c29-p29v)`;
  return [finding(check, 'warn', text)];
}
