import type { ClientLink } from './client-link.ts';
import { MAX_WINDOW } from './frames.ts';

/**
 * Longest time between the first GOAWAY and the second, in milliseconds, for a client that does not answer the PING
 * after the first.
 */
const LEAVE_MS = 1000;

/** The parts of a client connection that a departure uses. */
type Departing = Pick<ClientLink<unknown>, 'closing' | 'goaway' | 'ping' | 'lastStreamId'>;

/**
 * Closes a client connection in two steps, so that requests in transit are accepted (RFC 9113 section 6.8).
 *
 * ```
 * open -> told (first GOAWAY, requests are accepted) -> leaving (GOAWAY with the last stream, open requests continue)
 * ```
 */
export class Departure {
  readonly #client: Departing;
  readonly #clock: () => number;
  #step: 'open' | 'told' | 'leaving' = 'open';
  #toldAt = 0;

  /** @param clock in milliseconds */
  constructor(client: Departing, clock: () => number) {
    this.#client = client;
    this.#clock = clock;
  }

  /** True = no requests are accepted: the client knows the last accepted one. */
  get isLeaving(): boolean {
    return this.#step === 'leaving';
  }

  /**
   * The first step: GOAWAY with the highest stream id. The second follows when the client has answered, or `isDue`.
   * `false` = already done.
   */
  tell(): boolean {
    if (this.#step !== 'open' || this.#client.closing) return false;
    this.#step = 'told';
    this.#toldAt = this.#clock();
    this.#client.goaway(MAX_WINDOW);
    this.#client.ping();
    return true;
  }

  /** True = the client has had `LEAVE_MS` to answer. */
  isDue(now: number): boolean {
    return this.#step === 'told' && now - this.#toldAt >= LEAVE_MS;
  }

  /** The second step, after the first: GOAWAY with the last accepted request. `false` = already done. */
  leave(): boolean {
    if (this.#step !== 'told' || this.#client.closing) return false;
    this.#step = 'leaving';
    this.#client.goaway(this.#client.lastStreamId);
    return true;
  }

  /** Omits the first step; the second one follows. */
  skipTelling(): void {
    if (this.#step === 'open') this.#step = 'told';
  }
}
