import { dataOf, Flag, FRAME_HEADER_BYTES, Frame, FrameType } from '../../http2/frames.ts';
import { writeFrameHeader } from '../../http2/write-frames.ts';

/** Smaller DATA frames are merged, since a frame of one byte costs a hundred to keep. */
export const SMALL_BYTES = 1024;
const ROOM_BYTES = 16_384;
/** A frame smaller than this part of its receive buffer is copied, so that it does not keep the whole buffer. */
const PART = 4;

const NONE: readonly Buffer[] = Object.freeze([]);

/**
 * DATA frames of one call that wait for its decision, in the form they will have upstream. Memory stays within a small
 * multiple of their bytes, however they were split: small frames are merged into one with the same number of bytes, so
 * flow control is unaffected. Small frames with padding are kept separate; the frame budget counts them.
 */
export class HeldFrames {
  #frames: Buffer[] | undefined;
  /** The last frame if it is a merged one, with spare capacity. */
  #room: Buffer | undefined;
  /** A single frame that is still in the receive buffer, at no cost while the current burst is read. */
  #lent: Frame | undefined;
  /** Bytes as flow control counts them, including padding. */
  bytes = 0;

  get isEmpty(): boolean {
    return this.#lent === undefined && this.#frames === undefined;
  }

  /** The lent frame; it is then the only one. */
  get lent(): Frame | undefined {
    return this.#lent;
  }

  /** The frames in order, headers included. */
  get frames(): readonly Buffer[] {
    this.keep();
    return this.#frames ?? NONE;
  }

  /**
   * Holds the first frame of a call that is decided within the burst; otherwise `keep` must be called before its end.
   */
  lend(frame: Frame): void {
    if (!this.isEmpty) {
      this.add(frame);
      return;
    }
    const lent = new Frame();
    lent.type = frame.type;
    lent.flags = frame.flags;
    lent.streamId = frame.streamId;
    lent.length = frame.length;
    lent.source = frame.source;
    lent.start = frame.start;
    lent.rest = frame.rest;
    lent.restEnd = frame.restEnd;
    this.lendOwn(lent);
  }

  /** The same for a frame that no other code uses. */
  lendOwn(frame: Frame): void {
    if (!this.isEmpty) {
      this.add(frame);
      return;
    }
    this.#lent = frame;
    this.bytes = frame.length;
  }

  /** Copies the lent frame. */
  keep(): void {
    const lent = this.#lent;
    if (lent === undefined) return;
    this.#lent = undefined;
    this.bytes = 0;
    this.add(lent);
  }

  add(frame: Frame): void {
    this.keep();
    this.bytes += frame.length;
    if (this.#frames === undefined || frame.has(Flag.PADDED) || frame.length >= SMALL_BYTES) {
      this.#room = undefined;
      const { raw, rest, source } = frame;
      this.#frames ??= [];
      this.#frames.push(rest === undefined && raw.length * PART < source.length ? Buffer.from(raw) : raw);
    } else {
      this.#append(this.#frames, frame, dataOf(frame));
    }
  }

  /** Removes all frames. Returns their bytes. */
  clear(): number {
    const { bytes } = this;
    if (bytes === 0 && this.isEmpty) return 0;
    this.#lent = undefined;
    this.#frames = undefined;
    this.#room = undefined;
    this.bytes = 0;
    return bytes;
  }

  #append(frames: Buffer[], frame: Frame, payload: Buffer): void {
    const last = this.#room === undefined ? undefined : frames.at(-1);
    const used = last === undefined ? 0 : last.length - FRAME_HEADER_BYTES;
    let room = this.#room;
    if (room === undefined || last === undefined || used + payload.length > ROOM_BYTES) {
      room = Buffer.allocUnsafe(FRAME_HEADER_BYTES + SMALL_BYTES);
      this.#put(room, 0, frame, payload);
      frames.push(room.subarray(0, FRAME_HEADER_BYTES + payload.length));
    } else {
      if (last.length + payload.length > room.length) {
        const wider = Buffer.allocUnsafe(FRAME_HEADER_BYTES + Math.min(ROOM_BYTES, 2 * (used + payload.length)));
        last.copy(wider);
        room = wider;
      }
      this.#put(room, used, frame, payload);
      frames[frames.length - 1] = room.subarray(0, last.length + payload.length);
    }
    this.#room = room;
  }

  #put(room: Buffer, used: number, frame: Frame, payload: Buffer): void {
    payload.copy(room, FRAME_HEADER_BYTES + used);
    writeFrameHeader(room, 0, used + payload.length, FrameType.DATA, frame.flags & Flag.END_STREAM, frame.streamId);
  }
}
