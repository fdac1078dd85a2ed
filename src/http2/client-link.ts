import type { Socket } from 'node:net';
import type { Guard } from '../lifetime/guard.ts';
import type { WorkScheduler } from '../limits/work-scheduler.ts';
import type { ClientFault } from '../net/connections.ts';
import { FRAME_COST, FrameBudget, type FrameKind, HeadBudget, type Price } from './budget.ts';
import { type ClientEvents, ClientFrames, type FrameReceiver } from './client-frames.ts';
import { ClientSettings } from './client-settings.ts';
import { FrameReader } from './frame-reader.ts';
import { DEFAULT_MAX_FRAME_SIZE, ErrorCode, type Frame, Http2Fault, type Setting, SettingId } from './frames.ts';
import { Outbox } from './outbox.ts';
import { type ChunkReader, PacedReading, Pause } from './paced-reading.ts';
import { writeGoaway, writeRstStream, writeSettingsAck } from './write-frames.ts';

/** Milliseconds that a client has to close its connection after GOAWAY. */
const CLOSE_LINGER_MS = 1000;
/** The same of one that flooded: just long enough for it to be told. */
const FLOOD_LINGER_MS = 100;

/** The limits of a client's connection, by the names they have in `gateway.limits`. Sizes in bytes. */
export interface ClientLimits {
  /** Open calls of a connection without a valid credential; with one ten times as many (`ClientSettings`). */
  readonly http2_max_concurrent_streams: number;
  readonly header_bytes: number;
  readonly header_count: number;
  /** Milliseconds for the preface, and for the rest of a header block or a frame other than DATA once it has begun. */
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

/**
 * The client's connection: its socket, from the first byte to GOAWAY and the end, and everything that is sent on it. What the
 * client sends is taken by `ClientFrames`, what it is told of settings by `ClientSettings`. Its mirror is `UpstreamLink`.
 */
export class ClientLink<H> implements FrameReceiver, ChunkReader {
  readonly outbox = new Outbox();
  /** The heads of the open streams. */
  readonly heads = new HeadBudget(this);
  readonly socket: Socket;
  readonly reading: PacedReading;
  readonly #events: ClientEvents<H>;
  readonly #limits: ClientLimits;
  readonly #guard: Guard;
  readonly #reader = new FrameReader(DEFAULT_MAX_FRAME_SIZE, true, true);
  readonly #frames: ClientFrames<H>;
  readonly #onFrame = (frame: Frame): void => {
    if (!this.closing) this.#frames.take(frame);
  };
  readonly #settings: ClientSettings;
  readonly #budget: FrameBudget;
  readonly #clock: () => number;
  readonly #openedAt: number;
  readonly #notHttp2: string | undefined;
  #sawBytes = false;
  #closing = false;
  #closeBy = Number.POSITIVE_INFINITY;
  #gone = false;
  #inBurst = false;
  /** The incomplete frame (`FrameReader.unfinished`) that `tick` saw last, and the time (ms) when it saw it first. */
  #unfinished = 0;
  #unfinishedAt = 0;

