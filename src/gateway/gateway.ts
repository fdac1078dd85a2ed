import { type AdminAct, actEvent } from '../audit/act.ts';
import { type Audit, createAudit } from '../audit/audit.ts';
import { ConfigError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import type { TlsMaterial } from '../config/secrets.ts';
import type { State } from '../config/state.ts';
import type { Exchange, ExchangeParts, Outcome } from '../exchange/exchange.ts';
import { requestIdOf } from '../exchange/request-id.ts';
import { createGrpcListener, type GrpcListener } from '../grpc/listener.ts';
import type { GrpcAsker } from '../grpc/unary/asker.ts';
import { type Authenticator, createAuthenticator } from '../identity/authenticate.ts';
import { NO_REVOCATIONS, type Revocations } from '../identity/revocations.ts';
import { createValueExists } from '../identity/value-exists.ts';
import { seenIn } from '../learning/observe.ts';
import type { FaultReport } from '../lifetime/guard.ts';
import { AbandonedCalls } from '../limits/abandoned-calls.ts';
import { FloodPenalty } from '../limits/flood-penalty.ts';
import { WorkScheduler } from '../limits/work-scheduler.ts';
import { Connections } from '../net/connections.ts';
import { createClientFaultLog, createExchangeLog } from '../observability/exchange-log.ts';
import { createLog, createThrottle, describeFault, type Log } from '../observability/log.ts';
import { certificateExpiries } from '../observability/metrics/certificate-expiry.ts';
import { createObservation, type Observation, type ObservationOptions } from '../observability/observation.ts';
import type { GatewaySnapshot, SnapshotDetail } from '../observability/snapshot.ts';
import { createTracing, type Tracing } from '../observability/tracing.ts';
import type { BodyRules } from '../policy/body-checks.ts';
import { AUDIT_UNAVAILABLE } from '../policy/denial.ts';
import { Learner } from '../policy/learn.ts';
import { firstRefusal } from '../policy/rules.ts';
import { policyOf } from '../policy/settings.ts';
import { createRestListener, type RestListener } from '../rest/listener.ts';
import { createRestUpstream } from '../upstream/http.ts';
import { createUpstreamLookup, type UpstreamLookup } from '../upstream/lookup.ts';
import { WebUi } from '../upstream/web-ui.ts';
import {
  grpcAsker,
  grpcListenerOptions,
  grpcTls,
  restListenerOptions,
  restTls,
  restUpstreamOptions,
} from './listener-options.ts';
import { restartNeeded } from './live-options.ts';
import { ringOf, tryContexts } from './usable.ts';

/** Longest wait for upstream's release at the start, in milliseconds; the gateway starts without it, too. */
const VERSION_TIMEOUT_MS = 2000;
/** Upstream connections for the gateway's own requests (`value_exists`, names, release). */
const OWN_CONNECTIONS = 32;
/** Most log lines about faults per second. */
const FAULT_LINES_PER_SECOND = 10;
/** Most log lines about audit sinks that fail or recover, per second. */
const SINK_LINES_PER_SECOND = 4;
/** Least time for the audit to write pending entries at the stop, in milliseconds. */
const LAST_WRITES_MS = 1000;

export interface Listening {
  readonly host: string;
  readonly port: number;
}

/** Step 8 of an exchange: each observer sees every exchange once, when it has ended. Must not throw. */
export type Observer = (exchange: Exchange, outcome: Outcome) => void;

/** The outcome of a reload. */
export interface Applied {
  /** Number of the state in force; increases with each one. */
  readonly generation: number;
  /** Paths of changed options that need a restart. */
  readonly restartNeeded: readonly string[];
}

/** A gateway in one process. */
export interface Gateway {
  /** Listens on both ports. Rejects, and listens on none, if one is not available. */
  start(): Promise<{ readonly rest: Listening; readonly grpc: Listening | null }>;
  /**
   * Applies another state from the next request of every open connection on. All or nothing: throws `ConfigError` and
   * changes nothing if a part cannot be used.
   *
   * @param generation number of the state; default: one more than the last
   */
  apply(state: State, generation?: number): Applied;
  /** Replaces the revocations in force. */
  setRevocations(revocations: Revocations): void;
  /** The figures of this process. @param details optional parts of the snapshot */
  snapshot(details?: readonly SnapshotDetail[]): GatewaySnapshot;
  /** Records an administrative action, if there is an audit log. */
  act(act: AdminAct): void;
  /** Stops accepting requests, lets open ones finish within `graceMs`, then aborts the rest. */
  stop(graceMs: number): Promise<void>;
}

/** The state in force; replaced by `apply`. */
interface StateInForce {
  state: State;
  generation: number;
  revocations: Revocations;
  /** TLS material of the listeners; null without TLS. */
  tls: TlsMaterial | null;
}

/**
 * Builds the parts. Nothing listens and no upstream is asked before `start`.
 *
 * @param worker number of this process, from 0; each has audit files of its own
 * @param generation number of `state`
 */
export async function createGateway(
  state: State,
  observers: readonly Observer[] = [],
  worker?: number,
  generation = 1,
): Promise<Gateway> {
  const { config, secrets } = state;
  const shared = worker !== undefined;
  const force: StateInForce = { state, generation, revocations: NO_REVOCATIONS, tls: secrets.tls };
  const log = createLog(config.log_level);
  const tracing = await createTracing(config);
  const audit = await openAudit(state, log, worker);
  const { max_connections: most } = config.gateway.upstream;
  const upstream = createRestUpstream(restUpstreamOptions(() => force.state, most));
  // INVARIANT: client requests never delay the gateway's own requests.
  const own = createRestUpstream(restUpstreamOptions(() => force.state, Math.min(most, OWN_CONNECTIONS)));
  const lookup = createUpstreamLookup(own);
  const authenticator = authenticatorOf(force, lookup);
  const policy = { current: policyOf(config.gateway.mode, state.policy.rules) };
  const learner = new Learner();
  // INVARIANT: no event before there are listeners.
  const connections: Clients = clientsOf(log, (error, place) => parts.fault(error, undefined, place));
  const observation = observationOf(config, connections);
  const recording = [
    ...(observation ? [observation.observe] : []),
    ...(audit ? [audit.observe] : []),
    ...(tracing ? [tracing.observe] : []),
  ];
  const watching = [...observers, createExchangeLog(log), learnWith(learner, policy), ...recording];
  const floodPenalty = new FloodPenalty(Date.now);
  const parts = createParts(authenticator, policy, watching, {
    admit: admitting(audit, tracing),
    log,
    observation,
    bodyRules: {
      nestingGuard: config.gateway.limits.nesting_guard,
      snapshotUrlRecovery: config.service.enable_snapshot_url_recovery,
    },
  });
  const turns = new WorkScheduler((error, place) => parts.fault(error, undefined, place));
  let restListener: RestListener | undefined;
  let grpc: { listener: GrpcListener; asker: GrpcAsker } | undefined;

  const gateway: Gateway = {
    async start() {
      try {
        await refuseSecuredUpstream(lookup);
        const options = restListenerOptions(() => force.state, parts, {
          ...{ upstream, lookup, floodPenalty, turns, shared },
          webUi: await webUiOf(config, lookup),
        });
        restListener = await createRestListener({ ...options, connections: connections.rest });
        grpc = await openGrpc(() => force.state, parts, { floodPenalty, turns, shared, connections: connections.grpc });
      } catch (error) {
        await restListener?.close(0);
        await Promise.all([upstream.destroy(), own.destroy(), audit?.close(0), tracing?.close(0)]);
        observation?.close();
        throw error;
      }
      await sayVersion(lookup, log);
      return { rest: restListener.address, grpc: grpc?.listener.address ?? null };
    },
    apply(next, called = force.generation + 1) {
      // All steps that can fail come before the first change.
      const ring = ringOf(next, called);
      const rules = policyOf(next.config.gateway.mode, next.policy.rules);
      const tls = listenerTls(config, force.tls, next);
      const secured = tls && !sameTls(tls, force.tls) ? tls : null;
      tryContexts(next.config, secured, next.secrets.upstreamCa);
      const restart = restartNeeded(config, next.config);
      force.state = next;
      force.generation = called;
      force.tls = tls;
      authenticator.replaceRing(ring);
      policy.current = rules;
      // Unchanged certificates keep their TLS sessions.
      if (secured) {
        restListener?.setSecureContext(restTls(secured));
        grpc?.listener.setSecureContext(grpcTls(secured));
      }
      log.setLevel(next.config.log_level);
      return { generation: called, restartNeeded: restart };
    },
    setRevocations(revocations) {
      force.revocations = revocations;
    },
    snapshot: (details = []) => ({
      pid: process.pid,
      generation: force.generation,
      protecting: policy.current.mode === 'enforce' && !authenticator.isOpen(),
      rulesInShadow: policy.current.rules.filter(({ mode }) => mode === 'shadow').length,
      certificates: certificateExpiries({ tls: force.tls, upstreamCa: force.state.secrets.upstreamCa }),
      observed: observation?.snapshot(authenticator.remembered(), details),
      audit: audit?.snapshot(),
      learned: policy.current.mode === 'learn' ? learner.snapshot() : undefined,
      tracing: tracing?.snapshot(),
    }),
    act: (act) => audit?.append(actEvent(act)),
    async stop(graceMs) {
      const end = performance.now() + graceMs;
      await Promise.all([restListener?.close(graceMs), grpc?.listener.close(graceMs)]);
      grpc?.asker.close();
      await Promise.all([upstream.destroy(), own.destroy()]);
      const left = Math.max(LAST_WRITES_MS, end - performance.now());
      await Promise.all([audit && closeAudit(audit, left, log), tracing?.close(left)]);
      observation?.close();
    },
  };
  return gateway;
}

/** Admission by the audit and tracing, before a request is inspected. */
function admitting(audit: Audit | undefined, tracing: Tracing | undefined): ExchangeParts['admit'] {
  const admit = audit?.admit ?? (() => undefined);
  if (!tracing) return admit;
  return (exchange) => {
    tracing.begin(exchange);
    return admit(exchange);
  };
}

/** Client connections of both listeners. */
type Clients = ObservationOptions['connections'];

/** Counts connections and client faults, and logs the faults. */
function clientsOf(log: Log, report: FaultReport): Clients {
  return {
    rest: new Connections(report, createClientFaultLog(log, 'rest')),
    grpc: new Connections(report, createClientFaultLog(log, 'grpc')),
  };
}

/** Metrics are off when no endpoint serves them. */
function observationOf({ gateway }: Config, connections: Clients): Observation | undefined {
  if (gateway.admin.port === null) return undefined;
  const { per_key: perKey, max_labels: most } = gateway.metrics;
  return createObservation({ firstRefusal, connections, perKey: perKey ? most : undefined });
}

function openAudit({ config }: State, log: Log, worker: number | undefined): Promise<Audit | undefined> {
  // Limits the lines about a receiver that fails and recovers repeatedly.
  const mayLog = createThrottle(SINK_LINES_PER_SECOND, Date.now);
  return createAudit(config, {
    firstRefusal,
    unavailable: AUDIT_UNAVAILABLE,
    changed: (sink, fault) => {
      if (mayLog() === undefined) return;
      if (fault === undefined) log.info({ sink }, 'the audit log is written again');
      else log.error({ sink, reason: fault }, 'the audit log cannot be written; entries are queued');
    },
    fault: (error) => log.error(describeFault(error), 'an audit entry could not be made'),
    worker,
  });
}

async function closeAudit(audit: Audit, graceMs: number, log: Log): Promise<void> {
  const lost = await audit.close(graceMs);
  if (lost.size > 0) log.error({ lost: Object.fromEntries(lost) }, 'audit entries could not be written before the end');
}

/**
 * TLS material of open listeners under the next state. TLS on or off, and client certificates, are settled when they are
 * opened: a state that changes either keeps the present setting.
 */
function listenerTls(running: Config, inForce: TlsMaterial | null, next: State): TlsMaterial | null {
  const { tls } = next.secrets;
  if (!inForce || !tls) return inForce;
  // INVARIANT: a listener with client certificates always has their CA.
  const asks = 'verify_https_client_certificate';
  const restCa = running.service[asks] === next.config.service[asks] ? tls.clientCa : inForce.clientCa;
  const grpcAsks = 'grpc_client_certificates';
  const grpcCa = running.gateway[grpcAsks] === next.config.gateway[grpcAsks] ? tls.grpcClientCa : inForce.grpcClientCa;
  return { ...tls, clientCa: restCa, grpcClientCa: grpcCa };
}

/** One entry per part, so that a new part must be compared. */
const SAME: { readonly [P in keyof TlsMaterial]-?: (left: TlsMaterial, right: TlsMaterial) => boolean } = {
  cert: (left, right) => sameBytes(left.cert, right.cert),
  key: (left, right) => sameBytes(left.key, right.key),
  clientCa: (left, right) => sameBytes(left.clientCa, right.clientCa),
  grpcClientCa: (left, right) => sameBytes(left.grpcClientCa, right.grpcClientCa),
  ticketKeys: (left, right) => sameBytes(left.ticketKeys, right.ticketKeys),
};

function sameTls(left: TlsMaterial, right: TlsMaterial | null): boolean {
  return right !== null && Object.values(SAME).every((same) => same(left, right));
}

function sameBytes(left: Buffer | null | undefined, right: Buffer | null | undefined): boolean {
  return left && right ? left.equals(right) : !left && !right;
}

/** Learns from forwarded requests while learn mode is on. */
function learnWith(learner: Learner, policy: ExchangeParts['policy']): Observer {
  return (exchange) => {
    if (policy.current.mode !== 'learn') return;
    const seen = seenIn(exchange, Date.now());
    if (seen) learner.see(seen);
  };
}

function authenticatorOf(force: StateInForce, lookup: UpstreamLookup): Authenticator {
  const { limits, value_exists: valueExists } = force.state.config.gateway;
  return createAuthenticator({
    ring: ringOf(force.state, force.generation),
    cacheEntries: limits.token_cache_entries,
    now: Date.now,
    valueExists: createValueExists({ scroll: lookup.scroll, timeoutMs: valueExists.timeout_ms }),
    revocations: () => force.revocations,
  });
}

/** The recorders of exchanges. */
interface PartsOptions {
  readonly bodyRules: BodyRules;
  readonly admit: ExchangeParts['admit'];
  readonly log: Log;
  readonly observation: Observation | undefined;
}

function createParts(
  { authenticate }: Authenticator,
  policy: ExchangeParts['policy'],
  observers: readonly Observer[],
  { admit, log, observation, bodyRules }: PartsOptions,
): ExchangeParts {
  const mayLog = createThrottle(FAULT_LINES_PER_SECOND, Date.now);
  const fault: ExchangeParts['fault'] = (error, exchange, place = 'exchange') => {
    observation?.fault(place);
    const missed = mayLog();
    if (missed === undefined) return;
    const operation = exchange?.resolution?.operation.name;
    const request = exchange && requestIdOf(exchange);
    log.error(
      {
        ...describeFault(error),
        place,
        protocol: exchange?.protocol,
        operation,
        request,
        ...(missed > 0 ? { missed } : {}),
      },
      exchange ? 'a request failed closed' : 'a connection failed closed',
    );
  };
  const abandoned = new AbandonedCalls(
    () => performance.now(),
    (error, place) => fault(error, undefined, place),
  );
  return {
    authenticate,
    bodyRules,
    policy,
    admit,
    pace: abandoned,
    now: () => performance.now(),
    record: (exchange, outcome) => {
      // A gRPC answer that no recorder reads has no status.
      abandoned.ended(exchange, outcome.status !== undefined || exchange.answeredAt > 0);
      for (const observe of observers) observe(exchange, outcome);
    },
    fault,
  };
}

/** State that the gRPC listener shares with the rest of the process. */
interface GrpcShared {
  readonly floodPenalty: FloodPenalty;
  readonly turns: WorkScheduler;
  readonly shared: boolean;
  readonly connections: Connections;
}

async function openGrpc(
  current: () => State,
  parts: ExchangeParts,
  { floodPenalty, turns, shared, connections }: GrpcShared,
): Promise<{ listener: GrpcListener; asker: GrpcAsker } | undefined> {
  const { config } = current();
  if (config.service.grpc_port === null) return undefined;
  const asker = grpcAsker(current);
  try {
    const options = grpcListenerOptions(current, parts, { ask: asker, floodPenalty, turns, shared });
    return { listener: await createGrpcListener({ ...options, connections }), asker };
  } catch (error) {
    asker.close();
    throw error;
  }
}

/** Qdrant with keys would refuse everything the gateway permits. An unreachable Qdrant does not prevent the start. */
async function refuseSecuredUpstream(lookup: UpstreamLookup): Promise<void> {
  if (!(await lookup.asksForKey(AbortSignal.timeout(VERSION_TIMEOUT_MS)))) return;
  const message = 'the upstream requires a key: remove the keys from qdrant, the gateway checks them';
  throw new ConfigError([{ place: 'gateway.upstream.rest_url', message }]);
}

/** Presence of upstream's web UI, if the configuration serves it. */
async function webUiOf({ service }: Config, lookup: UpstreamLookup): Promise<{ readonly present: boolean }> {
  if (!service.enable_static_content) return { present: false };
  const webUi = new WebUi({ ask: lookup.servesWebUi, now: () => performance.now() });
  await webUi.look();
  return webUi;
}

/** Logs upstream's release. */
async function sayVersion(lookup: UpstreamLookup, log: Log): Promise<void> {
  const version = await lookup.version(AbortSignal.timeout(VERSION_TIMEOUT_MS));
  if (typeof version === 'string') log.info({ version }, 'upstream answers');
  else log.warn({ reason: version.message }, 'upstream does not answer yet; requests are refused until it does');
}
