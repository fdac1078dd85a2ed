import type { GrpcExchange } from './grpc-exchange.ts';

/** Calls that were cancelled and may still be answered by upstream; older ones end the connection instead. */
const CANCELLED_KEPT = 1024;
/** Streams reset towards the client of which late frames are ignored. */
const ENDED_KEPT = 256;

/** The calls of one client connection, by the client's stream id and by upstream's, and what is left of ended ones. */
export class StreamTable {
  readonly #byClient = new Map<number, GrpcExchange>();
  readonly #byUpstream = new Map<number, GrpcExchange>();
  /** Upstream id to client id: upstream's header blocks must still reach the client's header table. */
  readonly #cancelled = new Map<number, number>();
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
    return [...this.#byClient.values()];
  }

  /** Open calls that upstream knows of. */
  allUpstream(): GrpcExchange[] {
    return [...this.#byUpstream.values()];
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

  /** Upstream is told to forget the call; what it still says of it concerns the client's header table only. */
  cancel(exchange: GrpcExchange): void {
    this.#byUpstream.delete(exchange.upstreamId);
    this.#cancelled.set(exchange.upstreamId, exchange.id);
    keepNewest(this.#cancelled, CANCELLED_KEPT);
    exchange.upstreamId = 0;
  }

  /** The client id a cancelled call had. */
  cancelledId(upstreamId: number): number | undefined {
    return this.#cancelled.get(upstreamId);
  }

  forgetCancelled(upstreamId: number): void {
    this.#cancelled.delete(upstreamId);
  }

  /** The upstream connection is gone. */
  unlinkAll(): void {
    for (const exchange of this.#byUpstream.values()) exchange.upstreamId = 0;
    this.#byUpstream.clear();
    this.#cancelled.clear();
  }

  /** `false` = it was not there any more. */
  remove(exchange: GrpcExchange): boolean {
    this.#byUpstream.delete(exchange.upstreamId);
    return this.#byClient.delete(exchange.id);
  }

  /** Late frames of this stream are to be ignored. */
  markEnded(clientId: number): void {
    keepNewest(this.#ended.add(clientId), ENDED_KEPT);
  }

  wasEnded(clientId: number): boolean {
    return this.#ended.has(clientId);
  }
}

/** Drops the oldest entry of a set or map that has grown past `most`. */
function keepNewest<K>(
  entries: { readonly size: number; keys(): Iterable<K>; delete(key: K): boolean },
  most: number,
): void {
  if (entries.size <= most) return;
  for (const oldest of entries.keys()) {
    entries.delete(oldest);
    return;
  }
}
