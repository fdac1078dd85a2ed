import type { Socket } from 'node:net';
import { begin, type ExchangeParts, finish, type Protocol, resume } from '../exchange.ts';
import { type Conditional, type Permit, settle } from '../policy/decide.ts';
import {
  type Denial,
  INTERNAL_FAULT,
  SHUTTING_DOWN,
  UPSTREAM_BROKEN,
  UPSTREAM_TIMEOUT,
  UPSTREAM_UNREACHABLE,
} from '../policy/denial.ts';
import type { SocketAddress, SocketOptions } from '../upstream/sockets.ts';
import { type AskUpstream, answerFor, type Question } from './answer.ts';
import { type BlockInfo, type ClientEvents, type ClientLimits, ClientLink } from './client-link.ts';
import { ClientWindow, INITIAL_WINDOW } from './client-window.ts';
import {
  dataOf,
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  type Frame,
  frameHeaders,
  Http2Fault,
  type Setting,
  SettingId,
  writeData,
  writeHeaders,
  writeRstStream,
  writeWindowUpdate,
} from './frames.ts';
import { GrpcExchange, type GrpcSteps } from './grpc-exchange.ts';
import { DEFAULT_TABLE_BYTES, encodeHeaders, encodeTableSizeUpdate, type HeaderField } from './hpack.ts';
import { createInspector, type MessageInspector } from './inspect.ts';
import type { MessageLimits } from './message.ts';
import { rejectHeaders } from './reject.ts';
import { readRequestHead, trailerFault, upstreamFields } from './request-head.ts';
import { resolveGrpc } from './resolve.ts';
import { frameOf, type LinkEvents, UpstreamLink } from './upstream-link.ts';

/** DATA of one call that is held before its message has been judged; past it the call streams, all but its end. */
const HOLD_BYTES = 49_152;
/** Streams that were cancelled and may still be answered by upstream; older ones end the connection instead. */
const CANCELLED_KEPT = 1024;
/** Streams reset towards the client of which late frames are ignored. */
const ENDED_KEPT = 256;
const MAX_WINDOW = 0x7fff_ffff;

export interface RelayOptions {
  readonly parts: ExchangeParts;
  readonly upstream: { readonly address: SocketAddress; readonly authority: string; readonly socket: SocketOptions };
  readonly limits: ClientLimits & {
    /** Milliseconds without a frame after which a settled call, an unsettled one, and an idle connection end. */
    readonly streamIdleMs: number;
    readonly bodyIdleMs: number;
    readonly connectionIdleMs: number;
  };
  /** How much of a compressed message is held to be read. */
  readonly messageLimits: MessageLimits;
  /** Whose messages are measured for nesting: everybody's below global manage, or all. */
  readonly nestingGuard: 'below_manage' | 'all';
  /** The gateway's own calls, for answers it gives itself. */
  readonly ask: AskUpstream;
  /** Milliseconds. */
  readonly clock: () => number;
  readonly tls: boolean;
}

/** The protocol's steps for `exchange.ts`. */
const GRPC: Protocol<GrpcExchange> = {
  resolve: (exchange) => resolveGrpc(exchange.head.path),
  rawHeaders: (exchange) => exchange.head.rawHeaders,
  inspect: (exchange, conditional) => exchange.steps.inspect(exchange, conditional),
  forward: (exchange, permit) => exchange.steps.forward(exchange, permit),
  reject: (exchange, denial) => exchange.steps.reject(exchange, denial),
};

/**
 * One client connection and, from the first permitted call on, one upstream connection that serves nobody else.
 *
 * ```
 * client stream:   waiting -> inspecting -> relayed        frames pass verbatim, only the stream id is rewritten
 *                     \            \-----> local           the gateway answers; DATA is swallowed, its credit returned
 *                      \--> relayed | local
 * connection:      open -> draining (GOAWAY sent, open calls go on) -> closed
 * ```
 *
 * Upstream ids are given out in the order calls are settled, so that a call that waits for its identity holds up no
 * other. Windows pass end to end (`ClientWindow`); request heads are decoded and re-encoded without a dynamic table,
 * answers pass with their header compression untouched, and what the gateway inserts uses the static table only.
 */
