import { isRepeatable, placementOf } from '../../operations/placement.ts';
import { seesAll } from '../../policy/access.ts';
import { type Denial, UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import type { UpstreamCredential } from '../../upstream/credential.ts';
import type { Node, NodeFailure } from '../../upstream/nodes/node.ts';
import type { NodeSet } from '../../upstream/nodes/node-set.ts';
import { AFFINITY_HEADER, clientOf, NODE_HEADER, pickNode } from '../../upstream/nodes/pick.ts';
import type { SocketOptions } from '../../upstream/sockets.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { WaitingData } from './request-credit.ts';

/** The nodes behind a gRPC listener, as its calls need them. */
export interface GrpcNodes {
  /** Of the connections to nodes. */
  readonly socket: SocketOptions;
  /** Request DATA that waits for nodes. */
  readonly waiting: WaitingData;
  /** The credential in force, the same for all nodes. */
  readonly credential: () => UpstreamCredential;
  /**
   * The node for a call, or why there is none.
   *
   * @param exchange `undefined` = the call of any client
   * @param tried nodes that failed for this very call
   */
  choose(exchange: GrpcExchange | undefined, tried: readonly Node[]): Node | Denial;
  /** True = neither the call nor its row asks for one certain node. */
  takesAny(exchange: GrpcExchange): boolean;
  /** True = the call may be sent to another node, although one has had it: it changes nothing. */
  isRepeatable(exchange: GrpcExchange): boolean;
  /** True = the node is ejected, and others are there. */
  leavesOut(node: Node): boolean;
  /** A node has answered. */
  answered(node: Node): void;
  /** A node did not answer. */
  failed(node: Node, failure: NodeFailure): void;
}

/** Chooses by the rows of the operations and the wishes of the callers. */
export function createGrpcNodes(nodes: NodeSet, shown: Pick<GrpcNodes, 'socket' | 'credential'>): GrpcNodes {
  return {
    ...shown,
    waiting: { bytes: 0 },
    choose(exchange, tried) {
      const node = exchange ? pickNode(nodes, wishOf(exchange), tried) : nodes.choose(undefined, tried);
      return node ?? UPSTREAM_UNREACHABLE;
    },
    takesAny(exchange) {
      const { sticky, asked, affinity } = wishOf(exchange);
      return !sticky && !nodes.pinsCallers && asked === undefined && affinity === undefined;
    },
    isRepeatable: ({ resolution }) => resolution !== undefined && isRepeatable(resolution.operation),
    leavesOut: (node) => nodes.leavesOut(node),
    answered: (node) => nodes.answered(node),
    failed: (node, failure) => nodes.failed(node, failure),
  };
}

function wishOf({ headers, principal, remote, resolution }: GrpcExchange): Parameters<typeof pickNode>[1] {
  return {
    sticky: !resolution || placementOf(resolution.operation) === 'sticky',
    asked: principal && fieldOf(headers, NODE_HEADER),
    affinity: fieldOf(headers, AFFINITY_HEADER),
    client: clientOf(principal, remote),
    sees: seesAll(principal?.access),
  };
}

function fieldOf(fields: readonly string[], name: string): string | undefined {
  for (let at = 0; at + 1 < fields.length; at += 2) if (fields[at] === name) return fields[at + 1];
  return undefined;
}
