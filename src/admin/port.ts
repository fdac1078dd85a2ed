import type { TlsOptions } from 'node:tls';
import type { AcmeReport } from '../acme/report.ts';
import type { State } from '../config/state.ts';
import { TLS_PROFILE } from '../config/tls-profile.ts';
import type { Console } from '../console/server/console.ts';
import type { ConsoleAnswer, ConsoleRequest } from '../exchange/console-request.ts';
import type { Fleet } from '../gateway/fleet.ts';
import type { Listening } from '../gateway/gateway.ts';
import { grpcAsker } from '../gateway/listener-options.ts';
import { openUpstreams } from '../gateway/upstreams.ts';
import { type KeyUses, keyOf, keysOf } from '../named-keys/shown.ts';
import type { Facts } from '../observability/facts.ts';
import { describeFault, type Log } from '../observability/log.ts';
import { createFleetFigures } from '../observability/metrics/fleet-figures.ts';
import { renderMetrics } from '../observability/metrics/page.ts';
import { mergeSeen } from '../observability/metrics/principals-seen.ts';
import type { Operator, Reload } from '../observability/operator.ts';
import { MAX_CONNECTIONS, MAX_PRINCIPALS } from '../observability/snapshot.ts';
import { createProbe, type Reachability } from '../upstream/probe.ts';
import { gatewayVersion } from '../version.ts';
import { createConsoleTokens } from './console-tokens.ts';
import { type AdminListener, type AdminSource, createAdminListener } from './listener.ts';
import { openConsole } from './open-console.ts';
import { ownRestPort } from './own-rest-port.ts';
import {
  connectionsOf,
  type ListenerState,
  nodesPage,
  principalsOf,
  type Readiness,
  reloadOf,
  statusOf,
} from './pages.ts';

/** The admin port of a running gateway, of one process or several. */
export interface AdminPort {
  /** Rejects if the port is not available. */
  open(): Promise<Listening>;
  /** The listeners are up. */
  serving(listeners: { readonly rest: Listening; readonly grpc: Listening | null }): void;
  /** Reports the outcome of a reload, regardless of its trigger. @param state the state in force */
  reloaded(reload: Reload, state: State): void;
  /** Asks the console; `undefined` = it is off. */
  askConsole(request: ConsoleRequest): Promise<ConsoleAnswer | undefined>;
  /** Not ready from now on. */
  drain(): void;
  close(): Promise<void>;
}

export interface AdminPortOptions {
  readonly state: State;
  readonly fleet: Pick<Fleet, 'snapshots' | 'act' | 'exchangeToken' | 'identify' | 'consoleToken'>;
  readonly operator: Operator;
  /** Number of configured processes. */
  readonly workers: number;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The admin port of the configuration; not listening yet. */
export function createAdminPort(options: AdminPortOptions): AdminPort {
  return new Port(options);
}

class Port implements AdminPort {
  readonly #options: AdminPortOptions;
  readonly #startedAt: number;
  readonly #figures: ReturnType<typeof createFleetFigures>;
  readonly #probe: ReturnType<typeof openProbe>;
  #state: State;
  #listener: AdminListener | undefined;
  #listeners: readonly ListenerState[] = [];
  #console: Console | undefined;
  #draining = false;
  #refused = 0;
  #reloads = { ok: 0, failed: 0, takenAt: 0, last: undefined as Reload | undefined };

  constructor(options: AdminPortOptions) {
    const { state, now } = options;
    this.#options = options;
    this.#state = state;
    this.#startedAt = now();
    this.#reloads.takenAt = now();
    this.#figures = createFleetFigures(state.config.gateway.metrics.max_labels);
    this.#probe = openProbe(
      () => this.#state,
      now,
      () => options.operator.drainedNodes(),
    );
  }

  async open(): Promise<Listening> {
    const { host, port, enable_tls: tls } = this.#state.config.gateway.admin;
    const source = this.#source();
    const { fleet } = this.#options;
    this.#console = await openConsole({
      source: {
        ...source,
        facts: () => this.#facts(),
        parts: () => this.#parts(),
        drainedNodes: () => this.#options.operator.drainedNodes(),
      },
      ...{ state: () => this.#state, fleet },
    });
    this.#listener = await createAdminListener({
      host,
      port: port ?? 0,
      tls: tls ? tlsOf(this.#state) : undefined,
      token: () => this.#state.secrets.adminToken,
      protectMetrics: () => this.#state.config.gateway.admin.protect_metrics,
      source,
      console: this.#console,
      webUi: {
        restPort: () => ownRestPort(this.#state, this.#listeners),
        tokenFor: createConsoleTokens(this.#options),
      },
    });
    await this.#probe.begin();
    this.#warn();
    return this.#listener.address;
  }

