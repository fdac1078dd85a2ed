import type { AuditSnapshot } from '../../audit/audit.ts';
import type { Place } from '../../lifetime/places.ts';
import type { ClientFault, ConnectionCounts } from '../../net/connections.ts';
import type { Agreement } from '../comparison.ts';
import type { ExchangeResult, GatewaySnapshot, LimitCounts, NodeFigures, Observed } from '../snapshot.ts';
import type { TracingSnapshot } from '../tracing.ts';
import type { DecisionLabel } from '../verdict.ts';
import { addPrincipalCounts, type PrincipalCount } from './principal-counts.ts';
import type { Distribution, TallySnapshot } from './tally.ts';

/** Counters of all serving processes, including ended ones. */
export interface FleetFigures {
  readonly tally: TallySnapshot;
  readonly perKey: readonly PrincipalCount[];
  readonly listeners: Readonly<Record<'rest' | 'grpc', Omit<ConnectionCounts, 'open'>>>;
  readonly tokens: { readonly hits: number; readonly misses: number };
  readonly internalFaults: Observed['internalFaults'];
  readonly compared: Observed['compared'];
  readonly lostLines: number;
  readonly limited: LimitCounts;
  readonly breakGlass: Observed['breakGlass'];
  readonly tokenExchanges: Observed['tokenExchanges'];
  readonly audit: Pick<AuditSnapshot, 'refused' | 'sinks'>;
  readonly spans: TracingSnapshot;
  /** Counters of nodes by name, also of those that are gone. */
  readonly nodes: NodeCounts;
}

/** Counters of nodes by name. */
export type NodeCounts = Readonly<Record<string, Pick<NodeFigures, 'taken' | 'failures' | 'ejections'>>>;

/** Ended processes that are kept separately, since one of them may only have missed an answer. */
const KEPT_APART = 64;

const NOTHING: FleetFigures = {
  tally: { requests: [], gateway: [], upstream: [], whole: [], received: [], sent: [], slowed: [] },
  perKey: [],
  listeners: {
    rest: { accepted: 0, refused: 0, failedHandshakes: 0, faults: {} },
    grpc: { accepted: 0, refused: 0, failedHandshakes: 0, faults: {} },
  },
  tokens: { hits: 0, misses: 0 },
  internalFaults: {},
  compared: {},
  lostLines: 0,
  limited: {},
  breakGlass: {},
  tokenExchanges: {},
  audit: { refused: 0, sinks: [] },
  spans: { exported: 0, failed: 0 },
  nodes: {},
};

/**
 * Sums snapshots. INVARIANT: a counter never decreases; the last counts of a process stay included after its end.
 *
 * @param maxNames keys and subjects that have a label of their own
 */
export function createFleetFigures(maxNames: number): (snapshots: readonly GatewaySnapshot[]) => FleetFigures {
  const last = new Map<string, FleetFigures>();
  let ended = NOTHING;
  return (snapshots) => {
    const present = new Set<string>();
    for (const { observed, audit, tracing, nodes } of snapshots) {
      if (!observed) continue;
      const name = `${observed.process.pid} ${observed.process.startedAt}`;
      present.add(name);
      last.delete(name);
      last.set(name, countedOf(observed, audit, tracing, nodes));
    }
    for (const [name, counted] of last) {
      if (last.size - present.size <= KEPT_APART) break;
      if (present.has(name)) continue;
      ended = add([ended, counted], maxNames);
      last.delete(name);
    }
    return add([ended, ...last.values()], maxNames);
  };
}

function countedOf(
  {
    tally,
    perKey,
    listeners,
    tokens,
    internalFaults,
    compared,
    lostLines,
    limited,
    breakGlass,
    tokenExchanges,
  }: Observed,
  audit: FleetFigures['audit'] = NOTHING.audit,
  spans: FleetFigures['spans'] = NOTHING.spans,
  nodes: readonly NodeFigures[] = [],
): FleetFigures {
  const counts = Object.fromEntries(
    nodes.map(({ name, taken, failures, ejections }) => [name, { taken, failures, ejections }]),
  );
  return {
    tally,
    perKey,
    listeners,
    tokens,
    internalFaults,
    compared,
    lostLines,
    limited,
    breakGlass,
    tokenExchanges,
    audit,
    spans,
    nodes: counts,
  };
}

