import type { Socket } from 'node:net';
import { FrameReader } from '../../http2/frame-reader.ts';
import {
  CLIENT_PREFACE,
  checkFrame,
  DEFAULT_MAX_FRAME_SIZE,
  dataBytesOf,
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  Frame,
  FrameType,
  goawayOf,
  Http2Fault,
  parseSettings,
  resetCodeOf,
  type Setting,
  SettingId,
  windowIncrementOf,
} from '../../http2/frames.ts';
import { Outbox } from '../../http2/outbox.ts';
import { writePing, writeSettings, writeSettingsAck } from '../../http2/write-frames.ts';
import type { Guard } from '../../lifetime/guard.ts';
import { openSocket, type SocketAddress, type SocketOptions } from '../../upstream/sockets.ts';
import { type AnswerBlock, AnswerBlocks } from '../headers/answer-blocks.ts';
import { SMALL_BYTES } from './held-frames.ts';
import { UpstreamBudget } from './upstream-budget.ts';

/** Largest header block, in bytes with frame headers, and most frames of it. Above this upstream counts as broken. */
const MAX_BLOCK_BYTES = 262_144;
const MAX_BLOCK_FRAMES = 64;
/** Time to send pending bytes when the connection ends, in milliseconds. */
const CLOSE_LINGER_MS = 1000;
/** Most SETTINGS frames of the client that upstream may leave unacknowledged. */
const MOST_UNACKNOWLEDGED = 1000;

/** Events of the upstream connection for its client connection. Stream ids are upstream's. */
export interface LinkEvents {
  /** Upstream's settings that concern the client; to be acknowledged through `acknowledge`. Never empty. */
  upstreamSettings(settings: readonly Setting[]): void;
  /** Upstream acknowledged a SETTINGS frame of the client. */
  upstreamAcknowledged(): void;
  /** A complete header block of a stream. `false` = no such call is open; the same for DATA and resets. */
  upstreamHeaders(streamId: number, block: AnswerBlock, endStream: boolean): boolean;
  /**
   * True = this DATA can be handled now. Otherwise it waits for window of the client, with all later frames behind it.
   */
  hasRoom(frame: Frame): boolean;
  /** @param bytes payload without padding */
  upstreamData(frame: Frame, bytes: number): boolean;
  upstreamReset(streamId: number, code: number): boolean;
  /** A grant; stream 0 is the connection. */
  upstreamGrant(streamId: number, increment: number, frame: Frame): void;
  /** A fault of one stream: its call ends alone. `false` = no such call is open. */
  upstreamFault(fault: Http2Fault): boolean;
  /** No stream above `lastStreamId` was or will be served. */
  upstreamGoaway(lastStreamId: number): void;
  /** The end of a burst of frames: send pending frames. */
  upstreamBurst(): void;
  /**
   * The connection is lost. Called once, never after `close`. `connected`: it had been established; `owed`: number of
   * the client's SETTINGS frames it has not acknowledged.
   */
  upstreamLost(reason: 'unreachable' | 'timeout' | 'broken', connected: boolean, owed: number): void;
}

/**
 * The upstream connection of one client connection: opened at the first permitted call, closed with the client's.
 * Handles the connection's part of HTTP/2 (preface, SETTINGS, PING, GOAWAY) and passes on the frames of streams.
 */
export class UpstreamLink {
  readonly outbox = new Outbox();
  readonly #events: LinkEvents;
  readonly #reader = new FrameReader(DEFAULT_MAX_FRAME_SIZE);
  readonly #onFrame = (frame: Frame): void => this.#take(frame);
  #socket: Socket;
  #connected = false;
  #closed = false;
  #sawSettings = false;
  #nextId = 1;
  /** SETTINGS frames that upstream has not acknowledged: first the gateway's own, then the client's. */
  readonly #unacknowledged: ('own' | 'client')[] = [];
  readonly #answers = new AnswerBlocks();
  readonly #guard: Guard;
  readonly #budget: UpstreamBudget;
  #backlog: Buffer[] = [];
  #block: Buffer[] = [];
  #blockBytes = 0;
  #blockStream = 0;
  #blockEnds = false;
  #reading = false;

