import { ErrorCode, Http2Fault, MAX_WINDOW } from '../../http2/frames.ts';

/** What both sides start from (RFC 9113 section 6.9.2). */
export const INITIAL_WINDOW = 65_535;
/** Less than the largest frame: a client may wait for room for a whole one. */
const LITTLE = 16_384;

/**
 * The connection windows of one client connection, in bytes.
 *
 * Credit passes end to end: what the client grants goes to the upstream and the other way round. Two things upset the
 * sum and are settled here. DATA the gateway swallows was never seen upstream, so the gateway returns its credit.
 * DATA the gateway sends itself uses credit that upstream counts as its own, so as much is withheld from the next
 * grants; until it is made up, upstream may overdraw, and its DATA waits here.
 *
 * INVARIANT: no window is ever below 0 or above `MAX_WINDOW`: a sum is checked before it is kept.
 */
export class ClientWindow {
  /** What may still be sent to the client. */
  toClient = INITIAL_WINDOW;
  /** What the client may still send. */
  #fromClient = INITIAL_WINDOW;
  /** Credit that upstream thinks it has and the client has not given. */
  #owed = 0;
  /** Credit to return to the client at the end of the burst. */
  #toReturn = 0;

  /** The client can hardly send anything before it is granted more. */
  get exhausted(): boolean {
    return this.#fromClient < LITTLE;
  }

  /** DATA arrived. Throws when the client sent more than it was allowed to. */
  received(bytes: number): void {
    if (bytes > this.#fromClient) throw overflow('connection window exceeded');
    this.#fromClient -= bytes;
  }

  /** DATA that arrived will never go upstream. */
  swallowed(bytes: number): void {
    this.#toReturn += bytes;
  }

  /** Upstream grants the client more. Throws when that is more than there can be. */
  grantedByUpstream(bytes: number): void {
    if (this.#fromClient + bytes > MAX_WINDOW) throw overflow('connection window overflow');
    this.#fromClient += bytes;
  }

  /** Credit to return now; the caller sends it. */
  takeReturn(): number {
    const bytes = this.#toReturn;
    this.#toReturn = 0;
    this.#fromClient += bytes;
    return bytes;
  }

  /** The client grants more. Returns how much of it is upstream's. Throws when that is more than there can be. */
  grantedByClient(bytes: number): number {
    if (this.toClient + bytes > MAX_WINDOW) throw overflow('connection window overflow');
    this.toClient += bytes;
    const kept = Math.min(bytes, this.#owed);
    this.#owed -= kept;
    return bytes - kept;
  }

  /** Upstream's DATA goes to the client. */
  relayed(bytes: number): void {
    this.toClient -= bytes;
  }

  /** The gateway's own DATA goes to the client. */
  sentOwn(bytes: number, upstreamKnown: boolean): void {
    this.toClient -= bytes;
    if (upstreamKnown) this.#owed += bytes;
  }

  /** An upstream connection begins with its own idea of the window. Returns the grant that corrects it, or 0. */
  adopt(): number {
    this.#owed = Math.max(0, INITIAL_WINDOW - this.toClient);
    return Math.max(0, this.toClient - INITIAL_WINDOW);
  }
}

function overflow(reason: string): Http2Fault {
  return new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, 0, reason);
}
