import type { RedisLink } from '../../redis/link.ts';
import { HASH, USED } from './records.ts';
import { USE } from './scripts.ts';
import type { OnRedis } from './storage.ts';

/** Interval between writes of last uses, in milliseconds. */
const USES_MS = 30_000;

export interface UsesOptions {
  readonly prefix: string;
  readonly onLink: OnRedis;
  /** Minutes of last use in this gateway, by id. */
  readonly used: () => Promise<readonly (readonly [id: string, minute: number])[]>;
}

/** Writes the minutes of last use of this gateway, some at a time: no request waits for it. */
export class UseWriter {
  readonly #options: UsesOptions;
  readonly #written = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: UsesOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#timer = setInterval(() => void this.write(), USES_MS).unref();
  }

  end(): void {
    clearInterval(this.#timer);
  }

  /** Writes what is new. Never rejects: without Redis it is written the next time. */
  async write(): Promise<void> {
    try {
      const used = (await this.#options.used()).filter(([id, minute]) => minute > (this.#written.get(id) ?? 0));
      if (used.length === 0) return;
      await this.#options.onLink((link) => this.#send(link, used));
      for (const [id, minute] of used) this.#written.set(id, minute);
    } catch {
      // The next time.
    }
  }

  async #send(link: RedisLink, used: readonly (readonly [string, number])[]): Promise<void> {
    const { prefix } = this.#options;
    for (let at = 0; at < used.length; at += AT_ONCE) {
      const args = used.slice(at, at + AT_ONCE).flatMap(([id, minute]) => [id, String(minute)]);
      await link.eval(USE, [prefix + USED, prefix + HASH], args);
    }
  }
}

/** Keys in one script, which holds up all other clients of Redis. */
const AT_ONCE = 500;