  /**
   * @param guard of the connection: every callback of the socket runs under it, and its `fail` ends it by `break`
   * @param clock milliseconds
   */
  constructor(
    address: SocketAddress,
    options: SocketOptions,
    clientSettings: readonly Setting[],
    events: LinkEvents,
    guard: Guard,
    clock: () => number,
  ) {
    this.#events = events;
    this.#budget = new UpstreamBudget(clock);
    this.#guard = guard;
    this.outbox.bytes(CLIENT_PREFACE);
    this.#tell('own', [[SettingId.ENABLE_PUSH, 0], ...settingsForUpstream(clientSettings)]);
    this.#socket = openSocket(address, options, {
      guard,
      opened: (socket) => this.#opened(socket),
      failed: (reason) => this.#lose(reason),
    });
  }

  /** A new stream id, in the order HEADERS are sent. */
  takeId(): number {
    const id = this.#nextId;
    this.#nextId += 2;
    this.#budget.called();
    return id;
  }

  /** A DATA frame of `bytes` bytes is sent: upstream may grant as much. */
  moved(bytes: number): void {
    this.#budget.moved(bytes);
  }

  /** Passes settings of the client to upstream; `upstreamAcknowledged` follows. */
  sendSettings(settings: readonly Setting[]): void {
    this.#tell('client', settingsForUpstream(settings));
  }

  /** The client acknowledged upstream's settings. */
  acknowledge(): void {
    this.outbox.bytes(writeSettingsAck());
  }

  /** Resumes reading after the client granted more. */
  resume(): void {
    while (this.#backlog.length > 0 && !this.#closed) {
      const raw = this.#backlog[0];
      if (raw === undefined) return;
      const frame = frameOf(raw);
      if (frame.type === FrameType.DATA && !this.#events.hasRoom(frame)) return;
      this.#backlog.shift();
      try {
        this.#handOn(frame);
      } catch (error) {
        // It is a fault of upstream, although the client's grant led here.
        this.#guard.failed(error);
        return;
      }
    }
    if (this.#connected && !this.#closed && this.#backlog.length === 0) this.#socket.resume();
  }

  /** Pauses reading while the client does not accept data. */
  pause(): void {
    this.#socket.pause();
  }

  /**
   * True = a burst is being processed; `upstreamBurst` or `upstreamLost` follows, so nothing needs to be sent before.
   */
  get reading(): boolean {
    return this.#reading && !this.#closed;
  }

  /** True = frames wait for window of the client. */
  get stalled(): boolean {
    return this.#backlog.length > 0;
  }

  /** Closes the connection; upstream cancels its open calls. */
  close(): void {
    this.#closed = true;
    this.#backlog = [];
    this.outbox.flush();
    const socket = this.#socket;
    if (!this.#connected || socket.writableLength === 0) {
      socket.destroy();
      return;
    }
    socket.destroySoon();
    this.#guard.after(CLOSE_LINGER_MS, () => socket.destroy()).unref();
  }

  /** Calls `listener` whenever the socket has drained. */
  onDrain(listener: () => void): void {
    this.#socket.on('drain', this.#guard.entry(listener));
  }

  /** Ends the connection for a fault of upstream. */
  break(): void {
    this.#lose('broken');
    this.#socket.destroy();
  }

  #tell(from: 'own' | 'client', settings: readonly Setting[]): void {
    this.#unacknowledged.push(from);
    if (this.#unacknowledged.length > MOST_UNACKNOWLEDGED) {
      throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, 'too many settings');
    }
    this.outbox.bytes(writeSettings(settings));
  }

  #opened(socket: Socket): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    this.#connected = true;
    const lost = this.#guard.entry(() => this.#lose('broken'));
    socket.on(
      'data',
      this.#guard.entry((chunk: Buffer) => this.#receive(chunk)),
    );
    socket.on('error', lost);
    socket.on('close', lost);
    this.outbox.attach(socket);
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    this.#reading = true;
    this.#reader.push(chunk, this.#onFrame);
    this.#reading = false;
    if (!this.#closed) this.#events.upstreamBurst();
  }

  #lose(reason: 'unreachable' | 'timeout' | 'broken'): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#backlog = [];
    const owed = this.#unacknowledged.filter((from) => from === 'client').length;
    this.#events.upstreamLost(reason, this.#connected, owed);
  }

  #take(frame: Frame): void {
    if (this.#closed) return;
    const waits = this.#backlog.length > 0 || (frame.type === FrameType.DATA && !this.#events.hasRoom(frame));
    if (!waits) {
      this.#handOn(frame);
      return;
    }
    this.#backlog.push(frame.raw);
    this.#socket.pause();
  }

  #handOn(frame: Frame): void {
    if (this.#blockStream !== 0 && frame.type !== FrameType.CONTINUATION) throw fault('header block interrupted');
    if (!this.#sawSettings && frame.type !== FrameType.SETTINGS) throw fault('settings expected first');
    try {
      this.#handle(frame);
    } catch (error) {
      if (!(error instanceof Http2Fault) || error.streamId === 0) throw error;
      // A stream that was never opened cannot be reset (RFC 9113 section 6.4).
      this.#openedStream(frame);
      if (!this.#events.upstreamFault(error)) this.#budget.pay('fault_closed');
    }
  }

  #handle(frame: Frame): void {
    checkFrame(frame);
    switch (frame.type) {
      case FrameType.DATA:
        this.#data(frame);
        break;
      case FrameType.HEADERS:
        this.#openedStream(frame);
        if (frame.has(Flag.END_HEADERS)) {
          this.#headers(frame, NO_FRAMES, frame.has(Flag.END_STREAM));
          break;
        }
        this.#blockStream = frame.streamId;
        this.#blockEnds = frame.has(Flag.END_STREAM);
        this.#gather(frame);
        break;
      case FrameType.CONTINUATION:
        if (this.#blockStream === 0 || frame.streamId !== this.#blockStream)
          throw fault('continuation without headers');
        this.#budget.pay('continuation');
        this.#gather(frame);
        break;
      case FrameType.RST_STREAM:
        this.#openedStream(frame);
        if (!this.#events.upstreamReset(frame.streamId, resetCodeOf(frame))) this.#budget.pay('reset_closed');
        break;
      case FrameType.SETTINGS:
        this.#settings(frame);
        break;
      case FrameType.PING:
        this.#budget.pay(frame.has(Flag.ACK) ? 'ping_ack_unasked' : 'ping');
        if (!frame.has(Flag.ACK)) this.outbox.bytes(writePing(frame.payload, true));
        break;
      case FrameType.GOAWAY:
        this.#budget.pay('goaway');
        this.#events.upstreamGoaway(goawayOf(frame).lastStreamId);
        break;
      case FrameType.WINDOW_UPDATE:
        if (frame.streamId !== 0) this.#openedStream(frame);
        this.#budget.pay('window_update');
        this.#events.upstreamGrant(frame.streamId, windowIncrementOf(frame), frame);
        break;
      case FrameType.PUSH_PROMISE:
        throw fault('push was not allowed');
      default:
        // PRIORITY and extensions (RFC 9113 section 5.5) concern this connection only.
        if (frame.length < SMALL_BYTES) this.#budget.pay('unknown');
        break;
    }
  }

  /** DATA of a call that is not open costs as a frame below `SMALL_BYTES`, and as bytes above; so do unknown frames. */
  #data(frame: Frame): void {
    this.#openedStream(frame);
    const bytes = dataBytesOf(frame); // padding is checked whatever becomes of the stream
    if (frame.length === 0 && !frame.has(Flag.END_STREAM)) this.#budget.pay('data_empty');
    const isOpen = this.#events.upstreamData(frame, bytes);
    if (!isOpen && frame.length < SMALL_BYTES) this.#budget.pay('data_closed');
  }

  /** Upstream may only send frames for calls that were sent to it. */
  #openedStream({ streamId }: Frame): void {
    if (streamId >= this.#nextId || streamId % 2 === 0) throw fault('stream is idle');
  }

  #gather(frame: Frame): void {
    // A copy: a view would keep the whole receive buffer.
    this.#block.push(Buffer.from(frame.raw));
    this.#blockBytes += FRAME_HEADER_BYTES + frame.length;
    if (this.#blockBytes > MAX_BLOCK_BYTES || this.#block.length > MAX_BLOCK_FRAMES) {
      throw fault('header block too large');
    }
    if (!frame.has(Flag.END_HEADERS)) return;
    const [first, ...continuations] = this.#block;
    this.#block = [];
    this.#blockBytes = 0;
    this.#blockStream = 0;
    if (first) this.#headers(frameOf(first), continuations, this.#blockEnds);
  }

  #headers(frame: Frame, continuations: readonly Buffer[], endStream: boolean): void {
    const block = this.#answers.read(frame, continuations);
    if (block.isInterim) this.#budget.pay('headers_interim');
    if (!this.#events.upstreamHeaders(frame.streamId, block, endStream)) this.#budget.pay('headers_closed');
  }

  #settings(frame: Frame): void {
    this.#sawSettings = true;
    if (frame.has(Flag.ACK)) {
      const asked = this.#unacknowledged.shift();
      if (!asked) this.#budget.pay('settings_ack_unasked');
      if (asked === 'client') this.#events.upstreamAcknowledged();
      return;
    }
    this.#budget.pay('settings');
    const settings = parseSettings(frame.payload, 'server').filter(([id]) => CLIENT_CONCERNS.has(id));
    if (settings.length === 0) this.acknowledge();
    else this.#events.upstreamSettings(settings);
  }
}

