import type { State } from '../config/state.ts';
import type { FaultReport } from '../lifetime/guard.ts';
import type { Log } from '../observability/log.ts';
import { createRestUpstream, type RestUpstream } from '../upstream/http.ts';
import { createUpstreamLookup, type UpstreamLookup } from '../upstream/lookup.ts';
import type { Node } from '../upstream/nodes/node.ts';
import { probeOf } from '../upstream/nodes/probe-node.ts';
import type { NodeProbe } from '../upstream/nodes/probes.ts';
import { createNodesUpstream } from '../upstream/nodes/rest-upstream.ts';
import { type KnownRelease, ReleaseWatch, releaseOfNodes } from '../upstream/release-watch.ts';
import { credentialOf, restUpstreamOptions, upstreamSocket } from './listener-options.ts';
import { createUpstreamNodes, type UpstreamNodes } from './upstream-nodes.ts';

/** Upstream connections for the gateway's own requests (`value_exists`, names, release). */
const OWN_CONNECTIONS = 32;

/** Connections to upstream's REST port, and the gateway's own questions there. */
export interface Upstreams {
  /** `undefined` = one address. */
  readonly nodes: UpstreamNodes | undefined;
  readonly upstream: RestUpstream;
  readonly own: RestUpstream;
  readonly lookup: UpstreamLookup;
  readonly release: KnownRelease;
}

/**
 * Nothing is asked before `begin` of the nodes or the first request.
 *
 * @param log of changes of nodes; `undefined` = none
 */
export function openUpstreams(current: () => State, log: Log | undefined, report: FaultReport): Upstreams {
  const { max_connections: most } = current().config.gateway.upstream;
  const to = (node: Node, connections: number): RestUpstream =>
    createRestUpstream(restUpstreamOptions(current, connections, node.rest.address));
  const credential = credentialOf(current);
  const ways = (node: Node) => ({ rest: to(node, 1), credential, grpc: upstreamSocket(current, 'h2') });
  const probe = (node: Node): NodeProbe => probeOf(node, ways(node));
  const nodes = createUpstreamNodes({ current, log, report, probe });
  const open = (connections: number): RestUpstream =>
    nodes
      ? createNodesUpstream(nodes.nodes, (node) => to(node, connections), report)
      : createRestUpstream(restUpstreamOptions(current, connections));
  const upstream = open(most);
  // INVARIANT: client requests never delay the gateway's own requests.
  const own = open(Math.min(most, OWN_CONNECTIONS));
  nodes?.watch(() => {
    upstream.look?.();
    own.look?.();
  });
  const lookup = createUpstreamLookup(own, credential);
  const now = () => performance.now();
  const release = nodes ? releaseOfNodes(nodes.nodes) : new ReleaseWatch({ ask: lookup.version, now });
  return { nodes, upstream, own, lookup, release };
}
