import type { Protocol } from '../../exchange/exchange.ts';
import type { FactsOfCollections } from '../../upstream/collection-facts.ts';
import type { BegunExchange } from '../begun-exchange.ts';
import type { LaneOptions } from '../options.ts';
import type { RelayContext } from '../relay/context.ts';
import type { RelayExchange } from '../relay/exchange.ts';
import type { RelayPool } from '../relay/upstream-pool.ts';
import type { Http2Stream } from './stream.ts';
import type { UpstreamPlaces } from './upstream-places.ts';

/** The shared state of one listener's plain requests over HTTP/2. */
export interface PlainContext {
  readonly options: RelayContext['options'] & Pick<LaneOptions, 'upstreamWaitMs'>;
  readonly protocol: Protocol<RelayExchange>;
  /** Moves in ticks. */
  readonly clock: { readonly now: number; readonly date: string };
  readonly pool: RelayPool;
  /** Of collections, for tenants. */
  readonly facts: FactsOfCollections;
  /** Of the request's connection. */
  readonly places: UpstreamPlaces;
  /** Gives a request to the server transport. @param early bytes of its body that have come */
  readonly takeOver: (stream: Http2Stream, begun: BegunExchange, early: Buffer | undefined) => void;
}
