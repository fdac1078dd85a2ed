import type { Socket } from 'node:net';
import type { Guard } from '../lifetime/guard.ts';
import type { WorkScheduler } from '../limits/work-scheduler.ts';
import type { ClientFault } from '../net/connections.ts';
import { FRAME_COST, FrameBudget, type FrameKind, type Price } from './budget.ts';
import { FrameReader } from './frame-reader.ts';
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
  parseSettings,
  resetCodeOf,
  type Setting,
  SettingId,
  windowIncrementOf,
} from './frames.ts';
import { Outbox } from './outbox.ts';
import { PacedReading, Pause } from './paced-reading.ts';
import { type RequestBlock, RequestBlocks } from './request-blocks.ts';
import { writeGoaway, writePing, writeRstStream, writeSettings, writeSettingsAck } from './write-frames.ts';

/** Milliseconds that a client has to close its connection after GOAWAY. */
const CLOSE_LINGER_MS = 1000;
/** The same of one that flooded: just long enough for it to be told. */
const FLOOD_LINGER_MS = 100;
/** Settings of upstream's that the client may leave unacknowledged. */
const MOST_UNACKNOWLEDGED = 1000;
/** Opaque bytes of the gateway's own PINGs. */
const OWN_PING = Buffer.from('gateway1', 'latin1');

/**
 * Upstream (Qdrant v1.19.0, tonic's default) has no limit of calls on one gRPC connection. The factor of the stream
 * limit after a valid credential.
 */
const KNOWN_STREAMS_FACTOR = 10;

/** The limits of a client's connection, by the names they have in `gateway.limits`. Sizes in bytes. */
export interface ClientLimits {
  /** Open calls of a connection without a valid credential; with one `KNOWN_STREAMS_FACTOR` times as many. */
  readonly http2_max_concurrent_streams: number;
  readonly header_bytes: number;
  readonly header_count: number;
  /** Milliseconds for the preface, and for the rest of a header block once it has begun. */
  readonly header_timeout_ms: number;
}

/** HTTP/2 as one kind of listener speaks it. */
export interface ClientLinkOptions {
  /** Milliseconds. */
  readonly clock: () => number;
  readonly scheduler: WorkScheduler;
  /** The share of its connection's turn that a request costs (`Cost`). */
  readonly callCost: number;
  /** Fields of a head that the limit of fields does not count. Default: none. */
  readonly uncounted?: number;
  /** Settings beside the limits. */
  readonly settings: readonly Setting[];
  /** Text for a client that speaks HTTP/1 instead. Default: it is refused as any wrong preface. */
  readonly notHttp2?: string;
}

/** Events of a client connection. */
export interface ClientEvents<H> {
  /** A whole header block. `fresh`: the stream has never been used before. */
  clientHeaders(streamId: number, block: RequestBlock<H>, fresh: boolean, endStream: boolean): void;
  clientData(frame: Frame): void;
  clientReset(streamId: number, code: number): void;
  /** A grant; stream 0 is the connection. */
  clientGrant(streamId: number, increment: number, frame: Frame): void;
  /** The client's settings. Acknowledge them through `acknowledge`, once. */
  clientSettings(settings: readonly Setting[]): void;
  /** The client acknowledged settings that came from upstream. */
  clientAcknowledged(): void;
  /** The client answered `ping`. */
  clientPonged(): void;
  /** A fault of one stream, to be reset there. */
  clientFault(fault: Http2Fault): void;
  /** All bytes that came have been handed on. Never after `clientFailed`. */
  clientBurst(): void;
  /** Price of a reset of this stream by the client, or for a fault of the client's. */
  resetPrice(streamId: number): Price;
  /** The client sent what is refused: the connection ends, or one stream. */
  clientRefused(fault: ClientFault): void;
  /** The connection ends: nothing more is taken, and nothing more can be said. Called once at most. */
  clientFailed(): void;
  /** The connection is gone. Called once. */
  clientGone(): void;
}

/**
 * The client's connection: its own part of HTTP/2 (preface, SETTINGS, PING, GOAWAY, header blocks, flood limits). The
 * streams' frames are handed on. Its mirror is `UpstreamLink`.
 */
