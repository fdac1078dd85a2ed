import type { Socket } from 'node:net';
import { type Price, resetPrice } from '../../http2/budget.ts';
import type { ClientEvents } from '../../http2/client-frames.ts';
import { ClientHeads } from '../../http2/client-heads.ts';
import { ClientLink, faultOf } from '../../http2/client-link.ts';
import { Departure } from '../../http2/departure.ts';
import { EndedStreams } from '../../http2/ended-streams.ts';
import { dataOf, ErrorCode, Flag, type Frame, Http2Fault, type Setting, SettingId } from '../../http2/frames.ts';
import type { HeaderField } from '../../http2/hpack.ts';
import { Pause } from '../../http2/paced-reading.ts';
import type { RequestBlock } from '../../http2/request-blocks.ts';
import { StreamMap } from '../../http2/stream-map.ts';
import { writeWindowUpdate } from '../../http2/write-frames.ts';
import { CredentialMemo } from '../../identity/credential-memo.ts';
import { Guard } from '../../lifetime/guard.ts';
import { PieceBudget, SMALL_PIECE } from '../../limits/body-pieces.ts';
import { Cost } from '../../limits/work-scheduler.ts';
import type { ClientFault, CountedClient } from '../../net/connections.ts';
import { AnswerWriter, INITIAL_WINDOW } from './answer-writer.ts';
import type { Http2Context } from './context.ts';
import { ReceiveWindow } from './receive-window.ts';
import { type Http2Head, readHttp2Head, trailerFault } from './request-head.ts';
import { Http2Stream, type StreamConnection } from './stream.ts';

