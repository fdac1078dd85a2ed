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
  const { address, deadlineMs, refreshMs, heartbeatMs } = options;
  let link: RedisLink | undefined;
  let closed = false;
  let stale = true;
  let wake: () => void = () => undefined;

  const refresh = (): void => {
    stale = true;
    wake();
  };

  /** Waits for the next event, at most `ms`. */
  async function nap(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    wake = resolve;
    await promise;
    clearTimeout(timer);
  }

  /** One connection from its opening to its end. */
  async function session(): Promise<void> {
    let gone = false;
    const lost = (): void => {
      gone = true;
      wake();
    };
    const opened = await openRedisLink(address, { deadlineMs, changed: refresh, lost });
    try {
      let nextReading = 0;
      stale = true;
      while (!closed && !gone) {
        if (stale || performance.now() >= nextReading) {
          nextReading = performance.now() + refreshMs;
          stale = false;
          await options.read(opened);
          link = opened;
        } else {
          await opened.ping();
        }
        if (gone) break;
        options.confirmed();
        if (!stale) await nap(heartbeatMs);
      }
      if (!closed) throw new RedisFault('connection lost');
    } finally {
      link = undefined;
      opened.close();
    }
  }

  async function run(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!closed) {
      const began = performance.now();
      try {
        await session();
      } catch (error) {
        if (!closed) options.failed(describeRedisFault(error));
      }
      const lasted = performance.now() - began > 2 * deadlineMs;
      pause = lasted ? FIRST_PAUSE_MS : Math.min(pause * 2, LAST_PAUSE_MS);
      if (!closed) await nap(pause);
    }
  }

  const running = run();
  return {
    link: () => link,
    refresh,
    close: async () => {
      closed = true;
      wake();
      link?.close();
      await running;
    },
  };
}
