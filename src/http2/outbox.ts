import type { Socket } from 'node:net';
import { fillsMemory, freeMemory } from '../net/written-bytes.ts';
import { type CopyArea, copyAreas } from './copy-areas.ts';
import { Flag, FRAME_HEADER_BYTES, type Frame } from './frames.ts';

/** Queued bytes in a socket above which the other side is not read. */
const HIGH_WATER_BYTES = 262_144;
/** Bytes in the queues up to which an answer that is there as a whole is handed to them; more than a socket queues without a 'drain'. */
const OWN_BYTES = 131_072;

/** A piece up to this size is copied next to its neighbours, which costs less than another buffer in the write. */
const COPIED_BYTES = 2_048;
const NOTHING: readonly Buffer[] = Object.freeze([]);

/**
 * The output of one connection, one write per burst. Adjacent frames of a received chunk are sent as one range of it,
 * without a copy; small pieces are gathered. Everything waits until a socket is attached.
 */
export class Outbox {
  #socket: Socket | undefined;
  #queue: Buffer[] = [];
  #queued = 0;
  /** The copied pieces at the end of the queue: a part of an area. */
  #copied: CopyArea | undefined;
  #copiedFrom = 0;
  #copiedTo = 0;
  /** Memory of the queued pieces that is used again, or freed, once they are written; the same of each pending write. */
  #areas: CopyArea[] = [];
  #freed: Buffer[] | undefined;
  readonly #inFlight: { readonly areas: CopyArea[]; readonly freed: Buffer[] | undefined }[] = [];
  readonly #written = (error?: Error | null): void => this.#release(error);
  /** The last range, which may still grow. */
  #source: Buffer | undefined;
  #from = 0;
  #to = 0;
  #once = false;
  #handedOver = 0;
  /** Number of bytes the peer had accepted when it last grew, and that time (ms). */
  #taken = 0;
  #takenAt = -1;

  /** Sends queued and later output on `socket`. */
  attach(socket: Socket): void {
    this.#socket = socket;
    this.flush();
  }

  /**
   * Queues a received frame in place. The caller may have rewritten its stream id there.
   *
   * @param once no other code uses its bytes: the memory of a chunk whose frames are all of this kind is freed once it is written
   */
  frame({ source, start, length, rest, restEnd }: Frame, once = false): void {
    this.range(source, start, Math.min(source.length, start + FRAME_HEADER_BYTES + length), once);
    if (rest) this.range(rest, 0, restEnd, once);
  }

  /** Queues a part of `source`. @param once as with `frame` */
  range(source: Buffer, from: number, to: number, once = false): void {
    const begun = this.#source;
    if (begun === source && this.#to === from) {
      this.#to = to;
      this.#once &&= once;
      return;
    }
    // Node cuts what it reads over TLS from pieces of memory: neighbours in one leave as one.
    if (begun && begun.byteOffset + this.#to === source.byteOffset + from && begun.buffer === source.buffer) {
      this.#to += to - from;
      this.#once &&= once;
      return;
    }
    this.#closeRange();
    this.#source = source;
    this.#from = from;
    this.#to = to;
    this.#once = once;
  }

  /** Frees the memory of `bytes`, if they are all there is in it, once all that is queued is written. No other code may use them. */
  free(bytes: Buffer): void {
    this.#freeFilled(bytes, 0, bytes.length);
  }

  /** The same for `source[from, to)`, with what was queued before of the same memory. */
  #freeFilled(source: Buffer, from: number, to: number): void {
    if (!fillsMemory(this, source, from, to)) return;
    this.#freed ??= [];
    this.#freed.push(source);
  }

  /** Queues bytes of the gateway. */
  bytes(bytes: Buffer): void {
    this.#closeRange();
    this.#put(bytes, 0, bytes.length);
  }

  /**
   * Queues a HEADERS frame like `framed` (a single frame with END_HEADERS) for another stream. `framed` is not changed.
   */
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

  /** Bytes that wait for `flush`. */
  get waiting(): number {
    return this.#queued + this.#to - this.#from + this.#copiedTo - this.#copiedFrom;
  }

  /** Passes everything to the socket in one write. */
  flush(): void {
    this.#closeRange();
    this.#closeCopied();
    const socket = this.#socket;
    if (socket === undefined || this.#queue.length === 0) return;
    const queue = this.#queue;
    const areas = this.#areas;
    const freed = this.#freed;
    this.#queue = [];
    this.#queued = 0;
    this.#areas = [];
    this.#freed = undefined;
    if (socket.destroyed || !socket.writable) return;
    this.#inFlight.push({ areas, freed });
    const last = queue.length - 1;
    if (last > 0) socket.cork();
    for (const [at, bytes] of queue.entries()) {
      this.#handedOver += bytes.length;
      socket.write(bytes, at === last ? this.#written : undefined);
    }
    if (last > 0) socket.uncork();
  }

  /** True = the peer does not accept its data: do not read its sources. */
  get congested(): boolean {
    return this.#socket !== undefined && this.#socket.writableLength > HIGH_WATER_BYTES;
  }

  /** Bytes of an answer of the gateway that may be queued now. 0, with nothing that waits for `flush` = the socket will drain. */
  get room(): number {
    return Math.max(0, OWN_BYTES - this.waiting - (this.#socket?.writableLength ?? 0));
  }

  /** Time without accepted data while some is queued, in milliseconds. To be called periodically. @param now ms */
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
    const [from, to] = [this.#from, this.#to];
    this.#source = undefined;
    this.#from = this.#to = 0;
    const { length } = source;
    if (to <= length) this.#put(source, from, to);
    else this.#put(Buffer.from(source.buffer, source.byteOffset + from, to - from), 0, to - from);
    if (this.#once) this.#freeFilled(source, from, to);
  }

  #put(source: Buffer, from: number, to: number): void {
    if (to - from <= COPIED_BYTES) {
      this.#copy(source, from, to);
      return;
    }
    this.#closeCopied();
    this.#queue.push(from === 0 && to === source.length ? source : source.subarray(from, to));
    this.#queued += to - from;
  }

  /** Copies a small piece after the previous one. Returns the area at whose end it is. */
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
    if (bytes && this.#copiedTo > this.#copiedFrom) {
      this.#queue.push(bytes.subarray(this.#copiedFrom, this.#copiedTo));
      this.#queued += this.#copiedTo - this.#copiedFrom;
    }
    this.#copied = undefined;
    this.#copiedFrom = this.#copiedTo = 0;
  }

  /** Writes end in order. A failed one leaves its memory to the garbage collector. */
  #release(error?: Error | null): void {
    const written = this.#inFlight.shift();
    if (error || !written) return;
    for (const area of written.areas) copyAreas.release(area);
    for (const bytes of written.freed ?? NOTHING) freeMemory(bytes);
  }
}

/** Writes flags and stream id into the head of a HEADERS frame that ends its block. */
function addressHead(target: Buffer, at: number, streamId: number, endStream: boolean): void {
  target[at + 4] = Flag.END_HEADERS | (endStream ? Flag.END_STREAM : 0);
  target.writeUInt32BE(streamId, at + 5);
}