export class ClientLink<H> {
  readonly outbox = new Outbox();
  readonly socket: Socket;
  readonly reading: PacedReading;
  readonly #events: ClientEvents<H>;
  readonly #limits: ClientLimits;
  readonly #guard: Guard;
  readonly #reader = new FrameReader(DEFAULT_MAX_FRAME_SIZE, true);
  readonly #onFrame = (frame: Frame): void => this.#take(frame);
  readonly #blocks: RequestBlocks<H>;
  readonly #budget: FrameBudget;
  readonly #clock: () => number;
  readonly #openedAt: number;
  readonly #scheduler: WorkScheduler;
  readonly #callCost: number;
  readonly #notHttp2: string | undefined;
  #sawSettings = false;
  #sawBytes = false;
  /** ACKs the client owes: for our own settings, and for upstream's. */
  readonly #expectedAcks: ('own' | 'upstream')[] = ['own'];
  #expectedPongs = 0;
  #lastStreamId = 0;
  #maxStreams: number;
  #isKnown = false;
  /** The limit of concurrent streams that upstream announced. */
  #upstreamStreams = Number.POSITIVE_INFINITY;
  #closing = false;
  #closeBy = Number.POSITIVE_INFINITY;
  #gone = false;
  #inBurst = false;

  /** @param guard of the connection: everything the socket calls goes through it */
  constructor(socket: Socket, limits: ClientLimits, events: ClientEvents<H>, guard: Guard, options: ClientLinkOptions) {
    const { clock, scheduler } = options;
    this.socket = socket;
    this.#scheduler = scheduler;
    this.#callCost = options.callCost;
    this.#notHttp2 = options.notHttp2;
    this.#events = events;
    this.#limits = limits;
    this.#guard = guard;
    this.#clock = clock;
    this.#openedAt = clock();
    this.#maxStreams = limits.http2_max_concurrent_streams;
    const headerCount = limits.header_count + (options.uncounted ?? 0);
    this.#blocks = new RequestBlocks({ headerBytes: limits.header_bytes, headerCount }, clock);
    this.#budget = new FrameBudget(this.#openedAt);
    this.reading = new PacedReading(socket, scheduler, guard, (chunk) => this.#readBurst(chunk));
    socket.setNoDelay(true);
    socket.on(
      'data',
      guard.entry((chunk: Buffer) => this.#receive(chunk)),
    );
    const end = guard.entry(() => this.#end());
    // Upstream (hyper): a connection whose client has ended its side is given up with all that is open on it.
    socket.on('end', end);
    socket.on('error', end);
    socket.on('close', end);
    this.outbox.bytes(
      writeSettings([
        [SettingId.MAX_CONCURRENT_STREAMS, limits.http2_max_concurrent_streams],
        [SettingId.MAX_HEADER_LIST_SIZE, limits.header_bytes],
        ...options.settings,
      ]),
    );
    this.outbox.attach(socket);
  }

  /** Highest stream id the client has opened. */
  get lastStreamId(): number {
    return this.#lastStreamId;
  }

  /** A credential on this connection was good. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** Calls that may be open at the same time. */
  get maxStreams(): number {
    return this.#maxStreams;
  }

  /** True once GOAWAY has been sent for a fault, or the socket has closed: nothing more is taken. */
  get closing(): boolean {
    return this.#closing || this.#gone;
  }

  /** A burst is being handed over; `clientBurst` follows, so that nothing need be sent before. */
  get inBurst(): boolean {
    return this.#inBurst && !this.closing;
  }

  acknowledge(): void {
    this.outbox.bytes(writeSettingsAck());
  }

  /** A credential on this connection is good: it may have more calls open. */
  known(settings: readonly Setting[] = []): void {
    if (this.#isKnown || this.closing) return;
    this.#isKnown = true;
    this.#maxStreams = this.#limits.http2_max_concurrent_streams * KNOWN_STREAMS_FACTOR;
    this.#expectedAcks.push('own');
    const most = Math.min(this.#maxStreams, this.#upstreamStreams);
    this.outbox.bytes(writeSettings([[SettingId.MAX_CONCURRENT_STREAMS, most], ...settings]));
  }

  /** Passes upstream's settings on; `clientAcknowledged` follows. */
  sendSettings(settings: readonly Setting[]): void {
    this.#expectedAcks.push('upstream');
    if (this.#expectedAcks.length > MOST_UNACKNOWLEDGED) {
      throw new Http2Fault(ErrorCode.SETTINGS_TIMEOUT, 0, 'settings are not acknowledged');
    }
    const clamped = settings.map(([id, value]): Setting => {
      if (id !== SettingId.MAX_CONCURRENT_STREAMS) return [id, value];
      this.#upstreamStreams = value;
      return [id, Math.min(value, this.#maxStreams)];
    });
    this.outbox.bytes(writeSettings(clamped));
  }

  resetStream(streamId: number, code: number): void {
    this.outbox.bytes(writeRstStream(streamId, code));
  }

  /** Asks the client to take calls above `lastStreamId` elsewhere; the others go on. */
  goaway(lastStreamId: number): void {
    this.outbox.bytes(writeGoaway(lastStreamId, ErrorCode.NO_ERROR));
  }

  /** The next bytes wait a little (`SLOW_MS`). */
  slowDown(): void {
    this.reading.slowDown();
    this.#reader.stop();
  }

  /** From inside an event: no further frame is handed on before this connection's next turn. */
  stopReading(): void {
    this.#reader.stop();
  }

  /** `clientPonged` follows when the client has seen all that was sent before. */
  ping(): void {
    this.#expectedPongs += 1;
    this.outbox.bytes(writePing(OWN_PING, false));
  }

  /** DATA of so many bytes, in so many frames, goes to the client: it may grant as much. */
  moved(bytes: number, frames = 1): void {
    this.#budget.moved(bytes, frames);
  }

  /** Pays for a frame of the client's. Throws when it has sent too much of what costs more than it carries. */
  pay(kind: FrameKind): void {
    this.#pay(FRAME_COST[kind]);
  }

  /** Ends the connection for a fault. @param fault the client's, where it is its own */
  fail(code: number, reason: string, fault?: ClientFault): void {
    if (this.closing) return;
    if (fault) this.#events.clientRefused(fault);
    this.outbox.bytes(writeGoaway(this.#lastStreamId, code, reason));
    this.close();
    this.#events.clientFailed();
  }

  /** Sends what waits, then closes. */
  close(): void {
    if (this.closing) return;
    this.#closing = true;
    this.#closeBy = this.#clock() + CLOSE_LINGER_MS;
    this.reading.stop();
    this.outbox.flush();
    this.socket.end();
  }

  /** Cuts connections that linger, never began, or stopped inside a header block. */
  tick(now: number): void {
    if (now > this.#closeBy) this.socket.destroy();
    else if (!this.#sawSettings && now - this.#openedAt > this.#limits.header_timeout_ms) {
      if (!this.closing) this.#events.clientRefused('timeout');
      this.socket.destroy();
    } else if (this.#blocks.streamId !== 0 && now - this.#blocks.since > this.#limits.header_timeout_ms) {
      this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'header block not completed in time', 'timeout');
    }
  }

  #receive(chunk: Buffer): void {
    if (this.closing) return;
    if (!this.#sawBytes) {
      this.#sawBytes = true;
      if (this.#notHttp2 !== undefined && looksLikeHttp1(chunk)) {
        this.#refuseHttp1(this.#notHttp2);
        return;
      }
    }
    this.reading.receive(chunk);
  }

  /** The burst goes on until all of its bytes have been read, whatever that takes of turns. */
  #readBurst(chunk: Buffer): void {
    this.#inBurst = true;
    const taken = this.#reader.push(chunk, this.#onFrame);
    if (this.closing) return;
    if (taken < chunk.length) {
      this.reading.postpone(chunk.subarray(taken));
      return;
    }
    this.#inBurst = false;
    this.#events.clientBurst();
  }

  #refuseHttp1(text: string): void {
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
    this.reading.stop();
    this.socket.destroy();
    this.#events.clientGone();
  }

  #take(frame: Frame): void {
    if (this.closing) return;
    checkFrame(frame);
    if (this.#blocks.streamId !== 0 && frame.type !== FrameType.CONTINUATION)
      throw protocol('header block interrupted');
    if (!this.#sawSettings && (frame.type !== FrameType.SETTINGS || frame.has(Flag.ACK))) {
      throw protocol('settings expected first');
    }
    try {
      this.#handle(frame);
    } catch (error) {
      if (!(error instanceof Http2Fault) || error.streamId === 0) throw error;
      // A stream that was never opened cannot be reset (RFC 9113 section 6.4).
      if (error.streamId > this.#lastStreamId) throw new Http2Fault(error.code, 0, error.reason);
      // A reset that the client brings about costs as much as one it sends.
      this.#pay(this.#events.resetPrice(error.streamId));
      this.#events.clientRefused('stream');
      this.#events.clientFault(error);
    }
  }

  #handle(frame: Frame): void {
    switch (frame.type) {
      case FrameType.DATA:
        this.#knownStream(frame);
        this.#events.clientData(frame);
        break;
      case FrameType.HEADERS:
        if (dependsOnItself(frame)) throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, frame.streamId, 'depends on itself');
        this.#read(this.#blocks.headers(frame), frame.streamId);
        break;
      case FrameType.CONTINUATION:
        if (this.#blocks.streamId === 0 || frame.streamId !== this.#blocks.streamId)
          throw protocol('continuation without headers');
        this.pay('continuation');
        this.#read(this.#blocks.continuation(frame), frame.streamId);
        break;
      case FrameType.PRIORITY:
        this.pay('priority');
        if (dependsOnItself(frame)) throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, frame.streamId, 'depends on itself');
        break;
      case FrameType.RST_STREAM:
        this.#knownStream(frame);
        this.#pay(this.#events.resetPrice(frame.streamId));
        this.#events.clientReset(frame.streamId, resetCodeOf(frame));
        break;
      case FrameType.SETTINGS:
        this.#settings(frame);
        break;
      case FrameType.PING:
        this.#ping(frame);
        break;
      case FrameType.WINDOW_UPDATE:
        if (frame.streamId !== 0) this.#knownStream(frame);
        this.pay('window_update');
        this.#events.clientGrant(frame.streamId, windowIncrementOf(frame), frame);
        break;
      case FrameType.PUSH_PROMISE:
        throw protocol('clients cannot push');
      case FrameType.GOAWAY:
        // The client opens no more streams and closes when it is done.
        this.pay('goaway');
        break;
      default:
        this.pay('unknown');
        break;
    }
  }

  /** Frames on a stream that was never opened end the connection (RFC 9113 section 5.1, idle). */
  #knownStream(frame: Frame): void {
    if (frame.streamId > this.#lastStreamId || frame.streamId % 2 === 0) throw protocol('stream is idle');
  }

  #read(block: RequestBlock<H> | undefined, streamId: number): void {
    if (block === undefined) return;
    if (streamId % 2 === 0) throw protocol('clients open odd streams');
    const fresh = streamId > this.#lastStreamId;
    if (fresh) {
      this.#lastStreamId = streamId;
      this.#budget.called();
    }
    this.#events.clientHeaders(streamId, block, fresh, this.#blocks.ends);
    if (!this.#scheduler.spend(this.#callCost)) this.#reader.stop();
  }

  #ping(frame: Frame): void {
    if (!frame.has(Flag.ACK)) {
      this.pay('ping');
      this.outbox.bytes(writePing(frame.payload, true));
      return;
    }
    if (this.#expectedPongs === 0 || !isOwnPing(frame)) {
      this.pay('ping_ack_unasked');
      return;
    }
    this.pay('ping_ack');
    this.#expectedPongs -= 1;
    this.#events.clientPonged();
  }

  #settings(frame: Frame): void {
    this.#sawSettings = true;
    if (frame.has(Flag.ACK)) {
      const asked = this.#expectedAcks.shift();
      this.pay(asked ? 'settings_ack' : 'settings_ack_unasked');
      if (asked === 'upstream') this.#events.clientAcknowledged();
      return;
    }
    this.pay('settings');
    this.#events.clientSettings(parseSettings(frame.payload, 'client'));
  }

  #pay(price: Price): void {
    const spent = this.#budget.pay(price, this.#clock());
    if (spent === 'slow') {
      this.slowDown();
    } else if (spent === 'flood') {
      this.reading.pause(Pause.FLOOD);
      this.#guard.after(FLOOD_LINGER_MS, () => this.socket.destroy());
      throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, TOO_MANY_FRAMES);
    }
  }
}

function isOwnPing(frame: Frame): boolean {
  const from = frame.start + FRAME_HEADER_BYTES;
  return frame.source.compare(OWN_PING, 0, 8, from, from + 8) === 0;
}

const TOO_MANY_FRAMES = 'too many frames';

/** The kind of fault under which a connection error is counted. Beside floods, only header blocks ask for calm. */
export function faultOf({ code, reason }: Http2Fault): ClientFault {
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
