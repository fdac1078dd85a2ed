import type { RedisAddress } from './address.ts';
import {
  describeRedisFault,
  openRedisLink,
  RedisContentFault,
  RedisFault,
  type RedisLink,
  redisErrorWord,
} from './link.ts';

/** Pauses between connection attempts, in milliseconds: doubled from the first to the last. */
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 1000;
const MAX_DEADLINE_MS = 2000;
const MAX_HEARTBEAT_MS = 1000;

/** The scope of a read. */
export interface RedisAsked {
  /** True = everything: the connection is new, or a change was told without saying of what. */
  readonly whole: boolean;
  /** Messages of the channel since the last read; the content of others is unchanged. */
  readonly told: ReadonlySet<string>;
}

/** Message of a change that does not say of what. */
export const ANY_CHANGE = '1';

/** A part of the gateway that keeps something in Redis. */
export interface RedisMember {
  /** Names without the configured prefix; a notification on it makes a read due. */
  readonly channel: string;
  /** Interval between full reads. */
  readonly refreshMs: number;
  /** Milliseconds that Redis may be unreachable before it counts as unavailable. */
  readonly unavailableAfterMs: number;
  /** Reads what changed. A fault of the content, or a refusal by Redis, is that of this member alone. */
  readonly read: (link: RedisLink, asked: RedisAsked) => Promise<void>;
  /** Redis has answered on a connection with a completed read. */
  readonly confirmed: () => void;
  /**
   * The read failed, or the connection ended or could not be opened; the next attempt follows. The reason contains no
   * credential and no claim.
   */
  readonly failed: (reason: string) => void;
}

/** The place of a member. */
export interface RedisSeat {
  /** The connection after the member's first completed read on it. */
  readonly link: () => RedisLink | undefined;
  /** Requests a full read now. */
  readonly refresh: () => void;
  /** Requests a read as after this message of the channel. */
  readonly tell: (message: string) => void;
}

/** The one connection of a gateway to Redis, for all its members. */
export interface RedisConnection {
  readonly address: RedisAddress;
  /** INVARIANT: before `start`, so that every channel is subscribed before the first read. */
  readonly join: (member: RedisMember) => RedisSeat;
  /** Starts to connect and read; a second call does nothing. */
  readonly start: () => void;
  /** Resolves when nothing is pending. */
  readonly close: () => Promise<void>;
}

/** Successive connections to Redis from `start` until `close`. */
export function createRedisConnection(address: RedisAddress): RedisConnection {
  const sessions = new RedisSessions(address);
  let running: Promise<void> | undefined;
  return {
    address,
    join: (member) => sessions.join(member),
    start: () => {
      running ??= sessions.run();
    },
    close: async () => {
      sessions.close();
      await running;
    },
  };
}

class Seat implements RedisSeat {
  readonly member: RedisMember;
  readonly #wake: () => void;
  /** A read is due. */
  due = true;
  /** The next read is of everything. */
  whole = true;
  told = new Set<string>();
  nextReading = 0;
  ready: RedisLink | undefined;

  constructor(member: RedisMember, wake: () => void) {
    this.member = member;
    this.#wake = wake;
  }

  readonly link = (): RedisLink | undefined => this.ready;

  readonly refresh = (): void => {
    this.due = true;
    this.whole = true;
    this.#wake();
  };

  readonly tell = (message: string): void => {
    this.due = true;
    if (message === ANY_CHANGE) this.whole = true;
    else this.told.add(message);
    this.#wake();
  };

  /** The next read, which begins now. */
  asked(): RedisAsked {
    const { whole, told } = this;
    this.due = false;
    this.whole = false;
    this.told = new Set();
    this.nextReading = performance.now() + this.member.refreshMs;
    return { whole, told };
  }
}

class RedisSessions {
  readonly #address: RedisAddress;
  readonly #seats: Seat[] = [];
  #closed = false;
  #link: RedisLink | undefined;
  #wake: () => void = () => undefined;

  constructor(address: RedisAddress) {
    this.#address = address;
  }

  join(member: RedisMember): RedisSeat {
    const seat = new Seat(member, () => this.#wake());
    this.#seats.push(seat);
    return seat;
  }

  /** One connection after the other. Resolves after `close`. */
  async run(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.#closed) {
      const began = performance.now();
      try {
        await this.#session();
      } catch (error) {
        if (!this.#closed) for (const { member } of this.#seats) member.failed(describeRedisFault(error));
      }
      const lasted = performance.now() - began > 2 * this.#deadlineMs();
      pause = lasted ? FIRST_PAUSE_MS : Math.min(pause * 2, LAST_PAUSE_MS);
      if (!this.#closed) await this.#nap(pause);
    }
  }

  close(): void {
    this.#closed = true;
    this.#wake();
    this.#link?.close();
  }

  #deadlineMs(): number {
    return Math.min(MAX_DEADLINE_MS, ...this.#seats.map(({ member }) => member.unavailableAfterMs));
  }

  #heartbeatMs(): number {
    const each = this.#seats.map(({ member }) => Math.min(member.refreshMs, Math.ceil(member.unavailableAfterMs / 4)));
    return Math.min(MAX_HEARTBEAT_MS, ...each);
  }

  /** One connection from its opening to its end. */
  async #session(): Promise<void> {
    let gone = false;
    const lost = (): void => {
      gone = true;
      this.#wake();
    };
    const named = new Map(this.#seats.map((seat) => [`${this.#address.prefix}${seat.member.channel}`, seat]));
    const opened = await openRedisLink(this.#address, {
      deadlineMs: this.#deadlineMs(),
      channels: [...named.keys()],
      changed: (channel, message) => named.get(channel)?.tell(message),
      lost,
    });
    this.#link = opened;
    try {
      for (const seat of this.#seats) seat.refresh();
      while (!this.#closed && !gone) {
        await this.#turn(opened);
        if (gone) break;
        for (const { ready, member } of this.#seats) if (ready) member.confirmed();
        if (!this.#seats.some(({ due }) => due)) await this.#nap(this.#heartbeatMs());
      }
      if (!this.#closed) throw new RedisFault('connection lost');
    } finally {
      for (const seat of this.#seats) seat.ready = undefined;
      this.#link = undefined;
      opened.close();
    }
  }

  /** Every read that is due, or a sign of life. */
  async #turn(link: RedisLink): Promise<void> {
    const due = this.#seats.filter(({ due: told, nextReading }) => told || performance.now() >= nextReading);
    if (due.length === 0) await link.ping();
    for (const seat of due) await this.#read(seat, link);
  }

  async #read(seat: Seat, link: RedisLink): Promise<void> {
    const asked = seat.asked();
    try {
      await seat.member.read(link, asked);
      seat.ready = link;
    } catch (error) {
      if (!(error instanceof RedisContentFault) && redisErrorWord(error) === undefined) throw error;
      // Again with the next sign of life.
      seat.nextReading = 0;
      seat.whole = true;
      seat.ready = undefined;
      seat.member.failed(describeRedisFault(error));
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
