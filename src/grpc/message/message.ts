import { unreadableMessage, unsupportedEncoding } from '../../policy/denial.ts';
import { GzipMember, inflateAtOnce } from './gzip.ts';
import { overLimit, WireFault } from './wire.ts';

/** Size of the flag and length before every message. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
export const PREFIX_BYTES = 5;
/** A compressed message up to this size is buffered and inflated at once; a larger one is inflated while it arrives. */
const HELD_BYTES = 16_384;

export interface MessageLimits {
  /** Largest compressed message, in bytes. Uncompressed messages have no limit. */
  readonly compressedBytes: number;
  /** Largest inflated size of a message, in bytes. */
  readonly inflatedBytes: number;
}

export const DEFAULT_MESSAGE_LIMITS: MessageLimits = Object.freeze({
  compressedBytes: 4 * 1024 * 1024,
  inflatedBytes: 16 * 1024 * 1024,
});

/** True = messages with this `grpc-encoding` can be read. `undefined` = no such header. */
export function isCarried(encoding: string | undefined): boolean {
  return encoding === undefined || encoding === 'gzip' || encoding === 'identity';
}

/**
 * Receives the messages of one stream. Its exceptions pass through `push`, or through a continuation given to `later`.
 */
export interface MessageSink {
  /** A message begins. `length` is its inflated size in bytes; infinite = known at its end. */
  open(length: number): void;
  /** The next bytes of the message, valid during the call only. Their sum is exactly `length`. */
  payload(bytes: Buffer): void;
  close(): void;
}

export interface MessageReaderOptions {
  /** The first `grpc-encoding` header as it came; `undefined` = none. */
  readonly encoding: string | undefined;
  readonly limits: MessageLimits;
  /** True = a unary call: exactly one message. */
  readonly single: boolean;
  /** Runs a continuation after a wait (`busy`), and receives its exceptions. */
  readonly later: (step: () => void) => void;
}

/**
 * Splits a request stream into its length-prefixed messages, independent of frames. Throws `WireFault`, also from the
 * constructor; after that only `close` may be called.
 *
 * Upstream (tonic): an encoding other than gzip and identity is refused before any byte is read; the flag of each
 * message tells whether it is compressed. Of a gzip message upstream reads the first member and ignores the rest; here
 * a rest is refused, so that upstream cannot read another message than the one that was checked.
 */
export class MessageReader {
  readonly #options: MessageReaderOptions;
  readonly #gzip: boolean;
  readonly #sink: MessageSink;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixed = 0;
  #left = 0;
  #compressed: Buffer | undefined;
  #member: GzipMember | undefined;
  /** Bytes that arrived while the end of a compressed message was being inflated. */
  #behind: Buffer[] = [];
  #ended = false;
  #count = 0;

  constructor(options: MessageReaderOptions, sink: MessageSink) {
    const { encoding } = options;
    if (!isCarried(encoding)) {
      throw new WireFault(unsupportedEncoding(`Content is compressed with \`${encoding}\` which isn't supported`));
    }
    this.#gzip = encoding === 'gzip';
    this.#options = options;
    this.#sink = sink;
  }

  /** Number of complete messages. */
  get count(): number {
    return this.#count;
  }

  /** True = pushed bytes are still being inflated. A continuation through `later` ends that. */
  get busy(): boolean {
    return this.#member?.busy ?? false;
  }

