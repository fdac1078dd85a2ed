import {
  checkFrame,
  dataBytesOf,
  ErrorCode,
  Flag,
  type Frame,
  FrameType,
  goawayOf,
  Http2Fault,
  parseSettings,
  resetCodeOf,
  type Setting,
  windowIncrementOf,
} from '../../http2/frames.ts';
import type { Outbox } from '../../http2/outbox.ts';
import { writePing, writeSettingsAck } from '../../http2/write-frames.ts';
import { type AnswerBlock, AnswerBlocks } from '../headers/answer-blocks.ts';
import { SMALL_BYTES } from './held-frames.ts';
import type { UpstreamBudget } from './upstream-budget.ts';
import { settingsForClient, type UpstreamSettings } from './upstream-settings.ts';

/** Events of the upstream connection for its client connection. Stream ids are upstream's. */
export interface LinkEvents {
  /** The connection is established. */
  upstreamOpened?(): void;
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
 * Takes the frames of upstream in their order (RFC 9113 sections 4.3, 5.1 and 6): checks them, charges for them, and passes
 * on those of streams. The frames of the connection end here (PING, unknown ones), except GOAWAY, grants, and settings
 * that concern the client. Its mirror is `ClientFrames`.
 */
export class UpstreamFrames {
  readonly #outbox: Outbox;
  readonly #events: LinkEvents;
  readonly #settings: UpstreamSettings;
  readonly #budget: UpstreamBudget;
  readonly #answers = new AnswerBlocks();
  #sawSettings = false;
  #nextId = 1;

  constructor(outbox: Outbox, events: LinkEvents, settings: UpstreamSettings, budget: UpstreamBudget) {
    this.#outbox = outbox;
    this.#events = events;
    this.#settings = settings;
    this.#budget = budget;
  }

  /** A new stream id, in the order HEADERS are sent. From now on upstream may send frames of it. */
  takeId(): number {
    const id = this.#nextId;
    this.#nextId += 2;
    this.#budget.called();
    return id;
  }

  /**
   * Takes the next frame. Throws `Http2Fault` for a fault that ends the connection; a fault of one stream is an event.
   */
  take(frame: Frame): void {
    if (this.#answers.streamId !== 0 && frame.type !== FrameType.CONTINUATION) throw fault('header block interrupted');
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
        this.#takeData(frame);
        break;
      case FrameType.HEADERS:
        this.#openedStream(frame);
        this.#read(this.#answers.headers(frame), frame.streamId);
        break;
      case FrameType.CONTINUATION:
        if (this.#answers.streamId === 0 || frame.streamId !== this.#answers.streamId)
          throw fault('continuation without headers');
        this.#budget.pay('continuation');
        this.#read(this.#answers.continuation(frame), frame.streamId);
        break;
      case FrameType.RST_STREAM:
        this.#openedStream(frame);
        if (!this.#events.upstreamReset(frame.streamId, resetCodeOf(frame))) this.#budget.pay('reset_closed');
        break;
      case FrameType.SETTINGS:
        this.#takeSettings(frame);
        break;
      case FrameType.PING:
        this.#budget.pay(frame.has(Flag.ACK) ? 'ping_ack_unasked' : 'ping');
        if (!frame.has(Flag.ACK)) this.#outbox.bytes(writePing(frame.payload, true));
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
  #takeData(frame: Frame): void {
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

  #read(block: AnswerBlock | undefined, streamId: number): void {
    if (block === undefined) return;
    if (block.isInterim) this.#budget.pay('headers_interim');
    if (!this.#events.upstreamHeaders(streamId, block, this.#answers.ends)) this.#budget.pay('headers_closed');
  }

  #takeSettings(frame: Frame): void {
    this.#sawSettings = true;
    if (frame.has(Flag.ACK)) {
      const asked = this.#settings.acknowledged();
      if (!asked) this.#budget.pay('settings_ack_unasked');
      if (asked === 'client') this.#events.upstreamAcknowledged();
      return;
    }
    this.#budget.pay('settings');
    const settings = settingsForClient(parseSettings(frame.payload, 'server'));
    if (settings.length === 0) this.#outbox.bytes(writeSettingsAck());
    else this.#events.upstreamSettings(settings);
  }
}

function fault(reason: string): Http2Fault {
  return new Http2Fault(ErrorCode.PROTOCOL_ERROR, 0, reason);
}
