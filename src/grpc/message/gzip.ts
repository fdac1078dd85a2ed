import { crc32, createInflateRaw, type InflateRaw, inflateRawSync } from 'node:zlib';
import { Guard } from '../../lifetime/guard.ts';
import { unreadableMessage } from '../../policy/denial.ts';
import { overLimit, WireFault } from './wire.ts';

/** Size of a gzip header without optional parts, and of the trailer with checksum and size (RFC 1952 section 2.3). */
const HEAD_BYTES = 10;
const TAIL_BYTES = 8;
/** Largest content that is inflated synchronously: bounds the time that other requests wait for it. */
const AT_ONCE_BYTES = 65_536;
/** Compressed bytes per slice. The content is at most a thousand times as large. */
const SLICE_BYTES = 4096;
/** Concurrent slices in the process. The thread pool has other work, and the event loop reads each result. */
const SLICES = 2;

/**
 * The content of a gzip file of exactly one member without optional header parts (no gRPC client writes any), or
 * `undefined` if it is too large to inflate synchronously. Throws `WireFault`; never inflates more than `limit` bytes.
 */
export function inflateAtOnce(bytes: Buffer, limit: number): Buffer | undefined {
  checkLength(bytes.length);
  checkHead(bytes);
  const inflated = inflate(bytes.subarray(HEAD_BYTES), Math.max(Math.min(limit, AT_ONCE_BYTES), 1));
  if (inflated === undefined && limit <= AT_ONCE_BYTES) throw tooLarge(limit);
  if (inflated === undefined) return undefined;
  const tail = HEAD_BYTES + inflated.used;
  if (bytes.length < tail + TAIL_BYTES) throw badGzip('unexpected end of file');
  if (bytes.length > tail + TAIL_BYTES) throw badGzip('bytes behind the first gzip member');
  checkTail(bytes.subarray(tail), crc32(inflated.content), inflated.content.length);
  return inflated.content;
}