/** Fields of a head beside its headers (RFC 9113 section 8.3.1). */
const PSEUDO_HEADERS = 4;

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
export class Http2Connection implements ClientEvents<Http2Head>, StreamConnection {
  readonly socket: Socket;
  readonly client: ClientLink<Http2Head>;
  readonly #context: Http2Context;
  readonly #counted: CountedClient | undefined;
  readonly #closed: (connection: Http2Connection) => void;
  readonly guard: Guard;
  readonly #heads: ClientHeads;
  readonly #writer: AnswerWriter;
  readonly memo = new CredentialMemo();
  readonly #departure: Departure;
  readonly #streams = new StreamMap<Http2Stream>();
  readonly #ended = new EndedStreams();
  readonly #window = new ReceiveWindow(0, INITIAL_WINDOW);
  readonly #pieces: PieceBudget;
  /** The window that a stream begins with, in bytes. */
  #streamWindow = INITIAL_WINDOW;
  /** Bytes of the window budget that the connection has. */
  #wider = 0;
  #flushing = false;
  /** A flush has been asked for. */
  #due = false;
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
    this.#counted = counted;
    this.#closed = closed;
    this.#activeAt = context.clock.now;
    const { fault } = context.options.parts;
    const report = (error: unknown): void => {
      if (!(error instanceof Http2Fault)) fault(error, undefined, 'rest_http2');
    };
    const owner = { fail: (error: unknown) => this.#fail(error), cut: () => void socket.destroy() };
    this.guard = new Guard(owner, 'rest_http2', report);
    this.client = new ClientLink(socket, context.options.limits, this, this.guard, {
      clock: () => context.clock.now,
      scheduler: context.scheduler,
      callCost: Cost.HTTP2_REQUEST,
      uncounted: PSEUDO_HEADERS,
      settings: [],
    });
    this.#departure = new Departure(this.client, () => context.clock.now);
    this.#heads = new ClientHeads(this.client.outbox);
    this.#writer = new AnswerWriter(this.client.outbox, this.#heads, (bytes, frames) =>
      this.client.moved(bytes, frames),
    );
    this.#pieces = new PieceBudget(context.clock.now);
    socket.on(
      'drain',
      this.guard.entry(() => this.#flush()),
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
    return this.#window.unused;
  }

  /** Lets open requests finish and takes no new ones but those on their way; closes when the last is done. */
  drain(): void {
    this.guard.run(() => {
      if (this.#departure.tell()) this.#flush();
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
      for (const stream of this.#streams.values()) stream.tick(now, answerIdleMs);
      if (this.#departure.isDue(now)) this.#leave();
      if (this.#streams.size > 0) this.#activeAt = now;
      else if (now - this.#activeAt > keepAliveMs) this.drain();
      this.#flush();
    });
  }

  #fail(error: unknown): void {
    if (error instanceof Http2Fault) {
      this.client.fail(error.code, error.reason, faultOf(error));
      return;
    }
    for (const stream of this.#streams.values()) stream.fail();
    this.#writer.pump();
    this.client.fail(ErrorCode.INTERNAL_ERROR, 'internal error');
  }

  clientHeaders(streamId: number, block: RequestBlock<Http2Head>, fresh: boolean, endStream: boolean): void {
    const open = this.#streams.get(streamId);
    if (open) this.#trailers(open, block.fields, endStream);
    else if (!fresh) this.#lateHeaders(streamId, block.fields, endStream);
    else if (this.#departure.isLeaving) {
      // Above the GOAWAY's last stream id: the client takes it elsewhere.
      this.#ended.add(streamId);
    } else if (this.#streams.size >= this.client.maxStreams) {
      throw new Http2Fault(ErrorCode.REFUSED_STREAM, streamId, 'too many streams');
    } else this.#begin(streamId, block, endStream);
  }

  #begin(streamId: number, block: RequestBlock<Http2Head>, endsWithHead: boolean): void {
    if (block.oversized) {
      this.clientRefused('head_size');
      this.#refuseHead(streamId, endsWithHead);
      return;
    }
    block.meaning ??= readHttp2Head(block.fields);
    const head = block.meaning;
    if (typeof head === 'string') throw malformed(streamId, head);
    if (endsWithHead && head.announced > 0) throw malformed(streamId, 'content-length without a body');
    const windows = { receive: this.#streamWindow, send: this.#writer.initialWindow };
    const stream = new Http2Stream(this, { id: streamId, head, endsWithHead }, windows);
    this.#streams.set(streamId, stream);
    this.#pieces.begun();
    this.#counted?.begun();
    this.#context.serve(stream, this.socket, this.memo);
  }

  #refuseHead(streamId: number, ended: boolean): void {
    this.#counted?.begun();
    this.#counted?.ended();
    this.#writer.status(streamId, 431);
    if (ended) return;
    this.client.resetStream(streamId, ErrorCode.NO_ERROR);
    this.#ended.add(streamId);
  }

  /** Trailers give nothing and are never merged: only their end is taken. */
  #trailers(stream: Http2Stream, fields: readonly HeaderField[], endStream: boolean): void {
    if (stream.clientEnded) throw new Http2Fault(ErrorCode.STREAM_CLOSED, stream.id, 'headers after the end');
    const fault = endStream ? trailerFault(fields) : 'trailers without end';
    if (fault) throw malformed(stream.id, fault);
    this.#end(stream);
  }

  #lateHeaders(streamId: number, fields: readonly HeaderField[], endStream: boolean): void {
    // Trailers may have crossed a reset of ours; without END_STREAM it is a stream used twice.
    this.client.pay(this.#ended.has(streamId) ? 'trailers_late' : 'trailers_closed');
    this.#ended.delete(streamId);
    if (endStream && trailerFault(fields) === undefined) return;
    throw new Http2Fault(ErrorCode.STREAM_CLOSED, 0, 'headers on a closed stream');
  }

  clientData(frame: Frame): void {
    const bytes = dataOf(frame);
    this.#window.received(frame.length);
    const stream = this.#streams.get(frame.streamId);
    if (!stream || stream.clientEnded) {
      this.#creditConnection(frame.length);
      if (stream) throw new Http2Fault(ErrorCode.STREAM_CLOSED, frame.streamId, 'data after the end');
      this.#lateData(frame);
      return;
    }
    if (!stream.window.fits(frame.length)) this.#creditConnection(frame.length);
    stream.window.received(frame.length);
    const ends = frame.has(Flag.END_STREAM);
    if (frame.length < SMALL_PIECE && !ends) this.#smallPiece(frame);
    const { announced } = stream.head;
    const received = stream.received + bytes.length;
    if (announced >= 0 && (received > announced || (ends && received < announced))) {
      throw malformed(stream.id, 'body other than its content-length');
    }
    stream.take(bytes, frame.length);
    if (ends && !stream.closed) stream.takeEnd();
  }

  #end(stream: Http2Stream): void {
    if (stream.head.announced > stream.received) throw malformed(stream.id, 'body other than its content-length');
    stream.takeEnd();
  }

  /** Frames of few bytes: padding is no reason to send few, or none. */
  #smallPiece(frame: Frame): void {
    if (frame.length === 0 || frame.has(Flag.PADDED)) this.client.pay('data_small');
    if (this.#pieces.take(1, this.now)) this.client.slowDown();
    else if (!this.#context.scheduler.spend(Cost.BODY_PIECE)) this.client.stopReading();
  }

  /** INVARIANT: what crosses a reset of ours is ignored (RFC 9113 section 5.1); its credit is returned all the same. */
  #lateData(frame: Frame): void {
    const { streamId } = frame;
    if (!this.#ended.has(streamId)) {
      this.client.pay('data_closed');
      this.client.resetStream(streamId, ErrorCode.STREAM_CLOSED);
    } else if (frame.has(Flag.END_STREAM)) {
      this.client.pay('data_end');
      this.#ended.delete(streamId);
    } else {
      this.client.pay(frame.length < SMALL_PIECE ? 'data_late_small' : 'data_late');
    }
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
    this.#activeAt = this.now;
    this.#context.burstEnded();
    this.#flush();
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
    this.#context.windows.give(this.#wider);
    this.#wider = 0;
    this.#closed(this);
  }

  sendHead(stream: Http2Stream, status: number, headers: readonly string[], ends: boolean): void {
    this.#writer.head(stream, status, headers, ends);
    this.#flushSoon();
  }

  sendFramed(stream: Http2Stream, framed: Buffer, ends: boolean): void {
    this.#heads.framed(stream.id, framed, ends);
    this.#flushSoon();
  }

  get inBurst(): boolean {
    return this.client.inBurst;
  }

  ready(stream: Http2Stream): void {
    this.#writer.ready(stream);
    this.#flushSoon();
  }

  credit(stream: Http2Stream, bytes: number): void {
    // The unused bytes of a closed stream have been returned.
    if (stream.closed) return;
    const increment = stream.window.consumed(bytes);
    if (increment > 0 && !stream.clientEnded) this.client.outbox.bytes(writeWindowUpdate(stream.id, increment));
    this.#creditConnection(bytes);
    this.#flushSoon();
  }

  #creditConnection(bytes: number): void {
    const increment = this.#window.consumed(bytes);
    if (increment > 0) this.client.outbox.bytes(writeWindowUpdate(0, increment));
  }

  resetStream(stream: Http2Stream, code: number): void {
    this.client.resetStream(stream.id, code);
    if (!stream.clientEnded) this.#ended.add(stream.id);
    this.#close(stream, false);
    this.#flushSoon();
  }

  /** A credential on this connection is good: it may have more requests open, and send more at once. */
  known(): void {
    if (this.client.isKnown || this.client.closing) return;
    const wider = this.#context.windows.take(CONNECTION_WINDOW - this.#window.size);
    this.#wider = wider;
    // A stream may be granted as much as its connection.
    this.#streamWindow = Math.min(STREAM_WINDOW, this.#window.size + wider);
    this.client.known([[SettingId.INITIAL_WINDOW_SIZE, this.#streamWindow]]);
    for (const stream of this.#streams.values()) stream.window.grow(this.#streamWindow);
    if (wider > 0) this.client.outbox.bytes(writeWindowUpdate(0, this.#window.grow(this.#window.size + wider)));
    this.#flushSoon();
  }

  settle(stream: Http2Stream): void {
    if (stream.endSent && stream.clientEnded) this.#close(stream, true);
  }

  #close(stream: Http2Stream, whole: boolean): void {
    if (!this.#streams.delete(stream.id)) return;
    this.#activeAt = this.now;
    this.#counted?.ended();
    const unused = stream.window.unused;
    stream.close(whole);
    if (unused > 0) this.#creditConnection(unused);
    if (this.#departure.isLeaving && this.#streams.size === 0) this.#flushSoon();
  }

  #closeAll(): void {
    for (const stream of this.#streams.values()) this.#close(stream, false);
  }

  #leave(): void {
    if (this.#departure.leave()) this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#due || this.#flushing || this.client.inBurst) return;
    this.#due = true;
    this.guard.soon(this.#flushDue);
  }

  readonly #flushDue = (): void => {
    this.#due = false;
    this.#flush();
  };

  /** INVARIANT: a client that does not take what it is sent is not read. */
  #flush(): void {
    if (this.#flushing || this.client.closing || this.client.inBurst) return;
    this.#flushing = true;
    const more = this.#writer.pump();
    this.client.outbox.flush();
    this.#flushing = false;
    if (this.client.outbox.congested) this.client.reading.pause(Pause.OWN);
    else this.client.reading.resume(Pause.OWN);
    if (more) this.#flushSoon();
    if (this.#departure.isLeaving && this.#streams.size === 0) this.client.close();
  }
}

/** Bytes that a client whose credential is known may send before they are used: on all its streams, and on one. */
const CONNECTION_WINDOW = 4_194_304;
const STREAM_WINDOW = 1_048_576;

function malformed(streamId: number, reason: string): Http2Fault {
  return new Http2Fault(ErrorCode.PROTOCOL_ERROR, streamId, reason);
}
