import type { ClientLink } from './client-link.ts';
import { MAX_WINDOW } from './frames.ts';

/** Milliseconds between the first GOAWAY and the second, for a client that does not answer the PING behind the first. */
const LEAVE_MS = 1000;

/** The parts of a client connection that a departure uses. */
type Departing = Pick<ClientLink<unknown>, 'closing' | 'goaway' | 'ping' | 'lastStreamId'>;

/**
 * Sends a client connection away in two steps, so that calls which are on their way are taken (RFC 9113 section 6.8).
 *
 * ```
 * open -> told (GOAWAY of no stream, calls come and go on) -> leaving (GOAWAY of the last stream, open calls go on)
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

  /** No call is taken any more: the client has been told which one was the last. */
  get isLeaving(): boolean {
    return this.#step === 'leaving';
  }

  /** The first step; it names no stream. The second follows when the client has answered, or is `isDue`. `false` = no news. */
  tell(): boolean {
    if (this.#step !== 'open' || this.#client.closing) return false;
    this.#step = 'told';
    this.#toldAt = this.#clock();
    this.#client.goaway(MAX_WINDOW);
    this.#client.ping();
    return true;
  }

  /** Has the client had its time to answer? */
  isDue(now: number): boolean {
    return this.#step === 'told' && now - this.#toldAt >= LEAVE_MS;
  }

  /** The second step, once the first was taken: names the last call that was taken. `false` = nothing was to be said. */
  leave(): boolean {
    if (this.#step !== 'told' || this.#client.closing) return false;
    this.#step = 'leaving';
    this.#client.goaway(this.#client.lastStreamId);
    return true;
  }

  /** The first step is left out, and the second one is still to come. */
  skipTelling(): void {
    if (this.#step === 'open') this.#step = 'told';
  }
}
