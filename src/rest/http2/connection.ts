import type { Socket } from 'node:net';
import { type Price, resetPrice } from '../../http2/budget.ts';
import type { ClientEvents } from '../../http2/client-frames.ts';
import { ClientLink, faultOf } from '../../http2/client-link.ts';
import { Departure } from '../../http2/departure.ts';
import { EndedStreams } from '../../http2/ended-streams.ts';
import { ErrorCode, type Frame, Http2Fault, type Setting, SettingId } from '../../http2/frames.ts';
import type { RequestBlock } from '../../http2/request-blocks.ts';
import { StreamMap } from '../../http2/stream-map.ts';
import { CredentialMemo } from '../../identity/credential-memo.ts';
import { Guard, type GuardedOwner } from '../../lifetime/guard.ts';
import { RefusalSlots } from '../../limits/refusal-pacing.ts';
import { Cost } from '../../limits/work-scheduler.ts';
import type { ClientFault, CountedClient } from '../../net/connections.ts';
import { type AnswersOwner, AnswerWriter } from './answer-writer.ts';
import type { Http2Context, ServedConnection } from './context.ts';
import { IncomingBodies, malformed, takeTrailers } from './incoming-bodies.ts';
import { type Http2Head, readHttp2Head } from './request-head.ts';
import { Http2Stream, type StreamConnection } from './stream.ts';
import { UpstreamPlaces } from './upstream-places.ts';

/** Fields of a head beside its headers (RFC 9113 section 8.3.1). */
const PSEUDO_HEADERS = 4;
/** Part of the streams that answered requests may have whose bodies go on. */
const GOING_ON_SHARE = 0.25;

/**
 * One client connection of REST over HTTP/2: its streams, their windows, and the order of what is written.
 *
 * ```
 * stream:      open -> answered (END_STREAM sent; the rest of the body is thrown away) -> closed
 * connection:  open -> told (GOAWAY of no stream, requests come and go on) -> leaving (GOAWAY, open ones go on) -> closed
 * ```
 *
 * INVARIANT: everything Node calls enters through the guard. An `Http2Fault` is the client's and ends the connection as such;
 * any other exception answers what is open with 500 and ends it.
 */
