import type { Guard } from '../../lifetime/guard.ts';
import type { Node, NodeFailure } from './node.ts';
import type { NodeSet } from './node-set.ts';

/** Asks one node. */
export interface NodeProbe {
  /** Is it ready, on all of its ports? Rejects for no answer of a node. */
  readonly ready: () => Promise<NodeFailure | undefined>;
  /** Its release; `undefined` = it did not tell. */
  readonly release: () => Promise<string | undefined>;
  readonly close: () => void;
}

export interface NodeProbesOptions {
  readonly nodes: NodeSet;
  /** Nothing is connected yet. */
  readonly open: (node: Node) => NodeProbe;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly guard: Guard;
}

/** Time between two probes of a node, and between two questions for its release. Milliseconds. */
const EVERY_MS = 2_000;
const RELEASE_EVERY_MS = 10_000;

interface Probed {
  readonly probe: NodeProbe;
  dueAt: number;
  releaseAt: number;
  asking: boolean;
}

/** Looks after the health of all nodes, whatever their state; an ejected node is asked again when its pause is over. */
export class NodeProbes {
  readonly #options: NodeProbesOptions;
  readonly #probed = new Map<Node, Probed>();

  constructor(options: NodeProbesOptions) {
    this.#options = options;
  }

  /** Begins the probes that are due; to be called a few times each second. */
  tick(): void {
    const { nodes, now } = this.#options;
    for (const [node, { probe }] of this.#probed) {
      if (node.isMember) continue;
      probe.close();
      this.#probed.delete(node);
    }
    const time = now();
    for (const node of nodes.all) {
      const probed = this.#of(node);
      const isDue = node.state === 'ejected' ? time >= node.since : time >= probed.dueAt;
      if (isDue && !probed.asking) this.#ask(node, probed);
    }
  }

  close(): void {
    for (const { probe } of this.#probed.values()) probe.close();
    this.#probed.clear();
  }

  #of(node: Node): Probed {
    const known = this.#probed.get(node);
    if (known) return known;
    const made = { probe: this.#options.open(node), dueAt: 0, releaseAt: 0, asking: false };
    this.#probed.set(node, made);
    return made;
  }

  #ask(node: Node, probed: Probed): void {
    probed.asking = true;
    this.#options.guard.settled(
      this.#answer(node, probed),
      () => this.#asked(probed),
      () => this.#asked(probed),
    );
  }

  #asked(probed: Probed): void {
    probed.asking = false;
    probed.dueAt = this.#options.now() + EVERY_MS;
  }

  async #answer(node: Node, probed: Probed): Promise<void> {
    const { nodes, now } = this.#options;
    const failure = await probed.probe.ready();
    const wasOut = node.state === 'ejected';
    nodes.probed(node, failure);
    if (failure !== undefined || (!wasOut && now() < probed.releaseAt)) return;
    const release = await probed.probe.release();
    if (release === undefined) return;
    probed.releaseAt = now() + RELEASE_EVERY_MS;
    node.release = release;
  }
}
