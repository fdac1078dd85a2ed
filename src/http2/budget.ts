/**
 * Everything a client can send on a connection, by what it makes of the frame.
 * - `data`: DATA that carries something; `data_end`: of no bytes, but it ends the stream; `data_small`: of no bytes, or of a
 *   few with padding; `data_late`, `data_late_small`: on a stream that a reset of ours has closed, before its end;
 *   `data_closed`: on one that was closed before
 * - `headers`: a call, or the trailers of one; `trailers_late`: of a stream that a reset of ours has closed;
 *   `trailers_closed`: of one that was closed before
 * - `reset`, `reset_early`: of a call, `reset_closed`: of a stream that is not open
 * - `settings_ack`, `ping_ack`: what was asked for; with `_unasked`: what was not
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
  /** Paid by what was sent to the client, as long as that lasts: clients answer DATA with such frames. */
  readonly earnable: boolean;
}

/** Frames that other limits cover: flow control, the work scheduler, the limit of concurrent streams. */
const FREE: Price = { cost: 0, earnable: false };

/** A price that is always taken from the budget. */
export function price(cost: number): Price {
  return { cost, earnable: false };
}

/** A price that what was moved pays for, as long as that lasts. */
export function earned(cost: number): Price {
  return { cost, earnable: true };
}

/** The price of every kind of frame. One unit is a frame that is looked at for nothing. */
export const FRAME_COST: Readonly<Record<FrameKind, Price>> = {
  data: FREE,
  data_end: FREE,
  data_small: price(1),
  // An upload that is refused while it is under way. Its bytes are bounded by what is granted anew.
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
  // Passed on and acknowledged.
  settings: price(4),
  settings_ack: FREE,
  settings_ack_unasked: price(1),
  // Ends the connection.
  push_promise: FREE,
  ping: earned(1),
  ping_ack: FREE,
  ping_ack_unasked: price(1),
  goaway: price(1),
  window_update: earned(1),
  unknown: price(1),
};

/** Frames that cost more than they carry: how many at once, and how many a second after that. */
const BURST = 2000;
const PER_SECOND = 500;
/** So much is nothing to remark on; past it the connection is slowed down, each time it has spent that much more. */
const UNREMARKED = 400;
const SLICE = 200;
/** Milliseconds for which a connection that is slowed down is not read. */
export const SLOW_MS = 10;
/** A call this young (ms) is given up early. */
const EARLY_MS = 1000;
/**
 * Frames that DATA to the client pays for: a grant of the stream, one of the connection, a PING that measures the way, and
 * as much again for each KiB, since some readers grant what they read in small pieces.
 */
const EARNED_PER_FRAME = 4;
const EARNED_PER_KIB = 2;
/** A call begins: some clients grant its window at once. */
const EARNED_PER_CALL = 3;
/** Most that can be saved up: what a window of 64 MiB earns. */
const MOST_EARNED = 131_072;

/** `slow`: read no more of the peer for `SLOW_MS`; `flood`: end the connection. */
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

  /** DATA of so many bytes, in so many frames, has been sent to the client. */
  moved(bytes: number, frames = 1): void {
    this.#earn(frames * EARNED_PER_FRAME + (bytes >>> 10) * EARNED_PER_KIB);
  }

  /** A call has begun. */
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
    // INVARIANT: the time for which it was slowed down does not keep a flood alive.
    const needed = this.#left < 0 ? SLICE : 0;
    this.#left = Math.min(BURST, this.#left + ((now - this.#at) / 1000) * PER_SECOND);
    this.#at = now;
    this.#slice = SLICE;
    if (this.#left < needed) return 'flood';
    return this.#left < BURST - UNREMARKED ? 'slow' : 'fine';
  }
}

/**
 * The price of resetting a stream: higher while it is young and unanswered, since upstream has begun work in vain.
 */
export function resetPrice(
  call: { readonly headersSent: boolean; readonly begunAt: number } | undefined,
  now: number,
): Price {
  const early = call?.headersSent === false && now - call.begunAt < EARLY_MS;
  return FRAME_COST[early ? 'reset_early' : call ? 'reset' : 'reset_closed'];
}
