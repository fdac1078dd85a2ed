import { crc32, createInflateRaw, type InflateRaw, inflateRawSync } from 'node:zlib';
import { Guard } from '../../lifetime/guard.ts';
import { unreadableMessage } from '../../policy/denial.ts';
import { overLimit, WireFault } from './wire.ts';

/** A gzip header without optional parts, and the checksum and size behind the data (RFC 1952, 2.3). */
const HEAD_BYTES = 10;
const TAIL_BYTES = 8;
/** What is inflated in one go at most: the longest that anybody else waits for a message that is inflated at once. */
const AT_ONCE_BYTES = 65_536;
/** Compressed bytes inflated in one turn; they give at most a thousand times as much. */
const SLICE_BYTES = 4096;
/** Turns at the same time in the whole process: other work needs the threads, and the loop reads what comes of each. */
const TURNS = 2;

/**
 * The content of a gzip file of exactly one member without optional header parts (no gRPC client writes any), or
 * `undefined` when there is too much of it to be inflated at once. Throws `WireFault`; never inflates more than `limit`
 * bytes.
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
    // With `info` the answer is the content and the engine, which knows how much it took.
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

/** Receives a member's content. Each call is made inside `later`. */
export interface GzipSink {
  /** The next inflated bytes; valid during the call only. */
  content(bytes: Buffer): void;
  /** All bytes were pushed, inflated and found right. */
  end(): void;
}

/**
 * Inflates a gzip file as its bytes come, in slices and on another thread, under the rules of `inflateAtOnce`: one
 * member, no optional header parts, nothing behind it. The length is known, so what is before the tail has to be exactly
 * one deflate stream.
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
  /** Bytes taken, those of them that wait for a turn, bytes inflated and their checksum. */
  #taken = 0;
  #slices: Buffer[] = [];
  #writing = false;
  #hasTurn = false;
  #inflated = 0;
  #crc = 0;
  #closed = false;

  /**
   * @param length bytes of the file; @param limit bytes it may inflate to; @param later runs what goes on after a wait
   * and receives what it throws, after which there is no more. Throws `WireFault`, as `push` does.
   */
  constructor(length: number, limit: number, sink: GzipSink, later: (step: () => void) => void) {
    this.#length = length;
    this.#limit = limit;
    this.#sink = sink;
    this.#later = later;
    // A fault outside of a step is the reader's as well; `later` counts it.
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

  /** Something that was pushed has not been inflated. */
  get busy(): boolean {
    return this.#writing || this.#taken === this.#length;
  }

  /** The next bytes, which must stay as they are until they are inflated; never more than the file has. */
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

  /** Nothing more is wanted. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#slices = [];
    this.#engine.destroy();
    this.#endTurn();
  }

  /** Inflates the next slice when there is a turn, and so on. */
  #inflate(): void {
    if (this.#writing || this.#closed) return;
    const slice = this.#slices.shift();
    if (slice === undefined) {
      if (this.#taken === this.#length) this.#engine.end();
      return;
    }
    this.#writing = true;
    // INVARIANT: a turn begins within the end of another member's, whose owner must not see what goes wrong here.
    const written = this.#guard.entry<Error | null | undefined>(() => this.#written());
    turns.take(
      this.#guard.entry(() => {
        this.#hasTurn = true;
        if (this.#closed) this.#endTurn();
        else this.#engine.write(slice, written);
      }),
    );
  }

  #written(): void {
    this.#endTurn();
    this.#writing = false;
    this.#inflate();
    // A step without work: whoever waits for what was pushed looks again.
    if (!this.busy) this.#then(() => undefined);
  }

  #endTurn(): void {
    if (!this.#hasTurn) return;
    this.#hasTurn = false;
    turns.end();
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

/** Whoever wants to inflate something waits for a turn; first come, first served. */
class InflateTurns {
  readonly #waiting: (() => void)[] = [];
  #free = TURNS;

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

const turns = new InflateTurns();

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
  return new WireFault(unreadableMessage(`Error decompressing: ${what}`));
}

function tooLarge(limit: number): WireFault {
  return overLimit(`a compressed message may inflate to at most ${limit} bytes`);
}
