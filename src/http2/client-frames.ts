import type { WorkScheduler } from '../limits/work-scheduler.ts';
import type { ClientFault } from '../net/connections.ts';
import { type FrameKind, HEADS_TOO_LARGE, type Price } from './budget.ts';
import type { ClientSettings } from './client-settings.ts';
import {
  checkFrame,
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
  windowIncrementOf,
} from './frames.ts';
import type { Outbox } from './outbox.ts';
import { type RequestBlock, RequestBlocks } from './request-blocks.ts';
import { writePing } from './write-frames.ts';

/** Opaque bytes of the gateway's own PINGs. */
const OWN_PING = Buffer.from('gateway1', 'latin1');

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

/** The parts of a client connection (`ClientLink`) that its frames use. */
export interface FrameReceiver {
  readonly outbox: Outbox;
  /** Pays for a frame of the client's, by its kind or its price. Throws when the client has sent too much. */
  pay(kind: FrameKind): void;
  charge(price: Price): void;
  /** A call has begun: it earns a few frames. */
  called(): void;
  /** No further frame is handed on before this connection's next turn. */
  stopReading(): void;
}

export interface ClientFramesOptions {
  /** Limits of a header block. `headerCount`: pseudo-headers included. */
  readonly blocks: { readonly headerBytes: number; readonly headerCount: number };
  /** Milliseconds. */
  readonly clock: () => number;
  readonly scheduler: WorkScheduler;
  /** The share of its connection's turn that a request costs (`Cost`). */
  readonly callCost: number;
}

/**
 * Takes the frames of one client in their order (RFC 9113 sections 4.3, 5.1 and 6): checks them, charges for them, and hands
 * those of streams on. The frames of the connection end here (PING, PRIORITY, GOAWAY), but for SETTINGS and grants.
 * Its mirror is `UpstreamFrames`.
 */
export class ClientFrames<H> {
  readonly #receiver: FrameReceiver;
  readonly #events: ClientEvents<H>;
  readonly #settings: ClientSettings;
  readonly #blocks: RequestBlocks<H>;
  readonly #scheduler: WorkScheduler;
  readonly #callCost: number;
  #sawSettings = false;
  #expectedPongs = 0;
  #lastStreamId = 0;

  constructor(
    receiver: FrameReceiver,
    events: ClientEvents<H>,
    settings: ClientSettings,
    { blocks, clock, scheduler, callCost }: ClientFramesOptions,
  ) {
    this.#receiver = receiver;
    this.#events = events;
    this.#settings = settings;
    this.#blocks = new RequestBlocks(blocks, clock);
    this.#scheduler = scheduler;
    this.#callCost = callCost;
  }

  /** Highest stream id the client has opened. */
  get lastStreamId(): number {
    return this.#lastStreamId;
  }

  /** True once the client's preface is complete: its first SETTINGS frame has come. */
  get sawSettings(): boolean {
    return this.#sawSettings;
  }

  /** Milliseconds for which a header block has been incomplete; 0 = there is none. */
  blockAge(now: number): number {
    return this.#blocks.streamId === 0 ? 0 : now - this.#blocks.since;
  }

  /** Sends PING. `clientPonged` follows when the client has seen all that was sent before. */
  ping(): void {
    this.#expectedPongs += 1;
    this.#receiver.outbox.bytes(writePing(OWN_PING, false));
  }

  /** Takes the next frame. Throws `Http2Fault` for what ends the connection; a fault of one stream is an event. */
  take(frame: Frame): void {
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
      this.#receiver.charge(this.#events.resetPrice(error.streamId));
      this.#events.clientRefused(error.reason === HEADS_TOO_LARGE ? 'head_size' : 'stream');
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
        this.#receiver.pay('continuation');
        this.#read(this.#blocks.continuation(frame), frame.streamId);
        break;
      case FrameType.PRIORITY:
        this.#receiver.pay('priority');
        if (dependsOnItself(frame)) throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, frame.streamId, 'depends on itself');
        break;
      case FrameType.RST_STREAM:
        this.#knownStream(frame);
        this.#receiver.charge(this.#events.resetPrice(frame.streamId));
        this.#events.clientReset(frame.streamId, resetCodeOf(frame));
        break;
      case FrameType.SETTINGS:
        this.#takeSettings(frame);
        break;
      case FrameType.PING:
        this.#takePing(frame);
        break;
      case FrameType.WINDOW_UPDATE:
        if (frame.streamId !== 0) this.#knownStream(frame);
        this.#receiver.pay('window_update');
        this.#events.clientGrant(frame.streamId, windowIncrementOf(frame), frame);
        break;
      case FrameType.PUSH_PROMISE:
        throw protocol('clients cannot push');
      case FrameType.GOAWAY:
        // The client opens no more streams and closes when it is done.
        this.#receiver.pay('goaway');
        break;
      default:
        this.#receiver.pay('unknown');
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
      this.#receiver.called();
    }
    this.#events.clientHeaders(streamId, block, fresh, this.#blocks.ends);
    if (!this.#scheduler.spend(this.#callCost)) this.#receiver.stopReading();
  }

  #takePing(frame: Frame): void {
    if (!frame.has(Flag.ACK)) {
      this.#receiver.pay('ping');
      this.#receiver.outbox.bytes(writePing(frame.payload, true));
      return;
    }
    if (this.#expectedPongs === 0 || !isOwnPing(frame)) {
      this.#receiver.pay('ping_ack_unasked');
      return;
    }
    this.#receiver.pay('ping_ack');
    this.#expectedPongs -= 1;
    this.#events.clientPonged();
  }

  #takeSettings(frame: Frame): void {
    this.#sawSettings = true;
    if (frame.has(Flag.ACK)) {
      const asked = this.#settings.acknowledged();
      this.#receiver.pay(asked ? 'settings_ack' : 'settings_ack_unasked');
      if (asked === 'upstream') this.#events.clientAcknowledged();
      return;
    }
    this.#receiver.pay('settings');
    this.#events.clientSettings(parseSettings(frame.payload, 'client'));
  }
}

function isOwnPing(frame: Frame): boolean {
  const from = frame.start + FRAME_HEADER_BYTES;
  return frame.source.compare(OWN_PING, 0, 8, from, from + 8) === 0;
}

function protocol(reason: string): Http2Fault {
  return new Http2Fault(ErrorCode.PROTOCOL_ERROR, 0, reason);
}
