import { byKey, fewestOpen } from './choice.ts';
import { hashOf, Node, type NodeFailure, type NodeSettings } from './node.ts';

/** A change of a node's state. */
export type NodeEvent = 'joined' | 'left' | 'ejected' | 'returned' | 'drained' | 'resumed';

/** @param failure why it was ejected */
export type NodeListener = (node: Node, event: NodeEvent, failure?: NodeFailure) => void;

export interface NodeSetOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** 0 to 1, without 1. Default: `Math.random`. */
  readonly random?: () => number;
  /** Default: nothing is told. */
  readonly listener?: NodeListener;
}

/** Pauses of an ejected node: each is twice as long as the one before, a fifth longer or shorter by chance. Milliseconds. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** A node that was good for so long begins with the first pause again. */
const GOOD_MS = 60_000;
/** A node that is back has a tenth of its weight at first, and all of it after this. */
const RISE_MS = 10_000;
const FIRST_SHARE = 0.1;

/** Failures in a row, by their weight, that eject a node. A refused connection or a node that says so is enough. */
const MOST_STRAIN = 6;
const STRAIN: Readonly<Record<NodeFailure, number>> = { unreachable: 6, 'not-ready': 6, timeout: 3, broken: 2 };

const NONE: readonly Node[] = [];

/** The nodes in force. Everything here is synchronous; with one node a choice is one comparison. */
export class NodeSet {
  readonly #options: NodeSetOptions;
  readonly #random: () => number;
  #nodes: readonly Node[] = NONE;
  /** Those to choose from: never empty while there is a node. */
  #usable: readonly Node[] = NONE;
  #only: Node | undefined;
  #isList = false;
  /** Names of the nodes that operators have taken out, also of those that are not in the list now. */
  #drained: ReadonlySet<string> = new Set();
  /** All requests of one caller have one node, not only those about a node. */
  pinsCallers = false;

