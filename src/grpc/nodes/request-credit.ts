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
 * Most request DATA (bytes) of one client connection that waits for its nodes, while the client gets its connection window
 * back at once. It is more than the windows of a dozen requests, so that the uploads to a node that takes nothing do not stop
 * those to others.
 */
const MOST_WAITING = 4_194_304;
/** Bytes per WINDOW_UPDATE. */
const GRANT_BYTES = 65_536;

/**
 * The windows that the gateway grants a client for its request DATA when there are several nodes. A stream gets its credit
 * back when its node has taken the DATA; the connection gets it back at once, up to `MOST_WAITING` bytes.
 */
export class RequestCredit {
  readonly #core: RelayCore;
  #greeted = false;
  /** Received bytes whose connection credit has not been returned. */
  #due = 0;
  /** Bytes that wait for their nodes. */
  #waiting = 0;

  constructor(core: RelayCore) {
    this.#core = core;
  }

  /** Raises the windows of the client, at its first permitted call. */
  greet(): void {
    if (this.#greeted) return;
    this.#greeted = true;
    const { client, streamWindows, window } = this.#core;
    streamWindows.setByUpstream(REQUEST_WINDOW, []);
    client.sendSettings([[SettingId.INITIAL_WINDOW_SIZE, REQUEST_WINDOW]]);
    window.swallowed(CONNECTION_WINDOW - INITIAL_WINDOW);
  }

  /** A DATA frame of a call has come. @param bytes with padding */
  received(bytes: number): void {
    this.#due += bytes;
    this.#settle();
  }

  /** Request DATA waits. */
  waits(bytes: number): void {
    this.#waiting += bytes;
  }

  /** Request DATA waits no longer: it was sent, or it is dropped. */
  left(bytes: number): void {
    this.#waiting -= bytes;
    this.#settle();
  }

  /** Request DATA of a call has been sent for the first time. */
  sent(seat: Seat, bytes: number): void {
    const { exchange } = seat;
    seat.credit += bytes;
    if (seat.credit < GRANT_BYTES || exchange.clientEnded) return;
    this.#core.client.outbox.bytes(writeWindowUpdate(exchange.id, seat.credit));
    seat.credit = 0;
  }

  #settle(): void {
    const free = this.#due - Math.max(0, this.#waiting - MOST_WAITING);
    if (free < GRANT_BYTES) return;
    this.#due -= free;
    this.#core.window.swallowed(free);
  }
}