function add(all: readonly FleetFigures[], maxNames: number): FleetFigures {
  const total = (of: (one: FleetFigures) => number): number => all.reduce((sum, one) => sum + of(one), 0);
  const listener = (name: 'rest' | 'grpc') => ({
    accepted: total(({ listeners }) => listeners[name].accepted),
    refused: total(({ listeners }) => listeners[name].refused),
    failedHandshakes: total(({ listeners }) => listeners[name].failedHandshakes),
    faults: addCounts<ClientFault>(all.map(({ listeners }) => listeners[name].faults)),
  });
  return {
    tally: addTallies(all.map(({ tally }) => tally)),
    perKey: addPrincipalCounts(
      all.map(({ perKey }) => perKey),
      maxNames,
    ),
    listeners: { rest: listener('rest'), grpc: listener('grpc') },
    tokens: { hits: total(({ tokens }) => tokens.hits), misses: total(({ tokens }) => tokens.misses) },
    internalFaults: addCounts<Place>(all.map(({ internalFaults }) => internalFaults)),
    compared: addCounts<Agreement>(all.map(({ compared }) => compared)),
    lostLines: total(({ lostLines }) => lostLines),
    breakGlass: addCounts<DecisionLabel>(all.map(({ breakGlass }) => breakGlass)),
    tokenExchanges: addCounts<ExchangeResult>(all.map(({ tokenExchanges }) => tokenExchanges)),
    limited: addLimited(all.map(({ limited }) => limited)),
    audit: {
      refused: total(({ audit }) => audit.refused),
      sinks: addSinks(all.flatMap(({ audit }) => audit.sinks)),
    },
    spans: { exported: total(({ spans }) => spans.exported), failed: total(({ spans }) => spans.failed) },
    nodes: addNodes(all.map(({ nodes }) => nodes)),
  };
}

function addLimited(all: readonly LimitCounts[]): LimitCounts {
  const total: Record<string, LimitCounts[string]> = {};
  for (const [limit, { denied, shadowed }] of all.flatMap((one) => Object.entries(one))) {
    const before = total[limit] ?? { denied: 0, shadowed: 0 };
    total[limit] = { denied: before.denied + denied, shadowed: before.shadowed + shadowed };
  }
  return total;
}

function addNodes(all: readonly NodeCounts[]): NodeCounts {
  const total: Record<string, NodeCounts[string]> = {};
  for (const [name, { taken, failures, ejections }] of all.flatMap((one) => Object.entries(one))) {
    const before = total[name] ?? { taken: 0, failures: 0, ejections: 0 };
    total[name] = {
      taken: before.taken + taken,
      failures: before.failures + failures,
      ejections: before.ejections + ejections,
    };
  }
  return total;
}

function addCounts<Name extends string>(
  all: readonly Readonly<Partial<Record<Name, number>>>[],
): Partial<Record<Name, number>> {
  const total: Partial<Record<Name, number>> = {};
  for (const one of all) {
    for (const name of Object.keys(one) as Name[]) total[name] = (total[name] ?? 0) + (one[name] ?? 0);
  }
  return total;
}

function addTallies(all: readonly TallySnapshot[]): TallySnapshot {
  const requests = new Map<number, number>();
  for (const [at, count] of all.flatMap((one) => one.requests)) requests.set(at, (requests.get(at) ?? 0) + count);
  return {
    requests: [...requests].sort(([a], [b]) => a - b),
    gateway: addDistributions(all.flatMap(({ gateway }) => gateway)),
    upstream: addDistributions(all.flatMap(({ upstream }) => upstream)),
    whole: addDistributions(all.flatMap(({ whole }) => whole)),
    received: addEach(all.map(({ received }) => received)),
    sent: addEach(all.map(({ sent }) => sent)),
    slowed: addEach(all.map(({ slowed }) => slowed)),
  };
}

function addDistributions(all: readonly Distribution[]): Distribution[] {
  const total = new Map<number, Distribution>();
  for (const one of all) {
    const before = total.get(one.at);
    const counts = before ? addEach([before.counts, one.counts]) : one.counts;
    total.set(one.at, { at: one.at, counts, sum: one.sum + (before?.sum ?? 0) });
  }
  return [...total.values()].sort((a, b) => a.at - b.at);
}

function addEach(all: readonly (readonly number[])[]): number[] {
  const longest = Math.max(0, ...all.map(({ length }) => length));
  return Array.from({ length: longest }, (_, at) => all.reduce((sum, one) => sum + (one[at] ?? 0), 0));
}

function addSinks(all: AuditSnapshot['sinks']): AuditSnapshot['sinks'] {
  const total = new Map<string, AuditSnapshot['sinks'][number]>();
  for (const one of all) {
    const before = total.get(one.name);
    total.set(one.name, {
      ...one,
      written: one.written + (before?.written ?? 0),
      dropped: one.dropped + (before?.dropped ?? 0),
    });
  }
  return [...total.values()];
}