  serving({ rest, grpc }: { readonly rest: Listening; readonly grpc: Listening | null }): void {
    const tls = this.#state.config.service.enable_tls;
    const rows: [ListenerState['protocol'], Listening | null][] = [
      ['rest', rest],
      ['grpc', grpc],
    ];
    this.#listeners = rows.flatMap(([protocol, one]) =>
      one ? [{ protocol, host: one.host, port: one.port, tls }] : [],
    );
  }

  reloaded(reload: Reload, state: State): void {
    this.#reloads[reload.ok ? 'ok' : 'failed'] += 1;
    this.#reloads.last = reload;
    if (!reload.ok) return;
    this.#reloads.takenAt = reload.at;
    this.#state = state;
    this.#probe.reloaded();
    try {
      const tls = tlsOf(state);
      if (tls?.cert) this.#listener?.setSecureContext(tls);
    } catch (error) {
      this.#options.log.error(describeFault(error), 'the admin port keeps its certificate');
    }
  }

  async askConsole(request: ConsoleRequest): Promise<ConsoleAnswer | undefined> {
    return await this.#console?.answer(request);
  }

  drain(): void {
    this.#draining = true;
  }

  async close(): Promise<void> {
    this.#draining = true;
    await this.#listener?.close();
    this.#console?.close();
    await this.#probe.close();
  }

  #source(): AdminSource {
    const { fleet, operator, log, now } = this.#options;
    return {
      metrics: async (format) => await renderMetrics(await this.#facts(), format),
      ready: () => this.#ready(),
      status: async () => statusOf(await this.#facts(), this.#parts()),
      principals: async () => {
        const snapshots = await fleet.snapshots(['principals']);
        const seen = snapshots.map(({ observed }) => observed?.principals ?? []);
        return principalsOf(mergeSeen(seen, MAX_PRINCIPALS), MAX_PRINCIPALS);
      },
      connections: async () => {
        const snapshots = await fleet.snapshots(['connections']);
        return connectionsOf(
          snapshots.flatMap(({ observed }) => observed?.connections ?? []),
          MAX_CONNECTIONS,
        );
      },
      keys: async () => {
        return keysOf(this.#namedKeys(), await this.#keyUses(), now());
      },
      key: async (id) => keyOf(this.#namedKeys(), id, await this.#keyUses(), now()),
      nodes: async () => nodesPage(await fleet.snapshots(), operator.drainedNodes()),
      drainNode: (request, out) => operator.drainNode(request, out),
      changeKey: (request) => operator.changeKey(request),
      now,
      reload: async () => {
        const reload = await operator.reload('admin');
        return { ok: reload.ok, body: reloadOf(reload) };
      },
      revoke: (request) => operator.revoke(request),
      lift: (request) => operator.lift(request),
      revocations: () => operator.revocations(),
      exchangesTokens: () => this.#state.policy.tokenExchange !== undefined,
      exchangeToken: (request) => fleet.exchangeToken(request),
      acted: (act) => {
        const level = act.result === 'ok' ? 'info' : 'warn';
        log[level]({ ...act }, 'the admin port was asked for a change');
        fleet
          .act({ ...act, at: now() })
          .catch((error: unknown) => log.error(describeFault(error), 'an admin action was not audited'));
      },
      refused: () => {
        this.#refused += 1;
      },
      fault: (error) => log.error(describeFault(error), 'a request to the admin port failed'),
    };
  }

  #namedKeys() {
    return this.#options.operator.sharedKeys?.keys() ?? this.#state.policy.namedKeys ?? [];
  }

  async #keyUses(): Promise<KeyUses> {
    const { fleet, operator } = this.#options;
    const [snapshots, shared] = await Promise.all([fleet.snapshots(['keys']), operator.sharedKeys?.uses()]);
    return { snapshots, shared };
  }

  #parts() {
    return {
      mode: this.#state.config.gateway.mode,
      draining: this.#draining,
      startedAt: this.#startedAt,
      listeners: this.#listeners,
      workers: this.#options.workers,
    };
  }

  async #facts(): Promise<Facts> {
    const { fleet, operator, now } = this.#options;
    const [snapshots, upstream] = await Promise.all([fleet.snapshots(), this.#probe.ask()]);
    return {
      now: now(),
      version: gatewayVersion(),
      snapshots,
      figures: this.#figures(snapshots),
      reloads: this.#reloads,
      upstream,
      revocations: operator.revocations(),
      sharedKeys: operator.sharedKeys?.report(),
      issuerKeys: operator.issuerKeys(),
      sharedLimits: operator.sharedLimits?.(),
      acme: operator.acme?.(),
      adminRefused: this.#refused,
    };
  }

  async #ready(): Promise<Readiness> {
    const { rest, grpc, key } = await this.#probe.ask();
    const shared = this.#options.operator.sharedKeys?.report();
    const issuers = this.#options.operator.issuerKeys();
    const up = this.#listeners.length > 0;
    const acme = this.#options.operator.acme?.();
    const reach = (reachable: boolean | undefined) =>
      reachable === undefined ? 'off' : reachable ? 'reachable' : 'unreachable';
    return {
      ready: up && !this.#draining && rest && grpc !== false && key !== 'refused' && hasCertificate(acme),
      listeners: this.#draining ? 'draining' : up ? 'up' : 'starting',
      // Listeners are opened only with a key ring.
      keys: up ? 'loaded' : 'missing',
      ...(shared && { shared_keys: shared.unknown ? 'unknown' : shared.available ? 'known' : 'last known' }),
      ...(issuers.length > 0 && { issuer_keys: issuers.every(({ usable }) => usable) ? 'known' : 'missing' }),
      ...(acme && certificateOf(acme, this.#options.now())),
      upstream: { rest: reach(rest), grpc: reach(grpc), ...(key ? { key } : {}) },
    };
  }

  #warn(): void {
    const { host, enable_tls: tls } = this.#state.config.gateway.admin;
    const { log } = this.#options;
    const address = this.#listener?.address.host ?? host;
    if (isLocal(address)) return;
    if (this.#state.secrets.adminToken === null) {
      log.warn({ host }, 'the metrics are readable without a token by every client of the admin port');
    } else if (!tls) {
      log.warn({ host }, 'the token of the admin port is sent without TLS');
    }
    if (this.#console && !tls) log.warn({ host }, 'keys and sessions of the console are sent without TLS');
  }
}

/** A certificate of the operator is there, or the gateway would not have started. */
const hasCertificate = (acme: AcmeReport | undefined): boolean => acme === undefined || acme.expiresAt !== undefined;

function certificateOf({ expiresAt, problem }: AcmeReport, now: number) {
  const certificate = expiresAt === undefined ? 'missing' : expiresAt <= now ? 'ended' : 'in force';
  return { certificate, ...(problem && { certificate_problem: problem.kind }) } as const;
}

const isLocal = (address: string): boolean => address === '::1' || address.startsWith('127.');

interface Probe {
  readonly begin: () => Promise<void>;
  readonly reloaded: () => void;
  readonly ask: () => Promise<Reachability>;
  readonly close: () => Promise<void>;
}

/**
 * Probes upstream from this process; workers have connections of their own.
 *
 * @param drained names of nodes: they are asked only where requests would go to them, too
 */
function openProbe(current: () => State, now: () => number, drained: () => readonly string[]): Probe {
  const { config } = current();
  // A fault of a probe is no answer.
  const { nodes, own, upstream, lookup } = openUpstreams(current, undefined, () => undefined);
  const grpc = config.service.grpc_port === null ? undefined : grpcAsker(current, nodes?.nodes);
  const ask = createProbe({
    lookup,
    lowest: () => nodes?.nodes.release,
    hasKey: () => current().secrets.upstreamKey !== null,
    ...{ asker: grpc, now },
  });
  return {
    begin: async () => await nodes?.begin(),
    reloaded: () => nodes?.apply(),
    ask: async () => {
      nodes?.nodes.drain(new Set(drained()));
      return await ask();
    },
    async close() {
      grpc?.close();
      nodes?.close();
      await Promise.all([own.destroy(), upstream.destroy()]);
    },
  };
}

function tlsOf({ secrets, config }: State): TlsOptions | undefined {
  if (!config.gateway.admin.enable_tls || !secrets.tls) return undefined;
  const { cert, key } = secrets.tls;
  return { ...TLS_PROFILE, ...(cert && key ? { cert, key } : {}) };
}
