import { ErrorCode, Http2Fault, MAX_WINDOW } from '../../http2/frames.ts';
import type { GrpcExchange } from '../exchange.ts';
import { INITIAL_WINDOW } from './client-window.ts';

/**
 * The stream windows of one client connection, in bytes and in both directions. They pass end to end. What all streams begin
 * with is kept here (RFC 9113 section 6.9.2), what each has been given and has used on its exchange.
 *
 * INVARIANT: DATA of upstream's goes to the client only within its stream's window. Past it a client may end the whole
 * connection (RFC 9113 section 6.9.1), with calls that have nothing to do with it.
 */
export class StreamWindows {
  /** The client's setting. */
  #toClient = INITIAL_WINDOW;
  /** The client's setting after each SETTINGS that upstream has not acknowledged. */
  readonly #unacknowledged: number[] = [];
  /** The largest setting of the client's that upstream may still go by. */
  #mostToClient = INITIAL_WINDOW;
  /** Upstream's setting. */
  #fromClient = INITIAL_WINDOW;
  #mostFromClient = INITIAL_WINDOW;

  /** What the client may send of a new stream. */
  get fromClient(): number {
    return this.#fromClient;
  }

  /** The most it ever could. */
  get mostFromClient(): number {
    return this.#mostFromClient;
  }

  /** The client changed what its streams begin with. Throws a connection fault when that overflows a window of `open`. */
  setByClient(initial: number, open: readonly GrpcExchange[]): void {
    for (const { windowGain } of open) if (initial + windowGain > MAX_WINDOW) throw overflow(0);
    this.#toClient = initial;
  }

  /** A SETTINGS frame of the client's goes upstream, whatever is in it; `acknowledged` follows. */
  passed(): void {
    this.#unacknowledged.push(this.#toClient);
    this.#mostToClient = Math.max(this.#mostToClient, this.#toClient);
  }

  /** Upstream goes by the oldest of what was passed. */
  acknowledged(): void {
    const initial = this.#unacknowledged.shift();
    if (initial !== undefined) this.#mostToClient = Math.max(initial, ...this.#unacknowledged);
  }

  /** An upstream connection begins: it learns the client's setting before it learns of any stream. */
  adopt(): void {
    this.#unacknowledged.length = 0;
    this.#mostToClient = this.#toClient;
  }

  /** The client grants a stream more. Throws a fault of the stream when that is more than there can be. */
  grantedByClient(exchange: GrpcExchange, increment: number): void {
    if (this.#toClient + exchange.windowGain + increment > MAX_WINDOW) throw overflow(exchange.id);
    exchange.windowGain += increment;
  }

  /** How much of an answer of the gateway's own the client takes; may be negative. */
  room(exchange: GrpcExchange): number {
    return this.#toClient + exchange.windowGain;
  }

  /** Is so much DATA of upstream's more than the client has allowed? DATA of no bytes never is. */
  isOverrun(exchange: GrpcExchange, bytes: number): boolean {
    return bytes > this.#mostToClient + exchange.windowGain && bytes > 0;
  }

  /** Upstream changed what streams begin with. Throws a connection fault when that overflows a window of `open`. */
  setByUpstream(initial: number, open: readonly GrpcExchange[]): void {
    for (const exchange of open) if (initial + gainOf(exchange) > MAX_WINDOW) throw overflow(0);
    this.#fromClient = initial;
    this.#mostFromClient = Math.max(this.#mostFromClient, initial);
  }

  /** Upstream grants a stream more. `false` = more than there can be: nothing is granted. */
  grantedByUpstream(exchange: GrpcExchange, increment: number): boolean {
    if (this.#fromClient + gainOf(exchange) + increment > MAX_WINDOW) return false;
    exchange.upstreamGrants += increment;
    return true;
  }
}

/** What upstream has given a stream beyond its initial window, less what the client has used. */
function gainOf({ upstreamGrants, flowBytes }: GrpcExchange): number {
  return upstreamGrants - flowBytes;
}

/** @param faultOn the stream whose fault it is; 0 = the connection */
function overflow(faultOn: number): Http2Fault {
  return new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, faultOn, 'stream window overflow');
}