export class Relay implements ClientEvents, LinkEvents, GrpcSteps {
  readonly #options: RelayOptions;
  readonly #client: ClientLink;
  readonly #window = new ClientWindow();
  readonly #streams = new Map<number, GrpcExchange>();
  readonly #byUpstream = new Map<number, GrpcExchange>();
  /** Upstream id to client id of calls the client cancelled; upstream's header blocks must still reach its table. */
  readonly #cancelled = new Map<number, number>();
  readonly #toReset: GrpcExchange[] = [];
  /** Streams that were reset towards the client, the newest of them. */
  readonly #ended = new Set<number>();
  readonly #onClosed: (relay: Relay) => void;
  readonly #peer: string;
  #upstream: UpstreamLink | undefined;
  #clientSettings: Setting[] = [];
  #initialWindow = INITIAL_WINDOW;
  /** The largest stream window the client has been offered: upstream's, once its settings have been passed on. */
  #offeredWindow = INITIAL_WINDOW;
  /** The client's header table limit, while our next inserted block still has to say that we follow it; -1 = nothing owed. */
  #owedTableBytes = -1;
  #draining = false;
  #flushing = false;
  #activeAt: number;

  constructor(socket: Socket, options: RelayOptions, onClosed: (relay: Relay) => void) {
    this.#options = options;
    this.#onClosed = onClosed;
    this.#peer = socket.remoteAddress ?? 'unknown';
    this.#activeAt = options.clock();
    this.#client = new ClientLink(socket, options.limits, this, options.clock);
    socket.on('drain', () => this.#readOn());
  }

  /** Calls that are open. */
  get openCalls(): number {
    return this.#streams.size;
  }

  /** Lets open calls finish and takes no new ones; closes when the last is done. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#client.goaway();
    this.#flush();
    this.#closeIfDone();
  }

  /** Ends everything now; open calls are told so. */
  destroy(): void {
    this.#draining = true;
    for (const exchange of [...this.#streams.values()]) this.reject(exchange, SHUTTING_DOWN);
    this.#client.close();
    this.#client.socket.destroySoon();
  }

  /** Called about once a second: ends what has been idle for too long. */
  tick(now: number): void {
    const { streamIdleMs, bodyIdleMs, connectionIdleMs } = this.#options.limits;
    this.#client.tick(now);
    for (const exchange of this.#streams.values()) {
      const unsettled = exchange.state === 'waiting' || exchange.state === 'inspecting';
      if (now - exchange.activeAt > (unsettled ? bodyIdleMs : streamIdleMs)) this.reject(exchange, UPSTREAM_TIMEOUT);
    }
    if (this.#streams.size === 0 && now - this.#activeAt > connectionIdleMs) this.drain();
    this.#flush();
  }

  // --- the client's frames -------------------------------------------------------------------------------------------

  clientHeaders(streamId: number, fields: readonly HeaderField[], block: BlockInfo): void {
    const { endStream } = block;
    const open = this.#streams.get(streamId);
    if (open) {
      this.#clientTrailers(open, fields, endStream);
      return;
    }
    if (!block.fresh) {
      // Trailers may have crossed a reset of ours; without END_STREAM it is a stream used twice.
      if (endStream && trailerFault(fields) === undefined) return;
      throw new Http2Fault(ErrorCode.STREAM_CLOSED, 0, 'headers on a closed stream');
    }
    if (this.#draining) {
      // Above the GOAWAY's last stream id: the client takes it elsewhere.
      keepNewest(this.#ended.add(streamId), ENDED_KEPT);
      return;
    }
    if (this.#streams.size >= this.#options.limits.maxStreams) {
      throw new Http2Fault(ErrorCode.REFUSED_STREAM, streamId, 'too many streams');
    }
    if (block.oversized) {
      this.#client.outbox.bytes(writeHeaders(streamId, this.#ownBlock([[':status', '431']]), true));
      if (!endStream) this.#resetClient(streamId, ErrorCode.NO_ERROR);
      return;
    }
    const head = readRequestHead(fields);
    if (typeof head === 'string') throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, streamId, head);
    const exchange = new GrpcExchange(streamId, head, this, this.#options.clock());
    exchange.clientEnded = endStream;
    if (endStream && head.contentLength > 0) throw lengthFault(streamId);
    this.#streams.set(streamId, exchange);
    begin(this.#options.parts, GRPC, exchange);
  }

  /** Request trailers give nothing and are never merged: only their end is passed on. */
  #clientTrailers(exchange: GrpcExchange, fields: readonly HeaderField[], endStream: boolean): void {
    if (exchange.clientEnded) throw new Http2Fault(ErrorCode.STREAM_CLOSED, exchange.id, 'headers after the end');
    const fault = endStream ? trailerFault(fields) : 'trailers without end';
    if (fault) throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, exchange.id, fault);
    this.#take(exchange, frameOf(writeData(exchange.id, Buffer.alloc(0), true)));
  }

  clientData(frame: Frame): void {
    dataOf(frame); // padding is checked whatever becomes of the stream
    this.#window.received(frame.length);
    const exchange = this.#streams.get(frame.streamId);
    if (exchange && !exchange.clientEnded) {
      this.#take(exchange, frame);
      return;
    }
    this.#window.swallowed(frame.length);
    if (exchange) throw new Http2Fault(ErrorCode.STREAM_CLOSED, frame.streamId, 'data after the end');
    // INVARIANT: what crosses a reset of ours is ignored (RFC 9113 section 5.1); its credit is returned all the same.
    if (!this.#ended.has(frame.streamId)) this.#client.refuseData(frame.streamId);
  }

  /** DATA of an open stream, wherever the call stands. */
  #take(exchange: GrpcExchange, frame: Frame): void {
    const payload = dataOf(frame);
    exchange.received += payload.length;
    exchange.flowBytes += frame.length;
    exchange.activeAt = this.#options.clock();
    const { contentLength } = exchange.head;
    exchange.clientEnded = frame.has(Flag.END_STREAM);
    if (
      contentLength >= 0 &&
      (exchange.received > contentLength || (exchange.clientEnded && exchange.received < contentLength))
    ) {
      throw lengthFault(exchange.id);
    }
    switch (exchange.state) {
      case 'relayed':
        if (exchange.guard && !this.#measure(exchange, exchange.guard, payload)) {
          this.#window.swallowed(frame.length);
          break;
        }
        if (exchange.upstreamId === 0) this.#openUpstream(exchange, frame);
        this.#pass(exchange, frame);
        this.#settleEnd(exchange);
        break;
      case 'local':
        this.#window.swallowed(frame.length);
        this.#settleEnd(exchange);
        break;
      case 'inspecting':
        exchange.hold(frame.raw, frame.length);
        exchange.inspector?.push(payload);
        this.#inspected(exchange);
        break;
      default:
        exchange.hold(frame.raw, frame.length);
        // Not judged yet and more than a window's worth: no client that keeps its window gets here.
        if (exchange.heldBytes > this.#offeredWindow)
          throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, exchange.id, 'window exceeded');
    }
  }

  clientReset(streamId: number, code: number): void {
    const exchange = this.#streams.get(streamId);
    if (!exchange) return;
    this.#cancelUpstream(exchange, code, true);
    this.#end(exchange, undefined);
  }

  clientGrant(streamId: number, increment: number, frame: Frame): void {
    if (streamId === 0) {
      const forUpstream = this.#window.grantedByClient(increment);
      if (forUpstream > 0) this.#upstream?.outbox.bytes(writeWindowUpdate(0, forUpstream));
      for (const exchange of this.#streams.values()) if (exchange.outgoing) this.#pump(exchange);
      if (this.#upstream?.stalled) this.#upstream.resume();
      return;
    }
    const exchange = this.#streams.get(streamId);
    if (!exchange) return;
    if (exchange.upstreamId !== 0) {
      this.#rewrite(frame, exchange.upstreamId);
      this.#upstream?.outbox.frame(frame);
      return;
    }
    exchange.windowGain += increment;
    if (this.#initialWindow + exchange.windowGain > MAX_WINDOW) {
      throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, streamId, 'stream window overflow');
    }
    if (exchange.outgoing) this.#pump(exchange);
  }

  clientSettings(settings: readonly Setting[]): void {
    for (const [id, value] of settings) {
      if (id === SettingId.INITIAL_WINDOW_SIZE) this.#setInitialWindow(value);
      if (id === SettingId.HEADER_TABLE_SIZE && value < DEFAULT_TABLE_BYTES) this.#owedTableBytes = value;
    }
    const changed = new Set(settings.map(([id]) => id));
    this.#clientSettings = [...this.#clientSettings.filter(([id]) => !changed.has(id)), ...settings];
    if (this.#upstream) this.#upstream.sendSettings(settings);
    else this.#client.acknowledge();
  }

  clientAcknowledged(): void {
    this.#upstream?.acknowledge();
  }

  clientFault(fault: Http2Fault): void {
    const exchange = this.#streams.get(fault.streamId);
    this.#resetClient(fault.streamId, fault.code);
    if (!exchange) return;
    this.#cancelUpstream(exchange, ErrorCode.CANCEL, false);
    this.#end(exchange, undefined);
  }

  clientBurst(): void {
    this.#flush();
    if (this.#upstream?.outbox.congested) this.#client.socket.pause();
  }

  clientGone(): void {
    for (const exchange of [...this.#streams.values()]) this.#end(exchange, undefined);
    this.#upstream?.close();
    this.#upstream = undefined;
    this.#onClosed(this);
  }

  #setInitialWindow(value: number): void {
    this.#initialWindow = value;
    for (const exchange of this.#streams.values()) {
      if (value + exchange.windowGain > MAX_WINDOW) {
        throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, 0, 'stream window overflow');
      }
      if (exchange.outgoing) this.#pump(exchange);
    }
  }

  // --- the steps -----------------------------------------------------------------------------------------------------

  inspect(exchange: GrpcExchange, conditional: Conditional): void {
    exchange.state = 'inspecting';
    exchange.conditional = conditional;
    exchange.inspector = this.#createInspector(exchange);
    for (const raw of exchange.held) exchange.inspector.push(dataOf(frameOf(raw)));
    this.#inspected(exchange);
  }

  #createInspector({ head }: GrpcExchange): MessageInspector {
    return createInspector(resolveGrpc(head.path).operation, {
      encoding: head.encoding,
      limits: this.#options.messageLimits,
    });
  }

  #inspected(exchange: GrpcExchange): void {
    const { inspector, conditional } = exchange;
    if (!inspector || !conditional) return;
    if (exchange.clientEnded) inspector.end();
    if (inspector.state === 'reading') {
      if (exchange.heldBytes > HOLD_BYTES) this.#streamUnjudged(exchange, conditional);
      return;
    }
    const found = inspector.found(conditional.access) ?? inspector.refusal ?? UPSTREAM_BROKEN;
    exchange.inspector = undefined;
    exchange.measured = inspector.state === 'found';
    if (!('kind' in found)) exchange.target = conditional.target ?? found.target;
    resume(this.#options.parts, GRPC, exchange, conditional, found);
  }

  /**
   * Sends on what is held of a message too large to hold, all of it before the message's end: upstream runs nothing
   * before it has the whole message, and its end is sent only after the verdict.
   */
  #streamUnjudged(exchange: GrpcExchange, conditional: Conditional): void {
    const named = exchange.inspector?.targetSoFar;
    if (named !== undefined) {
      const decision = settle(conditional, { target: named, others: [] });
      if (decision.kind === 'denial') {
        exchange.inspector = undefined;
        resume(this.#options.parts, GRPC, exchange, conditional, decision);
        return;
      }
    }
    if (exchange.upstreamId === 0) this.#openUpstream(exchange);
    this.#passHeld(exchange);
  }

  forward(exchange: GrpcExchange, permit: Permit): void {
    const question = answerFor(exchange, permit);
    if (question) {
      this.#answer(exchange, question, permit);
      return;
    }
    exchange.state = 'relayed';
    if (this.#isGuarded(exchange) && !this.#guardHeld(exchange)) return;
    // A guarded unary call goes upstream with its first frame, so that nothing of a refused one does.
    const waits = exchange.guard !== undefined && exchange.held.length === 0 && !exchange.clientEnded;
    if (exchange.upstreamId === 0 && !(waits && isUnary(permit))) this.#openUpstream(exchange);
    this.#passHeld(exchange);
    this.#settleEnd(exchange);
    this.#flush();
  }

  #isGuarded(exchange: GrpcExchange): boolean {
    if (exchange.measured) return false;
    const access = exchange.principal?.access;
    return this.#options.nestingGuard === 'all' || access?.kind !== 'global' || access.mode !== 'm';
  }

  /** Starts the guard and has it read what is held. `false` = refused. */
  #guardHeld(exchange: GrpcExchange): boolean {
    const guard = this.#createInspector(exchange);
    exchange.guard = guard;
    return exchange.held.every((raw) => this.#measure(exchange, guard, dataOf(frameOf(raw))));
  }

  /** Upstream decodes a message when it is whole: no frame is sent on before its bytes have been read. `false` = refused. */
  #measure(exchange: GrpcExchange, guard: MessageInspector, payload: Buffer): boolean {
    guard.push(payload);
    if (guard.state !== 'refused') return true;
    exchange.guard = undefined;
    this.reject(exchange, guard.refusal ?? INTERNAL_FAULT);
    return false;
  }

  reject(exchange: GrpcExchange, denial: Denial): void {
    if (!this.#streams.has(exchange.id)) return; // the client left while its credential was looked at
    this.#cancelUpstream(exchange, ErrorCode.CANCEL, false);
    this.#swallowHeld(exchange);
    exchange.state = 'local';
    const fields = rejectHeaders(
      denial,
      exchange.headersSent ? undefined : new Date(this.#options.clock()).toUTCString(),
    );
    const sent = exchange.headersSent ? fields.filter(([name]) => name.startsWith('grpc-')) : fields;
    this.#client.outbox.bytes(writeHeaders(exchange.id, this.#ownBlock(sent), true));
    exchange.answered = true;
    exchange.status = denial.code;
    exchange.outgoing = undefined;
    this.#settleEnd(exchange);
    this.#flush();
  }

  // --- answers of the gateway's own ----------------------------------------------------------------------------------

  #answer(exchange: GrpcExchange, question: Question, permit: Permit): void {
    this.#swallowHeld(exchange);
    exchange.state = 'local';
    question(this.#options.ask, permit).then(
      (answer) => {
        if (!this.#streams.has(exchange.id)) return;
        if (answer.kind === 'denial') this.reject(exchange, answer);
        else this.#deliver(exchange, answer.message);
      },
      (error: unknown) => {
        this.#options.parts.fault(error, exchange);
        this.reject(exchange, UPSTREAM_BROKEN);
      },
    );
  }

  #deliver(exchange: GrpcExchange, message: Buffer): void {
    const head = this.#ownBlock([
      [':status', '200'],
      ['content-type', 'application/grpc'],
      ['date', new Date(this.#options.clock()).toUTCString()],
    ]);
    this.#client.outbox.bytes(writeHeaders(exchange.id, head, false));
    exchange.headersSent = true;
    const framed = Buffer.allocUnsafe(5 + message.length);
    framed[0] = 0;
    framed.writeUInt32BE(message.length, 1);
    message.copy(framed, 5);
    exchange.outgoing = framed;
    this.#pump(exchange);
    this.#flush();
  }

  /** Sends as much of an answer of our own as the client's windows take. */
  #pump(exchange: GrpcExchange): void {
    const { outgoing } = exchange;
    if (!outgoing) return;
    const room = Math.min(this.#initialWindow + exchange.windowGain, this.#window.toClient, outgoing.length);
    if (room > 0) {
      this.#client.outbox.bytes(writeData(exchange.id, outgoing.subarray(0, room), false));
      this.#window.sentOwn(room, this.#upstream !== undefined);
      exchange.windowGain -= room;
      exchange.sent += room;
      exchange.outgoing = outgoing.subarray(room);
    }
    if (exchange.outgoing?.length !== 0) return;
    exchange.outgoing = undefined;
    this.#client.outbox.bytes(writeHeaders(exchange.id, this.#ownBlock([['grpc-status', '0']]), true));
    exchange.answered = true;
    exchange.status = 0;
    this.#settleEnd(exchange);
  }

  /** A header block of ours: static table and literals, so that the client's dynamic table stays upstream's. */
  #ownBlock(fields: readonly HeaderField[]): Buffer {
    const block = encodeHeaders(fields);
    if (this.#owedTableBytes < 0) return block;
    const update = encodeTableSizeUpdate(this.#owedTableBytes);
    this.#owedTableBytes = -1;
    return Buffer.concat([update, block]);
  }

  // --- upstream's frames ---------------------------------------------------------------------------------------------

  upstreamHeaders(streamId: number, frames: readonly Buffer[], endStream: boolean): void {
    const exchange = this.#byUpstream.get(streamId);
    const clientId = exchange?.id ?? this.#cancelled.get(streamId);
    if (clientId === undefined || clientId === 0) {
      // Its block cannot be withheld without the client's header table falling out of step.
      this.#client.fail(ErrorCode.INTERNAL_ERROR, 'upstream answered a call that had ended');
      return;
    }
    for (const raw of frames) {
      raw.writeUInt32BE(clientId, 5);
      this.#client.outbox.bytes(raw);
    }
    if (!exchange) return;
    exchange.headersSent = true;
    exchange.activeAt = this.#options.clock();
    if (endStream) {
      exchange.answered = true;
      this.#settleEnd(exchange);
    }
  }

  hasRoom(bytes: number): boolean {
    return bytes <= this.#window.toClient;
  }

  upstreamData(frame: Frame): void {
    const exchange = this.#byUpstream.get(frame.streamId);
    if (!exchange) {
      if (frame.length > 0) this.#upstream?.outbox.bytes(writeWindowUpdate(0, frame.length));
      return;
    }
    this.#rewrite(frame, exchange.id);
    this.#client.outbox.frame(frame);
    this.#window.relayed(frame.length);
    exchange.sent += frame.length;
    exchange.activeAt = this.#options.clock();
    if (frame.has(Flag.END_STREAM)) {
      exchange.answered = true;
      this.#settleEnd(exchange);
    }
  }

  upstreamReset(streamId: number, code: number): void {
    const exchange = this.#byUpstream.get(streamId);
    this.#cancelled.delete(streamId);
    if (!exchange) return;
    this.#resetClient(exchange.id, code);
    this.#end(exchange, undefined);
  }

  upstreamGrant(streamId: number, increment: number, frame: Frame): void {
    if (streamId === 0) {
      this.#window.grantedByUpstream(increment);
      this.#client.outbox.frame(frame);
      return;
    }
    const exchange = this.#byUpstream.get(streamId);
    if (!exchange) return;
    this.#rewrite(frame, exchange.id);
    this.#client.outbox.frame(frame);
  }

  upstreamSettings(settings: readonly Setting[]): void {
    for (const [id, value] of settings) {
      if (id === SettingId.INITIAL_WINDOW_SIZE) this.#offeredWindow = Math.max(this.#offeredWindow, value);
    }
    this.#client.sendSettings(settings);
  }

  upstreamAcknowledged(): void {
    this.#client.acknowledge();
  }

  upstreamGoaway(lastStreamId: number): void {
    // First: a call that is sent again must not come back on this connection.
    this.drain();
    for (const [upstreamId, exchange] of [...this.#byUpstream]) {
      if (upstreamId <= lastStreamId) continue;
      // Upstream has not looked at it and will not: safe for the client to send again.
      this.#resetClient(exchange.id, ErrorCode.REFUSED_STREAM);
      this.#byUpstream.delete(upstreamId);
      this.#end(exchange, undefined);
    }
  }

  upstreamBurst(): void {
    this.#flush();
    if (this.#client.outbox.congested) this.#upstream?.pause();
  }

  upstreamLost(reason: 'unreachable' | 'timeout' | 'broken', connected: boolean): void {
    this.#upstream = undefined;
    this.#cancelled.clear();
    const denial = reason === 'broken' ? UPSTREAM_BROKEN : UPSTREAM_UNREACHABLE;
    for (const exchange of [...this.#byUpstream.values()]) {
      exchange.upstreamId = 0;
      // Upstream never saw it, so its credit is ours to return.
      if (!connected) this.#window.swallowed(exchange.flowBytes - exchange.heldBytes);
      this.reject(exchange, denial);
    }
    this.#byUpstream.clear();
    // The windows were upstream's; a new upstream connection needs a new client connection.
    if (connected) this.drain();
    this.#flush();
  }

  // --- one stream's bookkeeping --------------------------------------------------------------------------------------

  /** @param first a frame that follows at once */
  #openUpstream(exchange: GrpcExchange, first?: Frame): void {
    const link = this.#link();
    const id = link.takeId();
    exchange.upstreamId = id;
    this.#byUpstream.set(id, exchange);
    const { upstream, tls } = this.#options;
    const fields = upstreamFields(exchange.head, upstream.authority, this.#peer, tls);
    const ends = exchange.clientEnded && exchange.held.length === 0 && first === undefined;
    link.outbox.bytes(frameHeaders(encodeHeaders(fields, FRAME_HEADER_BYTES), id, ends));
    if (exchange.windowGain > 0) link.outbox.bytes(writeWindowUpdate(id, exchange.windowGain));
    exchange.windowGain = 0;
  }

  #link(): UpstreamLink {
    if (this.#upstream) return this.#upstream;
    const { address, socket } = this.#options.upstream;
    const link = new UpstreamLink(address, socket, this.#clientSettings, this);
    this.#upstream = link;
    const grant = this.#window.adopt();
    if (grant > 0) link.outbox.bytes(writeWindowUpdate(0, grant));
    link.onDrain(() => {
      if (!this.#client.closing) this.#client.socket.resume();
    });
    return link;
  }

  #readOn(): void {
    if (this.#upstream && !this.#upstream.stalled) this.#upstream.resume();
  }

  #pass(exchange: GrpcExchange, frame: Frame): void {
    this.#rewrite(frame, exchange.upstreamId);
    this.#upstream?.outbox.frame(frame);
  }

  #passHeld(exchange: GrpcExchange): void {
    for (const raw of exchange.held) this.#pass(exchange, frameOf(raw));
    exchange.held = [];
    exchange.heldBytes = 0;
  }

  #swallowHeld(exchange: GrpcExchange): void {
    this.#window.swallowed(exchange.heldBytes);
    exchange.held = [];
    exchange.heldBytes = 0;
  }

  #resetClient(streamId: number, code: number): void {
    this.#client.resetStream(streamId, code);
    keepNewest(this.#ended.add(streamId), ENDED_KEPT);
  }

  /** The received bytes are ours: the stream id is rewritten where it stands. */
  #rewrite(frame: Frame, streamId: number): void {
    frame.source.writeUInt32BE(streamId, frame.start + 5);
  }

  /** @param byClient the client reset the call, so it will ignore what upstream still says of it */
  #cancelUpstream(exchange: GrpcExchange, code: number, byClient: boolean): void {
    const { upstreamId } = exchange;
    if (upstreamId === 0) return;
    this.#upstream?.outbox.bytes(writeRstStream(upstreamId, code));
    this.#byUpstream.delete(upstreamId);
    this.#cancelled.set(upstreamId, byClient ? exchange.id : 0);
    keepNewest(this.#cancelled, CANCELLED_KEPT);
    exchange.upstreamId = 0;
  }

  /** Forgets a call whose both sides have ended. */
  #settleEnd(exchange: GrpcExchange): void {
    if (!exchange.answered) return;
    if (exchange.clientEnded) this.#end(exchange, exchange.status);
    else if (exchange.state === 'local') this.#toReset.push(exchange);
  }

  #end(exchange: GrpcExchange, status: number | undefined): void {
    if (!this.#streams.delete(exchange.id)) return;
    this.#byUpstream.delete(exchange.upstreamId);
    this.#swallowHeld(exchange);
    this.#activeAt = this.#options.clock();
    finish(this.#options.parts, exchange, { status, received: exchange.received, sent: exchange.sent });
  }

  #flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    for (const exchange of this.#toReset) {
      // Answered before the client was done (RFC 9113 section 8.1).
      if (!this.#streams.has(exchange.id)) continue;
      this.#resetClient(exchange.id, ErrorCode.NO_ERROR);
      this.#end(exchange, exchange.status);
    }
    this.#toReset.length = 0;
    const credit = this.#window.takeReturn();
    if (credit > 0) this.#client.outbox.bytes(writeWindowUpdate(0, credit));
    this.#client.outbox.flush();
    this.#upstream?.outbox.flush();
    this.#flushing = false;
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#draining && this.#streams.size === 0) this.#client.close();
  }
}

/** Drops the oldest entry of a set or map that has grown past `most`. */
function keepNewest<K>(
  entries: { readonly size: number; keys(): Iterable<K>; delete(key: K): boolean },
  most: number,
): void {
  if (entries.size <= most) return;
  for (const oldest of entries.keys()) {
    entries.delete(oldest);
    return;
  }
}

/** Upstream: only reflection streams requests. */
function isUnary(permit: Permit): boolean {
  return permit.operation.requires.scope !== 'authenticated';
}

function lengthFault(streamId: number): Http2Fault {
  return new Http2Fault(ErrorCode.PROTOCOL_ERROR, streamId, 'content-length does not match the data');
}
