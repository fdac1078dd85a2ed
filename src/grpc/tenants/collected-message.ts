import { type MessageLimits, MessageReader, type MessageSink, PREFIX_BYTES } from '../message/message.ts';
import { overLimit } from '../message/wire.ts';
import type { MessageRoom } from './message-room.ts';

/** First size of a buffer, in bytes. */
const FIRST_BYTES = 4096;

export interface CollectedMessageOptions {
  /** The first `grpc-encoding` header as it came; `undefined` = none. */
  readonly encoding: string | undefined;
  readonly limits: MessageLimits;
  /** Largest message, in bytes. */
  readonly mostBytes: number;
  readonly room: MessageRoom;
  /** The owner of its share of the room. */
  readonly owner: unknown;
  /** Runs a continuation after a wait (`busy`), and receives its exceptions. */
  readonly later: (step: () => void) => void;
}

/** One whole message of a unary call, decompressed. `push` and `end` throw `WireFault`; `close` must follow in any case. */
export class CollectedMessage implements MessageSink {
  readonly #options: CollectedMessageOptions;
  readonly #reader: MessageReader;
  #buffer = Buffer.allocUnsafe(PREFIX_BYTES + FIRST_BYTES);
  #used = PREFIX_BYTES;
  #most = Number.POSITIVE_INFINITY;
  /** Bytes of the room that it has. */
  #taken = 0;
  #isOpen = true;

  constructor(options: CollectedMessageOptions) {
    this.#options = options;
    const { encoding, limits, later } = options;
    this.#reader = new MessageReader({ encoding, limits, single: true, later }, this);
  }

  /** True = bytes are still being inflated. */
  get busy(): boolean {
    return this.#reader.busy;
  }

  /** True = the message is complete. */
  get isComplete(): boolean {
    return this.#reader.count === 1 && !this.#reader.busy;
  }

  /** The message with an uncompressed prefix. */
  get framed(): Buffer {
    this.#buffer.writeUInt8(0, 0);
    this.#buffer.writeUInt32BE(this.#used - PREFIX_BYTES, 1);
    return this.#buffer.subarray(0, this.#used);
  }

  push(bytes: Buffer): void {
    this.#reader.push(bytes);
  }

  end(): void {
    this.#reader.end();
  }

  open(length: number): void {
    this.#most = PREFIX_BYTES + length;
    // The reader limits a message whose length is only known at its end.
    const { mostBytes } = this.#options;
    if (Number.isFinite(length) && length > mostBytes) throw overLimit(`a message may be at most ${mostBytes} bytes`);
  }

  payload(bytes: Buffer): void {
    const needed = this.#used + bytes.length;
    if (needed > this.#buffer.length) {
      // An announced length is not exceeded, and memory grows with what has come.
      const wider = Buffer.allocUnsafeSlow(Math.min(this.#most, Math.max(needed, 2 * this.#buffer.length)));
      this.#take(wider.length);
      this.#buffer.copy(wider, 0, 0, this.#used);
      this.#buffer = wider;
    }
    bytes.copy(this.#buffer, this.#used);
    this.#used = needed;
  }

  close(): void {}

  /** Gives its room back. Idempotent. */
  release(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#reader.close();
    this.#options.room.give(this.#options.owner, this.#taken);
  }

  #take(bytes: number): void {
    const { room, owner } = this.#options;
    if (!room.take(owner, bytes - this.#taken)) throw overLimit('too many messages of tenants are being read');
    this.#taken = bytes;
  }
}
