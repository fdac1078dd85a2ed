import type { Denial } from '../policy/denial.ts';

/** Milliseconds after which upstream is asked again: where it has answered, and where it has not. */
const REFRESH_MS = 60_000;
const RETRY_MS = 5_000;
/** Milliseconds for one answer. */
const PATIENCE_MS = 2_000;

export interface WebUiOptions {
  /** Does upstream serve its web UI? */
  readonly ask: (signal: AbortSignal) => Promise<boolean | Denial>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * Whether upstream has its web UI. A secured Qdrant leaves `/dashboard` open only where the files are there and asks for a
 * credential otherwise (Qdrant v1.3.0 and later), so the gateway has to know. Until upstream has answered the UI counts as
 * there: what it serves below `/dashboard` needs no credential anyway.
 */
export class WebUi {
  readonly #options: WebUiOptions;
  #present = true;
  #askAgainAt = Number.NEGATIVE_INFINITY;
  #asking = false;

  constructor(options: WebUiOptions) {
    this.#options = options;
  }

  /** The last answer; upstream is asked again in the background when that is old. */
  get present(): boolean {
    if (!this.#asking && this.#options.now() >= this.#askAgainAt) void this.look();
    return this.#present;
  }

  /** Asks now. Never rejects. */
  async look(): Promise<void> {
    this.#asking = true;
    const answer = await this.#answer();
    if (answer !== undefined) this.#present = answer;
    this.#askAgainAt = this.#options.now() + (answer === undefined ? RETRY_MS : REFRESH_MS);
    this.#asking = false;
  }

  /** `undefined` = upstream cannot be asked. */
  async #answer(): Promise<boolean | undefined> {
    try {
      const answer = await this.#options.ask(AbortSignal.timeout(PATIENCE_MS));
      return typeof answer === 'boolean' ? answer : undefined;
    } catch {
      return undefined;
    }
  }
}
