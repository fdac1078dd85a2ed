import type { Socket } from 'node:net';
import type { ClientFault } from '../connections.ts';
import { Cost, type Turns } from '../fairness/turns.ts';
import { FrameBudget, SLOW_MS } from '../http2/budget.ts';
import { FrameReader } from '../http2/frame-reader.ts';
import {
  checkFrame,
  DEFAULT_MAX_FRAME_SIZE,
  dependsOnItself,
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  type Frame,
  FrameType,
  Http2Fault,
  headerFragmentOf,
  parseSettings,
  resetCodeOf,
  type Setting,
  SettingId,
  windowIncrementOf,
} from '../http2/frames.ts';
import { writeGoaway, writePing, writeRstStream, writeSettings, writeSettingsAck } from '../http2/write-frames.ts';
import { type HeaderBlock, HeaderBlocks } from './header-blocks.ts';
import { SMALL_BYTES } from './held-frames.ts';
import { Outbox } from './outbox.ts';
import type { RequestHead } from './request-head.ts';

/** How long (ms) a connection that has been told to go may take to do so. */
const CLOSE_LINGER_MS = 1000;
/** The same of one that flooded: just long enough for it to be told. */
const FLOOD_LINGER_MS = 100;

export interface ClientLimits {
  readonly maxStreams: number;
  readonly headerBytes: number;
  readonly headerCount: number;
  /** Milliseconds for the preface, and for the rest of a header block once it has begun. */
  readonly headerTimeoutMs: number;
}

/** A header block of the client's; what it means as a request's head is made out once, a string tells what is malformed. */
export type RequestBlock = HeaderBlock<RequestHead | string>;

/** What the client connection tells the relay. */
export interface ClientEvents {
  /** A whole header block. `fresh`: the stream has never been used before. */
  clientHeaders(streamId: number, block: RequestBlock, fresh: boolean, endStream: boolean): void;
  clientData(frame: Frame): void;
  clientReset(streamId: number, code: number): void;
  /** A grant; stream 0 is the connection. */
  clientGrant(streamId: number, increment: number, frame: Frame): void;
  /** The client's settings. Acknowledge them through `acknowledge`, once. */
  clientSettings(settings: readonly Setting[]): void;
  /** The client acknowledged settings that came from upstream. */
  clientAcknowledged(): void;
  /** A fault of one stream, to be reset there. */
  clientFault(fault: Http2Fault): void;
  /** An error of ours while a frame was handled; the connection ends with it. */
  ownFault(error: unknown): void;
  clientBurst(): void;
  /** What a reset of this stream by the client, or for a fault of the client's, costs. */
  resetCost(streamId: number): number;
  /** The connection ends because the client flooded it. */
  clientFlooded(): void;
  /** The client sent what is refused: the connection ends, or one stream. */
  clientRefused(fault: ClientFault): void;
  /** The connection is gone. Called once. */
  clientGone(): void;
}

/**
 * The client's connection: its own part of HTTP/2 (preface, SETTINGS, PING, GOAWAY, header blocks, flood limits). The
 * streams' frames are handed on. Its mirror is `UpstreamLink`.
 */
export class ClientLink {
  readonly outbox = new Outbox();
  readonly socket: Socket;
  readonly #events: ClientEvents;
  readonly #limits: ClientLimits;
  readonly #reader = new FrameReader(DEFAULT_MAX_FRAME_SIZE, true);
  readonly #onFrame = (frame: Frame): void => this.#take(frame);
  readonly #blocks: HeaderBlocks<RequestHead | string>;
  readonly #budget: FrameBudget;
  readonly #clock: () => number;
  readonly #openedAt: number;
  #sawSettings = false;
  #sawBytes = false;
  /** ACKs the client owes: for our own settings, and for upstream's. */
  readonly #expectedAcks: ('own' | 'upstream')[] = ['own'];
  /** Of a header block that takes several frames. */
  #block: Buffer[] = [];
  #blockBytes = 0;
  #blockStream = 0;
  #blockEnds = false;
  #blockSince = 0;
  #lastStreamId = 0;
  #closing = false;
  #closeBy = Number.POSITIVE_INFINITY;
  #gone = false;
  #reading = false;
  readonly #turns: Turns;
  /** Bytes that wait for this connection's turn. */
  #unread: Buffer[] = [];
  /** It is not to be read for a while. */
  #slowed = false;

