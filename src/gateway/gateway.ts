import { type AdminAct, actEvent } from '../audit/act.ts';
import type { Audit } from '../audit/audit.ts';
import type { Config } from '../config/schema.ts';
import type { State } from '../config/state.ts';
import type { ConsolePort } from '../exchange/console-request.ts';
import type { GrpcListener } from '../grpc/listener.ts';
import type { GrpcAsker } from '../grpc/unary/asker.ts';
import type { Authenticator } from '../identity/authenticate.ts';
import type { AskForKeys } from '../identity/issuers/key-sets.ts';
import type { Revocations } from '../identity/revocations.ts';
import type { FaultReport } from '../lifetime/guard.ts';
import { createAnswerMemory } from '../limits/answer-memory.ts';
import type { Leases } from '../limits/leases.ts';
import { WorkScheduler } from '../limits/work-scheduler.ts';
import { type Log, logOf } from '../observability/log.ts';
import { certificateExpiries } from '../observability/metrics/certificate-expiry.ts';
import type { Observation } from '../observability/observation.ts';
import type { GatewaySnapshot, SnapshotDetail } from '../observability/snapshot.ts';
import { createTracing, type Tracing } from '../observability/tracing.ts';
import { Learner } from '../policy/learn.ts';
import type { KeySetInForce } from '../policy/mapping/issuer.ts';
import type { NamedKeysInForce } from '../policy/named-key.ts';
import type { Policy } from '../policy/rules.ts';
import { policyOf } from '../policy/settings.ts';
import { createRestListener, type RestListener } from '../rest/listener.ts';
import { type ValidationCertificate, Validations } from '../rest/tls/validation-tls.ts';
import type { TokenAnswer } from '../token-endpoint/answers.ts';
import type { TokenEndpoint, TokenRequest } from '../token-endpoint/endpoint.ts';
import { checkKeyAtStart, sayTenants, sayVersion, webUiOf } from './ask-at-start.ts';
import {
  admitting,
  bodyRulesOf,
  createParts,
  learnWith,
  type Observer,
  type ServingExchangeParts,
} from './exchange-parts.ts';
import { KeyWatch } from './key-watch.ts';
import { grpcTls, proxiesInFront, restListenerOptions, restTls } from './listener-options.ts';
import { closeAudit, openAudit } from './open-audit.ts';
import { authenticatorOf, tokenEndpointOf } from './open-authenticator.ts';
import { type ListenersShare, openGrpc } from './open-grpc.ts';
import { type Clients, clientsOf, comparisonOf, exchangeLogsOf, observationOf } from './open-observation.ts';
import { type OutageLog, outageLogOf } from './outage-log.ts';
import { prepareState, type StateInForce, stateOfStart } from './state-in-force.ts';
import { clearUnixPaths } from './unix-listeners.ts';
import { openUpstreams, type Upstreams } from './upstreams.ts';
import { namedKeysIn } from './usable.ts';
import { type ConsoleTokenRequest, consoleTokenOf } from './workers/console-token.ts';
import { type IdentifiedCaller, identifyCaller } from './workers/identify-caller.ts';

/** Least time for the audit to write pending entries at the stop, in milliseconds. */
const LAST_WRITES_MS = 1000;

export interface Listening {
  readonly host: string;
  readonly port: number;
}

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
  /** The nodes that are out from now on. @param names all of them */
  drainNodes(names: readonly string[]): void;
  /** Replaces the named keys of Redis. */
  setNamedKeys(keys: NamedKeysInForce): void;
  /** Replaces the fetched key sets of issuers. @param sets all of them */
  setKeySets(sets: readonly KeySetInForce[]): void;
  /** Shows these certificates to validators of the certificate authority, on the REST port. @param validations all of them */
  setValidations(validations: readonly ValidationCertificate[]): void;
  /** Replaces the keys of TLS session tickets on both ports. @param keys 48 bytes */
  setTicketKeys(keys: Buffer): void;
  /** The figures of this process. @param details optional parts of the snapshot */
  snapshot(details?: readonly SnapshotDetail[]): GatewaySnapshot;
  /** Records an administrative action, if there is an audit log. */
  act(act: AdminAct): void;
  /** Exchanges a credential for a token. Never rejects. */
  exchangeToken(request: TokenRequest): Promise<TokenAnswer>;
  /** Identifies a credential. @param remote the client's address */
  identify(credential: string, remote: string): Promise<IdentifiedCaller>;
  /** A token for a session of the console; `undefined` = there is none. */
  consoleToken(request: ConsoleTokenRequest): Promise<string | undefined>;
  /** Goes on as before, and asks clients to move; `stop` follows. */
  depart(): void;
  /** Stops accepting requests, lets open ones finish within `graceMs`, then aborts the rest. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Builds the parts. Nothing listens and no upstream is asked before `start`.
 *
 * @param worker number of this process, from 0; each has audit files of its own
 * @param generation number of `state`
 * @param leases limits are counted with other processes; default: this process counts alone
 * @param askForKeys for fetched keys of issuers; default: there are none
 * @param pages the console, where the REST port serves it; default: there is none
 */