export class Http2Connection
  implements ClientEvents<Http2Head>, GuardedOwner, AnswersOwner, StreamConnection, ServedConnection
{
  readonly socket: Socket;
  readonly client: ClientLink<Http2Head>;
  readonly #context: Http2Context;
  readonly #counted: CountedClient | undefined;
  readonly #closed: (connection: Http2Connection) => void;
  readonly guard: Guard;
  readonly #writer: AnswerWriter;
  readonly memo = new CredentialMemo();
  readonly places: UpstreamPlaces;
  readonly refusalSlots: RefusalSlots;
  readonly #departure: Departure;
  readonly #streams = new StreamMap<Http2Stream>();
  readonly #ended = new EndedStreams();
  /** Answered streams whose clients have not ended their bodies, the oldest first. */
  #goingOn: Set<Http2Stream> | undefined;
  readonly #bodies: IncomingBodies;
  #activeAt: number;

  /** @param closed called once, when the connection is gone */
  constructor(
    socket: Socket,
    counted: CountedClient | undefined,
    context: Http2Context,
    closed: (connection: Http2Connection) => void,
  ) {
    this.socket = socket;
    this.#context = context;
    this.places = new UpstreamPlaces(context.mostUpstream);
    this.#counted = counted;
    this.#closed = closed;
    this.#activeAt = context.clock.now;
    this.guard = new Guard(this, 'rest_http2', context.report);
    this.client = new ClientLink(socket, context.options.limits, this, this.guard, {
      clock: context.clock.read,
      scheduler: context.scheduler,
      callCost: Cost.HTTP2_REQUEST,
      uncounted: PSEUDO_HEADERS,
      settings: [],
    });
    this.refusalSlots = new RefusalSlots(this.client);
    this.#departure = new Departure(this.client, context.clock.read);
    this.#writer = new AnswerWriter(this.client, this.guard, this);
    this.#bodies = new IncomingBodies(this.client, this.#ended, context);
    socket.on(
      'drain',
      this.guard.entry(() => this.#writer.flush()),
    );
  }

  get now(): number {
    return this.#context.clock.now;
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** Bytes of request bodies that came and were neither used nor thrown away. */
  get unread(): number {
    return this.#bodies.unread;
  }

  /** Lets open requests finish and takes no new ones but those on their way; closes when the last is done. */
  drain(): void {
    this.guard.run(() => {
      if (this.#departure.tell()) this.#writer.flush();
    });
  }

  /** Looks after the time limits. @param now milliseconds */
  tick(now: number): void {
    this.guard.run(() => {
      const { stream_idle_timeout_ms: answerIdleMs, keep_alive_timeout_ms: keepAliveMs } = this.#context.options.limits;
      this.client.tick(now);
      if (this.client.outbox.stuckMs(now) > answerIdleMs) {
        this.clientRefused('timeout');
        this.socket.destroy();
        return;
      }
      for (const stream of this.#streams.values()) stream.tick(now, answerIdleMs, this.#departure.isLeaving);
      if (this.#departure.isDue(now)) this.#leave();
      if (this.#streams.size > 0) this.#activeAt = now;
      else if (now - this.#activeAt > keepAliveMs) this.drain();
      this.#writer.flush();
    });
  }

  fail(error: unknown): void {
    if (error instanceof Http2Fault) {
      this.client.fail(error.code, error.reason, faultOf(error));
      return;
    }
    for (const stream of this.#streams.values()) stream.fail();
    this.#writer.pump();
    this.client.fail(ErrorCode.INTERNAL_ERROR, 'internal error');
  }

  cut(): void {
    this.socket.destroy();
  }

  clientHeaders(streamId: number, block: RequestBlock<Http2Head>, fresh: boolean, endStream: boolean): void {
    const open = this.#streams.get(streamId);
    if (open) takeTrailers(open, block.fields, endStream);
    else if (!fresh) this.#bodies.lateHeaders(streamId, block.fields, endStream);
    else if (this.#departure.isLeaving) {
      // Above the GOAWAY's last stream id: the client takes it elsewhere.
      this.#ended.add(streamId);
    } else if (this.#streams.size >= this.client.maxStreams) {
      throw new Http2Fault(ErrorCode.REFUSED_STREAM, streamId, 'too many streams');
    } else this.#begin(streamId, block, endStream);
  }

  #begin(streamId: number, block: RequestBlock<Http2Head>, endsWithHead: boolean): void {
    this.#activeAt = this.now;
    if (block.oversized) {
      this.clientRefused('head_size');
      this.#refuseHead(streamId, endsWithHead);
      return;
    }
    block.meaning ??= readHttp2Head(block.fields);
    const head = block.meaning;
    if (typeof head === 'string') throw malformed(streamId, head);
    if (endsWithHead && head.announced > 0) throw malformed(streamId, 'content-length without a body');
    const windows = { receive: this.#bodies.streamWindow, send: this.#writer.initialWindow };
    const stream = new Http2Stream(this, { id: streamId, head, headBytes: block.bytes, endsWithHead }, windows);
    this.client.heads.take(streamId, block.bytes);
    this.#streams.set(streamId, stream);
    this.#bodies.begun();
    this.#counted?.begun();
    this.#context.serve(stream, this);
  }

  #refuseHead(streamId: number, ended: boolean): void {
    this.#counted?.begun();
    this.#counted?.ended();
    this.#writer.status(streamId, 431, this.#context.clock.date);
    if (ended) return;
    this.client.resetStream(streamId, ErrorCode.NO_ERROR);
    this.#ended.add(streamId);
  }

  clientData(frame: Frame): void {
    this.#bodies.data(frame, this.#streams.get(frame.streamId));
  }

  clientReset(streamId: number): void {
    const stream = this.#streams.get(streamId);
    this.#ended.delete(streamId);
    if (stream) this.#close(stream, false);
  }

  clientGrant(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.#writer.grant(increment);
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream) this.#writer.grantStream(stream, increment);
  }

  clientSettings(settings: readonly Setting[]): void {
    for (const [id, value] of settings) {
      if (id === SettingId.INITIAL_WINDOW_SIZE) this.#writer.setInitialWindow(value, this.#streams.values());
    }
    this.client.acknowledge();
  }

  /** Upstream speaks HTTP/1.1: its settings never come here. */
  clientAcknowledged(): void {}

  clientPonged(): void {
    this.#leave();
  }

  clientFault(fault: Http2Fault): void {
    const stream = this.#streams.get(fault.streamId);
    this.client.resetStream(fault.streamId, fault.code);
    this.#ended.add(fault.streamId);
    if (stream) this.#close(stream, false);
  }

  clientBurst(): void {
    this.#context.burstEnded();
    this.#writer.flush();
  }

  resetPrice(streamId: number): Price {
    return resetPrice(this.#streams.get(streamId), this.now);
  }

  clientRefused(fault: ClientFault): void {
    this.#context.options.connections?.fault(fault);
  }

  clientFailed(): void {
    this.#closeAll();
  }

  clientGone(): void {
    this.#closeAll();
    this.#bodies.close();
    this.#closed(this);
  }

  sendHead(stream: Http2Stream, status: number, headers: readonly string[], ends: boolean): void {
    this.#writer.head(stream, status, headers, ends);
    this.#writer.flushSoon();
  }

  sendFramed(stream: Http2Stream, framed: Buffer, ends: boolean): void {
    this.#writer.framed(stream, framed, ends);
    this.#writer.flushSoon();
  }

  get inBurst(): boolean {
    return this.client.inBurst;
  }

  ready(stream: Http2Stream): void {
    this.#writer.ready(stream);
    this.#writer.flushSoon();
  }

  credit(stream: Http2Stream, bytes: number): void {
    // The unused bytes of a closed stream have been returned.
    if (stream.closed) return;
    this.#bodies.used(stream, bytes);
    this.#writer.flushSoon();
  }

  resetStream(stream: Http2Stream, code: number): void {
    this.client.resetStream(stream.id, code);
    if (!stream.clientEnded) this.#ended.add(stream.id);
    this.#close(stream, false);
    this.#writer.flushSoon();
  }

  /** A credential on this connection is good: it may have more requests open, and send more at once. */
  known(): void {
    if (this.client.isKnown || this.client.closing) return;
    this.#bodies.widen(this.#streams.values());
    this.#writer.flushSoon();
  }

  settle(stream: Http2Stream): void {
    if (!stream.endSent) return;
    if (stream.clientEnded) this.#close(stream, true);
    else this.#bodyGoesOn(stream);
  }

  /** Other requests of the connection find a place: of answered ones whose bodies go on, the oldest ends (RFC 9113 section 8.1). */
  #bodyGoesOn(stream: Http2Stream): void {
    if (stream.closed) return;
    this.#goingOn ??= new Set();
    const goingOn = this.#goingOn.add(stream);
    const [oldest] = goingOn;
    if (goingOn.size > this.client.maxStreams * GOING_ON_SHARE) oldest?.reset(ErrorCode.NO_ERROR);
  }

  #close(stream: Http2Stream, whole: boolean): void {
    if (!this.#streams.delete(stream.id)) return;
    this.#goingOn?.delete(stream);
    this.#activeAt = this.now;
    this.client.heads.give(stream.headBytes);
    this.#counted?.ended();
    const { unused } = stream.window;
    stream.close(whole);
    this.#bodies.closed(stream, unused);
    if (this.#departure.isLeaving && this.#streams.size === 0) this.#writer.flushSoon();
  }

  #closeAll(): void {
    for (const stream of this.#streams.values()) this.#close(stream, false);
  }

  #leave(): void {
    if (this.#departure.leave()) this.#writer.flushSoon();
  }

  flushed(): void {
    if (this.#departure.isLeaving && this.#streams.size === 0) this.client.close();
  }
}
