import { ErrorCode, Http2Fault } from './frames.ts';

/**
 * Frames of a client, by their effect.
 * - `data`: DATA with bytes; `data_end`: of no bytes, with END_STREAM; `data_small`: of no bytes, or of a few with
 *   padding; `data_late`, `data_late_small`: on a stream that the gateway has reset, before the client's end;
 *   `data_closed`: on a stream that was closed before
 * - `headers`: a call, or the trailers of one; `trailers_late`: of a stream that the gateway has reset;
 *   `trailers_closed`: of a stream that was closed before
 * - `reset`, `reset_early`: of a call; `reset_closed`: of a stream that is not open
 * - `settings_ack`, `ping_ack`: requested acknowledgements; with `_unasked`: without a request
 */
export type FrameKind =
  | 'data'
  | 'data_end'
  | 'data_small'
  | 'data_late'
  | 'data_late_small'
  | 'data_closed'
  | 'headers'
  | 'trailers_late'
  | 'trailers_closed'
  | 'continuation'
  | 'priority'
  | 'reset'
  | 'reset_early'
  | 'reset_closed'
  | 'settings'
  | 'settings_ack'
  | 'settings_ack_unasked'
  | 'push_promise'
  | 'ping'
  | 'ping_ack'
  | 'ping_ack_unasked'
  | 'goaway'
  | 'window_update'
  | 'unknown';

/** The price of a frame. */
export interface Price {
  readonly cost: number;
  /** True = paid from the earned units, as long as there are any: clients answer DATA with such frames. */
  readonly earnable: boolean;
}

/** Frames that other limits cover: flow control, the work scheduler, the limit of concurrent streams. */
const FREE: Price = { cost: 0, earnable: false };

/** A price that is always taken from the budget. */
export function price(cost: number): Price {
  return { cost, earnable: false };
}

/** A price that is paid from the earned units first. */
export function earned(cost: number): Price {
  return { cost, earnable: true };
}

/** The price of each kind of frame. One unit is a frame that is processed without effect. */
export const FRAME_COST: Readonly<Record<FrameKind, Price>> = {
  data: FREE,
  data_end: FREE,
  data_small: price(1),
  // An upload that is refused during the transfer. The granted window bounds its bytes.
  data_late: FREE,
  data_late_small: price(1),
  // Answered with a reset.
  data_closed: price(2),
  headers: FREE,
  trailers_late: price(1),
  trailers_closed: price(2),
  continuation: price(1),
  priority: price(1),
  reset: price(2),
  reset_early: price(4),
  reset_closed: price(2),
  // Passed to upstream and acknowledged.
  settings: price(4),
  settings_ack: FREE,
  settings_ack_unasked: price(1),
  // It ends the connection.
  push_promise: FREE,
  ping: earned(1),
  ping_ack: FREE,
  ping_ack_unasked: price(1),
  goaway: price(1),
  window_update: earned(1),
  unknown: price(1),
};

/** The budget of frames that cost more than they carry: the burst, and the refill per second. */
const BURST = 2000;
const PER_SECOND = 500;
/** Units without consequence; beyond that, the connection is delayed each time it has spent as many more. */
const UNREMARKED = 400;
const SLICE = 200;
/** Delay of a connection, in milliseconds, during which it is not read. */
export const SLOW_MS = 10;
/** A reset of a call younger than this (milliseconds) is early. */
const EARLY_MS = 1000;
/**
 * Units earned by DATA to the client, per frame: a grant of the stream, one of the connection, a PING for measuring;
 * and as much again per KiB, since some clients grant in small pieces.
 */
const EARNED_PER_FRAME = 4;
const EARNED_PER_KIB = 2;
/** Units earned by a call: some clients grant its window at once. */
const EARNED_PER_CALL = 3;
/** Most earned units: those of a window of 64 MiB. */
const MOST_EARNED = 131_072;

/** `slow`: do not read the peer for `SLOW_MS`; `flood`: end the connection. */
export type Spent = 'fine' | 'slow' | 'flood';

/**
 * The budget of control frames of one connection, weighted by `FRAME_COST`: a leaky bucket. Ordinary clients stay far
 * below it.
 */
export class FrameBudget {
  #left = BURST;
  #earned = 0;
  #slice = SLICE;
  #at: number;

  constructor(now: number) {
    this.#at = now;
  }

  /** Earns units for DATA sent to the client. */
  moved(bytes: number, frames = 1): void {
    this.#earn(frames * EARNED_PER_FRAME + (bytes >>> 10) * EARNED_PER_KIB);
  }

  /** Earns units for a new call. */
  called(): void {
    this.#earn(EARNED_PER_CALL);
  }

  #earn(frames: number): void {
    this.#earned = Math.min(MOST_EARNED, this.#earned + frames);
  }

  /** Pays for a frame at time `now` (ms). */
  pay({ cost, earnable }: Price, now: number): Spent {
    if (cost === 0) return 'fine';
    if (earnable && this.#earned >= cost) {
      this.#earned -= cost;
      return 'fine';
    }
    return this.take(cost, now);
  }

  /** Takes `cost` at time `now` (ms). */
  take(cost: number, now: number): Spent {
    this.#left -= cost;
    this.#slice -= cost;
    if (this.#left >= 0 && this.#slice > 0) return 'fine';
    // INVARIANT: a flood gains nothing from the refill during its delay.
    const needed = this.#left < 0 ? SLICE : 0;
    this.#left = Math.min(BURST, this.#left + ((now - this.#at) / 1000) * PER_SECOND);
    this.#at = now;
    this.#slice = SLICE;
    if (this.#left < needed) return 'flood';
    return this.#left < BURST - UNREMARKED ? 'slow' : 'fine';
  }
}

/** The price of a reset of a stream: higher while it is young and unanswered, since upstream has begun work in vain. */
export function resetPrice(
  call: { readonly headersSent: boolean; readonly begunAt: number } | undefined,
  now: number,
): Price {
  const early = call?.headersSent === false && now - call.begunAt < EARLY_MS;
  return FRAME_COST[early ? 'reset_early' : call ? 'reset' : 'reset_closed'];
}

/** Header bytes (name + value + 32 for each field, RFC 9113 section 6.5.2) of all open streams of one connection. */
const STRANGER_BYTES = 262_144;
const KNOWN_BYTES = 2_097_152;

/** The reason of the fault that `HeadBudget.take` throws. */
export const HEADS_TOO_LARGE = 'heads of open streams too large';

/**
 * The header bytes that the open streams of one client connection hold together: 256 KiB, and 2 MiB once a credential on it was
 * good. A single stream is always taken: the limit of one head is another one.
 */
export class HeadBudget {
  readonly #connection: { readonly isKnown: boolean };
  #held = 0;

  /** @param connection `isKnown`: a credential on it was good */
  constructor(connection: { readonly isKnown: boolean }) {
    this.#connection = connection;
  }

  /**
   * Takes the head of a new stream, until `give`. Throws `Http2Fault` REFUSED_STREAM of that stream if it finds no room; nothing
   * is taken then, and the client may try again (RFC 9113 section 8.7).
   */
  take(streamId: number, bytes: number): void {
    const sum = this.#held + bytes;
    if (this.#held > 0 && sum > (this.#connection.isKnown ? KNOWN_BYTES : STRANGER_BYTES)) {
      throw new Http2Fault(ErrorCode.REFUSED_STREAM, streamId, HEADS_TOO_LARGE);
    }
    this.#held = sum;
  }

  /** Gives the bytes of one stream back, once it has closed. */
  give(bytes: number): void {
    this.#held -= bytes;
  }
}
