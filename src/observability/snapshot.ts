import type { AuditSnapshot } from '../audit/audit.ts';
import type { Place } from '../lifetime/places.ts';
import type { ClientConnection, ConnectionCounts } from '../net/connections.ts';
import type { Learned } from '../policy/learn.ts';
import type { CertificateExpiry } from './metrics/certificate-expiry.ts';
import type { PrincipalCount } from './metrics/principal-counts.ts';
import type { SeenPrincipal } from './metrics/principals-seen.ts';
import type { ProcessFigures } from './metrics/process-figures.ts';
import type { TallySnapshot } from './metrics/tally.ts';
import type { TracingSnapshot } from './tracing.ts';

/**
 * What one serving process knows of itself at a moment: plain data, so that it can be sent between processes, added up and
 * shown. Whoever observes something adds a member here.
 */
export interface GatewaySnapshot {
  readonly pid: number;
  /** Generation of the state in force. */
  readonly generation: number;
  /** `undefined` = nothing is audited. */
  readonly audit: AuditSnapshot | undefined;
  /** `undefined` = nothing is learned now. */
  readonly learned: Learned | undefined;
  /** `undefined` = no spans. */
  readonly tracing: TracingSnapshot | undefined;
  /** Somebody without a key is refused, and what the policy refuses is refused. */
  readonly protecting: boolean;
  /** Rules that only count what they would refuse. */
  readonly rulesInShadow: number;
  readonly certificates: readonly CertificateExpiry[];
  /** `undefined` = nobody asked to observe. */
  readonly observed: Observed | undefined;
}

/** What is counted for the admin port. */
export interface Observed {
  readonly tally: TallySnapshot;
  /** Requests that are open. */
  readonly inFlight: { readonly rest: number; readonly grpc: number };
  readonly listeners: { readonly rest: ConnectionCounts; readonly grpc: ConnectionCounts };
  readonly tokens: { readonly size: number; readonly hits: number; readonly misses: number };
  /** Empty unless they are counted by name. */
  readonly perKey: readonly PrincipalCount[];
  readonly process: ProcessFigures;
  /** Exceptions that ended a connection or an exchange. */
  readonly internalFaults: Readonly<Partial<Record<Place, number>>>;
  /** Log lines dropped because the reader was too slow. */
  readonly lostLines: number;
  /** Only when asked for. */
  readonly principals?: readonly SeenPrincipal[];
  readonly connections?: ConnectionList;
}

export interface ConnectionList {
  readonly total: number;
  readonly connections: readonly ClientConnection[];
}

/** What a snapshot holds beside the figures. */
export type SnapshotDetail = 'principals' | 'connections';

/** Most principals and connections that are shown. */
export const MAX_PRINCIPALS = 1000;
export const MAX_CONNECTIONS = 1000;
