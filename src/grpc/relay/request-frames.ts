import { type Price, resetPrice } from '../../http2/budget.ts';
import type { ClientEvents } from '../../http2/client-frames.ts';
import {
  dataBytesOf,
  ErrorCode,
  Flag,
  type Frame,
  frameOf,
  Http2Fault,
  type Setting,
  SettingId,
} from '../../http2/frames.ts';
import type { HeaderField } from '../../http2/hpack.ts';
import type { RequestBlock } from '../../http2/request-blocks.ts';
import { writeData } from '../../http2/write-frames.ts';
import type { ClientFault } from '../../net/connections.ts';
import type { GrpcExchange } from '../exchange.ts';
import { type RequestHead, readRequestHead, trailerFault } from '../headers/request-head.ts';
import type { Calls } from './calls.ts';
import { SMALL_BYTES } from './held-frames.ts';
import type { GrpcRelayOptions } from './options.ts';
import type { RelayCore } from './relay-core.ts';
import { littleKind, type RequestData } from './request-data.ts';
import type { UpstreamSide } from './upstream-side.ts';

/** The parts of a connection that the frames of its client need. */
export interface RequestCore extends RelayCore {
  readonly calls: Calls;
  readonly data: RequestData;
  readonly upstream: UpstreamSide;
  /** True = no calls are accepted: the client knows the last accepted one. */
  readonly isLeaving: boolean;
  /** The client has read the first GOAWAY. */
  leave(): void;
  /** The client connection ends, and with it all calls. */
  endAll(): void;
  /** The client connection is gone. Called once. */
  gone(): void;
}

/**
 * The frames of one client connection: each goes to its call by the state of the stream, and credit and settings pass
 * through the windows to upstream. Frames that crossed a reset by the gateway are ignored, and paid for.
 */
export class RequestFrames implements ClientEvents<RequestHead> {
  readonly #core: RequestCore;
  readonly #options: GrpcRelayOptions;

  constructor(core: RequestCore, options: GrpcRelayOptions) {
    this.#core = core;
    this.#options = options;
  }