  constructor(
    socket: Socket,
    limits: ClientLimits,
    events: ClientEvents,
    { clock, turns }: { readonly clock: () => number; readonly turns: Turns },
  ) {
    this.#turns = turns;
    this.socket = socket;
    this.#events = events;
    this.#limits = limits;
    this.#clock = clock;
    this.#openedAt = clock();
    this.#blocks = new HeaderBlocks({ maxHeaderBytes: limits.headerBytes, maxHeaders: limits.headerCount });
    this.#budget = new FrameBudget(this.#openedAt);
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.#end());
    socket.on('error', () => this.#end());
    socket.on('close', () => this.#end());
    this.outbox.bytes(
      writeSettings([
        [SettingId.MAX_CONCURRENT_STREAMS, limits.maxStreams],
        [SettingId.MAX_HEADER_LIST_SIZE, limits.headerBytes],
      ]),
    );
    this.outbox.attach(socket);
  }

  /** Highest stream id the client has opened. */
  get lastStreamId(): number {
    return this.#lastStreamId;
  }

  /** True once GOAWAY has been sent for a fault, or the socket has closed: nothing more is taken. */
  get closing(): boolean {
    return this.#closing || this.#gone;
  }

  /** A burst is being handed over; `clientBurst` follows, so that nothing need be sent before. */
  get reading(): boolean {
    return this.#reading;
  }

  acknowledge(): void {
    this.outbox.bytes(writeSettingsAck());
  }

  /** Passes upstream's settings on; `clientAcknowledged` follows. */
  sendSettings(settings: readonly Setting[]): void {
    this.#expectedAcks.push('upstream');
    const { maxStreams } = this.#limits;
    const clamped = settings.map(
      ([id, value]): Setting => [id, id === SettingId.MAX_CONCURRENT_STREAMS ? Math.min(value, maxStreams) : value],
    );
    this.outbox.bytes(writeSettings(clamped));
  }

  resetStream(streamId: number, code: number): void {
    this.outbox.bytes(writeRstStream(streamId, code));
  }

  /** Answers DATA on a stream that has ended. Costs budget: the client could go on for ever. */
  refuseData(streamId: number): void {
    this.#spend(2);
    this.resetStream(streamId, ErrorCode.STREAM_CLOSED);
  }

  /** Asks the client to take new calls elsewhere; open ones go on. */
  goaway(): void {
    this.outbox.bytes(writeGoaway(this.#lastStreamId, ErrorCode.NO_ERROR));
  }

  /** Ends the connection for a fault. @param fault the client's, where it is its own */
  fail(code: number, reason: string, fault?: ClientFault): void {
    if (this.closing) return;
    if (fault) this.#events.clientRefused(fault);
    this.outbox.bytes(writeGoaway(this.#lastStreamId, code, reason));
    this.close();
  }

  /** Sends what waits, then closes. */
  close(): void {
    if (this.closing) return;
    this.#closing = true;
    this.#closeBy = this.#clock() + CLOSE_LINGER_MS;
    this.outbox.flush();
    this.socket.end();
  }

  /** Cuts connections that linger, never began, or stopped inside a header block. */
  tick(now: number): void {
    if (now > this.#closeBy) this.socket.destroy();
    else if (!this.#sawSettings && now - this.#openedAt > this.#limits.headerTimeoutMs) {
      if (!this.closing) this.#events.clientRefused('timeout');
      this.socket.destroy();
    } else if (this.#blockStream !== 0 && now - this.#blockSince > this.#limits.headerTimeoutMs) {
      this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'header block not completed in time', 'timeout');
    }
  }

  #receive(chunk: Buffer): void {
    if (this.closing) return;
    if (!this.#sawBytes) {
      this.#sawBytes = true;
      if (looksLikeHttp1(chunk)) {
        this.#refuseHttp1();
        return;
      }
    }
    // INVARIANT: bytes are read in the order they came.
    if (this.#unread.length > 0 || this.#slowed || this.#turns.crowded) this.#postpone(chunk);
    else this.#readBurst(chunk);
  }

  /** Keeps bytes until it is this connection's turn. */
  #postpone(chunk: Buffer): void {
    this.#unread.push(chunk);
    if (this.#unread.length > 1) return;
    this.socket.pause();
    // Who gives up so much can wait for what it sends next.
    if (this.#slowed) setTimeout(this.#goOn, SLOW_MS);
    else this.#turns.wait(this.#goOn);
    this.#slowed = false;
  }

  readonly #goOn = (): void => {
    const [first, ...more] = this.#unread;
    this.#unread = [];
    if (!first || this.closing) return;
    this.socket.resume();
    this.#readBurst(more.length > 0 ? Buffer.concat([first, ...more]) : first);
  };

  /** The burst goes on until all of its bytes have been read, whatever that takes of turns. */
  #readBurst(chunk: Buffer): void {
    this.#reading = true;
    try {
      const taken = this.#reader.push(chunk, this.#onFrame);
      if (taken < chunk.length && !this.closing) {
        this.#postpone(chunk.subarray(taken));
        return;
      }
    } catch (error) {
      if (error instanceof Http2Fault) this.fail(error.code, error.reason, faultOf(error));
      else {
        this.#events.ownFault(error);
        this.fail(ErrorCode.INTERNAL_ERROR, 'internal error');
      }
    }
    this.#reading = false;
    this.#events.clientBurst();
  }

  /** Upstream speaks HTTP/2 only on this port; a readable word beats a reset. */
  #refuseHttp1(): void {
    const text = 'this port speaks gRPC over HTTP/2 only\n';
    this.#events.clientRefused('not_http2');
    this.#closing = true;
    this.#closeBy = this.#clock() + CLOSE_LINGER_MS;
    this.socket.end(
      `HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`,
    );
  }

  #end(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.socket.destroy();
    this.#events.clientGone();
  }

  #take(frame: Frame): void {
    if (this.closing) return;
    checkFrame(frame);
    if (this.#blockStream !== 0 && frame.type !== FrameType.CONTINUATION) throw protocol('header block interrupted');
    if (!this.#sawSettings && (frame.type !== FrameType.SETTINGS || frame.has(Flag.ACK))) {
      throw protocol('settings expected first');
    }
    try {
      this.#handle(frame);
    } catch (error) {
      if (!(error instanceof Http2Fault) || error.streamId === 0) throw error;
      // A reset that the client brings about costs as much as one it sends.
      this.#spend(this.#events.resetCost(error.streamId));
      this.#events.clientRefused('stream');
      this.#events.clientFault(error);
    }
  }

  #handle(frame: Frame): void {
    switch (frame.type) {
      case FrameType.DATA:
        if (costsMoreThanItCarries(frame)) this.#spend(1);
        this.#knownStream(frame);
        this.#events.clientData(frame);
        break;
      case FrameType.HEADERS:
        if (dependsOnItself(frame)) throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, frame.streamId, 'depends on itself');
        this.#headers(frame);
        break;
      case FrameType.CONTINUATION:
        if (this.#blockStream === 0 || frame.streamId !== this.#blockStream)
          throw protocol('continuation without headers');
        this.#spend(1);
        this.#gather(frame, frame.payload);
        break;
      case FrameType.PRIORITY:
        this.#spend(1);
        if (dependsOnItself(frame)) throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, frame.streamId, 'depends on itself');
        break;
      case FrameType.RST_STREAM:
        this.#knownStream(frame);
        this.#spend(this.#events.resetCost(frame.streamId));
        this.#events.clientReset(frame.streamId, resetCodeOf(frame));
        break;
      case FrameType.SETTINGS:
        this.#settings(frame);
        break;
      case FrameType.PING:
        this.#spend(1);
        if (!frame.has(Flag.ACK)) this.outbox.bytes(writePing(frame.payload, true));
        break;
      case FrameType.WINDOW_UPDATE:
        if (frame.streamId !== 0) this.#knownStream(frame);
        this.#events.clientGrant(frame.streamId, windowIncrementOf(frame), frame);
        break;
      case FrameType.PUSH_PROMISE:
        throw protocol('clients cannot push');
      default:
        // GOAWAY: the client opens no more streams and closes when it is done. Extensions are ignored.
        break;
    }
  }

  /** Frames on a stream that was never opened end the connection (RFC 9113 section 5.1, idle). */
  #knownStream(frame: Frame): void {
    if (frame.streamId > this.#lastStreamId || frame.streamId % 2 === 0) throw protocol('stream is idle');
  }

  #headers(frame: Frame): void {
    if (frame.has(Flag.END_HEADERS) && !frame.has(Flag.PADDED | Flag.PRIORITY)) {
      const from = frame.start + FRAME_HEADER_BYTES;
      this.#checkBlockBytes(frame.length);
      this.#read(frame.source, from, from + frame.length, frame.streamId, frame.has(Flag.END_STREAM));
      return;
    }
    this.#blockStream = frame.streamId;
    this.#blockEnds = frame.has(Flag.END_STREAM);
    this.#blockSince = this.#clock();
    this.#gather(frame, headerFragmentOf(frame));
  }

