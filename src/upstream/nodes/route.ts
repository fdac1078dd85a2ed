import { type Denial, UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import type { Node, NodeFailure } from './node.ts';
import type { NodeSet } from './node-set.ts';
import { type NodeWish, pickNode } from './pick.ts';

/** The way of one request among several nodes: at first one node, and another one where that one may not have begun on it. */
export class NodeRoute {
  readonly #nodes: NodeSet;
  readonly #wish: NodeWish;
  readonly #tried: Node[] = [];
  #node: Node | undefined;
  #sentAgain = false;
  /** A read that any node serves: it is sent once more where no answer came. */
  readonly isRepeatable: boolean;

  constructor(nodes: NodeSet, wish: NodeWish, isRepeatable: boolean) {
    this.#nodes = nodes;
    this.#wish = wish;
    this.isRepeatable = isRepeatable;
  }

  /** The node that has the request now. */
  get node(): Node | undefined {
    return this.#node;
  }

  /** Chooses the next node, on which the request counts as open. To be followed by `answered`, `failed` or `left`, then `end`. */
  next(): Node | Denial {
    const picked = pickNode(this.#nodes, this.#wish, this.#tried);
    if ('kind' in picked) return picked;
    this.#tried.push(picked);
    this.#node = picked;
    picked.begun();
    return picked;
  }

  /** A read that waits at a node which has been ejected, and has another one to go to: it is to be given up there. */
  get waitsInVain(): boolean {
    if (!this.#node || !this.isRepeatable || this.#sentAgain || this.#wish.asked !== undefined) return false;
    return this.#nodes.leavesOut(this.#node, this.#tried);
  }

  /** An answer has begun. */
  answered(): void {
    if (this.#node) this.#nodes.answered(this.#node);
  }

  /**
   * The request got no answer; it is not open on its node any more. Returns the next node, or why there is none.
   *
   * INVARIANT: a request of which a byte went out is sent again only if it may be repeated, and only once.
   *
   * @param sent a byte of it may have reached the node
   */
  failed(failure: NodeFailure, sent: boolean): Node | Denial {
    if (this.#node) this.#nodes.failed(this.#node, failure);
    this.end();
    if (sent && (!this.isRepeatable || this.#sentAgain)) return UPSTREAM_UNREACHABLE;
    this.#sentAgain ||= sent;
    return this.next();
  }

  /** The same, where it cannot be sent again. */
  lost(failure: NodeFailure): Denial {
    if (this.#node) this.#nodes.failed(this.#node, failure);
    this.end();
    return UPSTREAM_UNREACHABLE;
  }

  /** The request is over. May be called more than once. */
  end(): void {
    this.#node?.ended();
    this.#node = undefined;
  }
}
