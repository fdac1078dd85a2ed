import { type FaultReport, Guard } from '../lifetime/guard.ts';
import type { Log } from '../observability/log.ts';
import { UPSTREAM_KEY_REFUSED } from '../policy/denial.ts';
import type { UpstreamLookup } from '../upstream/lookup.ts';
import type { Observer } from './exchange-parts.ts';

/** Time after which a refused key is tried again, and the limit of one try, in milliseconds. */
const AGAIN_MS = 5_000;
const PATIENCE_MS = 2_000;

export interface KeyWatchOptions {
  readonly lookup: Pick<UpstreamLookup, 'checkKey'>;
  readonly log: Pick<Log, 'warn' | 'info'>;
  readonly report: FaultReport;
  /** Default: `AGAIN_MS`. */
  readonly againMs?: number;
}

/**
 * Whether upstream refuses the gateway's key. One log line when that begins and one when it ends; meanwhile the key is
 * tried again every few seconds, and after each reload.
 */
export class KeyWatch {
  readonly #options: KeyWatchOptions;
  readonly #guard: Guard;
  #refused = false;
  #asking = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: KeyWatchOptions) {
    this.#options = options;
    this.#guard = new Guard({ fail: () => undefined, cut: () => undefined }, 'rest_upstream', options.report);
  }

  get refused(): boolean {
    return this.#refused;
  }

  /** Sees every exchange: an observer. */
  readonly observe: Observer = ({ refusal }) => {
    if (refusal === UPSTREAM_KEY_REFUSED) this.begin();
  };

  /** Upstream has refused the key. */
  begin(): void {
    if (this.#refused || this.#closed) return;
    this.#refused = true;
    this.#options.log.warn(
      { option: 'gateway.upstream.api_key' },
      'upstream refuses the key of the gateway; requests are answered with 502 until it accepts one',
    );
    this.#later();
  }

  /** Asks upstream now. Never rejects. */
  async look(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const verdict = await this.#verdict();
    this.#asking = false;
    if (verdict === 'refused') this.begin();
    if (verdict === 'accepted') this.#end();
  }

  /** A reload may have brought another key. */
  reloaded(): void {
    if (this.#refused) void this.look();
  }

  close(): void {
    // Nothing is said any more.
    this.#closed = true;
    clearInterval(this.#timer);
  }

  #end(): void {
    if (!this.#refused || this.#closed) return;
    this.#refused = false;
    clearInterval(this.#timer);
    this.#options.log.info({ option: 'gateway.upstream.api_key' }, 'upstream accepts the key of the gateway');
  }

  #later(): void {
    this.#timer = this.#guard.every(this.#options.againMs ?? AGAIN_MS, () => void this.look()).unref();
  }

  async #verdict() {
    try {
      return await this.#options.lookup.checkKey(AbortSignal.timeout(PATIENCE_MS));
    } catch {
      return undefined;
    }
  }
}
