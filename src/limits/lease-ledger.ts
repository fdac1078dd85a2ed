import { randomUUID } from 'node:crypto';
import type { Dimension, Quota } from '../policy/limits/limits.ts';
import { type LeaseAsk, LeasedTokens, type Leases } from './leases.ts';

/** Milliseconds between two exchanges, at least; after a failed one, and between looks at leases that are not used. */
const PAUSE_MS = 20;
const FAILED_MS = 250;
const LOOK_MS = 500;
/** Most asks of one exchange. */
const AT_ONCE = 200;
/** Tokens with something to ask, and tokens with a lease, at most each: as many as accounts are remembered. */
const MOST = 20_000;

export interface LedgerOptions extends Leases {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Calls `work` once after so many milliseconds. */
  readonly later: (ms: number, work: () => void) => void;
}

/** The asks of one exchange, with the tokens that they are for. */
interface Asked {
  readonly turn: number;
  readonly asks: readonly { readonly tokens: LeasedTokens; readonly ask: LeaseAsk }[];
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
  readonly #asker = randomUUID();
  #turns = 0;
  /** The exchange without an answer: it is asked again as it is, so that it is served once. */
  #unanswered: Asked | undefined;
  #endedAt = Number.NEGATIVE_INFINITY;
  #failed = false;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** Tokens that it holds, also those of accounts that are forgotten. */
  get size(): number {
    return this.#asking.size + this.#leased.size;
  }

  /** Tokens of an account. */
  open(name: string, dimension: Dimension, quota: Quota): LeasedTokens {
    const { holders, now } = this.#options;
    const common = { holders: () => Math.max(1, holders()), asks: (tokens: LeasedTokens) => this.#want(tokens) };
    return new LeasedTokens(name, dimension, quota, common, now());
  }

  #want(tokens: LeasedTokens): void {
    hold(this.#asking, tokens);
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
    const { now } = this.#options;
    this.#running = true;
    this.#due = Number.POSITIVE_INFINITY;
    const asked = this.#unanswered ?? this.#collect();
    if (asked.asks.length > 0) await this.#ask(asked);
    this.#endedAt = now();
    this.#running = false;
    if (this.#asking.size > 0 || this.#unanswered) this.#plan(this.#failed ? FAILED_MS : PAUSE_MS);
    else if (this.#leased.size > 0) this.#plan(LOOK_MS);
  }

  #collect(): Asked {
    const now = this.#options.now();
    for (const tokens of this.#leased) hold(this.#asking, tokens);
    const asks: { readonly tokens: LeasedTokens; readonly ask: LeaseAsk }[] = [];
    for (const tokens of this.#asking) {
      if (asks.length === AT_ONCE) break;
      this.#asking.delete(tokens);
      const ask = tokens.ask(now);
      if (ask) asks.push({ tokens, ask });
      else if (!tokens.isLeased()) this.#leased.delete(tokens);
    }
    this.#turns += 1;
    return { turn: this.#turns, asks };
  }

  async #ask(asked: Asked): Promise<void> {
    const { exchange, now } = this.#options;
    const { turn, asks } = asked;
    try {
      const answer = await exchange(
        asks.map(({ ask }) => ask),
        { asker: this.#asker, turn },
      );
      this.#failed = false;
      this.#unanswered = undefined;
      for (const [at, { tokens, ask }] of asks.entries()) {
        const grant = answer.grants[at];
        if (grant) tokens.given(ask, grant, now());
        else tokens.failed();
        // A bucket that failed is asked again at the next look.
        if (!grant || tokens.isLeased()) hold(this.#leased, tokens);
        else this.#leased.delete(tokens);
      }
    } catch {
      this.#failed = true;
      // INVARIANT: use is told until it is answered, and charged once.
      this.#unanswered = asked;
      for (const { tokens } of asks) tokens.failed();
    }
  }
}

/** Adds the tokens. Beyond the bound those that came first are left out, as an account that is forgotten: their use is not told. */
function hold(held: Set<LeasedTokens>, tokens: LeasedTokens): void {
  held.add(tokens);
  if (held.size <= MOST) return;
  for (const oldest of held) {
    held.delete(oldest);
    break;
  }
}
