/** Refused credentials that one connection may present at once, and milliseconds for each one after that. */
const BURST = 50;
const PAUSE_MS = 20;
/** Milliseconds the answer to one waits at most. */
const LONGEST_WAIT_MS = 1000;

/**
 * The wrong credentials of one connection. Whoever goes on presenting them is answered more and more slowly, so that guessing
 * costs the guesser time and not everybody else the processor. A good one on the same connection waits for nothing.
 *
 * For HTTP/1 only, where one request at a time is open: on a connection whose requests run side by side, as those of
 * proxies do, refusals that wait would take the place of other people's requests.
 */
export class Guesses {
  /** When what was refused so far would have been refused at the pace that is allowed. */
  #paidUntil = 0;

  /** One more was refused at `now` (ms): milliseconds its answer has to wait. */
  refused(now: number): number {
    const due = Math.max(this.#paidUntil, now) + PAUSE_MS;
    this.#paidUntil = Math.min(due, now + BURST * PAUSE_MS + LONGEST_WAIT_MS);
    return Math.max(0, this.#paidUntil - now - BURST * PAUSE_MS);
  }
}
