import type { AdminAct } from '../audit/act.ts';
import type { State } from '../config/state.ts';
import type { Revocations } from '../identity/revocations.ts';
import type { GatewaySnapshot, SnapshotDetail } from '../observability/snapshot.ts';
import type { Applied, Listening } from './gateway.ts';

/** The serving side: one gateway in this process, or one in each of several workers. */
export interface Fleet {
  /** Rejects, and serves nothing, when a port cannot be had. */
  start(): Promise<{ readonly rest: Listening; readonly grpc: Listening | null }>;
  /** All or nothing, for every process. Rejects with `ConfigError`. */
  apply(state: State): Promise<Applied>;
  setRevocations(revocations: Revocations): Promise<void>;
  /** One for each process that serves. @param details what is shown beside the figures */
  snapshots(details?: readonly SnapshotDetail[]): Promise<readonly GatewaySnapshot[]>;
  /** Writes down what was done through the admin port, once, where anything is audited. */
  act(act: AdminAct): Promise<void>;
  stop(graceMs: number): Promise<void>;
}