export async function createGateway(
  state: State,
  observers: readonly Observer[] = [],
  worker?: number,
  generation = 1,
  leases?: Leases,
  askForKeys?: AskForKeys,
  pages?: ConsolePort,
): Promise<Gateway> {
  const { config } = state;
  const inForce = stateOfStart(state, generation);
  const log = logOf(config);
  const tracing = await createTracing(config);
  const audit = await openAudit(state, log, worker);
  const report: FaultReport = (error, place) => exchangeParts.fault(error, undefined, place);
  // INVARIANT: nothing is asked before `start`.
  const upstreams = openUpstreams(() => inForce.state, log, report);
  const authenticator = authenticatorOf(inForce, upstreams.lookup, askForKeys);
  const policy = {
    current: policyOf(config.gateway.mode, state.policy.rules, state.policy.guards, state.policy.limits),
  };
  const learner = new Learner();
  // INVARIANT: no event before there are listeners.
  const connections = clientsOf(log, report);
  const observation = observationOf(config, connections);
  const outageLog = outageLogOf(upstreams, () => inForce.state, worker, log, report);
  const keyWatch = new KeyWatch({ lookup: upstreams.lookup, log, report });
  const recorders = [observation, audit, tracing].flatMap((recorder) => (recorder ? [recorder.observe] : []));
  const watches = outageLog ? [outageLog.observe, keyWatch.observe] : [keyWatch.observe];
  const logged = [...exchangeLogsOf(config, log), comparisonOf(inForce, log, observation), ...watches];
  const watching = [...observers, ...logged, learnWith(learner, policy), ...recorders];
  const exchangeParts = createParts(authenticator, policy, watching, {
    admit: admitting(audit, tracing),
    log,
    observation,
    listCollections: upstreams.lookup.listCollections,
    bodyRules: bodyRulesOf(config, upstreams.release),
    createExisting: config.gateway.compatibility.create_existing,
    leases,
  });
  const tokens = tokenEndpointOf({ inForce, authenticator, audit, observation, report });
  const { stream_idle_timeout_ms: streamIdleMs } = config.gateway.limits;
  const limits = { scheduler: new WorkScheduler(report), answerMemory: createAnswerMemory(streamIdleMs) };
  const inFront = {
    proxies: proxiesInFront(config),
    clientTrust: config.gateway.client_certificates.mode === 'off' ? undefined : () => inForce.trust,
  };
  return new ServingProcess({
    ...{
      inForce,
      log,
      tracing,
      audit,
      observation,
      connections,
      authenticator,
      policy,
      learner,
      exchangeParts,
      keyWatch,
      outageLog,
      tokens,
      pages,
    },
    ...upstreams,
    isFirst: (worker ?? 0) === 0,
    listenersShare: { ...limits, shared: worker !== undefined, ...inFront, validations: new Validations() },
  });
}

interface ServingParts extends Upstreams {
  readonly inForce: StateInForce;
  readonly log: Log;
  readonly tracing: Tracing | undefined;
  readonly audit: Audit | undefined;
  readonly observation: Observation | undefined;
  readonly connections: Clients;
  readonly authenticator: Authenticator;
  readonly policy: { current: Policy };
  readonly learner: Learner;
  readonly keyWatch: KeyWatch;
  readonly outageLog: OutageLog | undefined;
  readonly exchangeParts: ServingExchangeParts;
  readonly tokens: TokenEndpoint;
  readonly pages: ConsolePort | undefined;
  readonly listenersShare: ListenersShare;
  /** True = the one of several processes that asks and watches upstream for all. */
  readonly isFirst: boolean;
}

/** Listeners are opened by `start`; everything else is there before. */
class ServingProcess implements Gateway {
  readonly #parts: ServingParts;
  /** The configuration of the start. */
  readonly #running: Config;
  readonly #current = (): State => this.#parts.inForce.state;
  #rest: RestListener | undefined;
  #grpc: { readonly listener: GrpcListener; readonly asker: GrpcAsker } | undefined;

  constructor(parts: ServingParts) {
    this.#parts = parts;
    this.#running = parts.inForce.state.config;
  }

