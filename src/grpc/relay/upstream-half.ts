import { addedHeaders } from '../../exchange/request-id.ts';
import type { ClientHeads } from '../../http2/client-heads.ts';
import type { ClientLink } from '../../http2/client-link.ts';
import {
  DEFAULT_MAX_FRAME_SIZE,
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  type Frame,
  FrameType,
  frameOf,
  Http2Fault,
  MAX_WINDOW,
  type Setting,
  SettingId,
} from '../../http2/frames.ts';
import { encodeHeaders } from '../../http2/hpack.ts';
import { Pause } from '../../http2/paced-reading.ts';
import { frameHeaders, writeRstStream, writeWindowUpdate } from '../../http2/write-frames.ts';
import { Guard } from '../../lifetime/guard.ts';
import { type Denial, UPSTREAM_BROKEN, UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { AnswerBlock } from '../headers/answer-blocks.ts';
import { blockFault, dataFault, MOST_INTERIM } from '../headers/answer-order.ts';
import type { RequestHead } from '../headers/request-head.ts';
import { upstreamFields } from '../headers/request-head.ts';
import type { ClientWindow } from './client-window.ts';
import type { GrpcRelayOptions } from './options.ts';
import type { StreamTable } from './stream-table.ts';
import type { StreamWindows } from './stream-windows.ts';
import type { LinkEvents } from './upstream-frames.ts';
import { UpstreamLink } from './upstream-link.ts';

/** Most DATA of one call that is held for its decision, if the client's window permits it. */
const HOLD_BYTES = 49_152;

/** The parts of a connection that its upstream half needs. */
export interface RelayCore {
  readonly client: ClientLink<RequestHead>;
  readonly heads: ClientHeads;
  readonly window: ClientWindow;
  readonly streamWindows: StreamWindows;
  readonly streams: StreamTable;
  /** The client's settings so far. */
  readonly settingsSoFar: readonly Setting[];
  /** Client address, as sent to upstream. */
  readonly peer: string;
  /** Called when both sides may have ended: removes the call if so. */
  settleEnd(exchange: GrpcExchange): void;
  end(exchange: GrpcExchange): void;
  reject(exchange: GrpcExchange, denial: Denial): void;
  resetClient(streamId: number, code: number): void;
  drainAtOnce(): void;
  flush(): void;
  /** An internal error: open calls are answered with it, and the connection ends. */
  failOpen(): void;
}

/**
 * The upstream half of a relay: opens the connection with the first permitted call, assigns stream ids, and passes
 * upstream's frames to the client with the id rewritten in place.
 */
export class UpstreamHalf implements LinkEvents {
  readonly #core: RelayCore;
  readonly #options: GrpcRelayOptions;
  #link: UpstreamLink | undefined;
  /** True = upstream has ended the connection, or is about to. */
  #ending = false;
  /** True = the client has ended, or is about to. */
  #over = false;
  /** Connection credit to grant to upstream with the next burst. */
  #toGrant = 0;
  readonly #guard: Guard;

  constructor(core: RelayCore, options: GrpcRelayOptions) {
    this.#core = core;
    this.#options = options;
    const report = (error: unknown): void => {
      if (!(error instanceof Http2Fault)) options.parts.fault(error, undefined, 'grpc_upstream');
    };
    const owner = { fail: (error: unknown) => this.#fail(error), cut: () => core.client.socket.destroy() };
    this.#guard = new Guard(owner, 'grpc_upstream', report);
  }

  /** Faults of upstream end the upstream connection; others are internal. */
  #fail(error: unknown): void {
    if (error instanceof Http2Fault) this.#link?.break();
    else this.#core.failOpen();
  }

  /** The connection; `undefined` before the first permitted call. */
  get link(): UpstreamLink | undefined {
    return this.#link;
  }

  /**
   * Most bytes of a call that may be held: the client must keep window for a whole frame, since some clients send only
   * whole frames, and upstream grants nothing for DATA it has not received.
   */
  get holdLimit(): number {
    return Math.max(0, Math.min(HOLD_BYTES, this.#core.streamWindows.fromClient - DEFAULT_MAX_FRAME_SIZE));
  }

  /** Sends a call upstream with all its held DATA, or ends it if upstream accepts no more calls. */
  open(exchange: GrpcExchange): void {
    if (this.#ending || this.#over) {
      // Upstream has not processed it: the client may retry (RFC 9113 section 8.7).
      this.#core.resetClient(exchange.id, ErrorCode.REFUSED_STREAM);
      this.#core.end(exchange);
      return;
    }
    const link = this.#connect();
    const id = link.takeId();
    this.#core.streams.link(exchange, id);
    const ends = exchange.clientEnded && exchange.held.isEmpty;
    this.#sendHead(link, exchange, id, ends);
    if (exchange.windowGain > 0) link.outbox.bytes(writeWindowUpdate(id, exchange.windowGain));
    this.passHeld(exchange);
  }

  /** The head of equal requests of this connection is encoded once, unless each carries its own span. */
  #sendHead(link: UpstreamLink, exchange: GrpcExchange, id: number, ends: boolean): void {
    const { head, trace } = exchange;
    if (head.sent && !trace) {
      link.outbox.headersLike(head.sent, id, ends);
      return;
    }
    const { upstream, tls } = this.#options;
    const added = trace ? addedHeaders(exchange) : [];
    const fields = upstreamFields(head, upstream.authority, this.#core.peer, tls, added);
    const framed = encodeHeaders(fields, FRAME_HEADER_BYTES);
    if (!trace && framed.length <= FRAME_HEADER_BYTES + DEFAULT_MAX_FRAME_SIZE) head.sent = framed;
    link.outbox.bytes(frameHeaders(framed, id, ends));
  }

  /** Passes settings of the client to upstream. No-op without a connection. */
  passSettings(settings: readonly Setting[]): void {
    this.#core.streamWindows.passed();
    this.#link?.sendSettings(settings);
  }

  /** Passes a frame of the client to upstream. */
  pass(exchange: GrpcExchange, frame: Frame): void {
    rewrite(frame, exchange.upstreamId);
    if (!this.#link) return;
    this.#link.outbox.frame(frame);
    if (frame.type === FrameType.DATA) this.#link.moved(frame.length);
  }

  passHeld(exchange: GrpcExchange): void {
    const { held } = exchange;
    if (held.isEmpty) return;
    if (held.lent) this.pass(exchange, held.lent);
    else for (const raw of held.frames) this.pass(exchange, frameOf(raw));
    held.clear();
  }

  /** Cancels a call at upstream. */
  cancel(exchange: GrpcExchange, code: number): void {
    if (exchange.upstreamId === 0) return;
    this.#link?.outbox.bytes(writeRstStream(exchange.upstreamId, code));
    this.#core.streams.cancel(exchange);
  }

  /** Connection credit for upstream, which is sent in one frame at the end of the burst. */
  grant(bytes: number): void {
    if (this.#link) this.#toGrant += bytes;
  }

  /** Sends the collected grants. */
  sendGrants(): void {
    const bytes = this.#toGrant;
    if (bytes === 0) return;
    this.#toGrant = 0;
    // INVARIANT: upstream's window is the client's plus the owed credit (`ClientWindow`), together within the limit.
    if (bytes > MAX_WINDOW) throw new RangeError('more was granted than a window holds');
    this.#link?.outbox.bytes(writeWindowUpdate(0, bytes));
  }

  /** The client has granted more: continues with waiting frames. */
  resume(): void {
    this.#link?.resume();
  }

  close(): void {
    this.#over = true;
    this.#link?.close();
    this.#link = undefined;
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
    if (!exchange.headersSent) exchange.announced = exchange.head.method === 'HEAD' ? -1 : block.contentLength;
    this.#core.heads.framed(exchange.id, block.framed, endStream);
    exchange.headersSent = true;
    if (endStream) exchange.status = block.status;
    if (exchange.answeredAt === 0) exchange.answeredAt = this.#options.parts.now();
    this.#moved(exchange, endStream);
    return true;
  }

  /** Ends one call on both sides because its answer may not be forwarded. Other calls go on. */
  #giveUp(exchange: GrpcExchange, code: number): void {
    this.cancel(exchange, code);
    this.#core.reject(exchange, UPSTREAM_BROKEN);
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
    rewrite(frame, exchange.id);
    client.outbox.frame(frame);
    client.moved(frame.length);
    window.relayed(frame.length);
    exchange.sent += frame.length;
    this.#moved(exchange, frame.has(Flag.END_STREAM));
    return true;
  }

  /** Returns the connection credit of DATA that does not go to the client. */
  #swallow({ length }: Frame): void {
    if (length > 0) this.#link?.outbox.bytes(writeWindowUpdate(0, length));
  }

  upstreamReset(streamId: number, code: number): boolean {
    const { streams } = this.#core;
    const exchange = streams.fromUpstream(streamId);
    if (!exchange) return false;
    this.#core.resetClient(exchange.id, code);
    this.#core.end(exchange);
    return true;
  }

  upstreamGrant(streamId: number, increment: number, frame: Frame): void {
    const { client, streams, streamWindows, window } = this.#core;
    if (streamId === 0) {
      window.grantedByUpstream(increment);
      client.outbox.frame(frame);
      return;
    }
    const exchange = streams.fromUpstream(streamId);
    if (!exchange) return;
    if (!streamWindows.grantedByUpstream(exchange, increment)) {
      this.#giveUp(exchange, ErrorCode.FLOW_CONTROL_ERROR);
      return;
    }
    rewrite(frame, exchange.id);
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
    this.#ending = true;
    // First: a call that is retried must not come back on this connection.
    this.#core.drainAtOnce();
    for (const exchange of this.#core.streams.allUpstream()) {
      if (exchange.upstreamId <= lastStreamId) continue;
      // Upstream has not processed it and will not: the client may retry (RFC 9113 section 8.7).
      this.#core.resetClient(exchange.id, ErrorCode.REFUSED_STREAM);
      this.#core.end(exchange);
    }
  }

  upstreamBurst(): void {
    this.#core.flush();
    if (this.#core.client.outbox.congested) this.#link?.pause();
  }

  upstreamLost(reason: 'unreachable' | 'timeout' | 'broken', connected: boolean, owed: number): void {
    const { client, streams, window } = this.#core;
    this.#link = undefined;
    this.#toGrant = 0;
    client.reading.resume(Pause.UPSTREAM);
    for (let left = owed; left > 0; left -= 1) client.acknowledge();
    const open = streams.allUpstream();
    streams.unlinkAll();
    const denial = reason === 'broken' ? UPSTREAM_BROKEN : UPSTREAM_UNREACHABLE;
    for (const exchange of open) {
      // Upstream never received it, so the gateway returns its credit.
      if (!connected) window.swallowed(exchange.flowBytes - exchange.held.bytes);
      this.#core.reject(exchange, denial);
    }
    // The windows were those of upstream; a new upstream connection needs a new client connection.
    this.#ending = connected;
    if (connected) this.#core.drainAtOnce();
    this.#core.flush();
  }

  #moved(exchange: GrpcExchange, ended: boolean): void {
    exchange.activeAt = this.#options.clock();
    if (!ended) return;
    exchange.answered = true;
    this.#core.settleEnd(exchange);
  }

  #connect(): UpstreamLink {
    if (this.#link) return this.#link;
    const { address, socket } = this.#options.upstream;
    const { client, settingsSoFar, streamWindows, window } = this.#core;
    const link = new UpstreamLink(address, socket, settingsSoFar, this, this.#guard, this.#options.clock);
    this.#link = link;
    this.grant(window.adopt());
    streamWindows.adopt();
    link.onDrain(() => client.reading.resume(Pause.UPSTREAM));
    return link;
  }
}

/** The gateway owns the received bytes, so the stream id is rewritten in place. */
export function rewrite(frame: Frame, streamId: number): void {
  frame.source.writeUInt32BE(streamId, frame.start + 5);
}
