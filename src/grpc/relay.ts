import type { Socket } from 'node:net';
import type { ClientFault } from '../connections.ts';
import { begin, finish, type Protocol, resume } from '../exchange.ts';
import { resetCost } from '../http2/budget.ts';
import { dataBytesOf, ErrorCode, Flag, type Frame, Http2Fault, type Setting, SettingId } from '../http2/frames.ts';
import { DEFAULT_TABLE_BYTES, type HeaderField } from '../http2/hpack.ts';
import { writeData, writeWindowUpdate } from '../http2/write-frames.ts';
import { CredentialMemo } from '../identity/credential-memo.ts';
import { plainAddress } from '../peer-address.ts';
import type { Conditional, Permit } from '../policy/decide.ts';
import { type Denial, INTERNAL_FAULT, SHUTTING_DOWN, UPSTREAM_BROKEN, UPSTREAM_TIMEOUT } from '../policy/denial.ts';
import { answerFor, type Question } from './answer.ts';
import { type ClientEvents, ClientLink, type RequestBlock } from './client-link.ts';
import { ClientWindow } from './client-window.ts';
import { GrpcExchange, type GrpcSteps } from './grpc-exchange.ts';
import { LocalAnswers } from './local-answers.ts';
import { type Judgement, MessageJudge, type Standing } from './message-judge.ts';
import type { RelayOptions } from './relay-options.ts';
import { readRequestHead, trailerFault } from './request-head.ts';
import { isUnary, resolveGrpc } from './resolve.ts';
import { StreamTable } from './stream-table.ts';
import { type RelayCore, UpstreamHalf } from './upstream-half.ts';
import { frameOf } from './upstream-link.ts';

