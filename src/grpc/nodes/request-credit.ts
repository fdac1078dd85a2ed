import { SettingId } from '../../http2/frames.ts';
import { writeWindowUpdate } from '../../http2/write-frames.ts';
import { INITIAL_WINDOW } from '../relay/client-window.ts';
import type { RelayCore } from '../relay/relay-core.ts';
import type { Seat } from './seat.ts';

/** Window of one request (bytes): what a client may send before its node has taken it. */
export const REQUEST_WINDOW = 262_144;
/** The same of all requests of a connection. */
export const CONNECTION_WINDOW = 1_048_576;
/**
 * From this much request DATA (bytes) of one client connection that waits for its nodes on, the window of each request is
 * `INITIAL_WINDOW`: many uploads to a node that takes nothing then hold little each. The window is whole again at the second figure.
 */
const NARROW_AT = 1_048_576;
const WIDE_AT = 262_144;
/**
 * Most request DATA (bytes) of one client connection that waits for its nodes, while the client gets its connection window
 * back at once. It is more than the narrow windows of 200 requests, so that the uploads to a node that takes nothing do not stop
 * those to others.
 */
export const MOST_WAITING = 16_777_216;
/** The same of all connections of a listener: above it, a connection has `NARROW_AT` of its own. */
const MOST_OF_ALL = 268_435_456;
/** Bytes per WINDOW_UPDATE of the connection, and of a stream: no stream waits for credit below its narrow window. */
const GRANT_BYTES = 65_536;
const STREAM_GRANT_BYTES = 16_384;

/** Request DATA that waits for nodes, of all client connections of a listener. */
export interface WaitingData {
  bytes: number;
}

/**
 * The windows that the gateway grants a client for its request DATA when there are several nodes. A stream gets its credit
 * back when its node has taken the DATA; the connection gets it back at once, up to `MOST_WAITING` bytes, as long as all
 * connections have room.
 */
export class RequestCredit {
  readonly #core: RelayCore;
  readonly #all: WaitingData;
  #greeted = false;
  #isNarrow = false;
  /** Received bytes whose connection credit has not been returned. */
  #due = 0;
  /** Bytes that wait for their nodes. */
  #waiting = 0;

  /** @param all to which this adds what waits */
  constructor(core: RelayCore, all: WaitingData) {
    this.#core = core;
    this.#all = all;
  }

  /** Raises the windows of the client, at its first permitted call. */
  greet(): void {
    if (this.#greeted) return;
    this.#greeted = true;
    this.#setWindow(REQUEST_WINDOW);
    this.#core.window.swallowed(CONNECTION_WINDOW - INITIAL_WINDOW);
  }

  #setWindow(bytes: number): void {
    this.#core.streamWindows.setByUpstream(bytes, []);
    this.#core.client.sendSettings([[SettingId.INITIAL_WINDOW_SIZE, bytes]]);
  }

  /** A DATA frame of a call has come. @param bytes with padding */
  received(bytes: number): void {
    this.#due += bytes;
    this.#settle();
  }

  /**
   * Request DATA waits. The client is told of narrow windows before it gets any more credit, so that it sends no more than its
   * connection window within the wide ones.
   */
  waits(bytes: number): void {
    this.#waiting += bytes;
    this.#all.bytes += bytes;
    if (this.#isNarrow || this.#waiting < NARROW_AT) return;
    this.#isNarrow = true;
    this.#setWindow(INITIAL_WINDOW);
  }

  /** Request DATA waits no longer: it was sent, or it is dropped. */
  left(bytes: number): void {
    this.#waiting -= bytes;
    this.#all.bytes -= bytes;
    if (this.#isNarrow && this.#waiting <= WIDE_AT) {
      this.#isNarrow = false;
      this.#setWindow(REQUEST_WINDOW);
    }
    this.#settle();
  }

  /** Request DATA of a call has been sent for the first time. */
  sent(seat: Seat, bytes: number): void {
    const { exchange } = seat;
    seat.credit += bytes;
    if (seat.credit < STREAM_GRANT_BYTES || exchange.clientEnded) return;
    this.#core.client.outbox.bytes(writeWindowUpdate(exchange.id, seat.credit));
    seat.credit = 0;
  }

  /** To be called now and then: other connections may have made room. */
  tick(): void {
    if (this.#due >= GRANT_BYTES) this.#settle();
  }

  #settle(): void {
    const most = this.#all.bytes > MOST_OF_ALL ? NARROW_AT : MOST_WAITING;
    const free = this.#due - Math.max(0, this.#waiting - most);
    if (free < GRANT_BYTES) return;
    this.#due -= free;
    this.#core.window.swallowed(free);
  }
}
