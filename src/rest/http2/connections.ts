import type { Socket } from 'node:net';
import { Http2Fault } from '../../http2/frames.ts';
import { Guard } from '../../lifetime/guard.ts';
import { Cost } from '../../limits/work-scheduler.ts';
import type { CountedClient } from '../../net/connections.ts';
import type { LaneOptions } from '../options.ts';
import type { RelayNodes } from '../relay/nodes/pool.ts';
import type { RelayUpstream } from '../relay/upstream.ts';
import type { RestLane } from '../server/lane.ts';
import { Http2Connection } from './connection.ts';
import type { Http2Context } from './context.ts';
import { createPlainRequests } from './plain-requests.ts';
import { WindowBudget } from './window-budget.ts';

/** The HTTP/2 connections of a listener. */
export interface Http2Connections {
  /** Takes a client's socket of which nothing has been read. @param client counts its requests */
  readonly take: (socket: Socket, client?: CountedClient) => void;
  /** Takes no more requests but those on their way; connections end with their last answer. */
  readonly drain: () => void;
  readonly size: () => number;
  readonly figures: () => Http2Figures;
  /** Looks at the time limits now. By itself it does so every quarter of a second. */
  readonly tick: () => void;
  /** Stops the clock; every connection has to be over. */
  readonly close: () => void;
}

/** Work in progress. All are 0 while no client is connected. */
export interface Http2Figures {
  readonly http2Streams: number;
  /** Bytes of request bodies that came and were neither used nor thrown away. */
  readonly http2Unread: number;
  /** Upstream connections that carry a request. */
  readonly http2Upstream: number;
  /** Bytes that connections of known callers have of the window budget. */
  readonly http2Windows: number;
}

export interface Http2Options {
  readonly options: LaneOptions;
  /** Takes every request that is not plain. */
  readonly lane: Pick<RestLane, 'takeHttp2' | 'facts'>;
  /**
   * Plain requests pass as bytes to it, so many of one client connection at once; without it the server transport takes them
   * all.
   */
  readonly relay?: { readonly upstream: RelayUpstream | RelayNodes; readonly connections: number } | undefined;
  /** Monotonic milliseconds, for time limits: none ends because the clock of the machine was set. Default: `performance.now`. */
  readonly now?: () => number;
}

/** Milliseconds between looks at the time limits. */
const TICK_MS = 250;

const monotonic = (): number => performance.now();

/** Makes the HTTP/2 side of a listener. */
export function createHttp2Connections(options: Http2Options): Http2Connections {
  const connections = new Set<Http2Connection>();
  // Each connection has a guard of its own: a fault here ends none of them.
  const owner = { fail: () => undefined, cut: () => undefined };
  const guard = new Guard(owner, 'rest_listener', (error, place) =>
    options.options.parts.fault(error, undefined, place),
  );
  const { lane, relay, now = monotonic } = options;
  const clock = { now: now(), read: (): number => clock.now, date: new Date().toUTCString() };
  const plain =
    relay &&
    createPlainRequests({
      options: options.options,
      clock,
      upstream: relay.upstream,
      facts: lane.facts,
      takeOver: (stream, socket, begun, early) => lane.takeHttp2(stream, socket, begun, early),
    });
  const { scheduler } = options.options;
  let due = false;
  // Once per turn of the event loop: what clients sent in several pieces goes upstream in one write.
  const flushSoon = (): void => {
    if (due || !plain?.held) return;
    due = true;
    guard.soon(() => {
      due = false;
      plain.flush();
    });
  };
  const context: Http2Context = {
    report(error) {
      if (!(error instanceof Http2Fault)) options.options.parts.fault(error, undefined, 'rest_http2');
    },
    options: options.options,
    scheduler,
    clock,
    mostUpstream: relay?.connections ?? 0,
    serve(stream, connection) {
      if (plain?.begin(stream, connection)) return;
      scheduler.spend(Cost.SERVER_REQUEST);
      lane.takeHttp2(stream, connection.socket);
    },
    windows: new WindowBudget(),
    burstEnded: flushSoon,
  };
  const closed = (connection: Http2Connection): void => {
    connections.delete(connection);
  };
  const tick = (): void => {
    clock.now = now();
    clock.date = new Date().toUTCString();
    plain?.tick(clock.now);
    for (const connection of connections) connection.tick(clock.now);
  };
  const ticker = guard.every(TICK_MS, tick);
  ticker.unref();
  return {
    take: (socket, client) => {
      connections.add(new Http2Connection(socket, client, context, closed));
    },
    drain: () => {
      for (const connection of connections) connection.drain();
    },
    size: () => connections.size,
    figures: () => ({
      http2Streams: sum(connections, ({ openStreams }) => openStreams),
      http2Unread: sum(connections, ({ unread }) => unread),
      http2Upstream: plain?.busy() ?? 0,
      http2Windows: context.windows.taken,
    }),
    tick: () => guard.run(tick),
    close: () => {
      clearInterval(ticker);
      plain?.close();
    },
  };
}

function sum(connections: Iterable<Http2Connection>, count: (connection: Http2Connection) => number): number {
  let all = 0;
  for (const connection of connections) all += count(connection);
  return all;
}
