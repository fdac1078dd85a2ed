import {
  CLIENT_PREFACE,
  DEFAULT_MAX_FRAME_SIZE,
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  Frame,
  FrameType,
  Http2Fault,
  readUint31,
} from './frames.ts';

/** The places of type and flags in a frame header (RFC 9113 section 4.1). */
const TYPE_AT = 3;
const FLAGS_AT = 4;

/** Smaller frames are always given in one piece. */
const PIECES_BYTES = 2_048;
/** Of larger chunks not less than this part is kept for a frame: it keeps all of the chunk. */
const SMALL_CHUNK = 16_384;
const PART = 4;

const NOTHING = Buffer.alloc(0);

/** Receives one frame; the object is only valid until the callback returns. */
export type OnFrame = (frame: Frame) => void;

/**
 * Splits a byte stream into frames, independent of chunks. A frame within one chunk is not copied; one across chunks is
 * copied once, or given as two pieces. Checks only the length against the maximum; `checkFrame` checks the rest.
 */
export class FrameReader {
  readonly #frame = new Frame();
  /** A frame header across chunks, once there was one: few connections ever have one. */
  #head: Buffer | undefined;
  #headBytes = 0;
  /** The chunk in which a DATA frame begins whose other piece is to come, and where. */
  #lead: Buffer | undefined;
  #leadAt = 0;
  #partial: Buffer | undefined;
  #partialBytes = 0;
  /** Number of frames that did not come in one chunk. */
  #begun = 0;
  #prefaceBytes: number;
  readonly #pieces: boolean;
  #unusable = false;
  #stopped = false;

  /** Largest accepted payload, in bytes; raise it when the peer has acknowledged a larger SETTINGS_MAX_FRAME_SIZE. */
  maxFrameSize: number;

  /**
   * @param expectPreface the stream must begin with `CLIENT_PREFACE`, which is checked and not passed on
   * @param pieces DATA may come in two pieces (`Frame.rest`)
   */
  constructor(maxFrameSize: number = DEFAULT_MAX_FRAME_SIZE, expectPreface = false, pieces = false) {
    this.maxFrameSize = maxFrameSize;
    this.#prefaceBytes = expectPreface ? 0 : CLIENT_PREFACE.length;
    this.#pieces = pieces;
  }

