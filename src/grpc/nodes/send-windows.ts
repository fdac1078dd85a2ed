import { ErrorCode, Http2Fault, MAX_WINDOW } from '../../http2/frames.ts';
import { INITIAL_WINDOW } from '../relay/client-window.ts';
import type { Seat } from './seat.ts';

/** The windows of one node's connection for request DATA, in bytes, and its limit of streams. */
export class SendWindows {
  connection = INITIAL_WINDOW;
  /** Initial window of a stream. */
  initial = INITIAL_WINDOW;
  mostStreams = Number.POSITIVE_INFINITY;

  /** Window for DATA of one stream; not above 0 = none. */
  room({ window }: Seat): number {
    return Math.min(window, this.connection);
  }

  /** DATA is sent. @param bytes with padding */
  sent(seat: Seat, bytes: number): void {
    seat.window -= bytes;
    this.connection -= bytes;
  }

  /** Throws a connection fault if the window exceeds its maximum. */
  granted(bytes: number): void {
    if (this.connection + bytes > MAX_WINDOW) throw overflow();
    this.connection += bytes;
  }

  /** `false` = the window of the stream would exceed its maximum, and nothing is granted. */
  grantedSeat(seat: Seat, bytes: number): boolean {
    if (seat.window + bytes > MAX_WINDOW) return false;
    seat.window += bytes;
    return true;
  }

  /** The initial window changes, and with it those of `open`. Throws a connection fault if one exceeds its maximum. */
  setInitial(initial: number, open: readonly Seat[]): void {
    const more = initial - this.initial;
    for (const seat of open) if (seat.window + more > MAX_WINDOW) throw overflow();
    for (const seat of open) seat.window += more;
    this.initial = initial;
  }
}

function overflow(): Http2Fault {
  return new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, 0, 'window overflow');
}
