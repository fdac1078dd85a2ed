import { EndedStreams } from '../../http2/ended-streams.ts';
import { StreamMap } from '../../http2/stream-map.ts';
import type { GrpcExchange } from '../exchange.ts';

/** The calls of one client connection, by the client's stream id and by upstream's, and what is left of ended ones. */
export class StreamTable {
  readonly #byClient = new StreamMap<GrpcExchange>();
  readonly #byUpstream = new StreamMap<GrpcExchange>();
  /** Calls reset towards the client. */
  readonly ended = new EndedStreams();

  /** Calls that were ever added. */
  added = 0;

  /** Calls that are open. */
  get size(): number {
    return this.#byClient.size;
  }

  get(clientId: number): GrpcExchange | undefined {
    return this.#byClient.get(clientId);
  }

  fromUpstream(upstreamId: number): GrpcExchange | undefined {
    return this.#byUpstream.get(upstreamId);
  }

  /** Is this very call still open? */
  has(exchange: GrpcExchange): boolean {
    return this.#byClient.has(exchange.id);
  }

  /** Open calls; the table may change while they are gone through. */
  all(): GrpcExchange[] {
    return this.#byClient.values();
  }

  /** Open calls that upstream knows of. */
  allUpstream(): GrpcExchange[] {
    return this.#byUpstream.values();
  }

  add(exchange: GrpcExchange): void {
    this.added += 1;
    this.#byClient.set(exchange.id, exchange);
  }

  /** The call is on this upstream stream from now on. */
  link(exchange: GrpcExchange, upstreamId: number): void {
    exchange.upstreamId = upstreamId;
    this.#byUpstream.set(upstreamId, exchange);
  }

  /** Upstream is told to forget the call; what it still says of it concerns nobody. */
  cancel(exchange: GrpcExchange): void {
    this.#byUpstream.delete(exchange.upstreamId);
    exchange.upstreamId = 0;
  }

  /** The upstream connection is gone. */
  unlinkAll(): void {
    for (const exchange of this.#byUpstream.values()) exchange.upstreamId = 0;
    this.#byUpstream.clear();
  }

  /** `false` = it was not there any more. */
  remove(exchange: GrpcExchange): boolean {
    this.#byUpstream.delete(exchange.upstreamId);
    return this.#byClient.delete(exchange.id);
  }
}
