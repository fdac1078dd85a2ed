import type { Guard } from '../lifetime/guard.ts';

export interface OutageWatchOptions {
  /** Does upstream answer a request now? Never rejects. */
  readonly ask: () => Promise<boolean>;
  /** Does it take a connection? For times without requests: no request of ours stands in its log then. Never rejects. */
  readonly reach: () => Promise<boolean>;
  /** Time without an answer after which `reach` is called. Default: `IDLE_MS`. */
  readonly idleMs?: number;
  /** Called once when upstream goes down and once when it is back. @param forMs how long it was down; 0 when it goes down */
  readonly changed: (up: boolean, forMs: number) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly guard: Guard;
}

/** Time without an answer after which a connection is tried, and between questions while it is in doubt or down. Milliseconds. */
const IDLE_MS = 10_000;
const AGAIN_MS = 1_000;
/** Least time between two questions, whatever fails. */
const LEAST_MS = 250;
/** Failures in a row that make an outage: requests that could not connect, and questions. */
const STRIKES = 2;

/**
 * The one place that decides whether upstream is up, for one of its protocols. Answers and failures of requests are told to it; it
 * asks by itself when a request failed and until upstream is back, and connects when there was no request for a while. Requests
 * never wait for it.
 */
export class OutageWatch {
  readonly #options: OutageWatchOptions;
  readonly #idleMs: number;
  #up = true;
  #strikes = 0;
  #outages = 0;
  #downAt = 0;
  /** Upstream has answered a request since the timer was set. */
  #heard = false;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: OutageWatchOptions) {
    this.#options = options;
    this.#idleMs = options.idleMs ?? IDLE_MS;
  }

  /** Outages since the start. */
  get outages(): number {
    return this.#outages;
  }

  /** @param up the result of a question at the start, which the caller has said */
  begin(up: boolean): void {
    this.#up = up;
    this.#downAt = this.#options.now();
    this.#later(up ? this.#idleMs : AGAIN_MS);
  }

  /** Upstream answered a request. */
  heard(): void {
    this.#strikes = 0;
    this.#heard = true;
  }

  /** A request came to nothing. @param unreachable there was no connection for it */
  failed(unreachable: boolean): void {
    if (!this.#up || this.#closed) return;
    if (unreachable) this.#strikes = Math.max(this.#strikes, 1);
    if (this.#options.now() - this.#askedAt >= LEAST_MS) this.#look();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #later(ms: number): void {
    this.#heard = false;
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = this.#options.guard.after(ms, () => this.#due()).unref();
  }

  #due(): void {
    if (!this.#up || this.#strikes > 0) this.#look();
    else if (this.#heard) this.#later(this.#idleMs);
    else this.#look(this.#options.reach);
  }

  #look(ask = this.#options.ask): void {
    if (this.#asking) return;
    this.#asking = true;
    this.#askedAt = this.#options.now();
    this.#options.guard.settled(ask(), (up) => this.#asked(up));
  }

  #asked(answered: boolean): void {
    this.#asking = false;
    if (this.#closed) return;
    if (answered) this.#answered();
    else this.#missed();
    this.#later(this.#up && this.#strikes === 0 ? this.#idleMs : AGAIN_MS);
  }

  #answered(): void {
    this.heard();
    if (this.#up) return;
    this.#up = true;
    this.#options.changed(true, this.#options.now() - this.#downAt);
  }

  #missed(): void {
    this.#strikes += 1;
    if (!this.#up || this.#strikes < STRIKES) return;
    this.#up = false;
    this.#outages += 1;
    this.#downAt = this.#options.now();
    this.#options.changed(false, 0);
  }
}
