import { describeRedisFault, openRedisLink, RedisFault, type RedisLink } from './redis-link.ts';
import type { RedisAddress } from './settings.ts';

/** Pauses between connection attempts, in milliseconds: doubled from the first to the last. */
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 1000;

export interface RedisLoopOptions {
  readonly address: RedisAddress;
  /** Longest wait for the connection, and for the answer to each command. */
  readonly deadlineMs: number;
  /** Interval between full reads, and between checks of the connection. */
  readonly refreshMs: number;
  readonly heartbeatMs: number;
  /** Reads the whole hash. A rejection ends the connection. */
  readonly read: (link: RedisLink) => Promise<void>;
  /** Redis has answered on a connection with a completed read. */
  readonly confirmed: () => void;
  /**
   * The connection ended, or could not be opened; the next attempt follows. The reason contains no credential and no
   * claim.
   */
  readonly failed: (reason: string) => void;
}

/** Successive connections to Redis until it is closed. */
export interface RedisLoop {
  /** The connection after its first completed read. */
  readonly link: () => RedisLink | undefined;
  /** Requests a full read now. */
  readonly refresh: () => void;
  /** Resolves when nothing is pending. */
  readonly close: () => Promise<void>;
}

/** Starts to connect and read. Subscribes before the first read of each connection, so that there is no gap. */
export function startRedisLoop(options: RedisLoopOptions): RedisLoop {
  const sessions = new RedisSessions(options);
  const running = sessions.run();
  return {
    link: () => sessions.link,
    refresh: () => sessions.refresh(),
    close: async () => {
      sessions.close();
      await running;
    },
  };
}

class RedisSessions {
  readonly #options: RedisLoopOptions;
  #closed = false;
  /** A full read is due. */
  #stale = true;
  #wake: () => void = () => undefined;
  /** The connection after its first completed read. */
  link: RedisLink | undefined;

  constructor(options: RedisLoopOptions) {
    this.#options = options;
  }

  /** One connection after the other. Resolves after `close`. */
  async run(): Promise<void> {
    const { deadlineMs, failed } = this.#options;
    let pause = FIRST_PAUSE_MS;
    while (!this.#closed) {
      const began = performance.now();
      try {
        await this.#session();
      } catch (error) {
        if (!this.#closed) failed(describeRedisFault(error));
      }
      const lasted = performance.now() - began > 2 * deadlineMs;
      pause = lasted ? FIRST_PAUSE_MS : Math.min(pause * 2, LAST_PAUSE_MS);
      if (!this.#closed) await this.#nap(pause);
    }
  }

  refresh(): void {
    this.#stale = true;
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
    this.link?.close();
  }

  /** One connection from its opening to its end. */
  async #session(): Promise<void> {
    const { address, deadlineMs, refreshMs, heartbeatMs, read, confirmed } = this.#options;
    let gone = false;
    const lost = (): void => {
      gone = true;
      this.#wake();
    };
    const opened = await openRedisLink(address, { deadlineMs, changed: () => this.refresh(), lost });
    try {
      let nextReading = 0;
      this.#stale = true;
      while (!this.#closed && !gone) {
        if (this.#stale || performance.now() >= nextReading) {
          nextReading = performance.now() + refreshMs;
          this.#stale = false;
          await read(opened);
          this.link = opened;
        } else {
          await opened.ping();
        }
        if (gone) break;
        confirmed();
        if (!this.#stale) await this.#nap(heartbeatMs);
      }
      if (!this.#closed) throw new RedisFault('connection lost');
    } finally {
      this.link = undefined;
      opened.close();
    }
  }

  /** Waits for the next event, at most `ms`. */
  async #nap(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }
}
