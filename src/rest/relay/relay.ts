import type { Socket } from 'node:net';
import { Guard } from '../../lifetime/guard.ts';
import type { WorkScheduler } from '../../limits/work-scheduler.ts';
import type { CountedClient } from '../../net/connections.ts';
import type { FactsOfCollections } from '../../upstream/collection-facts.ts';
import { peerOn } from '../exchange.ts';
import type { LaneOptions } from '../options.ts';
import { restProtocol } from '../protocol.ts';
import { createLiveResolver } from '../resolve.ts';
import { RelayConnection } from './connection.ts';
import type { HandOver, RelayContext } from './context.ts';
import { createRelayPool, type RelayNodes } from './nodes/pool.ts';
import { RELAY_STEPS } from './steps.ts';
import type { RelayUpstream } from './upstream.ts';

/** The relay's own options. */
export interface RestRelayOptions {
  readonly options: RelayContext['options'] & Pick<LaneOptions, 'webUi'>;
  readonly upstream: RelayUpstream | RelayNodes;
  readonly facts: FactsOfCollections;
  readonly scheduler: WorkScheduler;
  /** Gives a socket to the other lane, for good. */
  readonly handOver: HandOver;
}

/** The lane of the plain requests: HTTP/1.1 as every reader reads it, bytes passed on as they come. */
export interface RestRelay {
  /** Takes a client's socket of which nothing has been read. @param client who counts its requests */
  readonly take: (socket: Socket, client?: CountedClient) => void;
  /** From now on every answer is the last on its connection. */
  readonly depart: () => void;
  /** The same, and idle connections end. */
  readonly drain: () => void;
  /** Connections that are the relay's now. */
  readonly size: () => number;
  /** Stops the clock; every connection has to be over. */
  readonly close: () => void;
}

/** Milliseconds between looks at the time limits. */
const TICK_MS = 250;

/** Opens nothing yet: upstream connections are made with permitted requests. */
export function createRelay({ options, upstream, facts, scheduler, handOver }: RestRelayOptions): RestRelay {
  const connections = new Set<RelayConnection>();
  const clock = { now: performance.now(), date: new Date().toUTCString(), draining: false };
  const pool = createRelayPool(upstream, { now: () => clock.now, framed: true, fault: options.parts.fault });
  const context: RelayContext = {
    options,
    pool,
    facts,
    scheduler,
    resolve: createLiveResolver(options.webUi),
    protocol: restProtocol(RELAY_STEPS, options),
    clock,
    handOver,
  };
  const closed = (connection: RelayConnection): void => {
    connections.delete(connection);
  };
  // Each connection has a guard of its own: a fault here ends none of them.
  const owner = { fail: () => undefined, cut: () => undefined };
  const guard = new Guard(owner, 'rest_listener', (error, place) => options.parts.fault(error, undefined, place));
  const ticker = guard.every(TICK_MS, () => {
    // Monotonic: no time limit ends because the clock of the machine was set.
    clock.now = performance.now();
    clock.date = new Date().toUTCString();
    pool.tick(clock.now);
    for (const connection of connections) connection.tick(clock.now);
  });
  ticker.unref();
  return {
    take: (socket, client) => {
      connections.add(new RelayConnection(socket, { peer: peerOn(socket), client }, context, closed));
    },
    depart: () => {
      clock.draining = true;
    },
    drain: () => {
      clock.draining = true;
      for (const connection of connections) connection.drain();
    },
    size: () => connections.size,
    close: () => {
      clearInterval(ticker);
      pool.close();
    },
  };
}