/** The protocol's steps for `exchange.ts`. */
const GRPC: Protocol<GrpcExchange> = {
  resolve: (exchange) => resolveGrpc(exchange.head.path),
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
export class Relay implements ClientEvents, RelayCore, GrpcSteps {
  readonly client: ClientLink;
  readonly window = new ClientWindow();
  readonly streams = new StreamTable();
  readonly peer: string;
  readonly memo = new CredentialMemo();
  settingsSoFar: readonly Setting[] = [];
  readonly #options: RelayOptions;
  readonly #answers: LocalAnswers;
  readonly #judge: MessageJudge;
  readonly #toReset: GrpcExchange[] = [];
  /** Permitted calls that go upstream when the client's burst has been read, unless they were reset in it. */
  readonly #toOpen = new Set<GrpcExchange>();
  #inBurst = false;
  readonly #onClosed: (relay: Relay) => void;
  readonly #upstream: UpstreamHalf;
  #draining = false;
  #flushing = false;
  #activeAt: number;

  constructor(socket: Socket, options: RelayOptions, onClosed: (relay: Relay) => void) {
    this.#options = options;
    this.#onClosed = onClosed;
    this.peer = plainAddress(socket.remoteAddress ?? 'unknown');
    this.#activeAt = options.clock();
    this.client = new ClientLink(socket, options.limits, this, options);
    this.#answers = new LocalAnswers(this.client.outbox, this.window, options.clock);
    this.#upstream = new UpstreamHalf(this, options);
    this.#judge = new MessageJudge({
      limits: options.messageLimits,
      guardAll: options.nestingGuard === 'all',
      noteNames: options.noteNames ?? false,
      moved: (exchange, fault) => this.#moved(exchange, fault),
    });
    socket.on('drain', () => this.#readOn());
  }

  /** Lets open calls finish and takes no new ones; closes when the last is done. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.client.goaway();
    this.flush();
    this.#closeIfDone();
  }

  /** Ends everything now; open calls are told so. */
  destroy(): void {
    this.#draining = true;
    for (const exchange of this.streams.all()) this.reject(exchange, SHUTTING_DOWN);
    this.client.close();
    this.client.socket.destroySoon();
  }

  /** Called about once a second: ends what has been idle for too long. */
  tick(now: number): void {
    const { streamIdleMs, bodyIdleMs, connectionIdleMs } = this.#options.limits;
    this.client.tick(now);
    for (const exchange of this.streams.all()) {
      const unsettled = exchange.state === 'waiting' || exchange.state === 'inspecting';
      if (now - exchange.activeAt > (unsettled ? bodyIdleMs : streamIdleMs)) this.reject(exchange, UPSTREAM_TIMEOUT);
    }
    if (this.streams.size === 0 && now - this.#activeAt > connectionIdleMs) this.drain();
    this.flush();
  }

  // --- the client's frames -------------------------------------------------------------------------------------------

  clientHeaders(streamId: number, block: RequestBlock, fresh: boolean, endStream: boolean): void {
    const { fields } = block;
    this.#inBurst = true;
    const open = this.streams.get(streamId);
    if (open) {
      this.#clientTrailers(open, fields, endStream);
      return;
    }
    if (!fresh) {
      // Trailers may have crossed a reset of ours; without END_STREAM it is a stream used twice.
      if (endStream && trailerFault(fields) === undefined) return;
      throw new Http2Fault(ErrorCode.STREAM_CLOSED, 0, 'headers on a closed stream');
    }
    if (this.#draining) {
      // Above the GOAWAY's last stream id: the client takes it elsewhere.
      this.streams.markEnded(streamId);
      return;
    }
    if (this.streams.size >= this.#options.limits.maxStreams) {
      throw new Http2Fault(ErrorCode.REFUSED_STREAM, streamId, 'too many streams');
    }
    if (block.oversized) {
      this.clientRefused('head_size');
      this.#answers.status(streamId, '431');
      if (!endStream) this.resetClient(streamId, ErrorCode.NO_ERROR);
      return;
    }
    block.meaning ??= readRequestHead(fields);
    const head = block.meaning;
    if (typeof head === 'string') throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, streamId, head);
    const exchange = new GrpcExchange(streamId, head, this, this.#options.clock());
    exchange.holdLimit = this.#upstream.holdLimit;
    exchange.clientEnded = endStream;
    if (endStream && head.contentLength > 0) throw lengthFault(streamId);
    this.streams.add(exchange);
    begin(this.#options.parts, GRPC, exchange);
  }

  /** Request trailers give nothing and are never merged: only their end is passed on. */
  #clientTrailers(exchange: GrpcExchange, fields: readonly HeaderField[], endStream: boolean): void {
    if (exchange.clientEnded) throw new Http2Fault(ErrorCode.STREAM_CLOSED, exchange.id, 'headers after the end');
    const fault = endStream ? trailerFault(fields) : 'trailers without end';
    if (fault) throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, exchange.id, fault);
    this.#take(exchange, frameOf(writeData(exchange.id, Buffer.alloc(0), true)), 0);
  }

  clientData(frame: Frame): void {
    this.#inBurst = true;
    const bytes = dataBytesOf(frame); // padding is checked whatever becomes of the stream
    this.window.received(frame.length);
    const exchange = this.streams.get(frame.streamId);
    if (exchange && !exchange.clientEnded) {
      this.#take(exchange, frame, bytes);
      return;
    }
    this.window.swallowed(frame.length);
    if (exchange) throw new Http2Fault(ErrorCode.STREAM_CLOSED, frame.streamId, 'data after the end');
    // INVARIANT: what crosses a reset of ours is ignored (RFC 9113 section 5.1); its credit is returned all the same.
    if (!this.streams.wasEnded(frame.streamId)) this.client.refuseData(frame.streamId);
  }

  /** DATA of an open stream, wherever the call stands. */
  #take(exchange: GrpcExchange, frame: Frame, bytes: number): void {
    exchange.received += bytes;
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
        this.#takeRelayed(exchange, frame);
        break;
      case 'local':
        this.window.swallowed(frame.length);
        this.settleEnd(exchange);
        break;
      case 'inspecting':
        this.#takeInspected(exchange, frame);
        break;
      default:
        exchange.held.add(frame);
        // Not judged yet and more than a window's worth: no client that keeps its window gets here.
        if (exchange.held.bytes > this.#upstream.offeredWindow)
          throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, exchange.id, 'window exceeded');
    }
  }

  #takeInspected(exchange: GrpcExchange, frame: Frame): void {
    const found = this.#judge.whole(exchange, frame);
    if (!found) {
      exchange.held.add(frame);
      this.#judged(exchange, this.#judge.next(exchange, frame));
      return;
    }
    exchange.held.lend(frame);
    this.#judged(exchange, found);
    if (!this.#toOpen.has(exchange)) exchange.held.keep();
  }

  #takeRelayed(exchange: GrpcExchange, frame: Frame): void {
    const standing = this.#judge.measure(exchange, frame);
    if (standing === 'pass' && exchange.upstreamId !== 0 && exchange.held.isEmpty) {
      this.#upstream.pass(exchange, frame);
      this.settleEnd(exchange);
      return;
    }
    exchange.held.lend(frame);
    this.#goOn(exchange, standing);
    if (!this.#toOpen.has(exchange)) exchange.held.keep();
  }

  /** What is held of a permitted call goes upstream, or is refused, or stays. */
  #goOn(exchange: GrpcExchange, standing: Standing): void {
    if (standing === 'hold') return;
    if (standing !== 'pass') this.reject(exchange, standing);
    else if (exchange.upstreamId !== 0) this.#upstream.passHeld(exchange);
    else if (this.#inBurst) this.#toOpen.add(exchange);
    else this.#upstream.open(exchange);
    this.settleEnd(exchange);
  }

  /** What had to be inflated has been read. Nobody is left to catch a fault. */
  #moved(exchange: GrpcExchange, fault: unknown): void {
    if (!this.streams.has(exchange)) return;
    try {
      if (fault !== undefined) throw fault;
      if (exchange.state === 'inspecting') this.#judged(exchange, this.#judge.judge(exchange));
      else if (exchange.state === 'relayed') this.#goOn(exchange, this.#judge.standing(exchange));
    } catch (error) {
      this.#options.parts.fault(error, exchange);
      this.reject(exchange, INTERNAL_FAULT);
    }
    this.clientBurst();
  }

  resetCost(streamId: number): number {
    const { clock, suspects } = this.#options;
    return resetCost(this.streams.get(streamId), suspects.has(this.peer), clock());
  }

  clientRefused(fault: ClientFault): void {
    this.#options.connections?.fault(fault);
  }

  clientFlooded(): void {
    this.#options.suspects.report(this.peer);
    this.#endAll();
  }

  clientReset(streamId: number, code: number): void {
    const exchange = this.streams.get(streamId);
    if (!exchange) return;
    this.#upstream.cancel(exchange, code);
    this.end(exchange);
  }

  clientGrant(streamId: number, increment: number, frame: Frame): void {
    if (streamId === 0) {
      this.#upstream.grant(this.window.grantedByClient(increment));
      this.#pumpAll();
      if (this.#upstream.link?.stalled) this.#upstream.resume();
      return;
    }
    const exchange = this.streams.get(streamId);
    if (!exchange) return;
    if (exchange.upstreamId !== 0) {
      this.#upstream.pass(exchange, frame);
      return;
    }
    this.#answers.grant(exchange, increment);
    this.#pump(exchange);
  }

  clientSettings(settings: readonly Setting[]): void {
    for (const [id, value] of settings) {
      if (id === SettingId.INITIAL_WINDOW_SIZE) this.#answers.setInitialWindow(value, this.streams.all());
      if (id === SettingId.HEADER_TABLE_SIZE && value < DEFAULT_TABLE_BYTES) this.#answers.oweTableUpdate(value);
    }
    const changed = new Set(settings.map(([id]) => id));
    this.settingsSoFar = [...this.settingsSoFar.filter(([id]) => !changed.has(id)), ...settings];
    if (this.#upstream.link) this.#upstream.link.sendSettings(settings);
    else this.client.acknowledge();
    // Behind the acknowledgement: a client that waits for it may drop what comes before.
    if (changed.has(SettingId.INITIAL_WINDOW_SIZE)) this.#pumpAll();
  }

  clientAcknowledged(): void {
    this.#upstream.link?.acknowledge();
  }

  clientFault(fault: Http2Fault): void {
    const exchange = this.streams.get(fault.streamId);
    this.resetClient(fault.streamId, fault.code);
    if (!exchange) return;
    this.#upstream.cancel(exchange, ErrorCode.CANCEL);
    this.end(exchange);
  }

  ownFault(error: unknown): void {
    this.#options.parts.fault(error);
  }

  clientBurst(): void {
    this.#inBurst = false;
    for (const exchange of this.#toOpen) {
      if (this.streams.has(exchange) && exchange.state === 'relayed')
        this.#goOn(exchange, this.#judge.standing(exchange));
      exchange.held.keep();
    }
    this.#toOpen.clear();
    if (this.window.exhausted) this.#release();
    this.flush();
    if (this.#upstream.link?.outbox.congested) this.client.socket.pause();
  }

  /**
   * Calls that wait for the rest of their message hold the window that all of the client's calls share. Without more of it
   * none would ever be whole, so what they hold goes upstream, which grants more.
   */
  #release(): void {
    for (const exchange of this.streams.all()) {
      if (exchange.state !== 'inspecting' || exchange.held.bytes === 0) continue;
      this.#judged(exchange, this.#judge.judge(exchange, true));
    }
  }

  clientGone(): void {
    this.#endAll();
    this.#onClosed(this);
  }

  #endAll(): void {
    for (const exchange of this.streams.all()) this.end(exchange);
    this.#upstream.close();
  }

  #pumpAll(): void {
    for (const exchange of this.streams.all()) this.#pump(exchange);
  }

  // --- the steps -----------------------------------------------------------------------------------------------------

  inspect(exchange: GrpcExchange, conditional: Conditional): void {
    exchange.state = 'inspecting';
    this.#judged(exchange, this.#judge.begin(exchange, conditional));
  }

  /**
   * What is held of a message too large to hold goes on, all of it before the message's end: upstream runs nothing before
   * it has the whole message, and its end is sent only after the verdict.
   */
  #judged(exchange: GrpcExchange, judgement: Judgement): void {
    if (judgement === 'hold') return;
    if (judgement === 'stream') {
      if (exchange.upstreamId === 0) this.#upstream.open(exchange);
      else this.#upstream.passHeld(exchange);
    } else if (exchange.conditional) {
      resume(this.#options.parts, GRPC, exchange, exchange.conditional, judgement);
    }
  }

  forward(exchange: GrpcExchange, permit: Permit): void {
    const question = answerFor(exchange, permit);
    if (question) {
      this.#answer(exchange, question, permit);
      return;
    }
    exchange.state = 'relayed';
    const guarded = this.#judge.isGuarded(exchange);
    const standing = guarded ? this.#judge.guard(exchange) : 'pass';
    if (!guarded) this.#judge.follow(exchange);
    // A guarded unary call goes upstream with its first frame, so that nothing of a refused one does.
    const waits =
      (exchange.guard !== undefined || exchange.unmeasured) && exchange.held.isEmpty && !exchange.clientEnded;
    if (!waits || !isUnary(permit.operation)) this.#goOn(exchange, standing);
    this.flush();
  }

  reject(exchange: GrpcExchange, denial: Denial): void {
    exchange.stopReading();
    if (!this.streams.has(exchange)) return; // the client left while its credential was looked at
    this.#upstream.cancel(exchange, ErrorCode.CANCEL);
    this.#swallowHeld(exchange);
    exchange.state = 'local';
    exchange.refusal = denial;
    this.#answers.refuse(exchange, denial);
    this.settleEnd(exchange);
    this.flush();
  }

  #answer(exchange: GrpcExchange, question: Question, permit: Permit): void {
    this.#swallowHeld(exchange);
    exchange.state = 'local';
    question(this.#options.ask, permit).then(
      (answer) => {
        if (!this.streams.has(exchange)) return;
        if (answer.kind === 'denial') {
          this.reject(exchange, answer);
          return;
        }
        this.#answers.deliver(exchange, answer.message);
        this.#pump(exchange);
        this.flush();
      },
      (error: unknown) => {
        this.#options.parts.fault(error, exchange);
        this.reject(exchange, UPSTREAM_BROKEN);
      },
    );
  }

  /** Sends as much of an answer of our own as the client's windows take. */
  #pump(exchange: GrpcExchange): void {
    if (!exchange.outgoing) return;
    this.#answers.pump(exchange, this.#upstream.link !== undefined);
    this.settleEnd(exchange);
  }

  // --- one stream's bookkeeping --------------------------------------------------------------------------------------

  #readOn(): void {
    if (!this.#upstream.link?.stalled) this.#upstream.resume();
  }

  #swallowHeld(exchange: GrpcExchange): void {
    this.window.swallowed(exchange.held.clear());
  }

  resetClient(streamId: number, code: number): void {
    this.client.resetStream(streamId, code);
    this.streams.markEnded(streamId);
  }

  /** Forgets a call whose both sides have ended. */
  settleEnd(exchange: GrpcExchange): void {
    if (!exchange.answered) return;
    if (exchange.clientEnded) this.end(exchange);
    else if (exchange.state === 'local') this.#toReset.push(exchange);
  }

  end(exchange: GrpcExchange): void {
    const { status } = exchange;
    if (!this.streams.remove(exchange)) return;
    exchange.stopReading();
    this.#swallowHeld(exchange);
    this.#activeAt = this.#options.clock();
    finish(this.#options.parts, exchange, { status, received: exchange.received, sent: exchange.sent });
  }

  /** Sends what waits; while a burst is handed over that is left to its end: one write for all of it. */
  flush(): void {
    if (this.#flushing || this.client.reading || this.#upstream.link?.reading) return;
    this.#flushing = true;
    for (const exchange of this.#toReset) {
      // Answered before the client was done (RFC 9113 section 8.1).
      if (!this.streams.has(exchange)) continue;
      this.resetClient(exchange.id, ErrorCode.NO_ERROR);
      this.end(exchange);
    }
    this.#toReset.length = 0;
    const credit = this.window.takeReturn();
    if (credit > 0) this.client.outbox.bytes(writeWindowUpdate(0, credit));
    this.client.outbox.flush();
    this.#upstream.link?.outbox.flush();
    this.#flushing = false;
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#draining && this.streams.size === 0) this.client.close();
  }
}

function lengthFault(streamId: number): Http2Fault {
  return new Http2Fault(ErrorCode.PROTOCOL_ERROR, streamId, 'content-length does not match the data');
}
