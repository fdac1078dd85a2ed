import { ErrorCode, Http2Fault } from '../../http2/frames.ts';

/** The part of a window after which its credit is returned in one WINDOW_UPDATE. */
const RETURN_PART = 4;
/** Where less than such a part is left, so many bytes are enough. */
const LITTLE = 16_384;

/**
 * One flow-control window of what a client sends: of a stream, or of the connection (RFC 9113 section 5.2). Sizes in bytes.
 * INVARIANT: at most `size` bytes are received and not consumed.
 */
export class ReceiveWindow {
  readonly #streamId: number;
  #size: number;
  /** Bytes that the client may still send. */
  #left: number;
  #unused = 0;
  /** Bytes that were consumed and not granted anew. */
  #consumed = 0;

  /** @param streamId 0 = the connection @param size what the client starts from */
  constructor(streamId: number, size: number) {
    this.#streamId = streamId;
    this.#size = size;
    this.#left = size;
  }

  get size(): number {
    return this.#size;
  }

  /** The client may send no more before it is granted more. */
  get exhausted(): boolean {
    return this.#left === 0;
  }

  /** Bytes that were received and not consumed. */
  get unused(): number {
    return this.#unused;
  }

  /** May so many bytes come? */
  fits(bytes: number): boolean {
    return bytes <= this.#left;
  }

  /** DATA arrived, padding included. Throws `Http2Fault` when it exceeds the window. */
  received(bytes: number): void {
    if (bytes > this.#left) throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, this.#streamId, 'window exceeded');
    this.#left -= bytes;
    this.#unused += bytes;
  }

  /** Bytes of it are used, or thrown away. Returns the increment to send now; 0 = none yet. */
  consumed(bytes: number): number {
    this.#consumed += bytes;
    this.#unused -= bytes;
    return this.#consumed * RETURN_PART < this.#size ? 0 : this.#granted();
  }

  /** The increment to send now where little is left: bytes that stay unused would hold up the others. 0 = none. */
  urgent(): number {
    return this.#consumed < LITTLE || this.#left * RETURN_PART >= this.#size ? 0 : this.#granted();
  }

  #granted(): number {
    const increment = this.#consumed;
    this.#consumed = 0;
    this.#left += increment;
    return increment;
  }

  /** Makes the window larger. Returns the increment to send. */
  grow(size: number): number {
    const increment = Math.max(0, size - this.#size);
    this.#size += increment;
    this.#left += increment;
    return increment;
  }
}
