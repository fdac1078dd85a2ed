import type { ClientLink } from '../../http2/client-link.ts';
import type { EndedStreams } from '../../http2/ended-streams.ts';
import { ErrorCode, Flag, type Frame, Http2Fault, leadingDataOf, SettingId } from '../../http2/frames.ts';
import type { HeaderField } from '../../http2/hpack.ts';
import { writeWindowUpdate } from '../../http2/write-frames.ts';
import { PieceBudget, SMALL_PIECE } from '../../limits/body-pieces.ts';
import { Cost } from '../../limits/work-scheduler.ts';
import { INITIAL_WINDOW } from './answer-writer.ts';
import type { Http2Context } from './context.ts';
import { ReceiveWindow } from './receive-window.ts';
import { trailerFault } from './request-head.ts';
import type { Http2Stream } from './stream.ts';

/** Bytes that a client whose credential is known may send before they are used: on all its streams, and on one. */
const CONNECTION_WINDOW = 4_194_304;
const STREAM_WINDOW = 1_048_576;
/**
 * With several nodes a stream begins with `INITIAL_WINDOW` and gets more as its bytes are used, all streams together so much: some 40
 * uploads to a node that takes nothing leave the connection's window to the others.
 */
const MOST_GROWTH = 1_048_576;

type BodyContext = Pick<Http2Context, 'clock' | 'scheduler' | 'windows'> & {
  readonly options: Pick<Http2Context['options'], 'nodes'>;
};

/**
 * The request bodies of one connection on their way in: the windows of the client, the price of small frames, and frames of
 * streams that are closed.
 *
 * INVARIANT: each received byte is granted anew once: when it is used, thrown away, or its stream has closed.
 */
export class IncomingBodies {
  readonly #client: ClientLink<unknown>;
  readonly #ended: EndedStreams;
  readonly #context: BodyContext;
  /** A node that takes nothing must not hold up uploads to others. */
  readonly #hasNodes: boolean;
  readonly #window = new ReceiveWindow(0, INITIAL_WINDOW);
  readonly #pieces: PieceBudget;
  #streamWindow = INITIAL_WINDOW;
  /** Bytes by which streams may still grow. */
  #growth = 0;
  /** Bytes of the window budget that the connection has. */
  #wider = 0;

  constructor(client: ClientLink<unknown>, ended: EndedStreams, context: BodyContext) {
    this.#client = client;
    this.#ended = ended;
    this.#context = context;
    this.#hasNodes = context.options.nodes !== undefined;
    this.#pieces = new PieceBudget(context.clock.now);
  }

  /** The window that a stream begins with, in bytes. */
  get streamWindow(): number {
    return this.#streamWindow;
  }

  /** Bytes that came and were neither used nor thrown away. */
  get unread(): number {
    return this.#window.unused;
  }

  /** A request has begun. */
  begun(): void {
    this.#pieces.begun();
  }

