import { type Rate, Spacing } from './spacing.ts';

/** Refused credentials that one connection may present: 50 at once, 50 a second after that. */
const RATE: Rate = { everyMs: 20, ahead: 50, longestMs: 1000 };

/**
 * The wrong credentials of one connection. Whoever goes on presenting them is answered more and more slowly, so that guessing
 * costs the guesser time and not everybody else the processor. A good one on the same connection waits for nothing.
 *
 * For HTTP/1 only, where one request at a time is open: on a connection whose requests run side by side, as those of
 * proxies do, refusals that wait would take the place of other people's requests.
 */
export class CredentialGuessing {
  readonly #spacing = new Spacing(RATE);

  /** One more was refused at `now` (ms): milliseconds its answer has to wait. */
  refused(now: number): number {
    return this.#spacing.next(now);
  }
}
