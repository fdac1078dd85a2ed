import type { SocketAddress } from '../sockets.ts';

/** One port of a node. */
export interface NodeAddress {
  readonly address: SocketAddress;
  /** `Host` or `:authority` of what is sent there. */
  readonly authority: string;
}

/** A node as the configuration or DNS gives it. */
export interface NodeSettings {
  /** `host:port` of its REST port: unique, shown to operators. */
  readonly name: string;
  readonly rest: NodeAddress;
  /** `undefined` = gRPC is off. */
  readonly grpc: NodeAddress | undefined;
  /** Its part of the requests, compared with the weights of the others. 1 to 100. */
  readonly weight: number;
}

/**
 * - `up`: takes requests
 * - `rising`: back after a failure, or new: takes fewer requests at first
 * - `ejected`: takes none while others are there
 * - `drained`: an operator has taken it out; its requests end on it
 * - `gone`: no longer in the list or in DNS; its requests end on it
 */
export type NodeState = 'up' | 'rising' | 'ejected' | 'drained' | 'gone';

/**
 * The failure of a request or probe that got no answer.
 * - `unreachable`: not connected
 * - `broken`: the connection ended before an answer
 * - `timeout`: no connection or no answer in time
 * - `not-ready`: the node says so itself
 */
export const NODE_FAILURES = ['unreachable', 'broken', 'timeout', 'not-ready'] as const;

export type NodeFailure = (typeof NODE_FAILURES)[number];

/** One Qdrant of several. Its state is changed by its `NodeSet` alone. */
export class Node {
  readonly name: string;
  readonly rest: NodeAddress;
  readonly grpc: NodeAddress | undefined;
  /** Of its name, for choices by key. */
  readonly hash: number;
  weight: number;
  /** Weight in force, lower than `weight` while the node rises. */
  share: number;
  state: NodeState = 'up';
  /** Its last probe was good, and it has not been ejected since. */
  proven = false;
  /** Requests and calls under way on it. */
  open = 0;
  /** Requests and calls since the start. */
  taken = 0;
  /** Failures since the last answer, by their weight. */
  strain = 0;
  /** Times it was ejected, and how it failed, since the start. */
  ejections = 0;
  readonly failures: Record<NodeFailure, number> = { unreachable: 0, broken: 0, timeout: 0, 'not-ready': 0 };
  /** Its release, as last reported; `undefined` = not known, or not since it was ejected. */
  release: string | undefined;
  /** The one before it was ejected. */
  lastRelease: string | undefined;
  /** Ejections without a long good time between them. */
  setbacks = 0;
  /** End of the ejection, or begin of the rise. Milliseconds of the set's clock. */
  since = 0;

  constructor({ name, rest, grpc, weight }: NodeSettings) {
    this.name = name;
    this.rest = rest;
    this.grpc = grpc;
    this.hash = hashOf(name);
    this.weight = weight;
    this.share = weight;
  }

  /** A request is sent to it. */
  begun(): void {
    this.open += 1;
    this.taken += 1;
  }

  /** To be called once for each `begun`. */
  ended(): void {
    this.open -= 1;
  }

  /** False = it gets no more requests, whatever happens: what is kept for it can go once `open` is 0. */
  get isMember(): boolean {
    return this.state !== 'gone';
  }
}

/** FNV-1a, 32 bits. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
