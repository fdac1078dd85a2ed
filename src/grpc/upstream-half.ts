import {
  DEFAULT_MAX_FRAME_SIZE,
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  type Frame,
  type Setting,
  SettingId,
} from '../http2/frames.ts';
import { encodeHeaders } from '../http2/hpack.ts';
import { frameHeaders, writeRstStream, writeWindowUpdate } from '../http2/write-frames.ts';
import { type Denial, UPSTREAM_BROKEN, UPSTREAM_UNREACHABLE } from '../policy/denial.ts';
import { addedHeaders } from '../request-id.ts';
import { AnswerBlocks } from './answer-blocks.ts';
import type { ClientLink } from './client-link.ts';
import { type ClientWindow, INITIAL_WINDOW } from './client-window.ts';
import type { GrpcExchange } from './grpc-exchange.ts';
import type { RelayOptions } from './relay-options.ts';
import { upstreamFields } from './request-head.ts';
import type { StreamTable } from './stream-table.ts';
import { frameOf, type LinkEvents, UpstreamLink } from './upstream-link.ts';

/** Most DATA of one call that is held to be judged, where the client's window allows as much. */
const HOLD_BYTES = 49_152;

/** What the upstream half needs of the connection it belongs to. */
export interface RelayCore {
  readonly client: ClientLink;
  readonly window: ClientWindow;
  readonly streams: StreamTable;
  /** The client's settings so far. */
  readonly settingsSoFar: readonly Setting[];
  /** Client address, as upstream is told. */
  readonly peer: string;
  /** Both sides may have ended: forgets the call if so. */
  settleEnd(exchange: GrpcExchange): void;
  end(exchange: GrpcExchange): void;
  reject(exchange: GrpcExchange, denial: Denial): void;
  resetClient(streamId: number, code: number): void;
  drain(): void;
  flush(): void;
}

/**
 * The upstream half of a relay: opens the connection with the first permitted call, gives out stream ids, and passes
 * upstream's frames to the client with the id rewritten where it stands.
 */
export class UpstreamHalf implements LinkEvents {
  readonly #core: RelayCore;
  readonly #options: RelayOptions;
  #link: UpstreamLink | undefined;
  /** The largest stream window the client has been offered: upstream's, once its settings have been passed on. */
  #offeredWindow = INITIAL_WINDOW;
  /** The window a new stream of the client's begins with. */
  #streamWindow = INITIAL_WINDOW;
  /** Upstream has ended the connection, or is about to. */
  #ending = false;

  constructor(core: RelayCore, options: RelayOptions) {
    this.#core = core;
    this.#options = options;
  }

  /** The connection, once a call has been permitted. */
  get link(): UpstreamLink | undefined {
    return this.#link;
  }

