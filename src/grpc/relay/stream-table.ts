import { EndedStreams } from '../../http2/ended-streams.ts';
import { StreamMap } from '../../http2/stream-map.ts';
import type { GrpcExchange } from '../exchange.ts';

/** The calls of one client connection by both stream ids, and the ids of ended ones. */
export class StreamTable {
  readonly #byClient = new StreamMap<GrpcExchange>();
  readonly #byUpstream = new StreamMap<GrpcExchange>();
  /** Calls that were reset towards the client. */
  readonly ended = new EndedStreams();

  /** Number of calls ever added. */
  added = 0;

  /** Number of open calls. */
  get size(): number {
    return this.#byClient.size;
  }

  get(clientId: number): GrpcExchange | undefined {
    return this.#byClient.get(clientId);
  }

  fromUpstream(upstreamId: number): GrpcExchange | undefined {
    return this.#byUpstream.get(upstreamId);
  }

  /** True = this very call is still open. */
  has(exchange: GrpcExchange): boolean {
    return this.#byClient.has(exchange.id);
  }

  /** Open calls; the table may change during the iteration. */
  all(): GrpcExchange[] {
    return this.#byClient.values();
  }

  /** Open calls with an upstream stream. */
  allUpstream(): GrpcExchange[] {
    return this.#byUpstream.values();
  }

  add(exchange: GrpcExchange): void {
    this.added += 1;
    this.#byClient.set(exchange.id, exchange);
  }

  /** Assigns an upstream stream to a call. */
  link(exchange: GrpcExchange, upstreamId: number): void {
    exchange.upstreamId = upstreamId;
    exchange.opened = true;
    this.#byUpstream.set(upstreamId, exchange);
  }

  /** Removes the upstream stream of a call; later frames of it are ignored. */
  cancel(exchange: GrpcExchange): void {
    this.unlink(exchange);
    exchange.upstreamId = 0;
    exchange.opened = false;
  }

  /** The same for a call that has ended. */
  unlink(exchange: GrpcExchange): void {
    this.#byUpstream.delete(exchange.upstreamId);
  }

  /** Removes all upstream streams, after the upstream connection was lost. */
  unlinkAll(): void {
    for (const exchange of this.#byUpstream.values()) {
      exchange.upstreamId = 0;
      exchange.opened = false;
    }
    this.#byUpstream.clear();
  }

  /** `false` = it was not in the table. */
  remove(exchange: GrpcExchange): boolean {
    return this.#byClient.delete(exchange.id);
  }
}
