import type { Denial } from '../policy/denial.ts';

/** Time after which upstream is asked again, in milliseconds: after an answer, and after a failure. */
const REFRESH_MS = 60_000;
const RETRY_MS = 5_000;
/** Time limit of one request, in milliseconds. */
const PATIENCE_MS = 2_000;

export interface WebUiOptions {
  /** True = upstream serves its web UI. */
  readonly ask: (signal: AbortSignal) => Promise<boolean | Denial>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * Presence of upstream's web UI. A secured Qdrant leaves `/dashboard` open only if the files exist, and requires a
 * credential otherwise (Qdrant v1.3.0 and later), so the gateway must know. Until upstream has answered, the UI counts
 * as present: its files below `/dashboard` need no credential anyway.
 */
export class WebUi {
  readonly #options: WebUiOptions;
  #present = true;
  #askAgainAt = Number.NEGATIVE_INFINITY;
  #asking = false;

  constructor(options: WebUiOptions) {
    this.#options = options;
  }

  /** The last result; an old one is refreshed in the background. */
  get present(): boolean {
    if (!this.#asking && this.#options.now() >= this.#askAgainAt) void this.look();
    return this.#present;
  }

  /** Asks upstream now. Never rejects. */
  async look(): Promise<void> {
    this.#asking = true;
    const answer = await this.#answer();
    if (answer !== undefined) this.#present = answer;
    this.#askAgainAt = this.#options.now() + (answer === undefined ? RETRY_MS : REFRESH_MS);
    this.#asking = false;
  }

  /** `undefined` = upstream did not answer. */
  async #answer(): Promise<boolean | undefined> {
    try {
      const answer = await this.#options.ask(AbortSignal.timeout(PATIENCE_MS));
      return typeof answer === 'boolean' ? answer : undefined;
    } catch {
      return undefined;
    }
  }
}
