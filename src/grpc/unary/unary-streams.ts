import { ErrorCode, FRAME_HEADER_BYTES, type Setting, SettingId } from '../../http2/frames.ts';
import { encodeHeaders } from '../../http2/hpack.ts';
import { frameHeaders, writeData, writeRstStream } from '../../http2/write-frames.ts';
import type { UpstreamLink } from '../relay/upstream-link.ts';
import { type UnaryCall, WINDOW, widened } from './unary-call.ts';

/** Above this id a new connection is opened, long before ids are exhausted (RFC 9113 section 5.1.1). */
const LAST_STREAM_ID = 0x3fff_ffff;

/** The calls of one connection as streams, sent within upstream's limits and windows. Nothing is flushed here. */
export class UnaryStreams {
  readonly #link: UpstreamLink;
  /** Calls without a stream, oldest first; and calls by stream id until upstream has ended the stream. */
  readonly #waiting = new Set<UnaryCall>();
  readonly #open = new Map<number, UnaryCall>();
  #sendWindow = WINDOW;
  #streamWindow = WINDOW;
  #mostStreams = Number.POSITIVE_INFINITY;
  /** True = stream ids are used up. */
  isExhausted = false;

  constructor(link: UpstreamLink) {
    this.#link = link;
  }

  /** The call of a stream that upstream has not ended; `undefined` = none. */
  get(streamId: number): UnaryCall | undefined {
    return this.#open.get(streamId);
  }

  /** Calls without a complete answer. */
  all(): Iterable<UnaryCall> {
    return this.#open.values();
  }

  add(call: UnaryCall): void {
    this.#waiting.add(call);
    this.#sendWaiting();
  }

  /** Applies upstream's settings. Throws `Http2Fault` if a window overflows. */
  take(settings: readonly Setting[]): void {
    for (const [id, value] of settings) {
      if (id === SettingId.MAX_CONCURRENT_STREAMS) this.#mostStreams = value;
      if (id !== SettingId.INITIAL_WINDOW_SIZE) continue;
      for (const call of this.#open.values()) call.sendWindow = widened(call.sendWindow, value - this.#streamWindow, 0);
      this.#streamWindow = value;
    }
    this.#sendWaiting();
    this.#sendAll();
  }

  /** Applies a grant of upstream; stream 0 is the connection. Throws `Http2Fault` if a window overflows. */
  granted(streamId: number, bytes: number): void {
    if (streamId === 0) {
      this.#sendWindow = widened(this.#sendWindow, bytes, 0);
      this.#sendAll();
      return;
    }
    const call = this.#open.get(streamId);
    if (!call) return;
    call.sendWindow = widened(call.sendWindow, bytes, streamId);
    this.#sendData(call);
  }

  /** Upstream has ended its side: the rest of the message is not sent. */
  ended(call: UnaryCall): void {
    if (!this.#open.delete(call.streamId)) return;
    if (call.unsent.length > 0) this.#reset(call);
    this.#sendWaiting();
  }

  /** Upstream has reset the stream. */
  wasReset(call: UnaryCall): void {
    this.#open.delete(call.streamId);
    this.#sendWaiting();
  }

  /** Ends a call and resets its stream, if it has one. */
  cancel(call: UnaryCall): void {
    this.#waiting.delete(call);
    if (!this.#open.delete(call.streamId)) return;
    this.#reset(call);
    this.#sendWaiting();
  }

  /** Upstream serves no stream above this one: removes those calls and the waiting ones, without a reset. */
  forgetAbove(lastStreamId: number): void {
    this.#waiting.clear();
    for (const id of this.#open.keys()) if (id > lastStreamId) this.#open.delete(id);
  }

  #sendWaiting(): void {
    for (const call of this.#waiting) {
      if (this.#open.size >= this.#mostStreams) return;
      this.#waiting.delete(call);
      call.streamId = this.#link.takeId();
      call.sendWindow = this.#streamWindow;
      this.isExhausted = call.streamId >= LAST_STREAM_ID;
      this.#open.set(call.streamId, call);
      this.#link.outbox.bytes(frameHeaders(encodeHeaders(call.head, FRAME_HEADER_BYTES), call.streamId, false));
      this.#sendData(call);
    }
  }

  #sendAll(): void {
    for (const call of this.#open.values()) this.#sendData(call);
  }

  #sendData(call: UnaryCall): void {
    const { unsent } = call;
    const bytes = Math.min(this.#sendWindow, call.sendWindow, unsent.length);
    if (bytes <= 0) return;
    this.#link.outbox.bytes(writeData(call.streamId, unsent.subarray(0, bytes), bytes === unsent.length));
    this.#link.moved(bytes);
    this.#sendWindow -= bytes;
    call.sendWindow -= bytes;
    call.unsent = unsent.subarray(bytes);
  }

  #reset({ streamId }: UnaryCall): void {
    this.#link.outbox.bytes(writeRstStream(streamId, ErrorCode.CANCEL));
  }
}
