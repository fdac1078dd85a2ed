import { type Rate, Spacing } from './spacing.ts';

/** Refused credentials per connection without delay: a burst of 50, then 50 a second. */
const RATE: Rate = { everyMs: 20, ahead: 50, longestMs: 1000 };

/**
 * Delays the answers to wrong credentials of one connection, or of one client behind a trusted proxy, by up to a second, so that guessing is slow and takes little
 * processor time from other clients. A valid credential on the same connection is not delayed. `RefusalPacing.guessed` asks it.
 */
export class CredentialGuessing {
  #spacing: Spacing | undefined;

  /** Counts one refusal at `now` (ms). Returns the delay of its answer in milliseconds. */
  refused(now: number): number {
    this.#spacing ??= new Spacing(RATE);
    return this.#spacing.next(now);
  }
}