  /**
   * Takes bytes and calls `onFrame` for each completed frame. Returns the number of bytes taken: all of them unless
   * `stop` was called; the rest must be pushed again. Throws `Http2Fault` FRAME_SIZE_ERROR as soon as a header
   * announces too much, and PROTOCOL_ERROR for a wrong preface. After any exception, including one of the callback, and
   * when called from within the callback, it throws INTERNAL_ERROR.
   */
  push(chunk: Buffer, onFrame: OnFrame): number {
    if (this.#unusable) throw new Http2Fault(ErrorCode.INTERNAL_ERROR, 0, 'frame reader has failed or is busy');
    this.#unusable = true;
    this.#stopped = false;
    let at = this.#takePreface(chunk);
    if (this.#lead !== undefined) at = this.#takeRest(this.#lead, chunk, onFrame);
    if (this.#headBytes > 0 || this.#partial !== undefined) at = this.#takePartial(chunk, at, onFrame);
    while (at + FRAME_HEADER_BYTES <= chunk.length && !this.#stopped) {
      const next = at + FRAME_HEADER_BYTES + this.#payloadBytes(chunk, at);
      if (next > chunk.length) {
        if (!this.#mayLead(chunk, at)) break;
        this.#lead = chunk;
        this.#leadAt = at;
        at = chunk.length;
        break;
      }
      this.#yield(chunk, at, onFrame);
      at = next;
    }
    if (at < chunk.length && !this.#stopped) at = this.#takePartial(chunk, at, onFrame);
    // An idle connection would keep all that was read with its last frame, from other connections too.
    this.#frame.source = NOTHING;
    this.#frame.rest = undefined;
    this.#unusable = false;
    return at;
  }

  /** For the callback: passes no further frame on, and `push` returns. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * The frame of which a part has come, as a number that no other frame of this reader has; 0 = none. DATA does not count, and
   * neither does a frame whose type has not come yet: the time for a body is another one.
   */
  get unfinished(): number {
    const known = this.#partial ?? (this.#headBytes > TYPE_AT ? this.#head : undefined);
    return known === undefined || known[TYPE_AT] === FrameType.DATA ? 0 : this.#begun;
  }

  #takePreface(chunk: Buffer): number {
    let at = 0;
    for (; at < chunk.length && this.#prefaceBytes < CLIENT_PREFACE.length; at++) {
      if (chunk[at] !== CLIENT_PREFACE[this.#prefaceBytes]) {
        throw new Http2Fault(ErrorCode.PROTOCOL_ERROR, 0, 'connection preface expected');
      }
      this.#prefaceBytes++;
    }
    return at;
  }

  /** May the frame at `at`, which ends in another chunk, come in two pieces? */
  #mayLead(chunk: Buffer, at: number): boolean {
    if (!this.#pieces || chunk[at + TYPE_AT] !== FrameType.DATA) return false;
    if (((chunk[at + FLAGS_AT] as number) & Flag.PADDED) !== 0) return false;
    if (chunk.length > SMALL_CHUNK && (chunk.length - at) * PART < chunk.length) return false;
    return this.#payloadBytes(chunk, at) >= PIECES_BYTES;
  }

  /** Gives the frame that began in `lead`, if the chunk has all of its rest; else what there is of it is copied. */
  #takeRest(lead: Buffer, chunk: Buffer, onFrame: OnFrame): number {
    this.#lead = undefined;
    const had = lead.length - this.#leadAt;
    const missing = FRAME_HEADER_BYTES + this.#payloadBytes(lead, this.#leadAt) - had;
    if (missing <= chunk.length) {
      this.#yield(lead, this.#leadAt, onFrame, chunk, missing);
      return missing;
    }
    this.#partial = Buffer.allocUnsafe(had + missing);
    this.#partialBytes = lead.copy(this.#partial, 0, this.#leadAt);
    return 0;
  }

  /** Completes a frame across chunks. Returns the offset after its bytes in the chunk. */
  #takePartial(chunk: Buffer, start: number, onFrame: OnFrame): number {
    let at = start;
    if (this.#partial === undefined) {
      if (this.#headBytes === 0) this.#begun += 1;
      this.#head ??= Buffer.alloc(FRAME_HEADER_BYTES);
      const copied = chunk.copy(this.#head, this.#headBytes, at);
      at += copied;
      this.#headBytes += copied;
      if (this.#headBytes < FRAME_HEADER_BYTES) return at;
      // Not reused: bytes passed on may wait in a socket's write queue.
      this.#partial = Buffer.allocUnsafe(FRAME_HEADER_BYTES + this.#payloadBytes(this.#head, 0));
      this.#head.copy(this.#partial);
      this.#partialBytes = FRAME_HEADER_BYTES;
      this.#headBytes = 0;
    }
    const copied = chunk.copy(this.#partial, this.#partialBytes, at);
    this.#partialBytes += copied;
    if (this.#partialBytes === this.#partial.length) {
      const whole = this.#partial;
      this.#partial = undefined;
      this.#yield(whole, 0, onFrame);
    }
    return at + copied;
  }

  #payloadBytes(source: Buffer, at: number): number {
    const bytes = ((source[at] as number) << 16) | ((source[at + 1] as number) << 8) | (source[at + 2] as number);
    if (bytes > this.maxFrameSize) {
      throw new Http2Fault(ErrorCode.FRAME_SIZE_ERROR, 0, 'frame is larger than the maximum frame size');
    }
    return bytes;
  }

  #yield(source: Buffer, at: number, onFrame: OnFrame, rest?: Buffer, restEnd = 0): void {
    const frame = this.#frame;
    frame.source = source;
    frame.rest = rest;
    frame.restEnd = restEnd;
    frame.start = at;
    frame.length = ((source[at] as number) << 16) | ((source[at + 1] as number) << 8) | (source[at + 2] as number);
    frame.type = source[at + TYPE_AT] as number;
    frame.flags = source[at + FLAGS_AT] as number;
    frame.streamId = readUint31(source, at + 5);
    onFrame(frame);
  }
}
