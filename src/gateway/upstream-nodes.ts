import { reason } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { State } from '../config/state.ts';
import { nodeName } from '../config/upstream/node-list.ts';
import { discoveredAddress, hasNodes, listedNodes } from '../config/upstream/rules.ts';
import { authorityOf, type NetworkAddress, type UpstreamAddress } from '../config/upstream-url.ts';
import { type FaultReport, Guard } from '../lifetime/guard.ts';
import type { Log } from '../observability/log.ts';
import type { NodeFigures } from '../observability/snapshot.ts';
import { discoverNodes, type FoundNode } from '../upstream/nodes/discovery.ts';
import type { Node, NodeAddress, NodeFailure, NodeSettings } from '../upstream/nodes/node.ts';
import { type NodeEvent, NodeSet } from '../upstream/nodes/node-set.ts';
import { type NodeProbe, NodeProbes } from '../upstream/nodes/probes.ts';

/** The nodes of a process: listed or found by DNS, and probed all the time. */
export interface UpstreamNodes {
  readonly nodes: NodeSet;
  /** Asks DNS, then begins to watch. Never rejects: without an answer there is no node yet. */
  readonly begin: () => Promise<void>;
  /** Calls `look` a few times each second. */
  readonly watch: (look: () => void) => void;
  /** The configuration has changed. */
  readonly apply: () => void;
  readonly figures: () => readonly NodeFigures[];
  readonly close: () => void;
}

export interface UpstreamNodesOptions {
  /** The state in force. */
  readonly current: () => State;
  /** `undefined` = changes of nodes are not logged. */
  readonly log: Log | undefined;
  readonly report: FaultReport;
  readonly probe: (node: Node) => NodeProbe;
}

/** Milliseconds between looks at what is due. */
const TICK_MS = 250;

/** `undefined` = one address is configured. Nothing is asked yet. */
export function createUpstreamNodes(options: UpstreamNodesOptions): UpstreamNodes | undefined {
  return hasNodes(options.current().config) ? new WatchedNodes(options) : undefined;
}

class WatchedNodes implements UpstreamNodes {
  readonly nodes: NodeSet;
  readonly #options: UpstreamNodesOptions;
  readonly #guard: Guard;
  readonly #probes: NodeProbes;
  #ticker: NodeJS.Timeout | undefined;
  readonly #looks: (() => void)[] = [];
  /** When DNS is asked next, and the last failure of it that was logged. */
  #askAt = 0;
  #asking = false;
  #failing = false;

  constructor(options: UpstreamNodesOptions) {
    this.#options = options;
    const now = (): number => performance.now();
    this.#guard = new Guard({ fail: () => undefined, cut: () => undefined }, 'rest_upstream', options.report);
    this.nodes = new NodeSet({ now, listener: (node, event, failure) => this.#say(node, event, failure) });
    this.#probes = new NodeProbes({ nodes: this.nodes, open: options.probe, now, guard: this.#guard });
    this.#list();
  }

  readonly begin = async (): Promise<void> => {
    await this.#discover();
    this.#ticker = this.#guard.every(TICK_MS, () => this.#tick()).unref();
    this.#guard.run(() => this.#probes.tick());
  };

  readonly watch = (look: () => void): void => {
    this.#looks.push(look);
  };

  readonly apply = (): void => {
    // One address instead of nodes needs a restart.
    if (!hasNodes(this.#config)) return;
    this.#list();
    this.#askAt = 0;
  };

  readonly figures = (): readonly NodeFigures[] =>
    this.nodes.all.map(({ name, state, weight, open, taken, failures, ejections, release }) => ({
      ...{ name, state, weight, open, taken, ejections, release },
      failures: Object.values(failures).reduce((sum, count) => sum + count, 0),
    }));

  readonly close = (): void => {
    clearInterval(this.#ticker);
    this.#probes.close();
  };

  get #config(): Config {
    return this.#options.current().config;
  }

  #tick(): void {
    this.nodes.tick();
    this.#probes.tick();
    for (const look of this.#looks) look();
    if (!this.#asking && performance.now() >= this.#askAt) {
      this.#guard.settled(this.#discover(), () => undefined);
    }
  }

  #list(): void {
    this.nodes.pinsCallers = this.#config.gateway.upstream.affinity === 'principal';
    if (this.#config.gateway.upstream.discovery.dns === null) this.nodes.configure(nodesOf(this.#config), true);
  }

  /** Last known nodes stay when DNS does not answer. */
  async #discover(): Promise<void> {
    const {
      dns: name,
      srv,
      rest_port: restPort,
      server,
      refresh_ms: everyMs,
    } = this.#config.gateway.upstream.discovery;
    this.#askAt = performance.now() + everyMs;
    if (name === null) return;
    this.#asking = true;
    try {
      const found = await discoverNodes({ name, srv, restPort, server });
      if (this.#failing) this.#options.log?.info({ name, nodes: found.length }, 'dns answers again');
      this.#failing = false;
      if (this.#config.gateway.upstream.discovery.dns === name)
        this.nodes.configure(
          found.map((one) => this.#nodeOf(one)),
          true,
        );
    } catch (error) {
      const known = this.nodes.all.length;
      const text =
        known > 0
          ? 'dns gives no nodes, the known ones stay'
          : 'dns gives no nodes yet; requests are refused until it does';
      if (!this.#failing) this.#options.log?.warn({ name, known, reason: reason(error) }, text);
      this.#failing = true;
    } finally {
      this.#asking = false;
    }
  }

  #nodeOf({ host, restPort, weight }: FoundNode): NodeSettings {
    const { discovery } = this.#config.gateway.upstream;
    const at = (port: number): NetworkAddress => discoveredAddress(discovery, host, port);
    return settingsOf(at(restPort), this.#config.service.grpc_port === null ? null : at(discovery.grpc_port), weight);
  }

  #say(node: Node, event: NodeEvent, failure: NodeFailure | undefined): void {
    const { log } = this.#options;
    const fields = { node: node.name, open: node.open, ...(failure ? { failure } : {}) };
    if (event === 'ejected') log?.warn(fields, 'an upstream node is left out');
    else log?.info(fields, SAID[event]);
  }
}

const SAID: Readonly<Record<Exclude<NodeEvent, 'ejected'>, string>> = {
  joined: 'an upstream node has joined',
  left: 'an upstream node has left',
  returned: 'an upstream node is back',
  drained: 'an upstream node is drained',
  resumed: 'an upstream node is taken in again',
};

/** The listed nodes of a configuration. */
export function nodesOf(config: Config): readonly NodeSettings[] {
  const withGrpc = config.service.grpc_port !== null;
  return listedNodes(config).map(({ rest, grpc, weight }) => settingsOf(rest, withGrpc ? grpc : null, weight));
}

function settingsOf(rest: UpstreamAddress, grpc: UpstreamAddress | null, weight: number): NodeSettings {
  return { name: nodeName(rest), rest: addressed(rest), grpc: grpc === null ? undefined : addressed(grpc), weight };
}

function addressed(address: UpstreamAddress): NodeAddress {
  return { address, authority: authorityOf(address) };
}
