import type { TLSSocket } from 'node:tls';
import { Cost, type WorkScheduler } from '../../limits/work-scheduler.ts';
import { RecordEnds } from './record-ends.ts';

/**
 * Records of TLS 1.3 without content, such as KeyUpdates, that a connection may send at once, and then per millisecond. OpenSSL takes
 * about 20 us for one. Clients send one after some million records, or none.
 */
const MOST_EMPTY = 64;
const EMPTY_PER_MS = 0.008;
/** Records of a handshake. Clients send three to ten; one that sends its ClientHello byte by byte has some hundred. */
const MOST_OF_HANDSHAKE = 2048;

/** Bounds of the records of one connection. */
export interface RecordBounds {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Records take turns with everything else. */
  readonly scheduler: WorkScheduler;
}

/** So many bytes were given to OpenSSL, the others wait for a turn; or the client sends too many records without content. */
export type Passed = number | 'flood';

/**
 * Gives the bytes of one connection to OpenSSL, record by record: it goes on by itself as long as there are bytes, and no event tells of
 * a record without content.
 *
 * INVARIANT: a record is empty if it made no content. Nothing is guessed from its size, so that neither small records nor padded ones
 * (RFC 8446, section 5.4) are taken for others.
 */
export class RecordTurns {
  readonly #bounds: RecordBounds;
  readonly #ends = new RecordEnds();
  /** The connection above, once the handshake is done. */
  #secure: TLSSocket | undefined;
  /** Before TLS 1.3 there is no message of its own behind the handshake. */
  #isOld = false;
  #ofHandshake = 0;
  /** Bytes of content so far. */
  #content = 0;
  /** Records without content, less those that it may send; not below 0. And when (ms) they were counted. */
  #empty = 0;
  #emptyAt = 0;

  constructor(bounds: RecordBounds) {
    this.#bounds = bounds;
  }

  /** The handshake is done: what comes now are records of content, and empty ones. */
  done(secure: TLSSocket): void {
    this.#secure = secure;
    this.#content = secure.bytesRead;
    this.#isOld = secure.getProtocol() !== 'TLSv1.3';
  }

  /** @param give gives bytes to OpenSSL, which takes them at once */
  pass(chunk: Buffer, give: (bytes: Buffer) => void): Passed {
    for (let from = 0; from < chunk.length; ) {
      const to = this.#ends.next(chunk, from);
      const secure = this.#secure;
      give(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
      from = to;
      if (!this.#ends.isBetween) break;
      if (secure?.destroyed) break;
      // Without it, it is a record of the handshake, the last one of which is that of `done`.
      const isEmpty = secure !== undefined && this.#isEmpty(secure);
      if (!secure) this.#ofHandshake += 1;
      if (this.#empty > MOST_EMPTY || this.#ofHandshake > MOST_OF_HANDSHAKE) return 'flood';
      const goesOn = this.#bounds.scheduler.spend(isEmpty ? Cost.EMPTY_TLS_RECORD : Cost.TLS_RECORD);
      if (!goesOn && from < chunk.length) return from;
    }
    return chunk.length;
  }

  /** The record that has ended made no content. */
  #isEmpty(secure: TLSSocket): boolean {
    const content = secure.bytesRead;
    const isEmpty = content === this.#content && !this.#isOld;
    this.#content = content;
    if (!isEmpty) return false;
    const now = this.#bounds.now();
    this.#empty = Math.max(0, this.#empty - (now - this.#emptyAt) * EMPTY_PER_MS) + 1;
    this.#emptyAt = now;
    return true;
  }
}