/** `undefined` = the content is larger than `most`. */
function inflate(bytes: Buffer, most: number): { content: Buffer; used: number } | undefined {
  try {
    // `info` also returns the engine, which counts the bytes it consumed.
    const answer: unknown = inflateRawSync(bytes, { maxOutputLength: most, info: true });
    if (isInflated(answer)) return { content: answer.buffer, used: answer.engine.bytesWritten };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
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

/** Receives the content of a member. Each call is made inside `later`. */
export interface GzipSink {
  /** The next inflated bytes; valid during the call only. */
  content(bytes: Buffer): void;
  /** All bytes were pushed and inflated, and the checksum matches. */
  end(): void;
}

/**
 * Inflates a gzip file while its bytes arrive, in slices on another thread, under the rules of `inflateAtOnce`: one
 * member, no optional header parts, nothing after it. The length is known, so the bytes before the trailer must be
 * exactly one deflate stream.
 */
export class GzipMember {
  readonly #engine: InflateRaw = createInflateRaw();
  readonly #length: number;
  readonly #limit: number;
  readonly #sink: GzipSink;
  readonly #later: (step: () => void) => void;
  readonly #guard: Guard;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  readonly #tail = Buffer.alloc(TAIL_BYTES);
  /** Bytes pushed, bytes that wait for a slice, bytes inflated, and their checksum. */
  #taken = 0;
  #slices: Buffer[] = [];
  #writing = false;
  #hasSlot = false;
  #inflated = 0;
  #crc = 0;
  #closed = false;

  /**
   * @param length bytes of the file; @param limit most bytes of content; @param later runs a continuation and receives
   * its exceptions, after which no other follows. Throws `WireFault`, as `push` does.
   */
  constructor(length: number, limit: number, sink: GzipSink, later: (step: () => void) => void) {
    this.#length = length;
    this.#limit = limit;
    this.#sink = sink;
    this.#later = later;
    // A fault outside of a continuation also belongs to the reader; `later` counts it.
    const fail = (error: unknown): void =>
      this.#then(() => {
        throw error;
      });
    const guard = new Guard({ fail, cut: () => this.close() }, 'body', () => undefined);
    this.#guard = guard;
    this.#engine.on(
      'data',
      guard.entry((bytes: Buffer) => this.#then(() => this.#content(bytes))),
    );
    this.#engine.on(
      'end',
      guard.entry(() => this.#then(() => this.#end())),
    );
    this.#engine.on(
      'error',
      guard.entry(() => fail(badGzip('corrupt deflate stream'))),
    );
    checkLength(length);
  }

  /** True = pushed bytes have not been inflated yet. */
  get busy(): boolean {
    return this.#writing || this.#taken === this.#length;
  }

  /** Adds bytes, which must not change until they are inflated; never more than the file has. */
  push(bytes: Buffer): void {
    const start = this.#taken;
    const tailAt = this.#length - TAIL_BYTES;
    this.#taken += bytes.length;
    if (start < HEAD_BYTES) {
      bytes.copy(this.#head, start, 0, HEAD_BYTES - start);
      if (this.#taken >= HEAD_BYTES) checkHead(this.#head);
    }
    const deflated = bytes.subarray(Math.max(0, HEAD_BYTES - start), Math.max(0, tailAt - start));
    for (let at = 0; at < deflated.length; at += SLICE_BYTES) {
      this.#slices.push(deflated.subarray(at, at + SLICE_BYTES));
    }
    if (this.#taken > tailAt) {
      const from = Math.max(0, tailAt - start);
      bytes.copy(this.#tail, start + from - tailAt, from);
    }
    this.#inflate();
  }

  /** Cancels: no continuation follows. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#slices = [];
    this.#engine.destroy();
    this.#endTurn();
  }

  /** Inflates slice after slice, as slots become free. */
  #inflate(): void {
    if (this.#writing || this.#closed) return;
    const slice = this.#slices.shift();
    if (slice === undefined) {
      if (this.#taken === this.#length) this.#engine.end();
      return;
    }
    this.#writing = true;
    // INVARIANT: a slice starts within the end of another member's slice, whose owner must not receive exceptions of
    // this one.
    const written = this.#guard.entry<Error | null | undefined>(() => this.#written());
    slots.take(
      this.#guard.entry(() => {
        this.#hasSlot = true;
        if (this.#closed) this.#endTurn();
        else this.#engine.write(slice, written);
      }),
    );
  }

  #written(): void {
    this.#endTurn();
    this.#writing = false;
    this.#inflate();
    // An empty continuation: the owner of the pushed bytes checks `busy` again.
    if (!this.busy) this.#then(() => undefined);
  }

  #endTurn(): void {
    if (!this.#hasSlot) return;
    this.#hasSlot = false;
    slots.end();
  }

  #content(bytes: Buffer): void {
    this.#inflated += bytes.length;
    if (this.#inflated > this.#limit) throw tooLarge(this.#limit);
    this.#crc = crc32(bytes, this.#crc);
    this.#sink.content(bytes);
  }

  #end(): void {
    const deflated = this.#length - HEAD_BYTES - TAIL_BYTES;
    if (this.#taken < this.#length || this.#engine.bytesWritten !== deflated) {
      throw badGzip('bytes behind the first gzip member');
    }
    checkTail(this.#tail, this.#crc, this.#inflated);
    this.close();
    this.#sink.end();
  }

  #then(step: () => void): void {
    if (this.#closed) return;
    this.#later(() => {
      try {
        step();
      } catch (error) {
        this.close();
        throw error;
      }
    });
  }
}

/** A FIFO queue for the slots of `SLICES`. */
class SliceQueue {
  readonly #waiting: (() => void)[] = [];
  #free = SLICES;

  take(step: () => void): void {
    if (this.#free === 0) {
      this.#waiting.push(step);
      return;
    }
    this.#free -= 1;
    step();
  }

  end(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}

const slots = new SliceQueue();

function checkLength(length: number): void {
  if (length < HEAD_BYTES + TAIL_BYTES) throw badGzip('unexpected end of file');
}

function checkHead(bytes: Buffer): void {
  if (bytes.readUInt16BE(0) !== 0x1f8b || bytes[2] !== 8) throw badGzip('invalid gzip header');
  if (bytes[3] !== 0) throw badGzip('optional gzip header parts are not supported');
}

function checkTail(tail: Buffer, crc: number, size: number): void {
  if (tail.readUInt32LE(0) !== crc) throw badGzip('gzip checksum does not match');
  if (tail.readUInt32LE(4) !== size % 0x1_0000_0000) throw badGzip('gzip size does not match');
}

function badGzip(what: string): WireFault {
  return new WireFault(unreadableMessage('malformed_compression', `Error decompressing: ${what}`));
}

function tooLarge(limit: number): WireFault {
  return overLimit(`a compressed message may inflate to at most ${limit} bytes`);
}
