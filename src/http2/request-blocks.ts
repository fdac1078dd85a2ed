import { ErrorCode, Flag, FRAME_HEADER_BYTES, type Frame, Http2Fault, headerFragmentOf } from './frames.ts';
import { type HeaderBlock, HeaderBlocks } from './header-blocks.ts';

/** A header block of a client. `meaning`: its request head `H`, parsed once per distinct block; a string is the parse error. */
export type RequestBlock<H> = HeaderBlock<H | string>;

/** Assembles and decodes the header blocks of a client connection, which may come in several frames. */
export class RequestBlocks<H> {
  readonly #blocks: HeaderBlocks<H | string>;
  readonly #maxBytes: number;
  readonly #clock: () => number;
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** The stream of an incomplete block, 0 = none; and the time (ms) when it began. */
  streamId = 0;
  since = 0;
  /** True = the last block ends its stream. */
  ends = false;

  constructor(limits: { readonly headerBytes: number; readonly headerCount: number }, clock: () => number) {
    this.#maxBytes = limits.headerBytes;
    this.#clock = clock;
    this.#blocks = new HeaderBlocks({ maxHeaderBytes: limits.headerBytes, maxHeaders: limits.headerCount });
  }

  /** Takes a HEADERS frame. Returns the block if it is complete. */
  headers(frame: Frame): RequestBlock<H> | undefined {
    this.ends = frame.has(Flag.END_STREAM);
    if (frame.has(Flag.END_HEADERS) && !frame.has(Flag.PADDED | Flag.PRIORITY)) {
      const from = frame.start + FRAME_HEADER_BYTES;
      this.#checkBytes(frame.length);
      return this.#blocks.read(frame.source, from, from + frame.length);
    }
    this.streamId = frame.streamId;
    this.since = this.#clock();
    return this.#gather(frame, headerFragmentOf(frame));
  }

  /** Takes a CONTINUATION frame of the stream `streamId`. Returns the block if it is complete. */
  continuation(frame: Frame): RequestBlock<H> | undefined {
    return this.#gather(frame, frame.payload);
  }

  #gather(frame: Frame, fragment: Buffer): RequestBlock<H> | undefined {
    this.#bytes += fragment.length;
    this.#checkBytes(this.#bytes);
    this.#pieces.push(fragment);
    if (!frame.has(Flag.END_HEADERS)) return undefined;
    const block = this.#pieces.length === 1 ? fragment : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    this.streamId = 0;
    return this.#blocks.read(block, 0, block.length);
  }

  /** Above the limit nothing is kept; the block cannot be decoded then, so the connection ends. */
  #checkBytes(bytes: number): void {
    if (bytes > this.#maxBytes) throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, 'header block too large');
  }
}