const NO_FRAMES: readonly Buffer[] = Object.freeze([]);

/** Upstream's settings that limit the client; the others limit the gateway, which stays below all of them. */
const CLIENT_CONCERNS: ReadonlySet<number> = new Set([SettingId.INITIAL_WINDOW_SIZE, SettingId.MAX_CONCURRENT_STREAMS]);

/**
 * The client's settings that limit upstream. Frames stay at 16 KiB, push stays off, header compression ends at the
 * gateway.
 */
function settingsForUpstream(settings: readonly Setting[]): Setting[] {
  return settings.filter(([id]) => id === SettingId.INITIAL_WINDOW_SIZE || id === SettingId.MAX_HEADER_LIST_SIZE);
}

/** Parses a frame that was kept as bytes. */
export function frameOf(raw: Buffer): Frame {
  const frame = new Frame();
  frame.source = raw;
  frame.start = 0;
  frame.length = raw.length - FRAME_HEADER_BYTES;
  frame.type = raw.readUInt8(3);
  frame.flags = raw.readUInt8(4);
  frame.streamId = raw.readUInt32BE(5) & 0x7fff_ffff;
  return frame;
}

function fault(reason: string): Http2Fault {
  return new Http2Fault(ErrorCode.PROTOCOL_ERROR, 0, reason);
}
