import type { Node } from '../../../upstream/nodes/node.ts';
import type { NodeSet } from '../../../upstream/nodes/node-set.ts';
import { GatheredWrites } from '../gathered-writes.ts';
import type { RelayUpstream } from '../upstream.ts';
import {
  type ClientUpstream,
  type PoolOptions,
  type RelayPool,
  UpstreamPool,
  type UpstreamUser,
} from '../upstream-pool.ts';
import { NodeLink, type NodePools } from './link.ts';

/** Several nodes in place of one upstream. */
export interface RelayNodes {
  readonly nodes: NodeSet;
  /** The address and the limits of one. */
  readonly of: (node: Node) => RelayUpstream;
}

/** The way of one client to the nodes. */
class RoutedUpstream implements ClientUpstream {
  readonly link: NodeLink;

  constructor(pools: NodePools, user: UpstreamUser) {
    this.link = new NodeLink(pools, user);
  }

  get written(): ClientUpstream['written'] {
    return this.link.written;
  }

  set written(head: ClientUpstream['written']) {
    this.link.written = head;
  }
}

/** The upstream connections of one listener and protocol to several nodes: a pool for each node. */
export class NodePool extends GatheredWrites implements RelayPool {
  readonly #options: Omit<PoolOptions, 'upstream'>;
  readonly #upstream: RelayNodes;
  readonly #pools = new Map<Node, UpstreamPool>();
  readonly #clients = new Set<ClientUpstream>();
  readonly #access: NodePools;

  constructor(upstream: RelayNodes, options: Omit<PoolOptions, 'upstream'>) {
    super();
    this.#options = options;
    this.#upstream = upstream;
    this.#access = { nodes: upstream.nodes, of: (node) => this.#of(node) };
  }

  get busy(): number {
    let busy = 0;
    for (const pool of this.#pools.values()) busy += pool.busy;
    return busy;
  }

  take(user: UpstreamUser): ClientUpstream {
    const taken = new RoutedUpstream(this.#access, user);
    this.#clients.add(taken);
    return taken;
  }

  release(one: ClientUpstream, whole: boolean): void {
    if (one instanceof RoutedUpstream) one.link.end(whole);
    this.#clients.delete(one);
  }

  tick(now: number): void {
    for (const [node, pool] of this.#pools) {
      pool.tick(now);
      if (node.isMember || pool.busy > 0) continue;
      pool.close();
      this.#pools.delete(node);
    }
    for (const one of this.#clients) if (one instanceof RoutedUpstream) one.link.look();
  }

  close(): void {
    for (const pool of this.#pools.values()) pool.close();
  }

  #of(node: Node): UpstreamPool {
    const known = this.#pools.get(node);
    if (known) return known;
    const made = new UpstreamPool({ ...this.#options, upstream: this.#upstream.of(node) });
    this.#pools.set(node, made);
    return made;
  }
}

/** The connections to one upstream, or to several nodes. Opens nothing yet. */
export function createRelayPool(
  upstream: RelayUpstream | RelayNodes,
  options: Omit<PoolOptions, 'upstream'>,
): RelayPool {
  return 'nodes' in upstream ? new NodePool(upstream, options) : new UpstreamPool({ ...options, upstream });
}