  async start(): ReturnType<Gateway['start']> {
    const { nodes, upstream, own, lookup, connections, exchangeParts, listenersShare, log, keyWatch, tokens } =
      this.#parts;
    try {
      if (!listenersShare.shared) await clearUnixPaths(this.#running);
      await nodes?.begin();
      await checkKeyAtStart(this.#current().secrets.upstreamKey !== null, lookup, keyWatch);
      const options = restListenerOptions(this.#current, exchangeParts, {
        ...{ upstream, nodes: nodes?.nodes, lookup, tokens, console: this.#parts.pages, ...listenersShare },
        webUi: await webUiOf(this.#running, lookup),
      });
      this.#rest = await createRestListener({ ...options, connections: connections.rest });
      const shared = { ...listenersShare, nodes: nodes?.nodes };
      this.#grpc = await openGrpc(this.#current, exchangeParts, shared, connections.grpc);
    } catch (error) {
      const { audit, tracing, observation } = this.#parts;
      keyWatch.close();
      await this.#rest?.close(0);
      nodes?.close();
      await Promise.all([upstream.destroy(), own.destroy(), audit?.close(0), tracing?.close(0)]);
      observation?.close();
      throw error;
    }
    const answers = await sayVersion(lookup, log);
    this.#parts.outageLog?.begin(answers, this.#grpc?.asker);
    if (answers && this.#parts.isFirst) await sayTenants(this.#current().policy.tenants, lookup, log);
    return { rest: this.#rest.address, grpc: this.#grpc?.listener.address ?? null };
  }

  apply(next: State, generation = this.#parts.inForce.generation + 1): Applied {
    const { inForce, authenticator, policy, log, nodes } = this.#parts;
    // All steps that can fail come before the first change.
    const prepared = prepareState(this.#running, inForce, next, generation);
    inForce.state = next;
    inForce.generation = generation;
    inForce.tls = prepared.tls;
    // INVARIANT: trust, keys and certificates of the listeners change in one turn, between two handshakes.
    inForce.trust = prepared.trust;
    authenticator.replaceRing(prepared.ring);
    policy.current = prepared.policy;
    this.#parts.exchangeParts.refusals.releaseAll();
    if (prepared.changedTls) {
      this.#rest?.setSecureContext(restTls(prepared.changedTls));
      this.#grpc?.listener.setSecureContext(grpcTls(prepared.changedTls));
    }
    nodes?.apply();
    log.setLevel(next.config.log_level);
    this.#parts.keyWatch.reloaded();
    return { generation, restartNeeded: prepared.restartNeeded };
  }

  setRevocations(revocations: Revocations): void {
    this.#parts.inForce.revocations = revocations;
  }

  drainNodes(names: readonly string[]): void {
    this.#parts.nodes?.nodes.drain(new Set(names));
  }

  setNamedKeys(keys: NamedKeysInForce): void {
    this.#parts.authenticator.replaceNamed(keys, () => namedKeysIn(this.#current(), keys));
    this.#parts.inForce.sharedKeys = keys;
  }

  setKeySets(sets: readonly KeySetInForce[]): void {
    this.#parts.authenticator.setKeySets(sets);
  }

  setValidations(validations: readonly ValidationCertificate[]): void {
    this.#parts.listenersShare.validations.set(validations);
  }

  setTicketKeys(ticketKeys: Buffer): void {
    const { inForce } = this.#parts;
    if (!inForce.tls) return;
    inForce.tls = { ...inForce.tls, ticketKeys };
    this.#rest?.setTicketKeys(ticketKeys);
    this.#grpc?.listener.setTicketKeys(ticketKeys);
  }

  snapshot(details: readonly SnapshotDetail[] = []): GatewaySnapshot {
    const { inForce, authenticator, policy, observation, audit, learner, tracing, nodes } = this.#parts;
    return {
      pid: process.pid,
      generation: inForce.generation,
      protecting: policy.current.mode === 'enforce' && !authenticator.isOpen(),
      rulesInShadow: policy.current.rules.filter(({ mode }) => mode === 'shadow').length,
      certificates: certificateExpiries({ ...inForce.state.secrets, tls: inForce.tls }),
      observed: observation?.snapshot(authenticator.remembered(), details),
      audit: audit?.snapshot(),
      learned: policy.current.mode === 'learn' ? learner.snapshot() : undefined,
      tracing: tracing?.snapshot(),
      outages: this.#parts.outageLog?.outages,
      nodes: nodes?.figures(),
      ...(details.includes('keys') && { usedKeys: authenticator.used() }),
    };
  }

  act(act: AdminAct): void {
    this.#parts.audit?.append(actEvent(act));
  }

  exchangeToken(request: TokenRequest): Promise<TokenAnswer> {
    return this.#parts.tokens.answer(request);
  }

  identify(credential: string, remote: string): Promise<IdentifiedCaller> {
    return identifyCaller(this.#parts.authenticator, credential, remote);
  }

  consoleToken(request: ConsoleTokenRequest): Promise<string | undefined> {
    return consoleTokenOf(this.#parts.authenticator, request, Date.now());
  }

  depart(): void {
    this.#rest?.depart();
    this.#grpc?.listener.depart();
  }

  async stop(graceMs: number): Promise<void> {
    const { nodes, upstream, own, audit, tracing, observation, log } = this.#parts;
    const end = performance.now() + graceMs;
    this.#parts.keyWatch.close();
    this.#parts.outageLog?.close();
    this.#parts.exchangeParts.refusals.close();
    await Promise.all([this.#rest?.close(graceMs), this.#grpc?.listener.close(graceMs)]);
    this.#grpc?.asker.close();
    nodes?.close();
    await Promise.all([upstream.destroy(), own.destroy()]);
    const left = Math.max(LAST_WRITES_MS, end - performance.now());
    await Promise.all([audit && closeAudit(audit, left, log), tracing?.close(left)]);
    observation?.close();
  }
}