  /** DATA for `stream`; `undefined` = it is closed. */
  data(frame: Frame, stream: Http2Stream | undefined): void {
    const rest = frame.trailingData;
    const bytes = leadingDataOf(frame);
    this.#window.received(frame.length);
    if (this.#hasNodes) this.#return(this.#window.urgent());
    if (!stream || stream.clientEnded) {
      this.#grant(frame.length);
      if (stream) throw new Http2Fault(ErrorCode.STREAM_CLOSED, frame.streamId, 'data after the end');
      this.#lateData(frame);
      return;
    }
    if (!stream.window.fits(frame.length)) this.#grant(frame.length);
    stream.window.received(frame.length);
    const ends = frame.has(Flag.END_STREAM);
    if (frame.length < SMALL_PIECE && !ends) this.#smallPiece(frame);
    const { announced } = stream.head;
    const received = stream.received + bytes.length + (rest?.length ?? 0);
    if (announced >= 0 && (received > announced || (ends && received < announced))) {
      throw malformed(stream.id, 'body other than its content-length');
    }
    stream.take(bytes, frame.length - (rest?.length ?? 0));
    if (rest) stream.take(rest, rest.length);
    if (ends && !stream.closed) stream.takeEnd();
  }

  /** Frames of few bytes: padding is no reason to send few, or none. */
  #smallPiece(frame: Frame): void {
    if (frame.length === 0 || frame.has(Flag.PADDED)) this.#client.pay('data_small');
    if (this.#pieces.take(1, this.#context.clock.now)) this.#client.slowDown();
    else if (!this.#context.scheduler.spend(Cost.BODY_PIECE)) this.#client.stopReading();
  }

  /** INVARIANT: what crosses a reset of ours is ignored (RFC 9113 section 5.1); its credit is returned all the same. */
  #lateData(frame: Frame): void {
    const { streamId } = frame;
    if (!this.#ended.has(streamId)) {
      this.#client.pay('data_closed');
      this.#client.resetStream(streamId, ErrorCode.STREAM_CLOSED);
    } else if (frame.has(Flag.END_STREAM)) {
      this.#client.pay('data_end');
      this.#ended.delete(streamId);
    } else {
      this.#client.pay(frame.length < SMALL_PIECE ? 'data_late_small' : 'data_late');
    }
  }

  /** A header block on a stream that has ended. */
  lateHeaders(streamId: number, fields: readonly HeaderField[], endStream: boolean): void {
    // Trailers may have crossed a reset of ours; without END_STREAM it is a stream used twice.
    this.#client.pay(this.#ended.has(streamId) ? 'trailers_late' : 'trailers_closed');
    this.#ended.delete(streamId);
    if (endStream && trailerFault(fields) === undefined) return;
    throw new Http2Fault(ErrorCode.STREAM_CLOSED, 0, 'headers on a closed stream');
  }

  /** Bytes of an open stream are used, or thrown away. */
  used(stream: Http2Stream, bytes: number): void {
    let increment = stream.window.consumed(bytes);
    if (increment > 0 && this.#growth > 0) increment += this.#grow(stream);
    if (increment > 0 && !stream.clientEnded) this.#client.outbox.bytes(writeWindowUpdate(stream.id, increment));
    this.#grant(bytes);
  }

  /** A stream that is used gets a wider window. Returns the increment to send. */
  #grow({ window }: Http2Stream): number {
    const more = window.grow(Math.min(STREAM_WINDOW, window.size + this.#growth));
    this.#growth -= more;
    return more;
  }

  /** A stream has closed, with `unused` bytes of its window. */
  closed({ window }: Http2Stream, unused: number): void {
    this.#growth += window.size - this.#streamWindow;
    if (unused > 0) this.#grant(unused);
  }

  /** The client is known: it gets wider windows, as far as the budget goes. @param open streams, which get them as well */
  widen(open: readonly Http2Stream[]): void {
    const wider = this.#context.windows.take(CONNECTION_WINDOW - this.#window.size);
    this.#wider = wider;
    if (this.#hasNodes) {
      this.#growth = Math.min(MOST_GROWTH, wider >> 1);
      this.#client.known();
    } else {
      // A stream may be granted as much as its connection.
      this.#streamWindow = Math.min(STREAM_WINDOW, this.#window.size + wider);
      this.#client.known([[SettingId.INITIAL_WINDOW_SIZE, this.#streamWindow]]);
    }
    for (const stream of open) stream.window.grow(this.#streamWindow);
    if (wider > 0) this.#client.outbox.bytes(writeWindowUpdate(0, this.#window.grow(this.#window.size + wider)));
  }

  /** Returns what the connection has of the budget. */
  close(): void {
    this.#context.windows.give(this.#wider);
    this.#wider = 0;
  }

  #grant(bytes: number): void {
    const increment = this.#window.consumed(bytes);
    this.#return(increment === 0 && this.#hasNodes ? this.#window.urgent() : increment);
  }

  #return(increment: number): void {
    if (increment > 0) this.#client.outbox.bytes(writeWindowUpdate(0, increment));
  }
}

/** Trailers give nothing and are never merged: only their end is taken. */
export function takeTrailers(stream: Http2Stream, fields: readonly HeaderField[], endStream: boolean): void {
  if (stream.clientEnded) throw new Http2Fault(ErrorCode.STREAM_CLOSED, stream.id, 'headers after the end');
  const fault = endStream ? trailerFault(fields) : 'trailers without end';
  if (fault) throw malformed(stream.id, fault);
  if (stream.head.announced > stream.received) throw malformed(stream.id, 'body other than its content-length');
  stream.takeEnd();
}

/** A malformed request (RFC 9113 section 8.1.1): its stream is reset. */
export function malformed(streamId: number, reason: string): Http2Fault {
  return new Http2Fault(ErrorCode.PROTOCOL_ERROR, streamId, reason);
}
