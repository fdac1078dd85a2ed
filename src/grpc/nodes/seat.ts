import type { Frame } from '../../http2/frames.ts';
import type { Node } from '../../upstream/nodes/node.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { AnswerBlock } from '../headers/answer-blocks.ts';
import { PendingBytes } from './pending-bytes.ts';

/** Most bytes of one request that are kept to send it again. */
export const KEPT_BYTES = 65_536;
/** The same of all requests of a client connection. */
const MOST_KEPT = 4_194_304;

/** The requests of one client connection that are kept to send them again. */
export class KeptRequests {
  /** Bytes of all. */
  bytes = 0;

  /** Adds to the bytes of a request. `false` = there is no room for them. */
  add(kept: PendingBytes, data: Buffer): boolean {
    if (kept.bytes + data.length > KEPT_BYTES || this.bytes + data.length > MOST_KEPT) return false;
    kept.add(data);
    this.bytes += data.length;
    return true;
  }
}

/** The connection to a node, as its calls see it. */
export interface SeatLink {
  readonly node: Node;
  /** Sends a DATA frame in place if nothing is before it and the node's windows permit it. `false` = it must wait. */
  pass(seat: Seat, frame: Frame): boolean;
  /** Request DATA of a call waits (`Seat.unsent`), or only its end does. */
  wait(seat: Seat): void;
  /** Grants a stream what its client has granted. */
  grant(seat: Seat, bytes: number): void;
  /** Cancels a call at the node. */
  cancel(seat: Seat, code: number): void;
  /** The node's stream is over: nothing more is sent on it. */
  forget(seat: Seat): void;
  /** Bytes of answers have gone to the client, or nowhere: the node may send as many again. */
  returned(bytes: number): void;
}

/** The part of an answer that waits for windows of the client, in its order. */
export class HeldAnswer {
  readonly data = new PendingBytes();
  /** True = the last byte of `data` ends the answer. */
  ends = false;
  trailers: AnswerBlock | undefined;
  /** Error code of a reset after it. */
  reset: number | undefined;
}

/** The place of one call at one of several nodes. */
export class Seat {
  readonly exchange: GrpcExchange;
  link: SeatLink | undefined;
  /** Nodes that failed for this call. */
  readonly tried: Node[] = [];
  /** True = counted among the node's open calls. */
  isCounted = false;
  /** True = the node's stream is over: request DATA goes nowhere. */
  isGone = false;
  /** Stream id on the node's connection; 0 = nothing of the call has been sent there. */
  streamId = 0;
  /** Bytes of DATA that the node takes on this stream. */
  window = 0;

  /** Request DATA that waits for windows of the node. */
  readonly unsent = new PendingBytes();
  /** Bytes of request DATA sent to this node, and the most of any node: only those have credit to return. */
  offset = 0;
  mostOffset = 0;
  /** True = no more request DATA follows `unsent`; `endSent`: the node knows. */
  ends = false;
  endSent = false;
  /** All request DATA so far; `undefined` = there is too much of it, or the call cannot be sent again. */
  kept: PendingBytes | undefined = new PendingBytes();
  /** True = was sent again after it had been sent whole or in part. */
  resent = false;
  /** Stream credit to return to the client. */
  credit = 0;
  /** Stream credit of the client that the node has not been granted. */
  toGrant = 0;

  /** True = the node has answered. */
  heard = false;
  /** True = the node has ended its answer. */
  answerEnded = false;
  readonly answer = new HeldAnswer();

  readonly #requests: KeptRequests;

  /** @param requests of the client connection */
  constructor(exchange: GrpcExchange, requests: KeptRequests) {
    this.exchange = exchange;
    this.#requests = requests;
  }

  /** Keeps request DATA, so that it can be sent again. */
  keep(data: Buffer): void {
    if (this.kept && !this.#requests.add(this.kept, data)) this.drop();
  }

  /** Keeps nothing any more: the call is not sent again. */
  drop(): void {
    this.#requests.bytes -= this.kept?.bytes ?? 0;
    this.kept = undefined;
  }

  /** The node has begun to answer: the call is not sent again. */
  hear(): void {
    this.heard = true;
    this.drop();
  }

  /** True = all request DATA so far is still there. */
  get isWhole(): boolean {
    return this.offset === 0 || this.kept?.bytes === this.offset + this.unsent.bytes;
  }

  /** Prepares the call for another node. `false` = too much of it is gone. */
  rewind(): boolean {
    if (!this.isWhole) return false;
    if (this.offset > 0 && this.kept) this.unsent.copyFrom(this.kept);
    this.link = undefined;
    this.isGone = false;
    this.streamId = 0;
    this.offset = 0;
    this.endSent = false;
    this.toGrant = 0;
    return true;
  }

  /** Counts request DATA sent to the node. Returns the bytes of it that are sent for the first time. */
  sent(bytes: number): number {
    this.offset += bytes;
    const fresh = Math.max(0, this.offset - this.mostOffset);
    this.mostOffset += fresh;
    return fresh;
  }
}
