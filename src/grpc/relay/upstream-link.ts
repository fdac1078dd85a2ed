import type { Socket } from 'node:net';
import { FrameReader } from '../../http2/frame-reader.ts';
import {
  CLIENT_PREFACE,
  DEFAULT_MAX_FRAME_SIZE,
  type Frame,
  FrameType,
  frameOf,
  type Setting,
} from '../../http2/frames.ts';
import { Outbox } from '../../http2/outbox.ts';
import { writeSettingsAck } from '../../http2/write-frames.ts';
import type { Guard } from '../../lifetime/guard.ts';
import { openSocket, type SocketAddress, type SocketOptions } from '../../upstream/sockets.ts';
import { UpstreamBudget } from './upstream-budget.ts';
import { type LinkEvents, UpstreamFrames } from './upstream-frames.ts';
import { UpstreamSettings } from './upstream-settings.ts';

/** Time to send pending bytes when the connection ends, in milliseconds. */
const CLOSE_LINGER_MS = 1000;

/**
 * The upstream connection of one client connection: opened at the first permitted call, closed with the client's.
 * Its socket, and the frames that wait for window of the client; `UpstreamFrames` takes the others.
 */
export class UpstreamLink {
  readonly outbox = new Outbox();
  readonly #events: LinkEvents;
  readonly #reader = new FrameReader(DEFAULT_MAX_FRAME_SIZE, false, true);
  readonly #onFrame = (frame: Frame): void => this.#take(frame);
  #socket: Socket;
  #connected = false;
  #closed = false;
  readonly #settings: UpstreamSettings;
  readonly #frames: UpstreamFrames;
  readonly #guard: Guard;
  readonly #budget: UpstreamBudget;
  #backlog: Buffer[] = [];
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
    this.#settings = new UpstreamSettings(this.outbox, clientSettings);
    this.#frames = new UpstreamFrames(this.outbox, events, this.#settings, this.#budget);
    this.#socket = openSocket(address, options, {
      guard,
      opened: (socket) => this.#opened(socket),
      failed: (reason) => this.#lose(reason),
    });
  }

  /** A new stream id, in the order HEADERS are sent. */
  takeId(): number {
    return this.#frames.takeId();
  }

  /** A DATA frame of `bytes` bytes is sent: upstream may grant as much. */
  moved(bytes: number): void {
    this.#budget.moved(bytes);
  }

  /** Passes settings of the client to upstream; `upstreamAcknowledged` follows. */
  sendSettings(settings: readonly Setting[]): void {
    this.#settings.passOn(settings);
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
        this.#frames.take(frame);
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
    this.#events.upstreamOpened?.();
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
    this.#events.upstreamLost(reason, this.#connected, this.#settings.owed);
  }

  #take(frame: Frame): void {
    if (this.#closed) return;
    const waits = this.#backlog.length > 0 || (frame.type === FrameType.DATA && !this.#events.hasRoom(frame));
    if (!waits) {
      this.#frames.take(frame);
      return;
    }
    this.#backlog.push(frame.raw);
    this.#socket.pause();
  }
}
