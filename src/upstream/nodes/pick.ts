import { badRequest, type Denial, UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import type { Node } from './node.ts';
import type { NodeSet } from './node-set.ts';

/** A client asks for one node by its name. Never sent upstream. */
export const NODE_HEADER = 'x-qdrant-gateway-node';
/** Requests with the same value are read from the same replica (Qdrant 1.19 and later). Passes upstream unchanged. */
export const AFFINITY_HEADER = 'x-qdrant-route-affinity';

/** The properties of a request that decide its node. */
export interface NodeWish {
  /** The operation is about one node. */
  readonly sticky: boolean;
  /** Value of `NODE_HEADER`; `undefined` also for strangers, who could try out names with it. */
  readonly asked: string | undefined;
  /** Value of `AFFINITY_HEADER`. */
  readonly affinity: string | undefined;
  /** Identifies the caller as far as it is known: the same caller has the same node. Never a credential. */
  readonly client: string;
  /** The caller may know the names of the nodes: it has global access. */
  readonly sees: boolean;
}

/**
 * The node of a request with a list of nodes. A node that was asked for is taken in any state, and by no other request in
 * its place.
 *
 * @param tried nodes that failed for this very request
 */
export function pickNode(nodes: NodeSet, wish: NodeWish, tried?: readonly Node[]): Node | Denial {
  if (wish.asked !== undefined) return askedFor(nodes, wish.asked, wish.sees, tried);
  const key = wish.affinity ?? (wish.sticky || nodes.pinsCallers ? wish.client : undefined);
  return nodes.choose(key, tried) ?? UPSTREAM_UNREACHABLE;
}

function askedFor(nodes: NodeSet, name: string, sees: boolean, tried: readonly Node[] | undefined): Node | Denial {
  const node = nodes.named(name);
  if (node) return tried?.includes(node) ? UPSTREAM_UNREACHABLE : node;
  const known = sees ? `; the nodes are ${nodes.all.map((one) => `\`${one.name}\``).join(', ')}` : '';
  return badRequest('unknown_node', `\`${NODE_HEADER}\` names no node of this gateway${known}`);
}

/** The fields of a principal that tell callers apart. */
interface Caller {
  readonly authType: string;
  readonly keyId: string;
  readonly subject: string | undefined;
}

/**
 * Identifies a caller for sticky choices: the key it has, and the subject of its token; its address without a credential.
 *
 * @param remote the client's address
 */
export function clientOf(caller: Caller | undefined, remote: string): string {
  if (!caller || caller.authType === 'None') return remote;
  return `${caller.keyId}\n${caller.subject ?? ''}`;
}