  /** Adds bytes of the stream, prefixes included; they must not change while the reader is busy. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#prefixed === PREFIX_BYTES && this.#left === 0) {
        if (this.#options.single) throw secondMessage();
        this.#behind.push(chunk.subarray(at));
        return;
      }
      at = this.#prefixed < PREFIX_BYTES ? this.#readPrefix(chunk, at) : this.#read(chunk, at);
    }
  }

  /** Ends the stream. While the reader is busy, its fault is thrown in a later continuation. */
  end(): void {
    this.#ended = true;
    if (this.#member?.busy) return;
    if (this.#prefixed > 0)
      throw new WireFault(unreadableMessage('malformed_frame', 'Unexpected EOF decoding stream.'));
    if (this.#options.single && this.#count === 0)
      throw new WireFault(unreadableMessage('malformed_frame', 'Missing request message.'));
  }

  /** Cancels: no continuation follows. */
  close(): void {
    this.#member?.close();
    this.#behind = [];
  }

  #readPrefix(chunk: Buffer, from: number): number {
    if (this.#options.single && this.#count > 0) throw secondMessage();
    const end = Math.min(from + PREFIX_BYTES - this.#prefixed, chunk.length);
    chunk.copy(this.#prefix, this.#prefixed, from, end);
    this.#prefixed += end - from;
    if (this.#prefixed === PREFIX_BYTES) this.#open(this.#prefix.readUInt8(0), this.#prefix.readUInt32BE(1));
    return end;
  }

  #open(flag: number, length: number): void {
    if (flag > 1) throw invalidFlag(flag);
    if (flag === 1 && !this.#gzip) throw noEncoding();
    this.#left = length;
    if (flag === 0) {
      this.#sink.open(length);
      if (length === 0) this.#close();
      return;
    }
    const { compressedBytes } = this.#options.limits;
    if (length > compressedBytes) throw overLimit(`a compressed message may be at most ${compressedBytes} bytes`);
    if (length > HELD_BYTES) this.#inflate(length);
    // Grows with the received bytes: the length alone must not allocate memory.
    else this.#compressed = Buffer.alloc(Math.min(length, 4096));
    if (length === 0) this.#inflateHeld(Buffer.alloc(0));
  }

  #read(chunk: Buffer, from: number): number {
    const end = Math.min(from + this.#left, chunk.length);
    this.#left -= end - from;
    if (this.#member) {
      this.#member.push(chunk.subarray(from, end));
    } else if (this.#compressed) {
      const held = this.#hold(this.#compressed, chunk, from, end);
      if (this.#left === 0) this.#inflateHeld(held);
    } else {
      this.#sink.payload(from === 0 && end === chunk.length ? chunk : chunk.subarray(from, end));
      if (this.#left === 0) this.#close();
    }
    return end;
  }

  /** Appends these bytes to the buffered part of the message. */
  #hold(held: Buffer, chunk: Buffer, from: number, end: number): Buffer {
    const length = this.#prefix.readUInt32BE(1);
    const needed = length - this.#left;
    const used = needed - (end - from);
    let buffer = held;
    if (needed > held.length) {
      buffer = Buffer.alloc(Math.min(length, Math.max(needed, held.length * 2)));
      held.copy(buffer, 0, 0, used);
      this.#compressed = buffer;
    }
    chunk.copy(buffer, used, from, end);
    return buffer.subarray(0, needed);
  }

  #inflateHeld(message: Buffer): void {
    const content = inflateAtOnce(message, this.#options.limits.inflatedBytes);
    this.#compressed = undefined;
    if (content === undefined) {
      this.#inflate(message.length).push(message);
      return;
    }
    this.#sink.open(content.length);
    if (content.length > 0) this.#sink.payload(content);
    this.#close();
  }

  #inflate(length: number): GzipMember {
    const { limits, later } = this.#options;
    const sink = { content: (bytes: Buffer) => this.#sink.payload(bytes), end: () => this.#inflated() };
    const member = new GzipMember(length, limits.inflatedBytes, sink, later);
    this.#sink.open(Number.POSITIVE_INFINITY);
    this.#member = member;
    return member;
  }

  /** A message has been inflated completely: continues with the bytes after it. */
  #inflated(): void {
    this.#member = undefined;
    this.#close();
    const behind = this.#behind;
    this.#behind = [];
    for (const chunk of behind) this.push(chunk);
    if (this.#ended) this.end();
  }

  #close(): void {
    this.#prefixed = 0;
    this.#count += 1;
    this.#sink.close();
  }
}

function secondMessage(): WireFault {
  return new WireFault(unreadableMessage('malformed_frame', 'more than one message in a unary call'));
}

function invalidFlag(flag: number): WireFault {
  const valid = '(valid flags are 0 and 1), while sending request';
  return new WireFault(
    unreadableMessage(
      'malformed_frame',
      `protocol error: received message with invalid compression flag: ${flag} ${valid}`,
    ),
  );
}

function noEncoding(): WireFault {
  return new WireFault(
    unreadableMessage(
      'malformed_frame',
      'protocol error: received message with compressed-flag but no grpc-encoding was specified',
    ),
  );
}
