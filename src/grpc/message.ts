import { crc32, inflateRawSync } from 'node:zlib';
import { unreadableMessage, unsupportedEncoding } from '../policy/denial.ts';
import { overLimit, WireFault } from './wire.ts';

/** Flag and length before every message. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
const PREFIX_BYTES = 5;
/** A gzip header without optional parts, and the checksum and size behind the data (RFC 1952, 2.3). */
const GZIP_HEAD_BYTES = 10;
const GZIP_TAIL_BYTES = 8;

export interface MessageLimits {
  /** Largest compressed message that is held to be inflated. Messages that are not compressed stream without limit. */
  readonly compressedBytes: number;
  /** Largest size a message may inflate to. */
  readonly inflatedBytes: number;
}

export const DEFAULT_MESSAGE_LIMITS: MessageLimits = Object.freeze({
  compressedBytes: 4 * 1024 * 1024,
  inflatedBytes: 16 * 1024 * 1024,
});

/** Receives the messages of one stream. What it throws passes through `push`. */
export interface MessageSink {
  /** A message begins; `length` counts its bytes after inflating. */
  open(length: number): void;
  /** The next bytes of it; valid during the call only. Together exactly `length`. */
  payload(bytes: Buffer): void;
  close(): void;
}

export interface MessageReaderOptions {
  /** The first `grpc-encoding` header as it came; `undefined` = none. */
  readonly encoding: string | undefined;
  readonly limits: MessageLimits;
  /** One message and no more, as in a unary call. */
  readonly single: boolean;
}

/**
 * Splits a request stream into its length-prefixed messages, whatever frames it comes in. Throws `WireFault`, also from
 * the constructor; after that it is of no more use.
 *
 * Upstream (tonic): any coding but gzip and identity is refused before a byte is read; the flag of each message decides
 * whether it is compressed. Of a gzip message upstream reads the first member and ignores the rest; here a rest is
 * refused, so that nobody can read another message than the one that was judged.
 */
export class MessageReader {
  readonly #gzip: boolean;
  readonly #limits: MessageLimits;
  readonly #single: boolean;
  readonly #sink: MessageSink;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixed = 0;
  #left = 0;
  #compressed: Buffer | undefined;
  #count = 0;

  constructor(options: MessageReaderOptions, sink: MessageSink) {
    const encoding = options.encoding ?? 'identity';
    if (encoding !== 'gzip' && encoding !== 'identity') {
      throw new WireFault(unsupportedEncoding(`Content is compressed with \`${encoding}\` which isn't supported`));
    }
    this.#gzip = encoding === 'gzip';
    this.#limits = options.limits;
    this.#single = options.single;
    this.#sink = sink;
  }

  /** Messages read to their end. */
  get count(): number {
    return this.#count;
  }

  /** The next bytes of the stream, prefixes included. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) at = this.#prefixed < PREFIX_BYTES ? this.#readPrefix(chunk, at) : this.#read(chunk, at);
  }

  /** The stream ended. */
  end(): void {
    if (this.#prefixed > 0) throw new WireFault(unreadableMessage('Unexpected EOF decoding stream.'));
    if (this.#single && this.#count === 0) throw new WireFault(unreadableMessage('Missing request message.'));
  }

  #readPrefix(chunk: Buffer, from: number): number {
    if (this.#single && this.#count > 0)
      throw new WireFault(unreadableMessage('more than one message in a unary call'));
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
    if (flag === 1) {
      if (length > this.#limits.compressedBytes) {
        throw overLimit(`a compressed message may be at most ${this.#limits.compressedBytes} bytes`);
      }
      // Grows as bytes arrive: the length alone must not cost memory.
      this.#compressed = Buffer.alloc(Math.min(length, 4096));
    } else {
      this.#sink.open(length);
    }
    if (length === 0) this.#close(0);
  }

  #read(chunk: Buffer, from: number): number {
    const end = Math.min(from + this.#left, chunk.length);
    if (this.#compressed) this.#hold(this.#compressed, chunk, from, end);
    else this.#sink.payload(from === 0 && end === chunk.length ? chunk : chunk.subarray(from, end));
    this.#left -= end - from;
    if (this.#left === 0) this.#close(this.#prefix.readUInt32BE(1));
    return end;
  }

  #hold(held: Buffer, chunk: Buffer, from: number, end: number): void {
    const length = this.#prefix.readUInt32BE(1);
    const used = length - this.#left;
    const needed = used + end - from;
    let room = held;
    if (needed > held.length) {
      room = Buffer.alloc(Math.min(length, Math.max(needed, held.length * 2)));
      held.copy(room, 0, 0, used);
      this.#compressed = room;
    }
    chunk.copy(room, used, from, end);
  }

  #close(length: number): void {
    if (this.#compressed) {
      const message = inflateMember(this.#compressed.subarray(0, length), this.#limits.inflatedBytes);
      this.#compressed = undefined;
      this.#sink.open(message.length);
      if (message.length > 0) this.#sink.payload(message);
    }
    this.#prefixed = 0;
    this.#count += 1;
    this.#sink.close();
  }
}

/**
 * The content of a gzip file of exactly one member without optional header parts (no gRPC client writes any).
 * Throws `WireFault`; never inflates more than `limit` bytes.
 */
export function inflateMember(bytes: Buffer, limit: number): Buffer {
  if (bytes.length < GZIP_HEAD_BYTES + GZIP_TAIL_BYTES) throw badGzip('unexpected end of file');
  if (bytes.readUInt16BE(0) !== 0x1f8b || bytes[2] !== 8) throw badGzip('invalid gzip header');
  if (bytes[3] !== 0) throw badGzip('optional gzip header parts are not supported');
  const { content, used } = inflate(bytes.subarray(GZIP_HEAD_BYTES), limit);
  const tail = GZIP_HEAD_BYTES + used;
  if (bytes.length < tail + GZIP_TAIL_BYTES) throw badGzip('unexpected end of file');
  if (bytes.length > tail + GZIP_TAIL_BYTES) throw badGzip('bytes behind the first gzip member');
  if (bytes.readUInt32LE(tail) !== crc32(content)) throw badGzip('gzip checksum does not match');
  if (bytes.readUInt32LE(tail + 4) !== content.length) throw badGzip('gzip size does not match');
  return content;
}

function inflate(bytes: Buffer, limit: number): { content: Buffer; used: number } {
  try {
    // With `info` the answer is the content and the engine, which knows how much it took.
    const answer: unknown = inflateRawSync(bytes, { maxOutputLength: Math.max(limit, 1), info: true });
    if (isInflated(answer)) return { content: answer.buffer, used: answer.engine.bytesWritten };
  } catch (error) {
    if (error instanceof RangeError) throw overLimit(`a compressed message may inflate to at most ${limit} bytes`);
    throw badGzip('corrupt deflate stream');
  }
  throw new TypeError('inflateRawSync gave no info');
}

interface Inflated {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

function isInflated(answer: unknown): answer is Inflated {
  return typeof answer === 'object' && answer !== null && 'buffer' in answer && 'engine' in answer;
}

function badGzip(what: string): WireFault {
  return new WireFault(unreadableMessage(`Error decompressing: ${what}`));
}

function invalidFlag(flag: number): WireFault {
  const valid = '(valid flags are 0 and 1), while sending request';
  return new WireFault(
    unreadableMessage(`protocol error: received message with invalid compression flag: ${flag} ${valid}`),
  );
}

function noEncoding(): WireFault {
  return new WireFault(
    unreadableMessage('protocol error: received message with compressed-flag but no grpc-encoding was specified'),
  );
}
