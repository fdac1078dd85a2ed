import { ErrorCode, Http2Fault } from '../../http2/frames.ts';
import type { Outbox } from '../../http2/outbox.ts';
import { writeWindowUpdate } from '../../http2/write-frames.ts';
import { INITIAL_WINDOW } from '../relay/client-window.ts';

/** DATA of answers (bytes) that a node may send before the client has taken them: what may wait for one node. */
export const ANSWER_WINDOW = 262_144;
/** Bytes of answers per WINDOW_UPDATE. */
const GRANT_BYTES = 65_536;

/** The connection window that the gateway grants a node for its answers. */
export class AnswerWindow {
  readonly #outbox: Outbox;
  #left = ANSWER_WINDOW;
  #toGrant = 0;

  /** Raises the window at once. @param outbox of the connection, after its preface and settings */
  constructor(outbox: Outbox) {
    this.#outbox = outbox;
    outbox.bytes(writeWindowUpdate(0, ANSWER_WINDOW - INITIAL_WINDOW));
  }

  /** Counts DATA of the node, with padding. Throws a connection fault if it is more than was granted. */
  received(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, 0, 'connection window exceeded');
  }

  /** So many bytes have gone to the client, or nowhere. */
  returned(bytes: number): void {
    this.#toGrant += bytes;
  }

  /** Queues a grant if it is due. */
  grant(): void {
    const bytes = this.#toGrant;
    if (bytes < GRANT_BYTES) return;
    this.#toGrant = 0;
    this.#left += bytes;
    this.#outbox.bytes(writeWindowUpdate(0, bytes));
  }
}
