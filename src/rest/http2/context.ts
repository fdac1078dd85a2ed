import type { Socket } from 'node:net';
import type { CredentialMemo } from '../../identity/credential-memo.ts';
import type { FaultReport } from '../../lifetime/guard.ts';
import type { WorkScheduler } from '../../limits/work-scheduler.ts';
import type { LaneOptions } from '../options.ts';
import type { Http2Stream } from './stream.ts';
import type { UpstreamPlaces } from './upstream-places.ts';
import type { WindowBudget } from './window-budget.ts';

/** The shared state of one listener's HTTP/2 connections. */
export interface Http2Context {
  /** Tells of faults of ours. */
  readonly report: FaultReport;
  readonly options: Pick<LaneOptions, 'parts' | 'limits' | 'connections' | 'nodes'>;
  /** Of the thread, shared by all connections. */
  readonly scheduler: WorkScheduler;
  /** Moves in ticks. Milliseconds. */
  readonly clock: Http2Clock;
  readonly windows: WindowBudget;
  /** Serves one request. Throws only for a fault of ours. */
  readonly serve: (stream: Http2Stream, connection: ServedConnection) => void;
  /** Requests of one connection that may be under way upstream as bytes. */
  readonly mostUpstream: number;
  /** All frames that came in one piece have been handed over. */
  readonly burstEnded: () => void;
}

/** A connection as its requests use it. */
export interface ServedConnection {
  readonly socket: Socket;
  readonly memo: CredentialMemo;
  readonly places: UpstreamPlaces;
}

/** The time, moved in ticks. */
export interface Http2Clock {
  /** Milliseconds. */
  readonly now: number;
  readonly read: () => number;
  /** The same as a `date` header has it. */
  readonly date: string;
}
