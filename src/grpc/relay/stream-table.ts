import type { GrpcExchange } from '../exchange.ts';
import { StreamMap } from './stream-map.ts';

/** Streams reset towards the client of which late frames are ignored: as many as a client can have open, twice. */
const ENDED_KEPT = 2048;

/** The calls of one client connection, by the client's stream id and by upstream's, and what is left of ended ones. */
export class StreamTable {
  readonly #byClient = new StreamMap<GrpcExchange>();
  readonly #byUpstream = new StreamMap<GrpcExchange>();
  readonly #ended = new Set<number>();

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

  /** Late frames of this stream are to be ignored, up to the one that ends it. */
  markEnded(clientId: number): void {
    this.#ended.add(clientId);
    if (this.#ended.size <= ENDED_KEPT) return;
    for (const oldest of this.#ended) {
      this.#ended.delete(oldest);
      return;
    }
  }

  /** The client has ended it, too. */
  forgetEnded(clientId: number): void {
    this.#ended.delete(clientId);
  }

  wasEnded(clientId: number): boolean {
    return this.#ended.has(clientId);
  }
}
