import { ErrorCode } from '../../http2/frames.ts';
import type { Guard } from '../../lifetime/guard.ts';
import type { RefusalSlots } from '../../limits/refusal-pacing.ts';
import { Linger } from '../http1/linger.ts';
import type { ClientStream } from '../message.ts';
import { ReceiveWindow } from './receive-window.ts';
import type { Http2Head } from './request-head.ts';

/** The reader of a stream's request body and writer of its answer. Called by the connection, never after `closed`. */
export interface StreamUser {
  /** Bytes of the body. Their credit goes back to the client through `Http2Stream.consumed`. */
  data(chunk: Buffer): void;
  /** The body is whole. */
  end(): void;
  /** Nothing of the answer is queued any more. */
  drained(): void;
  /** A fault of ours on the connection: answers 500 where that is still possible. */
  fail(): void;
  /** Looks after time limits. @param now milliseconds */
  tick(now: number): void;
  /** The stream is over. @param whole both sides have ended in order */
  closed(whole: boolean): void;
}

/** The connection as its streams use it. */
export interface StreamConnection {
  /** Ends the connection for an exception. */
  readonly guard: Guard;
  /** Milliseconds. */
  readonly now: number;
  sendHead(stream: Http2Stream, status: number, headers: readonly string[], ends: boolean): void;
  /** Sends a HEADERS frame of an encoded block; see `ClientHeads.framed`. */
  sendFramed(stream: Http2Stream, framed: Buffer, ends: boolean): void;
  /** More frames of the client's are about to be handed over. */
  readonly inBurst: boolean;
  /** Something of the stream's answer is to be sent. */
  ready(stream: Http2Stream): void;
  /** Returns credit to the client. */
  credit(stream: Http2Stream, bytes: number): void;
  resetStream(stream: Http2Stream, code: number): void;
  /** Looks whether the stream is over. */
  settle(stream: Http2Stream): void;
  known(): void;
  readonly refusalSlots: RefusalSlots;
}

/** Bytes of an answer, from `from` on. `once`: no other code uses them, and their memory may be freed once they are written. */
export interface AnswerPiece {
  readonly bytes: Buffer;
  from: number;
  readonly once: boolean;
}

/** Bytes of an answer that may be queued before its writer has to wait. */
const HIGH_WATER_BYTES = 65_536;

/** One request over HTTP/2 and its response. */
export class Http2Stream implements ClientStream {
  readonly id: number;
  readonly head: Http2Head;
  /** The share of the head in `HeadBudget`. */
  readonly headBytes: number;
  readonly begunAt: number;
  readonly endsWithHead: boolean;
  readonly window: ReceiveWindow;
  readonly #connection: StreamConnection;
  #user: StreamUser | undefined;
  /** The client has ended its side. */
  clientEnded: boolean;
  /** Bytes of the request body, without padding. */
  received = 0;
  /** Bytes that the client takes of the answer. May be below 0 (RFC 9113 section 6.9.2). */
  sendWindow: number;
  headersSent = false;
  closed = false;
  /** It stands in the connection's list of streams with something to send. */
  listed = false;
  readonly queue: AnswerPiece[] = [];
  /** Bytes in `queue`. */
  queued = 0;
  /** The answer is complete; END_STREAM was sent. */
  finished = false;
  endSent = false;
  /** A writer waits for `drained`. */
  #blocked = false;
  #linger: Linger | undefined;
  /** Bytes that were queued when last looked at, and since when (ms) the client has taken none of them. */
  #owed = 0;
  #takenAt = 0;

  constructor(
    connection: StreamConnection,
    request: Pick<Http2Stream, 'id' | 'head' | 'headBytes' | 'endsWithHead'>,
    windows: { readonly receive: number; readonly send: number },
  ) {
    this.#connection = connection;
    this.id = request.id;
    this.head = request.head;
    this.headBytes = request.headBytes;
    this.endsWithHead = request.endsWithHead;
    this.clientEnded = request.endsWithHead;
    this.window = new ReceiveWindow(request.id, windows.receive);
    this.sendWindow = windows.send;
    this.begunAt = connection.now;
  }

