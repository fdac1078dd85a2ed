import type { Socket } from 'node:net';
import { type CopyArea, copyAreas } from './copy-areas.ts';
import { Flag, FRAME_HEADER_BYTES, type Frame } from './frames.ts';

/** Bytes waiting in a socket above which the other side is no longer read. */
const HIGH_WATER_BYTES = 262_144;

/** A piece up to this size is copied next to its neighbours: cheaper than one more buffer in the write. */
const COPIED_BYTES = 2_048;

/**
 * Bytes to be sent on one connection, written once per burst. Frames that lie next to each other in a received chunk
 * leave as one range of that chunk, without a copy; small pieces are gathered. Before a socket is attached everything
 * waits.
 */
export class Outbox {
  #socket: Socket | undefined;
  #queue: Buffer[] = [];
  /** Copied pieces behind what is queued: a part of an area. */
  #copied: CopyArea | undefined;
  #copiedFrom = 0;
  #copiedTo = 0;
  /** Areas that what is queued lies in, and those of each write that is under way. */
  #areas: CopyArea[] = [];
  readonly #inFlight: CopyArea[][] = [];
  readonly #written = (error?: Error | null): void => this.#release(error);
  /** The range behind them, which may still grow. */
  #source: Buffer | undefined;
  #from = 0;
  #to = 0;
  #handedOver = 0;
  /** Bytes that the peer had taken when that number last grew, and when (ms) that was. */
  #taken = 0;
  #takenAt = -1;

  /** Sends what waits on `socket` from now on. */
  attach(socket: Socket): void {
    this.#socket = socket;
    this.flush();
  }

  /** A received frame, as it stands in its source. The caller may have rewritten its stream id there. */
  frame(frame: Frame): void {
    this.range(frame.source, frame.start, frame.start + FRAME_HEADER_BYTES + frame.length);
  }

  /** A part of `source`. */
  range(source: Buffer, from: number, to: number): void {
    if (this.#source === source && this.#to === from) {
      this.#to = to;
      return;
    }
    this.#closeRange();
    this.#source = source;
    this.#from = from;
    this.#to = to;
  }

  /** Bytes of our own. */
  bytes(bytes: Buffer): void {
    this.#closeRange();
    this.#put(bytes, 0, bytes.length);
  }

  /** A HEADERS frame like `framed`, which stays as it is: one frame that ends its block, for another stream. */
  headersLike(framed: Buffer, streamId: number, endStream: boolean): void {
    this.#closeRange();
    if (framed.length > COPIED_BYTES) {
      const own = Buffer.from(framed);
      addressHead(own, 0, streamId, endStream);
      this.#put(own, 0, own.length);
      return;
    }
    const area = this.#copy(framed, 0, framed.length);
    addressHead(area.bytes, area.used - framed.length, streamId, endStream);
  }

  /** Hands everything to the socket in one write. */
  flush(): void {
    this.#closeRange();
    this.#closeCopied();
    const socket = this.#socket;
    if (socket === undefined || this.#queue.length === 0) return;
    const queue = this.#queue;
    const areas = this.#areas;
    this.#queue = [];
    this.#areas = [];
    if (socket.destroyed || !socket.writable) return;
    this.#inFlight.push(areas);
    const last = queue.length - 1;
    if (last > 0) socket.cork();
    for (const [at, bytes] of queue.entries()) {
      this.#handedOver += bytes.length;
      socket.write(bytes, at === last ? this.#written : undefined);
    }
    if (last > 0) socket.uncork();
  }

  /** True while the peer does not take what it is sent: read no more of what would be sent to it. */
  get congested(): boolean {
    return this.#socket !== undefined && this.#socket.writableLength > HIGH_WATER_BYTES;
  }

  /** Milliseconds for which the peer has taken nothing of what waits. To be asked now and then. @param now ms */
  stuckMs(now: number): number {
    const waiting = this.#socket?.writableLength ?? 0;
    const taken = this.#handedOver - waiting;
    if (waiting === 0 || taken !== this.#taken || this.#takenAt < 0) {
      this.#taken = taken;
      this.#takenAt = now;
    }
    return now - this.#takenAt;
  }

  #closeRange(): void {
    const source = this.#source;
    if (source === undefined) return;
    this.#source = undefined;
    this.#put(source, this.#from, this.#to);
  }

  #put(source: Buffer, from: number, to: number): void {
    if (to - from <= COPIED_BYTES) {
      this.#copy(source, from, to);
      return;
    }
    this.#closeCopied();
    this.#queue.push(from === 0 && to === source.length ? source : source.subarray(from, to));
  }

  /** Copies a small piece behind the one before it; returns the area that it now ends. */
  #copy(source: Buffer, from: number, to: number): CopyArea {
    const size = to - from;
    const area = copyAreas.withRoom(size, this.#copiedTo === this.#copiedFrom);
    if (this.#copied !== area || this.#copiedTo !== area.used) {
      this.#closeCopied();
      if (this.#areas.at(-1) !== area) this.#areas.push(area.hold());
      this.#copied = area;
      this.#copiedFrom = area.used;
    }
    source.copy(area.bytes, area.used, from, to);
    area.used += size;
    this.#copiedTo = area.used;
    return area;
  }

  #closeCopied(): void {
    const { bytes } = this.#copied ?? {};
    if (bytes && this.#copiedTo > this.#copiedFrom) this.#queue.push(bytes.subarray(this.#copiedFrom, this.#copiedTo));
    this.#copied = undefined;
    this.#copiedFrom = this.#copiedTo = 0;
  }

  /** Writes end in the order they began. What a failed one still holds is left to the garbage collector. */
  #release(error?: Error | null): void {
    const areas = this.#inFlight.shift();
    if (error || !areas) return;
    for (const area of areas) copyAreas.release(area);
  }
}

/** Writes flags and stream id into the head of a HEADERS frame that ends its block. */
function addressHead(target: Buffer, at: number, streamId: number, endStream: boolean): void {
  target[at + 4] = Flag.END_HEADERS | (endStream ? Flag.END_STREAM : 0);
  target.writeUInt32BE(streamId, at + 5);
}