  /**
   * How much of a call may be held: the client must still have window for a whole frame, since some send no others, and
   * upstream grants nothing for what it does not get.
   */
  get holdLimit(): number {
    return Math.max(0, Math.min(HOLD_BYTES, this.#streamWindow - DEFAULT_MAX_FRAME_SIZE));
  }

  get offeredWindow(): number {
    return this.#offeredWindow;
  }

  /** Puts a call on the upstream connection with all that is held of it, or ends it when upstream takes no more. */
  open(exchange: GrpcExchange): void {
    if (this.#ending) {
      // Upstream has seen nothing of it: safe for the client to send again.
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
    exchange.windowGain = 0;
    this.passHeld(exchange);
  }

  /** Equal requests of this connection are encoded once, unless each tells of its own span. */
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

  /** Sends a frame of the client's on. */
  pass(exchange: GrpcExchange, frame: Frame): void {
    rewrite(frame, exchange.upstreamId);
    this.#link?.outbox.frame(frame);
  }

  passHeld(exchange: GrpcExchange): void {
    const { held } = exchange;
    if (held.isEmpty) return;
    if (held.lent) this.pass(exchange, held.lent);
    else for (const raw of held.frames) this.pass(exchange, frameOf(raw));
    held.clear();
  }

  /** Has upstream forget a call. */
  cancel(exchange: GrpcExchange, code: number): void {
    if (exchange.upstreamId === 0) return;
    this.#link?.outbox.bytes(writeRstStream(exchange.upstreamId, code));
    this.#core.streams.cancel(exchange);
  }

  /** Credit for the connection that is upstream's. */
  grant(bytes: number): void {
    if (bytes > 0) this.#link?.outbox.bytes(writeWindowUpdate(0, bytes));
  }

  /** The client has made room: goes on with what waited for it. */
  resume(): void {
    this.#link?.resume();
  }

  close(): void {
    this.#link?.close();
    this.#link = undefined;
  }

  upstreamHeaders(
    frame: Frame,
    continuations: readonly Buffer[],
    endStream: boolean,
    status: number | undefined,
  ): void {
    const { client, streams } = this.#core;
    const exchange = streams.fromUpstream(frame.streamId);
    const clientId = exchange?.id ?? streams.cancelledId(frame.streamId);
    if (clientId === undefined) {
      // Its block cannot be withheld without the client's header table falling out of step.
      client.fail(ErrorCode.INTERNAL_ERROR, 'upstream answered a call that had ended');
      return;
    }
    rewrite(frame, clientId);
    client.outbox.frame(frame);
    for (const raw of continuations) {
      raw.writeUInt32BE(clientId, 5);
      client.outbox.bytes(raw);
    }
    if (!exchange) return;
    exchange.headersSent = true;
    if (endStream) exchange.status = status;
    if (exchange.answeredAt === 0) exchange.answeredAt = this.#options.parts.now();
    this.#moved(exchange, endStream);
  }

  hasRoom(bytes: number): boolean {
    return bytes <= this.#core.window.toClient;
  }

  upstreamData(frame: Frame): void {
    const { client, streams, window } = this.#core;
    const exchange = streams.fromUpstream(frame.streamId);
    if (!exchange) {
      if (frame.length > 0) this.#link?.outbox.bytes(writeWindowUpdate(0, frame.length));
      return;
    }
    rewrite(frame, exchange.id);
    client.outbox.frame(frame);
    window.relayed(frame.length);
    exchange.sent += frame.length;
    this.#moved(exchange, frame.has(Flag.END_STREAM));
  }

  upstreamReset(streamId: number, code: number): void {
    const { streams } = this.#core;
    const exchange = streams.fromUpstream(streamId);
    streams.forgetCancelled(streamId);
    if (!exchange) return;
    this.#core.resetClient(exchange.id, code);
    this.#core.end(exchange);
  }

  upstreamGrant(streamId: number, increment: number, frame: Frame): void {
    const { client, streams, window } = this.#core;
    if (streamId === 0) {
      window.grantedByUpstream(increment);
      client.outbox.frame(frame);
      return;
    }
    const exchange = streams.fromUpstream(streamId);
    if (!exchange) return;
    rewrite(frame, exchange.id);
    client.outbox.frame(frame);
  }

  upstreamSettings(settings: readonly Setting[]): void {
    for (const [id, value] of settings) {
      if (id !== SettingId.INITIAL_WINDOW_SIZE) continue;
      this.#streamWindow = value;
      this.#offeredWindow = Math.max(this.#offeredWindow, value);
    }
    this.#core.client.sendSettings(settings);
  }

  upstreamAcknowledged(): void {
    this.#core.client.acknowledge();
  }

  upstreamGoaway(lastStreamId: number): void {
    this.#ending = true;
    // First: a call that is sent again must not come back on this connection.
    this.#core.drain();
    for (const exchange of this.#core.streams.allUpstream()) {
      if (exchange.upstreamId <= lastStreamId) continue;
      // Upstream has not looked at it and will not: safe for the client to send again.
      this.#core.resetClient(exchange.id, ErrorCode.REFUSED_STREAM);
      this.#core.end(exchange);
    }
  }

  ownFault(error: unknown): void {
    this.#options.parts.fault(error);
  }

  upstreamBurst(): void {
    this.#core.flush();
    if (this.#core.client.outbox.congested) this.#link?.pause();
  }

  upstreamLost(reason: 'unreachable' | 'timeout' | 'broken', connected: boolean): void {
    const { streams, window } = this.#core;
    this.#link = undefined;
    const open = streams.allUpstream();
    streams.unlinkAll();
    const denial = reason === 'broken' ? UPSTREAM_BROKEN : UPSTREAM_UNREACHABLE;
    for (const exchange of open) {
      // Upstream never saw it, so its credit is ours to return.
      if (!connected) window.swallowed(exchange.flowBytes - exchange.held.bytes);
      this.#core.reject(exchange, denial);
    }
    // The windows were upstream's; a new upstream connection needs a new client connection.
    this.#ending = connected;
    if (connected) this.#core.drain();
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
    const { client, settingsSoFar, window } = this.#core;
    const { headerBytes, headerCount } = this.#options.limits;
    const limits = { maxHeaderBytes: headerBytes, maxHeaders: headerCount };
    const answers = this.#options.readAnswers ? new AnswerBlocks(limits) : undefined;
    const link = new UpstreamLink(address, socket, settingsSoFar, this, answers);
    this.#link = link;
    this.grant(window.adopt());
    link.onDrain(() => {
      if (!client.closing) client.socket.resume();
    });
    return link;
  }
}

/** The received bytes are ours: the stream id is rewritten where it stands. */
export function rewrite(frame: Frame, streamId: number): void {
  frame.source.writeUInt32BE(streamId, frame.start + 5);
}
