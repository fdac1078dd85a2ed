import { earned, FrameBudget, type Price, price } from '../../http2/budget.ts';
import { ErrorCode, Http2Fault } from '../../http2/frames.ts';

/**
 * Frames of upstream that cost more than they carry.
 * - `data_empty`: DATA of no bytes that does not end its stream
 * - `data_closed`, `headers_closed`, `reset_closed`, `fault_closed`: of a call that is not open; `data_closed` only
 *   below `SMALL_BYTES`, `fault_closed` with a fault that would end it
 * - `settings_ack_unasked`, `ping_ack_unasked`: acknowledgements without a request
 */
export type UpstreamFrameKind =
  | 'data_empty'
  | 'data_closed'
  | 'headers_closed'
  | 'headers_interim'
  | 'continuation'
  | 'reset_closed'
  | 'fault_closed'
  | 'settings'
  | 'settings_ack_unasked'
  | 'ping'
  | 'ping_ack_unasked'
  | 'goaway'
  | 'window_update'
  | 'unknown';

/**
 * The price of each kind. Other frames are bounded elsewhere: DATA by windows; head, trailers and reset of an open call
 * by one each; PUSH_PROMISE ends the connection.
 */
export const UPSTREAM_FRAME_COST: Readonly<Record<UpstreamFrameKind, Price>> = {
  data_empty: price(1),
  data_closed: earned(1),
  // The head, trailers or reset of a call that the gateway has cancelled in the meantime.
  headers_closed: earned(1),
  headers_interim: price(1),
  continuation: price(1),
  reset_closed: earned(1),
  fault_closed: price(1),
  // Passed to the client, which acknowledges them.
  settings: price(4),
  settings_ack_unasked: price(1),
  // Answered with an acknowledgement.
  ping: earned(1),
  ping_ack_unasked: price(1),
  // Iterates over all open calls.
  goaway: price(4),
  // Passed to the client.
  window_update: earned(1),
  unknown: price(1),
};

/**
 * The budget of one upstream connection for the frames of `UPSTREAM_FRAME_COST`: 2000 units at once, then 500 per
 * second, and the units that calls and their DATA earn. Servers stay far below it.
 */
export class UpstreamBudget {
  readonly #budget: FrameBudget;
  readonly #clock: () => number;

  /** @param clock milliseconds */
  constructor(clock: () => number) {
    this.#clock = clock;
    this.#budget = new FrameBudget(clock());
  }

  /** A call was sent. */
  called(): void {
    this.#budget.called();
  }

  /** A DATA frame of `bytes` bytes was sent. */
  moved(bytes: number): void {
    this.#budget.moved(bytes);
  }

  /** Throws `Http2Fault` ENHANCE_YOUR_CALM if the budget is exceeded. */
  pay(kind: UpstreamFrameKind): void {
    if (this.#budget.pay(UPSTREAM_FRAME_COST[kind], this.#clock()) === 'flood') {
      throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, `too many frames (${kind})`);
    }
  }
}
