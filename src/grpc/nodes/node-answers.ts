import { dataOf, ErrorCode, Flag, type Frame, Http2Fault, type Setting, SettingId } from '../../http2/frames.ts';
import { UPSTREAM_BROKEN, UPSTREAM_KEY_REFUSED, UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import type { AnswerBlock } from '../headers/answer-blocks.ts';
import { blockFault, dataFault, MOST_INTERIM } from '../headers/answer-order.ts';
import type { GrpcRelayOptions } from '../relay/options.ts';
import type { RelayCore } from '../relay/relay-core.ts';
import type { LinkEvents } from '../relay/upstream-frames.ts';
import type { AnswerTurns } from './answer-turns.ts';
import type { Seat, SeatLink } from './seat.ts';
import type { SendWindows } from './send-windows.ts';

/** The parts of a node's connection that its frames use. */
export interface AnsweringNode extends SeatLink {
  readonly windows: SendWindows;
  seat(streamId: number): Seat | undefined;
  seats(): Seat[];
  /** The node has sent DATA. Throws `Http2Fault` if it is more than it was granted. */
  received(bytes: number): void;
  acknowledge(): void;
  /** The node is connected. */
  opened(): void;
  /** The first frame of an answer has come. */
  answered(seat: Seat): void;
  /** The node has not processed a call and will not. */
  refused(seat: Seat): void;
  /** No more calls are sent on this connection; those that wait go elsewhere. */
  retire(): void;
  /** The connection is lost. */
  lost(failure: 'unreachable' | 'timeout' | 'broken', denial: typeof UPSTREAM_BROKEN): void;
}

/**
 * The frames of one node's connection, one of several: answers take turns to the client (`AnswerTurns`), and windows and
 * settings end here. A fault of one answer ends its call alone.
 */
export class NodeAnswers implements LinkEvents {
  readonly #core: RelayCore;
  readonly #node: AnsweringNode;
  readonly #turns: AnswerTurns;
  readonly #options: GrpcRelayOptions;

  constructor(core: RelayCore, node: AnsweringNode, turns: AnswerTurns, options: GrpcRelayOptions) {
    this.#core = core;
    this.#node = node;
    this.#turns = turns;
    this.#options = options;
  }

  upstreamOpened(): void {
    this.#node.opened();
  }

  upstreamHeaders(streamId: number, block: AnswerBlock, endStream: boolean): boolean {
    const seat = this.#node.seat(streamId);
    // Of a cancelled call.
    if (!seat) return false;
    if (seat.answerEnded) throw new Http2Fault(ErrorCode.STREAM_CLOSED, streamId, 'headers after the end');
    const { exchange } = seat;
    this.#hear(seat);
    if (blockFault(exchange, block, endStream, exchange.head.method)) {
      this.#giveUp(seat, ErrorCode.PROTOCOL_ERROR);
      return true;
    }
    if (block.isInterim) {
      exchange.interimHeads += 1;
      if (exchange.interimHeads > MOST_INTERIM) throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, 'too many heads');
      return true;
    }
    if (block.refusesCredential && this.#refuses(seat)) return true;
    if (!exchange.headersSent) exchange.announced = exchange.head.method === 'HEAD' ? -1 : block.contentLength;
    if (exchange.answeredAt === 0) exchange.answeredAt = this.#options.parts.now();
    seat.answerEnded = endStream;
    this.#turns.block(seat, block, endStream);
    return true;
  }

  /** DATA is always taken; the node's connection window bounds what waits. */
  hasRoom(): boolean {
    return true;
  }

  upstreamData(frame: Frame, bytes: number): boolean {
    this.#node.received(frame.length);
    const seat = this.#node.seat(frame.streamId);
    if (!seat) {
      this.#node.returned(frame.length);
      return false;
    }
    const { exchange } = seat;
    const ends = frame.has(Flag.END_STREAM);
    this.#hear(seat);
    if (seat.answerEnded || dataFault(exchange, bytes, ends)) {
      this.#node.returned(frame.length);
      this.#giveUp(seat, ErrorCode.PROTOCOL_ERROR);
      return true;
    }
    if (exchange.announced > 0) exchange.announced -= bytes;
    seat.answerEnded = ends;
    this.#turns.data(seat, frame, dataOf(frame));
    return true;
  }

  upstreamReset(streamId: number, code: number): boolean {
    const seat = this.#node.seat(streamId);
    if (!seat) return false;
    if (code === ErrorCode.REFUSED_STREAM && !seat.heard) {
      this.#node.refused(seat);
      return true;
    }
    this.#node.forget(seat);
    this.#turns.reset(seat, code);
    return true;
  }

  upstreamGrant(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.#node.windows.granted(increment);
      return;
    }
    const seat = this.#node.seat(streamId);
    if (seat && !this.#node.windows.grantedSeat(seat, increment)) this.#giveUp(seat, ErrorCode.FLOW_CONTROL_ERROR);
  }

  upstreamFault({ streamId, code }: Http2Fault): boolean {
    const seat = this.#node.seat(streamId);
    if (!seat) return false;
    this.#giveUp(seat, code);
    return true;
  }

  upstreamSettings(settings: readonly Setting[]): void {
    for (const [id, value] of settings) {
      if (id === SettingId.INITIAL_WINDOW_SIZE) this.#node.windows.setInitial(value, this.#node.seats());
      if (id === SettingId.MAX_CONCURRENT_STREAMS) this.#node.windows.mostStreams = value;
    }
    this.#node.acknowledge();
  }

  /** The client's settings were acknowledged when they came. */
  upstreamAcknowledged(): void {}

  upstreamGoaway(lastStreamId: number): void {
    // First: a call that is sent again must not come back on this connection.
    this.#node.retire();
    for (const seat of this.#node.seats()) if (seat.streamId > lastStreamId) this.#node.refused(seat);
  }

  upstreamBurst(): void {
    this.#core.flush();
  }

  upstreamLost(reason: 'unreachable' | 'timeout' | 'broken'): void {
    this.#node.lost(reason, reason === 'broken' ? UPSTREAM_BROKEN : UPSTREAM_UNREACHABLE);
    this.#core.flush();
  }

  #hear(seat: Seat): void {
    if (!seat.heard) this.#node.answered(seat);
  }

  /** True = the gateway's own credential is refused, which the client must not take for its own. */
  #refuses({ exchange }: Seat): boolean {
    exchange.refusedThere = this.#options.upstream.credential().kind === 'callers';
    if (exchange.refusedThere) return false;
    this.#core.calls.reject(exchange, UPSTREAM_KEY_REFUSED);
    return true;
  }

  #giveUp(seat: Seat, code: number): void {
    this.#node.cancel(seat, code);
    this.#core.calls.reject(seat.exchange, UPSTREAM_BROKEN);
  }
}
