import type { Socket } from 'node:net';
import type { Protocol } from '../../exchange/exchange.ts';
import type { WorkScheduler } from '../../limits/work-scheduler.ts';
import type { FactsOfCollections } from '../../upstream/collection-facts.ts';
import type { LaneOptions } from '../options.ts';
import type { Resolve } from '../resolve.ts';
import type { RelayExchange } from './exchange.ts';
import type { RelayPool } from './upstream-pool.ts';

/** The shared state of one listener's connections. */
export interface RelayContext {
  readonly options: Pick<LaneOptions, 'parts' | 'cors' | 'webUi' | 'limits' | 'telemetry' | 'connections'>;
  readonly pool: RelayPool;
  /** Of collections, for tenants. */
  readonly facts: FactsOfCollections;
  readonly scheduler: WorkScheduler;
  readonly resolve: Resolve;
  readonly protocol: Protocol<RelayExchange>;
  /** Moves in ticks. */
  readonly clock: { readonly now: number; readonly date: string; readonly draining: boolean };
  readonly handOver: HandOver;
}

/**
 * Gives the client's socket to the other lane, `unread` before everything that is still to come.
 *
 * @param ended the client has closed its writing half: nothing comes any more
 */
export type HandOver = (socket: Socket, unread: Buffer, ended: boolean) => void;