  clientHeaders(streamId: number, block: RequestBlock<RequestHead>, fresh: boolean, endStream: boolean): void {
    const { calls, client, data, streams } = this.#core;
    const { fields } = block;
    data.inBurst = true;
    const open = streams.get(streamId);
    if (open) {
      this.#trailers(open, fields, endStream);
      return;
    }
    if (!fresh) {
      this.#lateHeaders(streamId, fields, endStream);
      return;
    }
    if (this.#core.isLeaving) {
      // Above the last stream id of the GOAWAY: the client retries it elsewhere.
      streams.ended.add(streamId);
      return;
    }
    if (streams.size >= client.maxStreams) {
      throw new Http2Fault(ErrorCode.REFUSED_STREAM, streamId, 'too many streams');
    }
    if (block.oversized) {
      this.clientRefused('head_size');
      calls.refuseHead(streamId, endStream);
      return;
    }
    block.meaning ??= readRequestHead(fields);
    const head = block.meaning;
    if (typeof head === 'string') throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, streamId, head);
    calls.begin(streamId, head, block.bytes, endStream);
  }

  /** Request trailers are dropped and never merged; only their END_STREAM is passed on. */
  #trailers(exchange: GrpcExchange, fields: readonly HeaderField[], endStream: boolean): void {
    if (exchange.clientEnded) throw new Http2Fault(ErrorCode.STREAM_CLOSED, exchange.id, 'headers after the end');
    const fault = endStream ? trailerFault(fields) : 'trailers without end';
    if (fault) throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, exchange.id, fault);
    this.#core.data.take(exchange, frameOf(writeData(exchange.id, Buffer.alloc(0), true)), 0);
  }

  /** Trailers may have crossed a reset by the gateway; without END_STREAM the stream id was used twice. */
  #lateHeaders(streamId: number, fields: readonly HeaderField[], endStream: boolean): void {
    const { client, streams } = this.#core;
    client.pay(streams.ended.has(streamId) ? 'trailers_late' : 'trailers_closed');
    streams.ended.delete(streamId);
    if (endStream && trailerFault(fields) === undefined) return;
    throw new Http2Fault(ErrorCode.STREAM_CLOSED, 0, 'headers on a closed stream');
  }

  clientData(frame: Frame): void {
    const { client, data, streams, window } = this.#core;
    data.inBurst = true;
    const bytes = dataBytesOf(frame); // padding is checked whatever becomes of the stream
    window.received(frame.length);
    const exchange = streams.get(frame.streamId);
    if (exchange && !exchange.clientEnded) {
      if (frame.length < SMALL_BYTES && !frame.has(Flag.END_STREAM)) client.pay(littleKind(exchange, frame));
      else if (frame.has(Flag.PADDED) && frame.length < SMALL_BYTES) client.pay('data_small');
      data.take(exchange, frame, bytes);
      return;
    }
    window.swallowed(frame.length);
    if (exchange) throw new Http2Fault(ErrorCode.STREAM_CLOSED, frame.streamId, 'data after the end');
    this.#lateData(frame);
  }

  /** INVARIANT: DATA that crossed a reset is ignored (RFC 9113 section 5.1); its credit is still returned. */
  #lateData(frame: Frame): void {
    const { client, streams } = this.#core;
    const { streamId } = frame;
    if (!streams.ended.has(streamId)) {
      client.pay('data_closed');
      client.resetStream(streamId, ErrorCode.STREAM_CLOSED);
    } else if (frame.has(Flag.END_STREAM)) {
      client.pay('data_end');
      streams.ended.delete(streamId);
    } else {
      client.pay(frame.length < SMALL_BYTES ? 'data_late_small' : 'data_late');
    }
  }

  resetPrice(streamId: number): Price {
    return resetPrice(this.#core.streams.get(streamId), this.#options.clock());
  }

  clientRefused(fault: ClientFault): void {
    this.#options.connections?.fault(fault);
  }

  clientReset(streamId: number, code: number): void {
    const { calls, streams, upstream } = this.#core;
    const exchange = streams.get(streamId);
    streams.ended.delete(streamId);
    if (!exchange) return;
    upstream.cancel(exchange, code);
    calls.end(exchange);
  }

  clientGrant(streamId: number, increment: number, frame: Frame): void {
    const { streams, streamWindows, upstream, window } = this.#core;
    if (streamId === 0) {
      // Waiting DATA continues at the end of the burst, once for all grants in it.
      upstream.granted(window.grantedByClient(increment));
      return;
    }
    const exchange = streams.get(streamId);
    if (!exchange) return;
    streamWindows.grantedByClient(exchange, increment);
    upstream.grantedStream(exchange, increment, frame);
  }

  clientSettings(settings: readonly Setting[]): void {
    const { streams, streamWindows, upstream } = this.#core;
    for (const [id, value] of settings) {
      if (id === SettingId.INITIAL_WINDOW_SIZE) streamWindows.setByClient(value, streams.all());
    }
    upstream.takeSettings(settings);
  }

  clientAcknowledged(): void {
    this.#core.upstream.clientAcknowledged();
  }

  clientPonged(): void {
    this.#core.leave();
  }

  clientFault(fault: Http2Fault): void {
    const { calls, streams, upstream } = this.#core;
    const exchange = streams.get(fault.streamId);
    calls.resetClient(fault.streamId, fault.code);
    if (!exchange) return;
    upstream.cancel(exchange, ErrorCode.CANCEL);
    calls.end(exchange);
  }

  clientBurst(): void {
    this.#core.data.inBurst = false;
    this.#core.burstEnded();
  }

  clientFailed(): void {
    this.#core.endAll();
  }

  clientGone(): void {
    this.#core.endAll();
    this.#core.gone();
  }
}
