import type { Audit } from '../audit/audit.ts';
import type { Config } from '../config/schema.ts';
import type { Exchange, ExchangeParts, Outcome } from '../exchange/exchange.ts';
import { tracingIdOf } from '../exchange/request-id.ts';
import type { Authenticator } from '../identity/authenticate.ts';
import { seenIn } from '../learning/observe.ts';
import { turnClock } from '../lifetime/turn-clock.ts';
import { AbandonedCalls } from '../limits/abandoned-calls.ts';
import { Creations, type ListCollections } from '../limits/creations.ts';
import { LeaseLedger } from '../limits/lease-ledger.ts';
import type { Leases } from '../limits/leases.ts';
import { RefusalPacing } from '../limits/refusal-pacing.ts';
import { RequestLimits } from '../limits/request-limits.ts';
import { createThrottle, describeFault, type Log } from '../observability/log.ts';
import type { Observation } from '../observability/observation.ts';
import type { Tracing } from '../observability/tracing.ts';
import type { BodyRules } from '../policy/body-checks.ts';
import type { Learner } from '../policy/learn.ts';
import { featuresOf, type KnownRelease, takesDotNames } from '../upstream/release-watch.ts';

/** Most log lines about faults per second. */
const FAULT_LINES_PER_SECOND = 10;

/** Step 8 of an exchange: each observer sees every exchange once, when it has ended. Must not throw. */
export type Observer = (exchange: Exchange, outcome: Outcome) => void;

/** The recorders of exchanges. */
export interface PartsOptions {
  readonly bodyRules: BodyRules;
  readonly admit: ExchangeParts['admit'];
  readonly log: Log;
  readonly observation: Observation | undefined;
  readonly listCollections: ListCollections;
  readonly createExisting: boolean;
  /** Limits are counted with other processes; `undefined` = this process counts alone. */
  readonly leases: Leases | undefined;
}

/** The parts, with what a reload and the stop of the gateway tell them. */
export interface ServingExchangeParts extends ExchangeParts {
  readonly refusals: RefusalPacing;
}

const monotonic = (): number => performance.now();

function ledgerOf(leases: Leases): LeaseLedger {
  return new LeaseLedger({ ...leases, now: monotonic, later: (ms, work) => void setTimeout(work, ms).unref() });
}

export function createParts(
  { authenticate, inForce: identifying }: Authenticator,
  policy: ExchangeParts['policy'],
  observers: readonly Observer[],
  { admit, log, observation, bodyRules, listCollections, createExisting, leases }: PartsOptions,
): ServingExchangeParts {
  const mayLog = createThrottle(FAULT_LINES_PER_SECOND, Date.now);
  const fault: ExchangeParts['fault'] = (error, exchange, place = 'exchange') => {
    observation?.fault(place);
    const missed = mayLog();
    if (missed === undefined) return;
    const operation = exchange?.resolution?.operation.name;
    const id = exchange && tracingIdOf(exchange);
    log.error(
      {
        ...describeFault(error),
        place,
        protocol: exchange?.protocol,
        operation,
        tracing_id: id,
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
    identifying,
    bodyRules,
    policy,
    admit,
    pace: abandoned,
    refusals: new RefusalPacing(monotonic, (ms, work) => setTimeout(work, ms)),
    limits: new RequestLimits(monotonic, leases && ledgerOf(leases)),
    creations: new Creations(listCollections, () => performance.now()),
    ...(createExisting && { createExisting: true as const }),
    now: turnClock.monotonic,
    record: (exchange, outcome) => {
      // A gRPC answer that no recorder reads has no status.
      abandoned.ended(exchange, outcome.status !== undefined || exchange.answeredAt > 0);
      for (const observe of observers) observe(exchange, outcome);
    },
    fault,
  };
}

/** Admission by the audit and tracing, before a request is inspected. */
export function admitting(audit: Audit | undefined, tracing: Tracing | undefined): ExchangeParts['admit'] {
  const admit = audit?.admit ?? (() => undefined);
  if (!tracing) return admit;
  return (exchange) => {
    tracing.begin(exchange);
    return admit(exchange);
  };
}

/** Learns from forwarded requests while learn mode is on. */
export function learnWith(learner: Learner, policy: ExchangeParts['policy']): Observer {
  return (exchange) => {
    if (policy.current.mode !== 'learn') return;
    const seen = seenIn(exchange, Date.now());
    if (seen) learner.see(seen);
  };
}

/** The settings that decide which bodies are checked; those that depend on upstream's release change with it. */
export function bodyRulesOf({ gateway, service }: Config, release: KnownRelease): BodyRules {
  return {
    nestingGuard: gateway.limits.nesting_guard,
    snapshotUrlRecovery: service.enable_snapshot_url_recovery,
    refusesDotNames(permitted) {
      if (permitted) release.refresh();
      return takesDotNames(release);
    },
    releaseSettled: () => release.settled(),
    features() {
      release.refresh();
      return featuresOf(release);
    },
  };
}
