import { ErrorCode, Http2Fault, MAX_WINDOW } from '../../http2/frames.ts';
import type { GrpcExchange } from '../exchange.ts';
import { INITIAL_WINDOW } from './client-window.ts';

/**
 * The stream windows of one client connection, in bytes and in both directions. Grants pass end to end. The initial windows
 * are kept here (RFC 9113 section 6.9.2); the grants and the use of each stream are kept on its exchange.
 *
 * INVARIANT: DATA of upstream goes to the client only within its stream's window. Beyond it a client may end the whole
 * connection (RFC 9113 section 6.9.1), and with it calls that are not at fault.
 */
export class StreamWindows {
  /** Initial window for DATA to the client: the client's setting. */
  #toClient = INITIAL_WINDOW;
  /** The same after each SETTINGS frame that upstream has not acknowledged. */
  readonly #unacknowledged: number[] = [];
  /** The largest setting of the client that upstream may still apply. */
  #mostToClient = INITIAL_WINDOW;
  /** Initial window for DATA from the client: upstream's setting. */
  #fromClient = INITIAL_WINDOW;
  #mostFromClient = INITIAL_WINDOW;

  /** Initial window for DATA from the client. */
  get fromClient(): number {
    return this.#fromClient;
  }

  /** The largest it has been on this connection. */
  get mostFromClient(): number {
    return this.#mostFromClient;
  }

  /** The client changed its initial window. Throws a connection fault if a window of `open` exceeds the maximum by it. */
  setByClient(initial: number, open: readonly GrpcExchange[]): void {
    for (const { windowGain } of open) if (initial + windowGain > MAX_WINDOW) throw overflow(0);
    this.#toClient = initial;
  }

  /** A SETTINGS frame of the client was passed to upstream, with any settings. `acknowledged` follows. */
  passed(): void {
    this.#unacknowledged.push(this.#toClient);
    this.#mostToClient = Math.max(this.#mostToClient, this.#toClient);
  }

  /** Upstream has acknowledged the oldest of the SETTINGS frames passed. */
  acknowledged(): void {
    const initial = this.#unacknowledged.shift();
    if (initial !== undefined) this.#mostToClient = Math.max(initial, ...this.#unacknowledged);
  }

  /** An upstream connection begins. Upstream reads the client's setting before it reads any stream. */
  adopt(): void {
    this.#unacknowledged.length = 0;
    this.#mostToClient = this.#toClient;
  }

  /** The client grants a stream more. Throws a fault of the stream if its window exceeds the maximum by it. */
  grantedByClient(exchange: GrpcExchange, increment: number): void {
    if (this.#toClient + exchange.windowGain + increment > MAX_WINDOW) throw overflow(exchange.id);
    exchange.windowGain += increment;
  }

  /** Window for a local answer; may be negative. */
  room(exchange: GrpcExchange): number {
    return this.#toClient + exchange.windowGain;
  }

  /** True = DATA of upstream exceeds the window of its stream. DATA of no bytes never does. */
  isOverrun(exchange: GrpcExchange, bytes: number): boolean {
    return bytes > this.#mostToClient + exchange.windowGain && bytes > 0;
  }

  /** Upstream changed its initial window. Throws a connection fault if a window of `open` exceeds the maximum by it. */
  setByUpstream(initial: number, open: readonly GrpcExchange[]): void {
    for (const exchange of open) if (initial + gainOf(exchange) > MAX_WINDOW) throw overflow(0);
    this.#fromClient = initial;
    this.#mostFromClient = Math.max(this.#mostFromClient, initial);
  }

  /** Upstream grants a stream more. `false` = its window would exceed the maximum, and nothing is granted. */
  grantedByUpstream(exchange: GrpcExchange, increment: number): boolean {
    if (this.#fromClient + gainOf(exchange) + increment > MAX_WINDOW) return false;
    exchange.upstreamGrants += increment;
    return true;
  }
}

/** Stream window for DATA from the client, relative to the initial one. */
function gainOf({ upstreamGrants, flowBytes }: GrpcExchange): number {
  return upstreamGrants - flowBytes;
}

/** @param faultOn stream at fault; 0 = the connection */
function overflow(faultOn: number): Http2Fault {
  return new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, faultOn, 'stream window overflow');
}
