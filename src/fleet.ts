import type { State } from './config/state.ts';
import { type Applied, createGateway, type Listening } from './gateway.ts';
import type { Revocations } from './identity/revocations.ts';
import type { GatewaySnapshot } from './observability/snapshot.ts';

/** The serving side: one gateway in this process, or one in each of several workers. */
export interface Fleet {
  /** Rejects, and serves nothing, when a port cannot be had. */
  start(): Promise<{ readonly rest: Listening; readonly grpc: Listening | null }>;
  /** All or nothing, for every process. Rejects with `ConfigError`. */
  apply(state: State): Promise<Applied>;
  setRevocations(revocations: Revocations): Promise<void>;
  /** One for each process that serves. */
  snapshots(): Promise<readonly GatewaySnapshot[]>;
  stop(graceMs: number): Promise<void>;
}

/** A fleet of one, in this process. */
export async function createSingle(state: State): Promise<Fleet> {
  const gateway = await createGateway(state);
  return {
    start: () => gateway.start(),
    apply: async (next) => gateway.apply(next),
    setRevocations: async (revocations) => gateway.setRevocations(revocations),
    snapshots: async () => [gateway.snapshot()],
    stop: (graceMs) => gateway.stop(graceMs),
  };
}
