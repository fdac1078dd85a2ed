import type { Guard } from '../../lifetime/guard.ts';
import type { CountedClient } from '../../net/connections.ts';
import type { BegunExchange } from '../begun-exchange.ts';
import type { Peer } from '../exchange.ts';
import type { RelayClient } from './client.ts';
import type { ClientTimes } from './client-times.ts';
import type { RelayContext } from './context.ts';
import type { RelayRequests } from './requests.ts';

/** The parts of a client connection that its requests need. */
export interface RelayCore {
  readonly context: RelayContext;
  readonly guard: Guard;
  readonly peer: Peer;
  readonly counted: CountedClient | undefined;
  readonly requests: RelayRequests;
  readonly client: RelayClient;
  readonly times: ClientTimes;
  /** To be called wherever the request comes to stand somewhere else. */
  settle(): void;
  /** Keeps bytes that arrived too early, within bounds. */
  keepBack(chunk: Buffer): void;
  /** The request and its answer are over. @param close the answer has said that the connection ends */
  proceed(close: boolean): void;
  /** Ends an answer so that no client can take it for whole. */
  breakOff(): void;
  cut(): void;
  /** After an exception: answers 500 where that is still possible, else ends the connection. */
  fail(): void;
  /** INVARIANT: only while nothing of the request has been used. */
  handOver(begun: BegunExchange): void;
}
