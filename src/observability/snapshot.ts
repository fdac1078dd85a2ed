import type { AuditSnapshot } from '../audit/audit.ts';
import type { Place } from '../lifetime/places.ts';
import type { ClientConnection, ConnectionCounts } from '../net/connections.ts';
import type { Learned } from '../policy/learn.ts';
import type { Agreement } from './comparison.ts';
import type { CertificateExpiry } from './metrics/certificate-expiry.ts';
import type { PrincipalCount } from './metrics/principal-counts.ts';
import type { SeenPrincipal } from './metrics/principals-seen.ts';
import type { ProcessFigures } from './metrics/process-figures.ts';
import type { TallySnapshot } from './metrics/tally.ts';
import type { TracingSnapshot } from './tracing.ts';
import type { DecisionLabel } from './verdict.ts';

/**
 * State and counters of one serving process: plain data that can be sent between processes, summed and shown. New
 * measurements are added here.
 */
export interface GatewaySnapshot {
  readonly pid: number;
  /** Generation of the state in force. */
  readonly generation: number;
  /** `undefined` = no audit. */
  readonly audit: AuditSnapshot | undefined;
  /** `undefined` = not in learn mode. */
  readonly learned: Learned | undefined;
  /** `undefined` = no spans. */
  readonly tracing: TracingSnapshot | undefined;
  /** True = requests without a key are refused, and so are those that the policy refuses. */
  readonly protecting: boolean;
  /** Rules in shadow: they count and do not refuse. */
  readonly rulesInShadow: number;
  /** Outages of upstream since the start; `undefined` = not watched in this process. */
  readonly outages: Readonly<Record<'rest' | 'grpc', number>> | undefined;
  readonly certificates: readonly CertificateExpiry[];
  /** The nodes of upstream as this process sees them; `undefined` = one address. */
  readonly nodes: readonly NodeFigures[] | undefined;
  /** Minutes since 1970 of the last use of named keys, by id. Only on request. */
  readonly usedKeys?: readonly (readonly [id: string, minute: number])[];
  /** `undefined` = no admin port. */
  readonly observed: Observed | undefined;
}

/** States of a node, the best one first. */
export const NODE_STATES = ['up', 'rising', 'drained', 'ejected', 'gone'] as const;

/** One of several nodes, as one process sees it. Counters are since the start of the process. */
export interface NodeFigures {
  /** `host:port` of its REST port. */
  readonly name: string;
  readonly state: (typeof NODE_STATES)[number];
  readonly weight: number;
  /** Requests under way on it. */
  readonly open: number;
  readonly taken: number;
  readonly failures: number;
  readonly ejections: number;
  readonly release: string | undefined;
}

/** Results of an exchange of a credential for a token. */
export const EXCHANGE_RESULTS = ['minted', 'refused', 'limited', 'failed'] as const;
export type ExchangeResult = (typeof EXCHANGE_RESULTS)[number];

/** Measurements for the admin port. */
export interface Observed {
  readonly tally: TallySnapshot;
  /** Open requests. */
  readonly inFlight: { readonly rest: number; readonly grpc: number };
  readonly listeners: { readonly rest: ConnectionCounts; readonly grpc: ConnectionCounts };
  readonly tokens: { readonly size: number; readonly hits: number; readonly misses: number };
  /** Empty unless `gateway.metrics.per_key` is on. */
  readonly perKey: readonly PrincipalCount[];
  /** Requests over limits of the policy, by the id of the limit. */
  readonly limited: LimitCounts;
  /** Requests with break-glass keys. */
  readonly breakGlass: Readonly<Partial<Record<DecisionLabel, number>>>;
  /** Requests for a token, by result. */
  readonly tokenExchanges: Readonly<Partial<Record<ExchangeResult, number>>>;
  readonly process: ProcessFigures;
  /** Exceptions that ended a connection or an exchange. */
  readonly internalFaults: Readonly<Partial<Record<Place, number>>>;
  /** Verdicts compared with those of upstream (`gateway.upstream.compare`). */
  readonly compared: Readonly<Partial<Record<Agreement, number>>>;
  /** Log lines dropped because the reader was too slow. */
  readonly lostLines: number;
  /** Only on request. */
  readonly principals?: readonly SeenPrincipal[];
  readonly connections?: ConnectionList;
}

/** Requests over limits, by the id of the limit: refused, and let pass in shadow. */
export type LimitCounts = Readonly<Record<string, { readonly denied: number; readonly shadowed: number }>>;

export interface ConnectionList {
  readonly total: number;
  readonly connections: readonly ClientConnection[];
}

/** Optional parts of a snapshot. */
export type SnapshotDetail = 'principals' | 'connections' | 'keys';

/** Most principals and connections in a snapshot. */
export const MAX_PRINCIPALS = 1000;
export const MAX_CONNECTIONS = 1000;
