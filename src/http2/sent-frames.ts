import { Flag, FRAME_HEADER_BYTES, FrameType } from './frames.ts';

/**
 * Follows the frames that a server writes to one connection, by their headers (RFC 9113 section 4.1), and tells which
 * streams have been ended by what has left.
 */
export class SentFrames {
  readonly #ended: (streamId: number) => void;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  #have = 0;
  /** Bytes of the current payload that have not come. */
  #left = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** The stream whose header block goes on in CONTINUATION frames and ends it; 0 = none. */
  #endsWithBlock = 0;

  /** @param ended told of each frame with END_STREAM once its last byte has come. Must not throw */
  constructor(ended: (streamId: number) => void) {
    this.#ended = ended;
  }

  /** The next bytes, in any pieces. */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const size = Math.min(this.#left, bytes.length - at);
        this.#left -= size;
        at += size;
      } else {
        at += this.#readHeader(bytes, at);
        if (this.#have > 0) return;
      }
      if (this.#left === 0) this.#endFrame();
    }
  }

  #readHeader(bytes: Buffer, at: number): number {
    const size = Math.min(FRAME_HEADER_BYTES - this.#have, bytes.length - at);
    const whole = size === FRAME_HEADER_BYTES;
    if (!whole) {
      bytes.copy(this.#header, this.#have, at, at + size);
      this.#have += size;
      if (this.#have < FRAME_HEADER_BYTES) return size;
      this.#have = 0;
    }
    const [source, from] = whole ? [bytes, at] : [this.#header, 0];
    this.#left = source.readUIntBE(from, 3);
    this.#type = source.readUInt8(from + 3);
    this.#flags = source.readUInt8(from + 4);
    this.#streamId = source.readUInt32BE(from + 5) & 0x7fff_ffff;
    return size;
  }

  #endFrame(): void {
    const last = (this.#flags & Flag.END_STREAM) !== 0;
    const block = (this.#flags & Flag.END_HEADERS) !== 0;
    if (this.#type === FrameType.DATA && last) this.#ended(this.#streamId);
    else if (this.#type === FrameType.HEADERS && last && block) this.#ended(this.#streamId);
    else if (this.#type === FrameType.HEADERS && last) this.#endsWithBlock = this.#streamId;
    else if (this.#type === FrameType.CONTINUATION && block && this.#endsWithBlock === this.#streamId) {
      this.#endsWithBlock = 0;
      this.#ended(this.#streamId);
    }
  }
}
