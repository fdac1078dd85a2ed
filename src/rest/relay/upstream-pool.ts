import { Guard } from '../../lifetime/guard.ts';
import type { Place } from '../../lifetime/places.ts';
import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import type { AllowedOrigins } from '../allowed-origins.ts';
import type { AnswerHead } from '../http1/response-head.ts';
import type { RelayExchange } from './exchange.ts';
import { GatheredWrites } from './gathered-writes.ts';
import { type AnswerSink, type RelayUpstream, UpstreamConnection, type UpstreamLink } from './upstream.ts';

/** An answer head as it was written last, and the parts it was made of. */
export interface WrittenHead {
  readonly from: AnswerHead;
  /** Of the request. They hold its `Origin`, on which CORS headers depend. */
  readonly headers: readonly string[];
  readonly origin: string | undefined;
  /** The origins that were allowed then. */
  readonly allowed: AllowedOrigins | undefined;
  readonly date: string;
  /** The answer says that the client's connection ends. */
  readonly close: boolean;
  readonly bytes: Buffer;
}

/** The user of an upstream connection. */
export interface UpstreamUser extends AnswerSink {
  /** The request that is under way. */
  readonly exchange: RelayExchange | undefined;
  /** Destroys the client's connection, or over HTTP/2 its stream. */
  cut(): void;
}

export interface PoolOptions {
  readonly upstream: RelayUpstream;
  /** Milliseconds. */
  readonly now: () => number;
  /** Bodies of unknown length are passed on as chunks of HTTP/1.1. */
  readonly framed: boolean;
  /** Told of internal errors. Must not throw. */
  readonly fault: (error: unknown, exchange: RelayExchange | undefined, place: Place) => void;
}

/** The way to upstream that a client has from `take` to `release`. */
export interface ClientUpstream {
  readonly link: UpstreamLink;
  written: WrittenHead | undefined;
}

/** The upstream connections of one listener and protocol. */
export interface RelayPool {
  /** Connections that a client has. */
  readonly busy: number;
  /** For the requests of one client, one at a time. It is opened with what is sent. */
  take(user: UpstreamUser): ClientUpstream;
  /** Something was gathered since `flush`. */
  readonly held: boolean;
  /** Gathers what is written to `one` until `flush`. */
  hold(one: ClientUpstream): void;
  /** Writes what was gathered. */
  flush(): void;
  /**
   * To be called once for each `take`, when no request is under way any more.
   *
   * @param whole the last request was sent to its end; else the connection ends
   */
  release(one: ClientUpstream, whole: boolean): void;
  /** Looks after the time limits. @param now milliseconds */
  tick(now: number): void;
  close(): void;
}

/** An HTTP/1.1 connection to upstream that carries one request at a time, of one client after the other. */
export class PooledUpstream implements AnswerSink, ClientUpstream {
  readonly link: UpstreamConnection;
  written: WrittenHead | undefined;
  readonly tick: (now: number) => void;
  /** The client it carries requests of. */
  #user: UpstreamUser | undefined;
  /** The client that is told something now: it may give the connection back meanwhile. */
  #told: UpstreamUser | undefined;

  constructor({ upstream, now, framed, fault }: PoolOptions) {
    const owner = { fail: () => this.#fail(), cut: () => this.#cut() };
    const guard = new Guard(owner, 'rest_upstream', (error, place) => fault(error, this.#affected?.exchange, place));
    this.link = new UpstreamConnection(upstream, this, now, guard, framed);
    this.tick = guard.entry((now) => this.link.tick(now));
  }

  use(user: UpstreamUser | undefined): void {
    this.#user = user;
  }

  onAnswer(head: AnswerHead | undefined, parts: readonly Buffer[], data: number, ended: boolean): void {
    this.#told = this.#user;
    this.#user?.onAnswer(head, parts, data, ended);
    this.#told = undefined;
  }

  onAnswerFault(denial: Denial, sent: boolean): void {
    this.#told = this.#user;
    this.#user?.onAnswerFault(denial, sent);
    this.#told = undefined;
  }

  onUpstreamDrain(): void {
    this.#user?.onUpstreamDrain();
  }

  /** The client that an exception ends. */
  get #affected(): UpstreamUser | undefined {
    return this.#told ?? this.#user;
  }

  #fail(): void {
    const affected = this.#affected;
    this.link.destroy();
    affected?.onAnswerFault(INTERNAL_FAULT, true);
    this.#told = undefined;
  }

  #cut(): void {
    const affected = this.#affected;
    this.#told = undefined;
    this.link.destroy();
    affected?.cut();
  }
}

/**
 * The upstream connections of one listener and protocol. The last one given back is the first one taken.
 *
 * INVARIANT: a connection passes to another client only when every byte of its last request has left, its answer has come
 * whole, and nothing came behind it. So no byte of an answer reaches another client.
 */
export class UpstreamPool extends GatheredWrites implements RelayPool {
  readonly #options: PoolOptions;
  readonly #all = new Set<PooledUpstream>();
  #idle: PooledUpstream[] = [];

  constructor(options: PoolOptions) {
    super();
    this.#options = options;
  }

  /** Connections that a client has. */
  get busy(): number {
    return this.#all.size - this.#idle.length;
  }

  /** A connection for the requests of one client, one at a time. It is opened with what is sent. */
  take(user: UpstreamUser): PooledUpstream {
    let taken = this.#idle.pop();
    while (taken && !taken.link.isClean) {
      this.#all.delete(taken);
      taken = this.#idle.pop();
    }
    taken ??= this.#open();
    taken.use(user);
    return taken;
  }

  /**
   * To be called once for each `take`, when no request is under way any more.
   *
   * @param whole the last request was sent to its end; else the connection ends
   */
  release(one: ClientUpstream, whole: boolean): void {
    if (!(one instanceof PooledUpstream)) return;
    one.use(undefined);
    if (whole && one.link.isClean) {
      this.#idle.push(one);
      return;
    }
    one.link.destroy();
    this.#all.delete(one);
  }

  /** Looks after the time limits. @param now milliseconds */
  tick(now: number): void {
    for (const one of this.#all) one.tick(now);
    if (this.#idle.every(({ link }) => link.isClean)) return;
    for (const one of this.#idle) if (!one.link.isClean) this.#all.delete(one);
    this.#idle = this.#idle.filter(({ link }) => link.isClean);
  }

  close(): void {
    for (const { link } of this.#all) link.destroy();
  }

  #open(): PooledUpstream {
    const opened = new PooledUpstream(this.#options);
    this.#all.add(opened);
    return opened;
  }
}
