import type { Socket } from 'node:net';
import { FRAME_HEADER_BYTES, type Frame } from './frames.ts';

/** Bytes waiting in a socket above which the other side is no longer read. */
const HIGH_WATER_BYTES = 262_144;

/**
 * What is to be sent on one connection, written once per burst. Frames that lie next to each other in a received chunk
 * leave as one range of that chunk, without a copy. Before a socket is attached everything waits.
 */
export class Outbox {
  #socket: Socket | undefined;
  #queue: Buffer[] = [];
  #source: Buffer | undefined;
  #from = 0;
  #to = 0;

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
    this.#queue.push(bytes);
  }

  /** Hands everything to the socket in one write. */
  flush(): void {
    this.#closeRange();
    const socket = this.#socket;
    if (socket === undefined || this.#queue.length === 0) return;
    const queue = this.#queue;
    this.#queue = [];
    if (socket.destroyed || !socket.writable) return;
    const only = queue[0];
    if (queue.length === 1 && only) {
      socket.write(only);
      return;
    }
    socket.cork();
    for (const bytes of queue) socket.write(bytes);
    socket.uncork();
  }

  /** True while the peer does not take what it is sent: read no more of what would be sent to it. */
  get congested(): boolean {
    return this.#socket !== undefined && this.#socket.writableLength > HIGH_WATER_BYTES;
  }

  #closeRange(): void {
    if (this.#source === undefined) return;
    this.#queue.push(this.#source.subarray(this.#from, this.#to));
    this.#source = undefined;
  }
}
