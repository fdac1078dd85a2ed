import { ErrorCode, Flag, type Frame, Http2Fault, type Setting, SettingId } from '../../http2/frames.ts';
import { Pause } from '../../http2/paced-reading.ts';
import { rewriteStreamId, writeWindowUpdate } from '../../http2/write-frames.ts';
import { UPSTREAM_BROKEN, UPSTREAM_KEY_REFUSED, UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { AnswerBlock } from '../headers/answer-blocks.ts';
import { blockFault, dataFault, MOST_INTERIM } from '../headers/answer-order.ts';
import { sendBlock } from '../headers/named-answer.ts';
import type { GrpcRelayOptions } from './options.ts';
import type { RelayCore } from './relay-core.ts';
import type { LinkEvents } from './upstream-frames.ts';
import type { UpstreamLink } from './upstream-link.ts';

/** The parts of the upstream half that its answers use. */
export interface AnsweringSide {
  /** The connection; `undefined` once it is lost or closed. */
  readonly link: UpstreamLink | undefined;
  /** Cancels a call at upstream. */
  cancel(exchange: GrpcExchange, code: number): void;
  /** Upstream has ended the connection, or is about to. */
  retire(): void;
  /** The connection is lost. */
  lost(): void;
}

/**
 * The frames of one upstream connection: each passes to the client of its call with the stream id rewritten in place, if
 * windows and the order of the answer allow it. A fault of one answer ends its call alone.
 */
export class AnswerFrames implements LinkEvents {
  readonly #core: RelayCore;
  readonly #upstream: AnsweringSide;
  readonly #options: GrpcRelayOptions;

  constructor(core: RelayCore, upstream: AnsweringSide, options: GrpcRelayOptions) {
    this.#core = core;
    this.#upstream = upstream;
    this.#options = options;
  }

  upstreamHeaders(streamId: number, block: AnswerBlock, endStream: boolean): boolean {
    const exchange = this.#core.streams.fromUpstream(streamId);
    // Of a cancelled call.
    if (!exchange) return false;
    if (exchange.answered) throw new Http2Fault(ErrorCode.STREAM_CLOSED, streamId, 'headers after the end');
    if (blockFault(exchange, block, endStream, exchange.head.method)) {
      this.#giveUp(exchange, ErrorCode.PROTOCOL_ERROR);
      return true;
    }
    if (block.isInterim) {
      exchange.interimHeads += 1;
      if (exchange.interimHeads > MOST_INTERIM) throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, 'too many heads');
      return true;
    }
    if (block.refusesCredential && this.#refuses(exchange)) return true;
    if (!exchange.headersSent) exchange.announced = exchange.head.method === 'HEAD' ? -1 : block.contentLength;
    sendBlock(this.#core.heads, exchange, block, endStream);
    exchange.headersSent = true;
    if (endStream) exchange.status = block.status;
    if (exchange.answeredAt === 0) exchange.answeredAt = this.#options.parts.now();
    this.#moved(exchange, endStream);
    return true;
  }

  /** True = the gateway's own credential is refused, which the client must not take for its own. */
  #refuses(exchange: GrpcExchange): boolean {
    exchange.refusedThere = this.#options.upstream.credential().kind === 'callers';
    if (exchange.refusedThere) return false;
    this.#core.calls.reject(exchange, UPSTREAM_KEY_REFUSED);
    return true;
  }

  /** Ends one call on both sides because its answer may not be forwarded. Other calls go on. */
  #giveUp(exchange: GrpcExchange, code: number): void {
    this.#upstream.cancel(exchange, code);
    this.#core.calls.reject(exchange, UPSTREAM_BROKEN);
  }

  hasRoom(frame: Frame): boolean {
    const { streams, streamWindows, window } = this.#core;
    if (frame.length <= window.toClient) return true;
    const exchange = streams.fromUpstream(frame.streamId);
    // DATA that does not go to the client needs no window.
    return exchange === undefined || streamWindows.isOverrun(exchange, frame.length);
  }

  upstreamData(frame: Frame, bytes: number): boolean {
    const { client, streams, streamWindows, window } = this.#core;
    const exchange = streams.fromUpstream(frame.streamId);
    if (!exchange) {
      this.#swallow(frame);
      return false;
    }
    const isOverrun = streamWindows.isOverrun(exchange, frame.length);
    if (isOverrun || dataFault(exchange, bytes, frame.has(Flag.END_STREAM))) {
      this.#swallow(frame);
      this.#giveUp(exchange, isOverrun ? ErrorCode.FLOW_CONTROL_ERROR : ErrorCode.PROTOCOL_ERROR);
      return true;
    }
    exchange.windowGain -= frame.length;
    if (exchange.announced > 0) exchange.announced -= bytes;
    rewriteStreamId(frame, exchange.id);
    client.outbox.frame(frame, true);
    client.moved(frame.length);
    window.relayed(frame.length);
    exchange.sent += frame.length;
    this.#moved(exchange, frame.has(Flag.END_STREAM));
    return true;
  }

  /** Returns the connection credit of DATA that does not go to the client. */
  #swallow({ length }: Frame): void {
    if (length > 0) this.#upstream.link?.outbox.bytes(writeWindowUpdate(0, length));
  }

  upstreamReset(streamId: number, code: number): boolean {
    const { streams } = this.#core;
    const exchange = streams.fromUpstream(streamId);
    if (!exchange) return false;
    this.#core.calls.resetClient(exchange.id, code);
    this.#core.calls.end(exchange);
    return true;
  }

  upstreamGrant(streamId: number, increment: number, frame: Frame): void {
    const { client, streams, streamWindows, window } = this.#core;
    if (streamId === 0) {
      const passed = window.grantedByUpstream(increment);
      if (passed === increment) client.outbox.frame(frame);
      else if (passed > 0) client.outbox.bytes(writeWindowUpdate(0, passed));
      return;
    }
    const exchange = streams.fromUpstream(streamId);
    // The window of a message that the gateway made is not the client's.
    if (!exchange || exchange.isRemade) return;
    if (!streamWindows.grantedByUpstream(exchange, increment)) {
      this.#giveUp(exchange, ErrorCode.FLOW_CONTROL_ERROR);
      return;
    }
    rewriteStreamId(frame, exchange.id);
    client.outbox.frame(frame);
  }

  upstreamFault({ streamId, code }: Http2Fault): boolean {
    const exchange = this.#core.streams.fromUpstream(streamId);
    if (!exchange) return false;
    this.#giveUp(exchange, code);
    return true;
  }

  upstreamSettings(settings: readonly Setting[]): void {
    const { client, streams, streamWindows } = this.#core;
    for (const [id, value] of settings) {
      if (id === SettingId.INITIAL_WINDOW_SIZE) streamWindows.setByUpstream(value, streams.allUpstream());
    }
    client.sendSettings(settings);
  }

  upstreamAcknowledged(): void {
    this.#core.streamWindows.acknowledged();
    this.#core.client.acknowledge();
  }

  upstreamGoaway(lastStreamId: number): void {
    // First: a call that is retried must not come back on this connection.
    this.#upstream.retire();
    for (const exchange of this.#core.streams.allUpstream()) {
      if (exchange.upstreamId <= lastStreamId) continue;
      // Upstream has not processed it and will not: the client may retry (RFC 9113 section 8.7).
      this.#core.calls.resetClient(exchange.id, ErrorCode.REFUSED_STREAM);
      this.#core.calls.end(exchange);
    }
  }

  upstreamBurst(): void {
    this.#core.flush();
    if (this.#core.client.outbox.congested) this.#upstream.link?.pause();
  }

  upstreamLost(reason: 'unreachable' | 'timeout' | 'broken', connected: boolean, owed: number): void {
    const { client, streams, window } = this.#core;
    this.#upstream.lost();
    client.reading.resume(Pause.UPSTREAM);
    for (let left = owed; left > 0; left -= 1) client.acknowledge();
    const open = streams.allUpstream();
    streams.unlinkAll();
    const denial = reason === 'broken' ? UPSTREAM_BROKEN : UPSTREAM_UNREACHABLE;
    for (const exchange of open) {
      // Upstream never received it, so the gateway returns its credit.
      if (!connected) window.swallowed(exchange.flowBytes - exchange.held.bytes);
      this.#core.calls.reject(exchange, denial);
    }
    // The windows were those of upstream; a new upstream connection needs a new client connection.
    if (connected) this.#upstream.retire();
    this.#core.flush();
  }

  #moved(exchange: GrpcExchange, ended: boolean): void {
    exchange.activeAt = this.#options.clock();
    if (!ended) return;
    exchange.answered = true;
    this.#core.calls.settleEnd(exchange);
  }
}
