import { ErrorCode, Http2Fault, type Setting, SettingId } from './frames.ts';
import type { Outbox } from './outbox.ts';
import { writeSettings } from './write-frames.ts';

/** Settings of upstream's that the client may leave unacknowledged. */
const MOST_UNACKNOWLEDGED = 1000;
/**
 * Upstream (Qdrant v1.19.0, tonic's default) has no limit of calls on one gRPC connection. The factor of the stream
 * limit after a valid credential.
 */
const KNOWN_STREAMS_FACTOR = 10;

/**
 * The settings that one client is told, the gateway's own and upstream's, and the limit of concurrent streams among them.
 *
 * INVARIANT: the client is never told a higher limit of concurrent streams than upstream's or `maxStreams`.
 */
export class ClientSettings {
  readonly #outbox: Outbox;
  /** ACKs the client owes: for the gateway's settings, and for upstream's. */
  readonly #expectedAcks: ('own' | 'upstream')[] = ['own'];
  #maxStreams: number;
  #isKnown = false;
  /** The limit of concurrent streams that upstream announced. */
  #upstreamStreams = Number.POSITIVE_INFINITY;

  /**
   * Sends the first SETTINGS frame.
   * @param maxStreams limit of concurrent streams without a valid credential; `known` raises it
   * @param others settings beside it
   */
  constructor(outbox: Outbox, maxStreams: number, others: readonly Setting[]) {
    this.#outbox = outbox;
    this.#maxStreams = maxStreams;
    outbox.bytes(writeSettings([[SettingId.MAX_CONCURRENT_STREAMS, maxStreams], ...others]));
  }

  /** Streams that the gateway lets be open at the same time. */
  get maxStreams(): number {
    return this.#maxStreams;
  }

  /** A credential on this connection was good. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** Raises the limit of concurrent streams, once. @param others settings that change with it */
  known(others: readonly Setting[]): void {
    if (this.#isKnown) return;
    this.#isKnown = true;
    this.#maxStreams *= KNOWN_STREAMS_FACTOR;
    this.#expectedAcks.push('own');
    const told = Math.min(this.#maxStreams, this.#upstreamStreams);
    this.#outbox.bytes(writeSettings([[SettingId.MAX_CONCURRENT_STREAMS, told], ...others]));
  }

  /** Passes upstream's settings on. Throws `Http2Fault` SETTINGS_TIMEOUT if the client acknowledges none of them. */
  passOn(settings: readonly Setting[]): void {
    this.#expectedAcks.push('upstream');
    if (this.#expectedAcks.length > MOST_UNACKNOWLEDGED) {
      throw new Http2Fault(ErrorCode.SETTINGS_TIMEOUT, 0, 'settings are not acknowledged');
    }
    const clamped = settings.map(([id, value]): Setting => {
      if (id !== SettingId.MAX_CONCURRENT_STREAMS) return [id, value];
      this.#upstreamStreams = value;
      return [id, Math.min(value, this.#maxStreams)];
    });
    this.#outbox.bytes(writeSettings(clamped));
  }

  /** The client acknowledges the oldest frame. Returns the origin of its settings; `undefined` = it owes no ACK. */
  acknowledged(): 'own' | 'upstream' | undefined {
    return this.#expectedAcks.shift();
  }
}
