import type { Socket } from 'node:net';
import type { ExchangeParts } from '../../exchange/exchange.ts';
import { begin, bodyChecked, finish } from '../../exchange/steps.ts';
import { type Price, resetPrice } from '../../http2/budget.ts';
import type { ClientEvents } from '../../http2/client-frames.ts';
import { ClientHeads } from '../../http2/client-heads.ts';
import { ClientLink, faultOf } from '../../http2/client-link.ts';
import { Departure } from '../../http2/departure.ts';
import {
  DEFAULT_MAX_FRAME_SIZE,
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
import { Pause } from '../../http2/paced-reading.ts';
import type { RequestBlock } from '../../http2/request-blocks.ts';
import { writeData, writeWindowUpdate } from '../../http2/write-frames.ts';
import { CredentialMemo } from '../../identity/credential-memo.ts';
import { Guard } from '../../lifetime/guard.ts';
import { plainAddress } from '../../limits/peer-address.ts';
import { Cost } from '../../limits/work-scheduler.ts';
import type { ClientFault } from '../../net/connections.ts';
import { type BodyNeeds, needsOnly } from '../../policy/body-checks.ts';
import type { Conditional, Permit, References } from '../../policy/decide.ts';
import { type Denial, INTERNAL_FAULT, SHUTTING_DOWN, UPSTREAM_BROKEN, UPSTREAM_TIMEOUT } from '../../policy/denial.ts';
import { answerFor, type Question } from '../answer.ts';
import { GrpcExchange, type GrpcSteps } from '../exchange.ts';
import { type RequestHead, readRequestHead, trailerFault } from '../headers/request-head.ts';
import { callLimit } from '../idle-limits.ts';
import { GRPC } from '../protocol.ts';
import { ClientWindow } from './client-window.ts';
import { SMALL_BYTES } from './held-frames.ts';
import { LocalAnswers } from './local-answers.ts';
import type { GrpcRelayOptions } from './options.ts';
import type { RelayCore } from './relay-core.ts';
import { lengthFault, littleKind, RequestData } from './request-data.ts';
import { StreamTable } from './stream-table.ts';
import { StreamWindows } from './stream-windows.ts';
import { UpstreamHalf } from './upstream-half.ts';

/** The gRPC port speaks HTTP/2 without a handshake: other protocols get a readable text instead of a reset. */
const GRPC_PORT = { callCost: Cost.GRPC_CALL, notHttp2: 'this port speaks gRPC over HTTP/2 only\n', settings: [] };

/** Checks of messages that the relay runs. */
const CHECKS: ReadonlySet<string> = new Set<keyof BodyNeeds>(['names', 'depth']);

/**
 * One client connection and, from the first permitted call on, one upstream connection, which is used for no other client.
 *
 * ```
 * client stream:   waiting -> inspecting -> relayed        frames pass verbatim, only the stream id is rewritten
 *                     \            \-----> local           the gateway answers; DATA is discarded, its credit returned
 *                      \--> relayed | local
 * connection:      open -> told (first GOAWAY, calls are still accepted) -> leaving (GOAWAY, open calls continue) -> closed
 * ```
 *
 * Upstream ids are assigned in the order calls are decided, so that a call that waits for its identity delays no other.
 * Windows pass end to end (`ClientWindow`, `StreamWindows`); header blocks are decoded and encoded in both directions.
 *
 * INVARIANT: every callback of Node runs under a guard: of the client connection here, of upstream's in `UpstreamHalf`. An
 * exception answers open calls with INTERNAL and ends the connection; an `Http2Fault` is a fault of the peer.
 */
export class GrpcRelay implements ClientEvents<RequestHead>, RelayCore, GrpcSteps {
  readonly client: ClientLink<RequestHead>;
  readonly heads: ClientHeads;
  readonly window = new ClientWindow();
  readonly streamWindows = new StreamWindows();
  readonly streams = new StreamTable();
  readonly peer: string;
  readonly parts: ExchangeParts;
  readonly memo = new CredentialMemo();
  readonly #options: GrpcRelayOptions;
  readonly #answers: LocalAnswers;
  readonly #data: RequestData;
  readonly #toReset: GrpcExchange[] = [];
  readonly #onClosed: (relay: GrpcRelay) => void;
  readonly #upstream: UpstreamHalf;
  readonly #guard: Guard;
  readonly #departure: Departure;
  #flushing = false;
  #activeAt: number;

  constructor(socket: Socket, options: GrpcRelayOptions, onClosed: (relay: GrpcRelay) => void) {
    this.#options = options;
    this.parts = options.parts;
    this.#onClosed = onClosed;
    this.peer = plainAddress(socket.remoteAddress ?? 'unknown');
    this.#activeAt = options.clock();
    const report = (error: unknown): void => {
      if (!(error instanceof Http2Fault)) options.parts.fault(error, undefined, 'grpc_client');
    };
    const owner = { fail: (error: unknown) => this.#fail(error), cut: () => socket.destroy() };
    this.#guard = new Guard(owner, 'grpc_client', report);
    this.client = new ClientLink(socket, options.limits, this, this.#guard, { ...options, ...GRPC_PORT });
    this.#departure = new Departure(this.client, options.clock);
    this.heads = new ClientHeads(this.client.outbox);
    this.#answers = new LocalAnswers(this.client.outbox, this.heads, this.window, this.streamWindows, options.clock);
    this.#upstream = new UpstreamHalf(this, options);
    this.#data = new RequestData(this, this.#upstream, this.#guard, options);
    socket.on(
      'drain',
      this.#guard.entry(() => this.#readOn()),
    );
  }

  /** Lets open calls finish and takes no new ones but those on their way; closes when the last is done. */
  drain(): void {
    this.#guard.run(() => {
      if (this.#departure.tell()) this.flush();
    });
  }

  /** Takes no new calls from now on: upstream has ended, so none that is on its way could be served. */
  drainAtOnce(): void {
    this.#departure.skipTelling();
    this.#leave();
  }

  #leave(): void {
    if (!this.#departure.leave()) return;
    this.flush();
    this.#closeIfDone();
  }

  /** Ends all calls with an error and closes. */
  destroy(): void {
    this.#guard.run(() => {
      this.#departure.skipTelling();
      for (const exchange of this.streams.all()) this.reject(exchange, SHUTTING_DOWN);
      this.#leave();
      this.client.close();
      this.client.socket.destroySoon();
    });
  }

  /** Called about once a second: ends idle calls and connections. */
  tick(now: number): void {
    this.#guard.run(() => {
      const { stream_idle_timeout_ms: connectionIdleMs } = this.#options.limits;
      this.client.tick(now);
      this.#endIfStuck(now);
      for (const exchange of this.streams.all()) {
        if (now - exchange.activeAt > callLimit(exchange, this.#options.limits))
          this.reject(exchange, UPSTREAM_TIMEOUT);
      }
      if (this.#departure.isDue(now)) this.#leave();
      if (this.streams.size === 0 && now - this.#activeAt > connectionIdleMs) this.drain();
      this.flush();
    });
  }

  /** A client that does not accept any data, from upstream or the gateway, is disconnected after a time limit. */
  #endIfStuck(now: number): void {
    const { limits } = this.#options;
    const bodyIdleMs = limits.body_idle_timeout_ms;
    const isKnown = this.client.maxStreams > limits.http2_max_concurrent_streams;
    if (this.client.outbox.stuckMs(now) <= (isKnown ? Math.max(limits.stream_idle_timeout_ms, bodyIdleMs) : bodyIdleMs))
      return;
    this.clientRefused('timeout');
    this.client.socket.destroy();
  }

  /** Handles a fault: of the client (`Http2Fault`), or internal. */
  #fail(error: unknown): void {
    if (error instanceof Http2Fault) this.client.fail(error.code, error.reason, faultOf(error));
    else this.failOpen();
  }

  failOpen(): void {
    for (const exchange of this.streams.all()) this.reject(exchange, INTERNAL_FAULT);
    this.client.fail(ErrorCode.INTERNAL_ERROR, 'internal error');
  }

  clientHeaders(streamId: number, block: RequestBlock<RequestHead>, fresh: boolean, endStream: boolean): void {
    const { fields } = block;
    this.#data.inBurst = true;
    const open = this.streams.get(streamId);
    if (open) {
      this.#clientTrailers(open, fields, endStream);
      return;
    }
    if (!fresh) {
      // Trailers may have crossed a reset by the gateway; without END_STREAM the stream id was used twice.
      this.client.pay(this.streams.ended.has(streamId) ? 'trailers_late' : 'trailers_closed');
      this.streams.ended.delete(streamId);
      if (endStream && trailerFault(fields) === undefined) return;
      throw new Http2Fault(ErrorCode.STREAM_CLOSED, 0, 'headers on a closed stream');
    }
    if (this.#departure.isLeaving) {
      // Above the last stream id of the GOAWAY: the client retries it elsewhere.
      this.streams.ended.add(streamId);
      return;
    }
    if (this.streams.size >= this.client.maxStreams) {
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
    begin(this.parts, GRPC, exchange);
  }

  /** Request trailers are dropped and never merged; only their END_STREAM is passed on. */
  #clientTrailers(exchange: GrpcExchange, fields: readonly HeaderField[], endStream: boolean): void {
    if (exchange.clientEnded) throw new Http2Fault(ErrorCode.STREAM_CLOSED, exchange.id, 'headers after the end');
    const fault = endStream ? trailerFault(fields) : 'trailers without end';
    if (fault) throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, exchange.id, fault);
    this.#data.take(exchange, frameOf(writeData(exchange.id, Buffer.alloc(0), true)), 0);
  }

  clientData(frame: Frame): void {
    this.#data.inBurst = true;
    const bytes = dataBytesOf(frame); // padding is checked whatever becomes of the stream
    this.window.received(frame.length);
    const exchange = this.streams.get(frame.streamId);
    if (exchange && !exchange.clientEnded) {
      if (frame.length < SMALL_BYTES && !frame.has(Flag.END_STREAM)) this.client.pay(littleKind(exchange, frame));
      else if (frame.has(Flag.PADDED) && frame.length < SMALL_BYTES) this.client.pay('data_small');
      this.#data.take(exchange, frame, bytes);
      return;
    }
    this.window.swallowed(frame.length);
    if (exchange) throw new Http2Fault(ErrorCode.STREAM_CLOSED, frame.streamId, 'data after the end');
    this.#lateData(frame);
  }

  /** INVARIANT: DATA that crossed a reset is ignored (RFC 9113 section 5.1); its credit is still returned. */
  #lateData(frame: Frame): void {
    const { streamId } = frame;
    if (!this.streams.ended.has(streamId)) {
      this.client.pay('data_closed');
      this.client.resetStream(streamId, ErrorCode.STREAM_CLOSED);
    } else if (frame.has(Flag.END_STREAM)) {
      this.client.pay('data_end');
      this.streams.ended.delete(streamId);
    } else {
      this.client.pay(frame.length < SMALL_BYTES ? 'data_late_small' : 'data_late');
    }
  }

  resetPrice(streamId: number): Price {
    return resetPrice(this.streams.get(streamId), this.#options.clock());
  }

  clientRefused(fault: ClientFault): void {
    this.#options.connections?.fault(fault);
  }

  clientReset(streamId: number, code: number): void {
    const exchange = this.streams.get(streamId);
    this.streams.ended.delete(streamId);
    if (!exchange) return;
    this.#upstream.cancel(exchange, code);
    this.end(exchange);
  }

  clientGrant(streamId: number, increment: number, frame: Frame): void {
    if (streamId === 0) {
      // Waiting DATA continues at the end of the burst, once for all grants in it.
      this.#upstream.grant(this.window.grantedByClient(increment));
      return;
    }
    const exchange = this.streams.get(streamId);
    if (!exchange) return;
    this.streamWindows.grantedByClient(exchange, increment);
    if (exchange.upstreamId !== 0) this.#upstream.pass(exchange, frame);
  }

  clientSettings(settings: readonly Setting[]): void {
    for (const [id, value] of settings) {
      if (id === SettingId.INITIAL_WINDOW_SIZE) this.streamWindows.setByClient(value, this.streams.all());
    }
    this.#upstream.takeSettings(settings);
  }

  clientAcknowledged(): void {
    this.#upstream.link?.acknowledge();
  }

  clientPonged(): void {
    this.#leave();
  }

  clientFault(fault: Http2Fault): void {
    const exchange = this.streams.get(fault.streamId);
    this.resetClient(fault.streamId, fault.code);
    if (!exchange) return;
    this.#upstream.cancel(exchange, ErrorCode.CANCEL);
    this.end(exchange);
  }

  clientBurst(): void {
    this.#data.inBurst = false;
    this.burstEnded();
  }

  burstEnded(): void {
    this.#data.endBurst();
    for (const exchange of this.#answers.waiting) this.#pump(exchange);
    if (this.#upstream.link?.stalled) this.#upstream.resume();
    this.flush();
    this.#pauseIfCongested();
  }

  /** INVARIANT: the gateway does not read from a client that does not accept data, from upstream or the gateway. */
  #pauseIfCongested(): void {
    if (this.client.closing) return;
    if (this.client.outbox.congested) this.client.reading.pause(Pause.OWN);
    if (this.#upstream.link?.outbox.congested) this.client.reading.pause(Pause.UPSTREAM);
  }

  clientFailed(): void {
    this.#endAll();
  }

  clientGone(): void {
    this.#endAll();
    this.#onClosed(this);
  }

  #endAll(): void {
    this.#upstream.close();
    this.#data.clear();
    this.#toReset.length = 0;
    for (const exchange of this.streams.all()) this.end(exchange);
  }

  checkBody(exchange: GrpcExchange, decision: Permit | Conditional, needs: BodyNeeds): void {
    if (exchange.principal) this.client.known();
    if (!this.streams.has(exchange) || exchange.answered) return;
    if (!needsOnly(needs, CHECKS)) this.reject(exchange, INTERNAL_FAULT);
    else if (needs.names && decision.kind === 'conditional') this.#data.inspect(exchange, decision);
    else {
      // Measured while it passes; its end is held back.
      exchange.measures = needs.depth === true;
      this.bodyChecked(exchange, decision, undefined);
    }
  }

  bodyChecked(exchange: GrpcExchange, decision: Permit | Conditional, found: References | Denial | undefined): void {
    bodyChecked(this.parts, GRPC, exchange, decision, found);
  }

  forward(exchange: GrpcExchange, permit: Permit): void {
    // The client left while its credential was checked, or was refused after a time limit.
    if (!this.streams.has(exchange) || exchange.answered) return;
    if (exchange.principal) this.client.known();
    const question = answerFor(exchange, permit);
    if (question) {
      this.#answer(exchange, question, permit);
      return;
    }
    this.#data.permit(exchange, permit);
    this.flush();
  }

  reject(exchange: GrpcExchange, denial: Denial): void {
    try {
      this.#reject(exchange, denial);
    } catch (error) {
      // Called for a failed exchange: no caller can catch it.
      this.#guard.failed(error);
    }
  }

  #reject(exchange: GrpcExchange, denial: Denial): void {
    exchange.stopReading();
    if (!this.streams.has(exchange)) return; // the client left while its credential was looked at
    if (exchange.answered) {
      this.#cutShort(exchange);
      return;
    }
    this.#upstream.cancel(exchange, ErrorCode.CANCEL);
    this.#swallowHeld(exchange);
    exchange.state = 'local';
    exchange.refusal = denial;
    this.#answers.refuse(exchange, denial);
    this.settleEnd(exchange);
    this.flush();
  }

  /** Ends a call that was answered while its client has not ended its side. */
  #cutShort(exchange: GrpcExchange): void {
    this.#upstream.cancel(exchange, ErrorCode.CANCEL);
    this.resetClient(exchange.id, ErrorCode.NO_ERROR);
    this.end(exchange);
    this.flush();
  }

  #answer(exchange: GrpcExchange, question: Question, permit: Permit): void {
    this.#swallowHeld(exchange);
    exchange.state = 'local';
    exchange.asking = new AbortController();
    this.#guard.settled(
      question(this.#options.ask, permit, exchange.asking.signal),
      (answer) => {
        if (!this.streams.has(exchange) || exchange.answered) return;
        if (answer.kind === 'denial') {
          this.reject(exchange, answer);
          return;
        }
        this.#answers.deliver(exchange, answer.message);
        this.#pump(exchange);
        this.flush();
        this.#pauseIfCongested();
      },
      (error: unknown) => {
        this.parts.fault(error, exchange);
        this.reject(exchange, UPSTREAM_BROKEN);
      },
    );
  }

  /** Sends as much of a local answer as the client's windows permit. */
  #pump(exchange: GrpcExchange): void {
    if (!exchange.outgoing) return;
    const sent = this.#answers.pump(exchange, this.#upstream.link !== undefined);
    if (sent > 0) {
      exchange.activeAt = this.#options.clock();
      this.client.moved(sent, Math.ceil(sent / DEFAULT_MAX_FRAME_SIZE));
    }
    this.settleEnd(exchange);
  }

  #readOn(): void {
    this.client.reading.resume(Pause.OWN);
    if (!this.#upstream.link?.stalled) this.#upstream.resume();
  }

  #swallowHeld(exchange: GrpcExchange): void {
    this.window.swallowed(exchange.held.clear());
  }

  resetClient(streamId: number, code: number): void {
    this.client.resetStream(streamId, code);
    this.streams.ended.add(streamId);
  }

  /** Removes a call when both sides have ended. */
  settleEnd(exchange: GrpcExchange): void {
    if (!exchange.answered) return;
    if (exchange.clientEnded) this.end(exchange);
    else if (exchange.state === 'local') this.#toReset.push(exchange);
  }

  end(exchange: GrpcExchange): void {
    const { status } = exchange;
    if (!this.streams.remove(exchange)) return;
    exchange.stopReading();
    exchange.asking?.abort();
    this.#answers.forget(exchange);
    this.#swallowHeld(exchange);
    this.#activeAt = this.#options.clock();
    finish(this.parts, exchange, { status, received: exchange.received, sent: exchange.sent });
  }

  /** Sends pending frames. During a burst this is left to its end, for one write. */
  flush(): void {
    if (this.#flushing || this.client.closing || this.client.inBurst || this.#upstream.link?.reading) return;
    this.#flushing = true;
    for (const exchange of this.#toReset) {
      // Answered before the client had ended (RFC 9113 section 8.1).
      if (!this.streams.has(exchange)) continue;
      this.resetClient(exchange.id, ErrorCode.NO_ERROR);
      this.end(exchange);
    }
    this.#toReset.length = 0;
    const credit = this.window.takeReturn();
    if (credit > 0) this.client.outbox.bytes(writeWindowUpdate(0, credit));
    this.client.outbox.flush();
    this.#upstream.sendGrants();
    this.#upstream.link?.outbox.flush();
    this.#flushing = false;
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#departure.isLeaving && this.streams.size === 0) this.client.close();
  }
}