  /** @param guard of the connection: everything the socket calls goes through it */
  constructor(socket: Socket, limits: ClientLimits, events: ClientEvents<H>, guard: Guard, options: ClientLinkOptions) {
    const { clock, scheduler, callCost } = options;
    this.socket = socket;
    this.#notHttp2 = options.notHttp2;
    this.#events = events;
    this.#limits = limits;
    this.#guard = guard;
    this.#clock = clock;
    this.#openedAt = clock();
    this.#settings = new ClientSettings(this.outbox, limits.http2_max_concurrent_streams, [
      [SettingId.MAX_HEADER_LIST_SIZE, limits.header_bytes],
      ...options.settings,
    ]);
    const blocks = { headerBytes: limits.header_bytes, headerCount: limits.header_count + (options.uncounted ?? 0) };
    this.#frames = new ClientFrames(this, events, this.#settings, { blocks, clock, scheduler, callCost });
    this.#budget = new FrameBudget(this.#openedAt);
    this.reading = new PacedReading(socket, scheduler, guard, this);
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
    this.outbox.attach(socket);
  }

  /** Highest stream id the client has opened. */
  get lastStreamId(): number {
    return this.#frames.lastStreamId;
  }

  /** A credential on this connection was good. */
  get isKnown(): boolean {
    return this.#settings.isKnown;
  }

  /** Calls that may be open at the same time. */
  get maxStreams(): number {
    return this.#settings.maxStreams;
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
    if (!this.#settings.isKnown && !this.closing) this.#settings.known(settings);
  }

  /** Passes upstream's settings on; `clientAcknowledged` follows. */
  sendSettings(settings: readonly Setting[]): void {
    this.#settings.passOn(settings);
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
    this.#frames.ping();
  }

  /** A call of the client's has begun: it may grant and measure. */
  called(): void {
    this.#budget.called();
  }

  /** DATA of so many bytes, in so many frames, goes to the client: it may grant as much. */
  moved(bytes: number, frames = 1): void {
    this.#budget.moved(bytes, frames);
  }

  /** Pays for a frame of the client's. Throws when it has sent too much of what costs more than it carries. */
  pay(kind: FrameKind): void {
    this.charge(FRAME_COST[kind]);
  }

  /** The same for a price that depends on more than the kind. */
  charge(price: Price): void {
    const spent = this.#budget.pay(price, this.#clock());
    if (spent === 'slow') {
      this.slowDown();
    } else if (spent === 'flood') {
      this.reading.pause(Pause.FLOOD);
      this.#guard.after(FLOOD_LINGER_MS, () => this.socket.destroy());
      throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, TOO_MANY_FRAMES);
    }
  }

  /** Ends the connection for a fault. @param fault the client's, where it is its own */
  fail(code: number, reason: string, fault?: ClientFault): void {
    if (this.closing) return;
    if (fault) this.#events.clientRefused(fault);
    this.outbox.bytes(writeGoaway(this.lastStreamId, code, reason));
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

  /** Cuts connections that linger, never began, or stopped inside a header block or a frame other than DATA. */
  tick(now: number): void {
    if (now > this.#closeBy) this.socket.destroy();
    else if (!this.#frames.sawSettings && now - this.#openedAt > this.#limits.header_timeout_ms) {
      if (!this.closing) this.#events.clientRefused('timeout');
      this.socket.destroy();
    } else if (this.#frames.blockAge(now) > this.#limits.header_timeout_ms) {
      this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'header block not completed in time', 'timeout');
    } else if (this.#frameAge(now) > this.#limits.header_timeout_ms) {
      this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'frame not completed in time', 'timeout');
    }
  }

  /** Milliseconds for which the same frame has been incomplete while the client was read; 0 = there is none. */
  #frameAge(now: number): number {
    const frame = this.reading.paused ? 0 : this.#reader.unfinished;
    if (frame !== this.#unfinished) {
      this.#unfinished = frame;
      this.#unfinishedAt = now;
    }
    return frame === 0 ? 0 : now - this.#unfinishedAt;
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
  read(chunk: Buffer): void {
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
}

const TOO_MANY_FRAMES = 'too many frames';

/** The kind of fault under which a connection error is counted. Beside floods, only header blocks ask for calm. */
export function faultOf({ code, reason }: Http2Fault): ClientFault {
  if (code !== ErrorCode.ENHANCE_YOUR_CALM) return 'connection';
  return reason === TOO_MANY_FRAMES ? 'flood' : 'head_size';
}

const HTTP1_METHODS = ['GET ', 'POST ', 'PUT ', 'HEAD ', 'DELETE ', 'OPTIONS ', 'PATCH '];

function looksLikeHttp1(chunk: Buffer): boolean {
  const start = chunk.toString('latin1', 0, 8);
  return HTTP1_METHODS.some((method) => start.startsWith(method));
}
