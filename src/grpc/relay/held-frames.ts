import { dataOf, Flag, FRAME_HEADER_BYTES, Frame, FrameType } from '../../http2/frames.ts';
import { writeFrameHeader } from '../../http2/write-frames.ts';

/** DATA frames with less than this are put together, since a frame of one byte costs a hundred to keep. */
export const SMALL_BYTES = 1024;
const ROOM_BYTES = 16_384;
/** A frame that is less than this part of the bytes it was received with is copied, so that it does not keep them all. */
const PART = 4;

const NONE: readonly Buffer[] = Object.freeze([]);

/**
 * DATA frames of one call that wait to be judged, as they will go upstream. Memory stays within a small multiple of
 * their bytes, however they were cut: small ones become one frame of the same bytes, so flow control does not notice. Small ones
 * with padding stay apart; the frame budget counts them.
 */
export class HeldFrames {
  #frames: Buffer[] | undefined;
  /** The last frame, when it is one put together here: with room behind it. */
  #room: Buffer | undefined;
  /** A lone frame where it was received, which costs nothing as long as the burst it came in is being read. */
  #lent: Frame | undefined;
  /** Bytes as flow control counts them, padding included. */
  bytes = 0;

  get isEmpty(): boolean {
    return this.#lent === undefined && this.#frames === undefined;
  }

  /** The frame that was lent; there is no other then. */
  get lent(): Frame | undefined {
    return this.#lent;
  }

  /** The frames in order, from the first byte of their header on. */
  get frames(): readonly Buffer[] {
    this.keep();
    return this.#frames ?? NONE;
  }

  /** Holds the first frame of a call that will go on within the burst; else `keep` has to be called before its end. */
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
    this.#lent = lent;
    this.bytes = frame.length;
  }

  /** Holds what was lent as any other. */
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
      const { raw, source } = frame;
      this.#frames ??= [];
      this.#frames.push(raw.length * PART < source.length ? Buffer.from(raw) : raw);
    } else {
      this.#append(this.#frames, frame, dataOf(frame));
    }
  }

  /** Empties it and tells what was held, in bytes. */
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