  constructor(options: NodeSetOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  /** All of them, in the order of the list. */
  get all(): readonly Node[] {
    return this.#nodes;
  }

  /** False = one address is configured: no node is ever named, ejected or probed. */
  get isList(): boolean {
    return this.#isList;
  }

  /** The lowest release of the nodes that told theirs: what all of them support. */
  get release(): string | undefined {
    let lowest: string | undefined;
    for (const { release } of this.#nodes) {
      if (release !== undefined && (lowest === undefined || compareReleases(release, lowest) < 0)) lowest = release;
    }
    return lowest;
  }

  /**
   * The nodes from now on. A node with the same name and addresses stays as it is, with its new weight.
   *
   * @param isList false = one address, without a list
   */
  configure(settings: readonly NodeSettings[], isList: boolean): void {
    const before = this.#nodes;
    this.#isList = isList;
    this.#nodes = settings.map((one) => this.#kept(one) ?? this.#added(one, before.length > 0));
    for (const node of before) {
      if (this.#nodes.includes(node)) continue;
      node.state = 'gone';
      this.#tell(node, 'left');
    }
    this.#settle();
  }

  /**
   * The node for a request; `undefined` = there is none, or all were tried.
   *
   * @param key the same key has the same node while that is usable; without it, the node with the fewest requests is chosen
   * @param tried nodes that failed for this very request
   */
  choose(key?: string, tried: readonly Node[] = NONE): Node | undefined {
    if (this.#only && tried.length === 0) return this.#only;
    const nodes = tried.length === 0 ? this.#usable : this.#others(tried);
    return key === undefined ? fewestOpen(nodes, this.#random) : byKey(nodes, hashOf(key));
  }

  /**
   * True = it is ejected, and others are there: nothing is to wait at it.
   *
   * @param tried nodes that do not count as others
   */
  leavesOut(node: Node, tried: readonly Node[] = NONE): boolean {
    if (node.state !== 'ejected' || this.#usable.includes(node)) return false;
    return this.#usable.some((other) => !tried.includes(other));
  }

  /** The node of this name, in any state. */
  named(name: string): Node | undefined {
    return this.#nodes.find((node) => node.name === name);
  }

  /** A node answered: its earlier failures are forgotten. */
  answered(node: Node): void {
    if (node.strain !== 0) node.strain = 0;
  }

  /**
   * A request to a node came to nothing, without an answer. A time-out is counted and ejects nothing: a caller's own requests may be
   * slow, and a node that stands still is found by its probes.
   */
  failed(node: Node, failure: NodeFailure): void {
    node.failures[failure] += 1;
    if (failure !== 'timeout') this.#strain(node, failure);
  }

  /** Result of a probe. Only a probe brings an ejected node back, and not before its pause is over. */
  probed(node: Node, failure: NodeFailure | undefined, release?: string): void {
    if (release !== undefined) node.release = release;
    node.proven = failure === undefined;
    if (failure !== undefined) {
      if (node.state === 'ejected' && this.#options.now() >= node.since) this.#eject(node, failure);
      else {
        node.failures[failure] += 1;
        this.#strain(node, failure);
      }
      return;
    }
    this.answered(node);
    if (node.state !== 'ejected' || this.#options.now() < node.since) return;
    this.#rise(node);
    this.#tell(node, 'returned');
    this.#settle();
  }

  /**
   * The nodes that are out from now on: their requests end on them. A node that joins under one of these names is out, too.
   * INVARIANT: a node that is taken in again takes requests only once a probe has found it good.
   *
   * @param names all of them
   */
  drain(names: ReadonlySet<string>): void {
    this.#drained = names;
    for (const node of this.#nodes) {
      const out = names.has(node.name);
      if (out === (node.state === 'drained')) continue;
      if (out) node.state = 'drained';
      else if (node.proven) this.#rise(node);
      else this.#awaitProbe(node);
      this.#tell(node, out ? 'drained' : 'resumed');
    }
    this.#settle();
  }

  /** Moves weights of rising nodes; to be called a few times each second. */
  tick(): void {
    const now = this.#options.now();
    for (const node of this.#nodes) {
      if (node.state === 'rising') {
        const part = Math.min(1, (now - node.since) / RISE_MS);
        node.share = node.weight * Math.max(FIRST_SHARE, part);
        if (part === 1) node.state = 'up';
      } else if (node.state === 'up' && node.setbacks > 0 && now - node.since >= GOOD_MS) node.setbacks = 0;
    }
  }

  #kept(settings: NodeSettings): Node | undefined {
    const node = this.named(settings.name);
    if (!node || !sameAddresses(node, settings)) return undefined;
    node.weight = settings.weight;
    if (node.state !== 'rising') node.share = settings.weight;
    return node;
  }

  /** @param rises others are there to take its part at first */
  #added(settings: NodeSettings, rises: boolean): Node {
    const node = new Node(settings);
    if (this.#drained.has(node.name)) node.state = 'drained';
    else if (rises) this.#rise(node);
    this.#tell(node, 'joined');
    return node;
  }

  #rise(node: Node): void {
    node.state = 'rising';
    node.since = this.#options.now();
    node.share = node.weight * FIRST_SHARE;
    node.strain = 0;
  }

  /** As an ejected one whose pause is over: its next probe decides. */
  #awaitProbe(node: Node): void {
    node.state = 'ejected';
    node.since = this.#options.now();
    node.strain = 0;
  }

  #strain(node: Node, failure: NodeFailure): void {
    if (!this.#isList || !this.#takesNew(node)) return;
    node.strain += STRAIN[failure];
    if (node.strain >= MOST_STRAIN) this.#eject(node, failure);
  }

  #eject(node: Node, failure: NodeFailure): void {
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** node.setbacks);
    const known = node.state === 'ejected';
    node.state = 'ejected';
    node.proven = false;
    node.strain = 0;
    node.setbacks += 1;
    node.since = this.#options.now() + pause * (0.8 + 0.4 * this.#random());
    // It may come back as another release.
    node.lastRelease = node.release ?? node.lastRelease;
    node.release = undefined;
    if (known) return;
    node.ejections += 1;
    this.#tell(node, 'ejected', failure);
    this.#settle();
  }

  #takesNew({ state }: Node): boolean {
    return state === 'up' || state === 'rising';
  }

  #others(tried: readonly Node[]): readonly Node[] {
    const others = this.#usable.filter((node) => !tried.includes(node));
    return others.length > 0 ? others : this.#nodes.filter((node) => node.state !== 'drained' && !tried.includes(node));
  }

  /** INVARIANT: never all nodes are left out: without a usable one all are taken, at last those an operator took out. */
  #settle(): void {
    const usable = this.#nodes.filter((node) => this.#takesNew(node));
    const ejected = usable.length > 0 ? usable : this.#nodes.filter(({ state }) => state === 'ejected');
    this.#usable = ejected.length > 0 ? ejected : this.#nodes;
    this.#only = this.#usable.length === 1 ? this.#usable[0] : undefined;
  }

  #tell(node: Node, event: NodeEvent, failure?: NodeFailure): void {
    this.#options.listener?.(node, event, failure);
  }
}

function sameAddresses(node: NodeSettings, other: NodeSettings): boolean {
  return JSON.stringify([node.rest, node.grpc]) === JSON.stringify([other.rest, other.grpc]);
}

/** Compares releases such as `1.19.0` by their numbers; a part that is no number counts as 0. */
export function compareReleases(left: string, right: string): number {
  const [one, other] = [numbersOf(left), numbersOf(right)];
  for (const at of [0, 1, 2]) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbersOf(release: string): number[] {
  return release.split('.').map((part) => Number.parseInt(part, 10) || 0);
}
