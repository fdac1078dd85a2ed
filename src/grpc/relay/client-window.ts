import { ErrorCode, Http2Fault, MAX_WINDOW } from '../../http2/frames.ts';

/** Initial window of both sides (RFC 9113 section 6.9.2). */
export const INITIAL_WINDOW = 65_535;
/** Below the largest frame: a client may wait for the window of a whole frame. */
const LITTLE = 16_384;
/**
 * Credit that is kept spare, in bytes: at least the first figure; of a larger window a quarter of what is above the initial one, up to the
 * second figure; of a very large one a sixteenth. An upstream with such a window grants seldom, and calls grow all the while.
 */
const LEAST_SPARE = 4096;
const MUCH_SPARE = 262_144;

/**
 * The connection windows of one client connection, in bytes.
 *
 * Credit passes end to end: grants of the client go to upstream and vice versa. There are two exceptions, which are
 * settled here. DATA that the gateway discards never reached upstream, so the gateway returns its credit. DATA that the
 * gateway sends itself uses credit that upstream counts as its own, so the same amount is withheld from the next
 * grants; until then upstream may overdraw, and its DATA waits here.
 *
 * A call that is made anew and relayed may have more bytes for upstream than came from the client. The difference is taken from
 * spare credit, which upstream has granted and the client is not told of.
 *
 * INVARIANT: no window is ever below 0 or above `MAX_WINDOW`: a sum is checked before it is stored.
 */
export class ClientWindow {
  /** Window left towards the client. */
  toClient = INITIAL_WINDOW;
  /** Window left to the client. */
  #fromClient = INITIAL_WINDOW;
  /** Credit that upstream believes to have and the client has not granted. */
  #owed = 0;
  /** Credit to return to the client at the end of the burst. */
  #toReturn = 0;
  #spare = 0;
  /** True = credit is kept spare. */
  #keeps = false;

  /** True = the client can send almost nothing before it is granted more. */
  get exhausted(): boolean {
    return this.#fromClient < LITTLE;
  }

  /** Counts received DATA. Throws if the client exceeded its window. */
  received(bytes: number): void {
    if (bytes > this.#fromClient) throw overflow('connection window exceeded');
    this.#fromClient -= bytes;
  }

  /** Counts received DATA that does not go upstream. */
  swallowed(bytes: number): void {
    this.#toReturn += bytes - this.#keep(bytes);
  }

  /** Upstream grants more. Returns the client's part of it. Throws if the window exceeds its maximum. */
  grantedByUpstream(bytes: number): number {
    const passed = bytes - this.#keep(bytes);
    if (this.#fromClient + passed > MAX_WINDOW) throw overflow('connection window overflow');
    this.#fromClient += passed;
    return passed;
  }

  /**
   * Counts DATA of which other DATA goes upstream. `false` = there is not enough spare credit for it yet; nothing is counted.
   *
   * @param came bytes whose credit was not returned @param sent bytes for upstream
   */
  replaced(came: number, sent: number): boolean {
    this.#keeps = true;
    const more = sent - came;
    if (more > this.#spare) return false;
    if (more > 0) this.#spare -= more;
    else this.swallowed(-more);
    return true;
  }

  /** The part of new credit that becomes spare. */
  #keep(bytes: number): number {
    if (!this.#keeps) return 0;
    const above = this.#fromClient + this.#toReturn + this.#spare + bytes - INITIAL_WINDOW;
    const wanted = Math.max(LEAST_SPARE, Math.min(MUCH_SPARE, above >> 2), above >> 4);
    const kept = Math.max(0, Math.min(bytes, wanted - this.#spare));
    this.#spare += kept;
    return kept;
  }

  /** Takes the credit to return now; the caller sends it. */
  takeReturn(): number {
    const bytes = this.#toReturn;
    this.#toReturn = 0;
    this.#fromClient += bytes;
    return bytes;
  }

  /** The client grants more. Returns upstream's part of it. Throws if the window exceeds its maximum. */
  grantedByClient(bytes: number): number {
    if (this.toClient + bytes > MAX_WINDOW) throw overflow('connection window overflow');
    this.toClient += bytes;
    const kept = Math.min(bytes, this.#owed);
    this.#owed -= kept;
    return bytes - kept;
  }

  /** Counts DATA of upstream that goes to the client. */
  relayed(bytes: number): void {
    this.toClient -= bytes;
  }

  /** Counts DATA of the gateway that goes to the client. */
  sentOwn(bytes: number, upstreamKnown: boolean): void {
    this.toClient -= bytes;
    if (upstreamKnown) this.#owed += bytes;
  }

  /** A new upstream connection begins with the initial window. Returns the grant that corrects it, or 0. */
  adopt(): number {
    this.#owed = Math.max(0, INITIAL_WINDOW - this.toClient);
    return Math.max(0, this.toClient - INITIAL_WINDOW);
  }
}

function overflow(reason: string): Http2Fault {
  return new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, 0, reason);
}