  #gather(frame: Frame, fragment: Buffer): void {
    this.#blockBytes += fragment.length;
    this.#checkBlockBytes(this.#blockBytes);
    this.#block.push(fragment);
    if (!frame.has(Flag.END_HEADERS)) return;
    const block = this.#block.length === 1 ? fragment : Buffer.concat(this.#block);
    const streamId = this.#blockStream;
    this.#block = [];
    this.#blockBytes = 0;
    this.#blockStream = 0;
    this.#read(block, 0, block.length, streamId, this.#blockEnds);
  }

  /** Over the limit nothing is kept; the block can then not be decoded, so the connection ends. */
  #checkBlockBytes(bytes: number): void {
    if (bytes > this.#limits.headerBytes) {
      throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, 'header block too large');
    }
  }

  /** The whole header block `source[from, to)`. */
  #read(source: Buffer, from: number, to: number, streamId: number, endStream: boolean): void {
    const block = this.#blocks.read(source, from, to);
    if (streamId % 2 === 0) throw protocol('clients open odd streams');
    const fresh = streamId > this.#lastStreamId;
    if (fresh) this.#lastStreamId = streamId;
    this.#events.clientHeaders(streamId, block, fresh, endStream);
    if (!this.#turns.spend(Cost.GRPC_CALL)) this.#reader.stop();
  }

  #settings(frame: Frame): void {
    this.#sawSettings = true;
    if (frame.has(Flag.ACK)) {
      if (this.#expectedAcks.shift() === 'upstream') this.#events.clientAcknowledged();
      return;
    }
    this.#spend(4);
    this.#events.clientSettings(parseSettings(frame.payload, 'client'));
  }

  #spend(cost: number): void {
    const spent = this.#budget.take(cost, this.#clock());
    if (spent === 'slow') {
      this.#slowed = true;
      this.#reader.stop();
    } else if (spent === 'flood') {
      this.#events.clientFlooded();
      // What is still on its way is not even decrypted.
      this.socket.pause();
      setTimeout(() => this.socket.destroy(), FLOOD_LINGER_MS);
      throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, TOO_MANY_FRAMES);
    }
  }
}

/** No bytes and no end; or a few with padding, which nobody needs and which have to be kept one by one. */
function costsMoreThanItCarries(frame: Frame): boolean {
  if (frame.length >= SMALL_BYTES) return false;
  return frame.has(Flag.PADDED) || (frame.length === 0 && !frame.has(Flag.END_STREAM));
}

const TOO_MANY_FRAMES = 'too many frames';

/** Beside floods, only header blocks ask for calm. */
function faultOf({ code, reason }: Http2Fault): ClientFault {
  if (code !== ErrorCode.ENHANCE_YOUR_CALM) return 'connection';
  return reason === TOO_MANY_FRAMES ? 'flood' : 'head_size';
}

function protocol(reason: string): Http2Fault {
  return new Http2Fault(ErrorCode.PROTOCOL_ERROR, 0, reason);
}

const HTTP1_METHODS = ['GET ', 'POST ', 'PUT ', 'HEAD ', 'DELETE ', 'OPTIONS ', 'PATCH '];

function looksLikeHttp1(chunk: Buffer): boolean {
  const start = chunk.toString('latin1', 0, 8);
  return HTTP1_METHODS.some((method) => start.startsWith(method));
}
