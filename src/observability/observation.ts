import { isBreakGlass } from '../exchange/break-glass.ts';
import type { Exchange, Outcome } from '../exchange/exchange.ts';
import type { Place } from '../lifetime/places.ts';
import { turnClock } from '../lifetime/turn-clock.ts';
import type { Connections } from '../net/connections.ts';
import type { Agreement } from './comparison.ts';
import { stderrDestination } from './destination.ts';
import { createPrincipalCounts } from './metrics/principal-counts.ts';
import { createPrincipalsSeen } from './metrics/principals-seen.ts';
import { createProcessFigures } from './metrics/process-figures.ts';
import { createTally } from './metrics/tally.ts';
import {
  type ExchangeResult,
  MAX_CONNECTIONS,
  MAX_PRINCIPALS,
  type Observed,
  type SnapshotDetail,
} from './snapshot.ts';
import { createVerdict, type DecisionLabel, VERDICTS, type VerdictOptions } from './verdict.ts';

export interface ObservationOptions extends VerdictOptions {
  /** Most keys and subjects with counts of their own; `undefined` = not counted. */
  readonly perKey: number | undefined;
  /** Of the listeners. */
  readonly connections: Readonly<Record<'rest' | 'grpc', Connections>>;
}

/** Measurements of one process for the admin port. */
export interface Observation {
  /** An observer of exchanges. Must not throw. */
  readonly observe: (exchange: Exchange, outcome: Outcome) => void;
  /** Counts a comparison of verdicts. */
  readonly compared: (agreement: Agreement) => void;
  /** Counts an exchange of a credential for a token. */
  readonly exchangedToken: (result: ExchangeResult) => void;
  /** Counts an internal fault. */
  readonly fault: (place: Place) => void;
  readonly snapshot: (tokens: Observed['tokens'], details: readonly SnapshotDetail[]) => Observed;
  readonly close: () => void;
}

/** True = forwarded, regardless of upstream's answer. Indexed as `VERDICTS`. */
const ALLOWED: readonly boolean[] = VERDICTS.map(
  ({ decision, reason }) => decision === 'permit' || decision === 'would_deny' || reason.startsWith('upstream_'),
);

export function createObservation(options: ObservationOptions): Observation {
  const verdictOf = createVerdict(options);
  const tally = createTally();
  const perKey = options.perKey === undefined ? undefined : createPrincipalCounts(options.perKey);
  const seen = createPrincipalsSeen(MAX_PRINCIPALS);
  const internalFaults: Partial<Record<Place, number>> = {};
  const fault = (place: Place): void => {
    internalFaults[place] = (internalFaults[place] ?? 0) + 1;
  };
  const compared: Partial<Record<Agreement, number>> = {};
  const limited = new Map<string, { denied: number; shadowed: number }>();
  const breakGlass: Partial<Record<DecisionLabel, number>> = {};
  const tokenExchanges: Partial<Record<ExchangeResult, number>> = {};
  const { connections } = options;
  const figures = createProcessFigures();
  return {
    observe(exchange, outcome) {
      const verdict = verdictOf(exchange);
      const now = turnClock.monotonic();
      tally.count(exchange, outcome, verdict, now);
      countLimit(limited, exchange);
      if (isBreakGlass(exchange)) countVerdict(breakGlass, verdict);
      perKey?.count(exchange.principal, verdict);
      seen.count(exchange, ALLOWED[verdict] === true, performance.timeOrigin + now);
    },
    compared(agreement) {
      compared[agreement] = (compared[agreement] ?? 0) + 1;
    },
    exchangedToken(result) {
      tokenExchanges[result] = (tokenExchanges[result] ?? 0) + 1;
    },
    fault,
    snapshot: (tokens, details) => ({
      tally: tally.snapshot(),
      inFlight: { rest: connections.rest.inFlight(), grpc: connections.grpc.inFlight() },
      listeners: { rest: connections.rest.counts(), grpc: connections.grpc.counts() },
      tokens,
      perKey: perKey?.snapshot() ?? [],
      limited: Object.fromEntries([...limited].map(([limit, counts]) => [limit, { ...counts }])),
      breakGlass: { ...breakGlass },
      tokenExchanges: { ...tokenExchanges },
      process: figures.read(),
      internalFaults: { ...internalFaults },
      compared: { ...compared },
      lostLines: stderrDestination().dropped(),
      ...(details.includes('principals')
        ? { principals: seen.snapshot(performance.timeOrigin + performance.now()) }
        : {}),
      ...(details.includes('connections') ? { connections: listed(connections) } : {}),
    }),
    close: () => figures.close(),
  };
}

function countLimit(counts: Map<string, { denied: number; shadowed: number }>, { refusal, shadowed }: Exchange): void {
  const denied = refusal?.reached?.limit;
  const passed = shadowed?.denial.reached?.limit;
  const limit = denied ?? passed;
  if (limit === undefined) return;
  const count = counts.get(limit) ?? { denied: 0, shadowed: 0 };
  counts.set(limit, count);
  if (denied === undefined) count.shadowed += 1;
  else count.denied += 1;
}

function countVerdict(counts: Partial<Record<DecisionLabel, number>>, verdict: number): void {
  const decision = VERDICTS[verdict]?.decision;
  if (decision) counts[decision] = (counts[decision] ?? 0) + 1;
}

function listed({ rest, grpc }: ObservationOptions['connections']): NonNullable<Observed['connections']> {
  const [first, second] = [rest.listed(MAX_CONNECTIONS), grpc.listed(MAX_CONNECTIONS)];
  const connections = [...first.connections, ...second.connections].slice(0, MAX_CONNECTIONS);
  return { total: first.total + second.total, connections };
}