  get authority(): string {
    return this.head.host;
  }

  /** From now on `user` has the stream. */
  use(user: StreamUser): void {
    this.#user = user;
  }

  /** DATA of the client's. @param bytes without padding @param size of the frame's payload */
  take(bytes: Buffer, size: number): void {
    this.received += bytes.length;
    if (size > bytes.length) this.#connection.credit(this, size - bytes.length);
    if (this.#linger) {
      if (this.#linger.take(bytes.length, this.#connection.now)) this.#connection.credit(this, bytes.length);
    } else if (bytes.length > 0) this.#user?.data(bytes);
  }

  /** The client has ended its side. */
  takeEnd(): void {
    this.clientEnded = true;
    if (!this.#linger) this.#user?.end();
    this.#connection.settle(this);
  }

  /** Bytes of the body are used: the client may send as many again. */
  consumed(bytes: number): void {
    if (!this.#linger) this.#connection.credit(this, bytes);
  }

  respond(status: number, headers: readonly string[], ends: boolean): void {
    if (this.closed) return;
    this.#connection.sendHead(this, status, headers, ends);
    if (status >= 200) this.#headSent(ends);
  }

  /** The same with an encoded head of a final status. */
  respondFramed(framed: Buffer, ends: boolean): void {
    if (this.closed) return;
    this.#connection.sendFramed(this, framed, ends);
    this.#headSent(ends);
  }

  #headSent(ends: boolean): void {
    this.headersSent = true;
    if (!ends) return;
    this.finished = true;
    this.endSent = true;
    this.answered();
  }

  get refusalSlots(): RefusalSlots {
    return this.#connection.refusalSlots;
  }

  get guard(): Guard {
    return this.#connection.guard;
  }

  get inBurst(): boolean {
    return this.#connection.inBurst;
  }

  /** More of the answer's body. `false` = wait for `drained`. @param once no other code uses its bytes */
  write(chunk: Buffer, once = false): boolean {
    if (this.closed || this.finished) return true;
    if (chunk.length > 0) {
      this.queue.push({ bytes: chunk, from: 0, once });
      this.queued += chunk.length;
      this.#connection.ready(this);
    }
    if (this.queued <= HIGH_WATER_BYTES) return true;
    this.#blocked = true;
    return false;
  }

  /** The answer is complete. */
  finish(): void {
    if (this.closed || this.finished) return;
    this.finished = true;
    this.#connection.ready(this);
  }

  /** All that was queued is on its way. */
  drained(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#user?.drained();
  }

  /** END_STREAM was sent. A body without a reader is thrown away. */
  answered(): void {
    if (!this.clientEnded) this.swallow(false);
    this.#connection.settle(this);
  }

  reset(code: number): void {
    if (!this.closed) this.#connection.resetStream(this, code);
  }

  swallow(known: boolean): void {
    if (this.closed || this.clientEnded || this.#linger) return;
    this.#connection.credit(this, this.window.unused);
    this.#linger = new Linger(this.#connection.now, known);
  }

  known(): void {
    this.#connection.known();
  }

  fail(): void {
    this.#user?.fail();
  }

  /** Resets a stream whose client stands still for too long. @param leaving the connection ends: an answered request does not keep it open */
  tick(now: number, answerIdleMs: number, leaving: boolean): void {
    if (this.queued === 0 || this.queued !== this.#owed) {
      this.#owed = this.queued;
      this.#takenAt = now;
    } else if (now - this.#takenAt >= answerIdleMs) {
      this.reset(ErrorCode.INTERNAL_ERROR);
      return;
    }
    if (this.#linger && this.endSent && (leaving || now >= this.#linger.deadline)) this.reset(ErrorCode.NO_ERROR);
    else this.#user?.tick(now);
  }

  /** To be called once, by the connection. */
  close(whole: boolean): void {
    this.closed = true;
    this.queue.length = 0;
    this.queued = 0;
    const user = this.#user;
    this.#user = undefined;
    user?.closed(whole);
  }
}
