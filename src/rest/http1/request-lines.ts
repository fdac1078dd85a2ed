import { ChunkedBody } from './chunks.ts';

/*
 * Node's parser takes several blanks in a request line for one and does not tell. So the bytes of every HTTP/1
 * connection are followed here just before it gets them, from one request line to the next, and the lane refuses a
 * request whose line is not written as RFC 9112 section 3 has it.
 */

const LF = 0x0a;
const REQUEST_LINE = /^[!-~]+ [!-~\x80-\xff]+ HTTP\/1\.([01])\r\n$/;
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const LENGTH = /^[0-9]{1,15}$/;
const EMPTY_LINE = '\r\n';

/** Pieces of bodies that were followed. */
export interface Pieces {
  readonly all: number;
  /** Those of them that are smaller than `SMALL_PIECE`. */
  readonly small: number;
}

const NO_PIECES: Pieces = { all: 0, small: 0 };

/** Body framing, as far as the head has been read. */
interface Framing {
  length: number | undefined;
  chunked: boolean;
}

/**
 * Follows the client's bytes on one HTTP/1 connection, in any pieces.
 *
 * INVARIANT: where it cannot follow, this request and all behind it are odd. Node's parser refuses what is odd for any
 * other reason than its blanks, or the lane does, so that nothing is lost by it.
 */
export class RequestLines {
  readonly #maxHeadBytes: number;
  /** Requests whose line has been read, and the first that is odd. */
  #begun = 0;
  #firstOdd = Number.POSITIVE_INFINITY;
  /** Requests that the lane has asked for. */
  #asked = 0;
  #line: Buffer[] = [];
  #headBytes = 0;
  #framing: Framing | undefined;
  #bodyLeft = 0;
  #chunks: ChunkedBody | undefined;
  #pieces: Pieces = NO_PIECES;

  constructor(maxHeadBytes: number) {
    this.#maxHeadBytes = maxHeadBytes;
  }

  /** Is the next request of this connection odd? To be asked once for each, in order. */
  takeOdd(): boolean {
    const index = this.#asked;
    this.#asked += 1;
    // One that was never seen here was not followed.
    return index >= this.#firstOdd || index >= this.#begun;
  }

  /** Stands between two requests: the next byte is not of the last one. */
  get between(): boolean {
    return !this.lost && this.#bodyLeft === 0 && !this.#chunks && !this.#framing && this.#line.length === 0;
  }

  /** Follows no further: the bytes that come cannot be told apart. */
  get lost(): boolean {
    return this.#firstOdd !== Number.POSITIVE_INFINITY;
  }

  /** The chunks that the last `push` has followed. */
  get pieces(): Pieces {
    return this.#pieces;
  }

  /**
   * The next bytes, up to the end of the request they belong to, and of its body no more than so many chunks. Gives the
   * offset behind what was taken.
   */
  push(bytes: Buffer, mostChunks = Number.POSITIVE_INFINITY): number {
    let at = 0;
    this.#pieces = NO_PIECES;
    while (at < bytes.length && !this.lost && this.#pieces.all < mostChunks) {
      if (this.#bodyLeft > 0) at = this.#skipLength(bytes, at);
      else if (this.#chunks) at = this.#skipChunks(this.#chunks, bytes, at, mostChunks);
      else at = this.#takeLine(bytes, at);
      if (this.between) break;
    }
    return Math.min(at, bytes.length);
  }

  #skipLength(bytes: Buffer, at: number): number {
    const size = Math.min(this.#bodyLeft, bytes.length - at);
    this.#bodyLeft -= size;
    return at + size;
  }

  #skipChunks(chunks: ChunkedBody, bytes: Buffer, at: number, most: number): number {
    const { chunks: all, smallChunks: small } = chunks;
    const next = chunks.push(bytes, at, [], all + most);
    this.#pieces = { all: chunks.chunks - all, small: chunks.smallChunks - small };
    if (next < 0) return this.#lose(this.#begun);
    if (chunks.ended) this.#chunks = undefined;
    return next;
  }

  #takeLine(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(LF, at);
    const next = end < 0 ? bytes.length : end + 1;
    this.#headBytes += next - at;
    if (this.#headBytes > this.#maxHeadBytes) return this.#lose(this.#current());
    this.#line.push(bytes.subarray(at, next));
    if (end < 0) return next;
    const line = (this.#line.length === 1 ? bytes.subarray(at, next) : Buffer.concat(this.#line)).toString('latin1');
    this.#line = [];
    if (this.#framing) this.#takeField(this.#framing, line);
    else if (line !== EMPTY_LINE) this.#takeRequestLine(line);
    return next;
  }

  #takeRequestLine(line: string): void {
    const minor = REQUEST_LINE.exec(line)?.[1];
    if (minor === undefined) this.#lose(this.#begun);
    this.#begun += 1;
    this.#framing = { length: undefined, chunked: false };
  }

  #takeField(framing: Framing, line: string): void {
    if (line === EMPTY_LINE) {
      this.#endHead(framing);
      return;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon));
    if (!FIELD_NAME.test(name) || !line.endsWith('\r\n')) {
      this.#lose(this.#current());
      return;
    }
    if (name.length !== 14 && name.length !== 17) return;
    const value = line.slice(colon + 1).trim();
    if (name.toLowerCase() === 'content-length') {
      if (framing.length !== undefined || framing.chunked || !LENGTH.test(value)) this.#lose(this.#current());
      framing.length = Number(value);
    } else if (name.toLowerCase() === 'transfer-encoding') {
      if (framing.length !== undefined || framing.chunked || value.toLowerCase() !== 'chunked')
        this.#lose(this.#current());
      framing.chunked = true;
    }
  }

  #endHead({ length, chunked }: Framing): void {
    this.#framing = undefined;
    this.#headBytes = 0;
    this.#bodyLeft = length ?? 0;
    if (chunked) this.#chunks = new ChunkedBody();
  }

  /** The request whose head is being read, or is about to be. */
  #current(): number {
    return this.#framing ? this.#begun - 1 : this.#begun;
  }

  /** Follows no further: the requests from `index` on are odd. Gives an offset behind all bytes. */
  #lose(index: number): number {
    this.#firstOdd = Math.min(this.#firstOdd, index);
    this.#line = [];
    return Number.POSITIVE_INFINITY;
  }
}
