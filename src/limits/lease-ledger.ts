import type { Dimension, Quota } from '../policy/limits/limits.ts';
import { type ExchangeLeases, type LeaseAsk, LeasedTokens, type Leases } from './leases.ts';

/** Milliseconds between two exchanges, at least; after a failed one, and between looks at leases that are not used. */
const PAUSE_MS = 20;
const FAILED_MS = 250;
const LOOK_MS = 500;
/** Most asks of one exchange. */
const AT_ONCE = 200;

export interface LedgerOptions extends Leases {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Calls `work` once after so many milliseconds. */
  readonly later: (ms: number, work: () => void) => void;
}

/** The exchanges of one process with the common buckets: many accounts in one, one after the other, none while nothing is used. */
export class LeaseLedger {
  readonly #options: LedgerOptions;
  readonly #asking = new Set<LeasedTokens>();
  readonly #leased = new Set<LeasedTokens>();
  #running = false;
  /** When the next exchange begins, and which call of `later` is for it. */
  #due = Number.POSITIVE_INFINITY;
  #turn = 0;
  #endedAt = Number.NEGATIVE_INFINITY;
  #failed = false;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** Tokens of an account. */
  open(name: string, dimension: Dimension, quota: Quota): LeasedTokens {
    const { holders, now } = this.#options;
    const common = { holders: () => Math.max(1, holders()), asks: (tokens: LeasedTokens) => this.#want(tokens) };
    return new LeasedTokens(name, dimension, quota, common, now());
  }

  #want(tokens: LeasedTokens): void {
    this.#asking.add(tokens);
    const pause = this.#failed ? FAILED_MS : PAUSE_MS;
    this.#plan(Math.max(0, this.#endedAt + pause - this.#options.now()));
  }

  #plan(ms: number): void {
    const due = this.#options.now() + ms;
    if (this.#running || this.#due <= due) return;
    this.#due = due;
    this.#turn += 1;
    const turn = this.#turn;
    this.#options.later(ms, () => {
      if (turn === this.#turn) void this.#exchange();
    });
  }

  /** Never rejects. */
  async #exchange(): Promise<void> {
    const { exchange, now } = this.#options;
    this.#running = true;
    this.#due = Number.POSITIVE_INFINITY;
    for (const tokens of this.#leased) this.#asking.add(tokens);
    const asked: { readonly tokens: LeasedTokens; readonly ask: LeaseAsk }[] = [];
    for (const tokens of this.#asking) {
      if (asked.length === AT_ONCE) break;
      this.#asking.delete(tokens);
      const ask = tokens.ask(now());
      if (ask) asked.push({ tokens, ask });
      else if (!tokens.isLeased()) this.#leased.delete(tokens);
    }
    if (asked.length > 0) await this.#ask(asked, exchange);
    this.#endedAt = now();
    this.#running = false;
    if (this.#asking.size > 0) this.#plan(this.#failed ? FAILED_MS : PAUSE_MS);
    else if (this.#leased.size > 0) this.#plan(LOOK_MS);
  }

  async #ask(
    asked: readonly { readonly tokens: LeasedTokens; readonly ask: LeaseAsk }[],
    exchange: ExchangeLeases,
  ): Promise<void> {
    try {
      const { grants } = await exchange(asked.map(({ ask }) => ask));
      this.#failed = false;
      for (const [at, { tokens, ask }] of asked.entries()) {
        const grant = grants[at];
        if (grant) tokens.given(ask, grant, this.#options.now());
        else tokens.failed();
        // A bucket that failed is asked again at the next look.
        if (!grant || tokens.isLeased()) this.#leased.add(tokens);
        else this.#leased.delete(tokens);
      }
    } catch {
      this.#failed = true;
      // INVARIANT: use is told until it is answered. A lease that was given back is gone, whether that arrived or not.
      for (const { tokens, ask } of asked) {
        tokens.failed();
        if (ask.used > 0) this.#asking.add(tokens);
      }
    }
  }
}
