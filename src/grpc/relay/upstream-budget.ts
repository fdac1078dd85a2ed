import { earned, FrameBudget, type Price, price } from '../../http2/budget.ts';
import { ErrorCode, Http2Fault } from '../../http2/frames.ts';

/**
 * Everything an upstream can send on a connection that costs more than it carries.
 * - `data_empty`: DATA of no bytes that does not end its stream
 * - `data_closed`, `headers_closed`, `reset_closed`, `fault_closed`: of a call that is not open (any more); `data_closed` with
 *   few bytes only, `fault_closed` with a fault that would end it
 * - `settings_ack_unasked`, `ping_ack_unasked`: what was not asked for
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
 * The price of every kind. What is not in it is bounded elsewhere: DATA by windows; the head, the trailers and the reset of an
 * open call by there being one each; PUSH_PROMISE ends the connection.
 */
export const UPSTREAM_FRAME_COST: Readonly<Record<UpstreamFrameKind, Price>> = {
  data_empty: price(1),
  data_closed: earned(1),
  // The head, trailers or reset of a call that the gateway has cancelled meanwhile.
  headers_closed: earned(1),
  headers_interim: price(1),
  continuation: price(1),
  reset_closed: earned(1),
  fault_closed: price(1),
  // Passed on to the client, which acknowledges them.
  settings: price(4),
  settings_ack_unasked: price(1),
  // Answered.
  ping: earned(1),
  ping_ack_unasked: price(1),
  // Goes through all open calls.
  goaway: price(4),
  // Passed on to the client.
  window_update: earned(1),
  unknown: price(1),
};

/**
 * The budget of one upstream connection for the frames of `UPSTREAM_FRAME_COST`: 2000 units at once, 500 a second after
 * that, and the units that its calls and their DATA have earned. Servers stay far below it.
 */
export class UpstreamBudget {
  readonly #budget: FrameBudget;
  readonly #clock: () => number;

  /** @param clock milliseconds */
  constructor(clock: () => number) {
    this.#clock = clock;
    this.#budget = new FrameBudget(clock());
  }

  /** A call has been sent. */
  called(): void {
    this.#budget.called();
  }

  /** A DATA frame of so many bytes has been sent. */
  moved(bytes: number): void {
    this.#budget.moved(bytes);
  }

  /** Throws `Http2Fault` ENHANCE_YOUR_CALM when upstream has sent too much. */
  pay(kind: UpstreamFrameKind): void {
    if (this.#budget.pay(UPSTREAM_FRAME_COST[kind], this.#clock()) === 'flood') {
      throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, `too many frames (${kind})`);
    }
  }
}
