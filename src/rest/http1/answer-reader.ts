import { ChunkedBody } from './chunks.ts';
import { Intake } from './intake.ts';
import { type AnswerHead, readAnswerHead } from './response-head.ts';

/** Receives answers as they are read, in one call per piece that came. */
export interface AnswerEvents {
  /**
   * The answer goes on.
   *
   * @param head of the answer, with its first burst only
   * @param parts the body, framed for an HTTP/1.1 client, or as it is
   * @param data bytes of the body in `parts`, without framing
   */
  readonly burst: (head: AnswerHead | undefined, parts: readonly Buffer[], data: number) => void;
  /** The last burst. @param reusable the connection can carry another request */
  readonly whole: (head: AnswerHead | undefined, parts: readonly Buffer[], data: number, reusable: boolean) => void;
  /** Not an answer, or not one to the end: the rest will never come. */
  readonly broken: () => void;
}

const MAX_ANSWER_HEAD = 65_536;
/** As in the other lane: informational answers taken for one request before it counts as broken. */
const MAX_INFORMATIONAL = 8;
/** Unsolicited answers up to this status: `100 Continue` and `101 Switching Protocols`. */
const LAST_UNASKED = 101;
const LAST_CHUNK = Buffer.from('0\r\n\r\n', 'latin1');
const LINE_END = Buffer.from('\r\n', 'latin1');
const NOTHING: readonly Buffer[] = Object.freeze([]);

/** A head as it came last. */
interface RepeatedHead {
  readonly bytes: Buffer;
  readonly method: string;
  readonly head: AnswerHead;
}

/** Reads the answers of one upstream connection (RFC 9112), one after the other: heads, framing and bodies. */
export class AnswerReader {
  readonly #events: AnswerEvents;
  readonly #framed: boolean;
  /** Of an answer's head, as long as it is not whole. */
  readonly #intake = new Intake();
  #method = '';
  #head: AnswerHead | undefined;
  #informational = 0;
  #chunked: ChunkedBody | undefined;
  /** Bytes that have not come of a body whose length is known. */
  #left = 0;
  #repeated: RepeatedHead | undefined;

  /** @param framed bodies of unknown length are passed on as chunks of HTTP/1.1 */
  constructor(events: AnswerEvents, framed: boolean) {
    this.#events = events;
    this.#framed = framed;
  }

  /** A request is sent: what comes from now on is its answer. */
  expect(method: string): void {
    this.#method = method;
    this.#head = undefined;
    this.#informational = 0;
  }

  /** The head of the answer has come, the rest has not. */
  get begun(): boolean {
    return this.#head !== undefined;
  }

  /** The connection is given up: forgets what came of a head. */
  clear(): void {
    this.#intake.clear();
  }

  /** Takes a piece of the answer. */
  take(chunk: Buffer): void {
    if (this.#head) {
      this.#takeBody(this.#head, undefined, chunk);
      return;
    }
    this.#intake.push(chunk);
    this.#takeHead();
  }

  /** Upstream sends nothing more. `false` = an answer that is under way does not end with its connection. */
  end(): boolean {
    const head = this.#head;
    if (head?.framing !== 'close') return false;
    this.#finish(head, undefined, this.#framed ? [LAST_CHUNK] : NOTHING, 0, true);
    return true;
  }

  #takeHead(): void {
    do {
      const bytes = this.#intake.bytes;
      const head = this.#readHead(bytes);
      if (head === 'incomplete') return;
      if (head === 'broken' || head.status <= LAST_UNASKED) {
        this.#events.broken();
        return;
      }
      if (head.status >= 200) {
        const rest = bytes.subarray(head.length);
        this.#intake.clear();
        this.#start(head, rest);
        return;
      }
      this.#informational += 1;
      if (this.#informational > MAX_INFORMATIONAL) {
        this.#events.broken();
        return;
      }
      this.#intake.drop(head.length);
    } while (this.#intake.length > 0);
  }

  /** Most answers of a connection begin with the very bytes of the one before. */
  #readHead(bytes: Buffer): AnswerHead | 'incomplete' | 'broken' {
    const known = this.#repeated;
    const size = known?.bytes.length ?? 0;
    if (known?.method === this.#method && bytes.length >= size && bytes.compare(known.bytes, 0, size, 0, size) === 0) {
      return known.head;
    }
    const head = readAnswerHead(bytes, this.#method, MAX_ANSWER_HEAD);
    if (typeof head === 'object') {
      this.#repeated = { bytes: Buffer.from(bytes.subarray(0, head.length)), method: this.#method, head };
    }
    return head;
  }

  #start(head: AnswerHead, rest: Buffer): void {
    this.#head = head;
    this.#left = head.contentLength;
    this.#chunked = head.framing === 'chunked' ? new ChunkedBody(!this.#framed) : undefined;
    this.#takeBody(head, head, rest);
  }

  #takeBody(head: AnswerHead, first: AnswerHead | undefined, bytes: Buffer): void {
    switch (head.framing) {
      case 'none':
        this.#finish(head, first, NOTHING, 0, bytes.length === 0);
        break;
      case 'length':
        this.#takeLength(head, first, bytes);
        break;
      case 'chunked':
        this.#takeChunked(head, first, bytes);
        break;
      case 'close':
        this.#events.burst(first, this.#piece(bytes), bytes.length);
        break;
      default:
        head.framing satisfies never;
    }
  }

  #takeLength(head: AnswerHead, first: AnswerHead | undefined, bytes: Buffer): void {
    const { length } = bytes;
    if (length < this.#left) {
      this.#left -= length;
      this.#events.burst(first, length > 0 ? [bytes] : NOTHING, length);
      return;
    }
    const taken = this.#left;
    const body = taken === length ? bytes : bytes.subarray(0, taken);
    this.#finish(head, first, taken > 0 ? [body] : NOTHING, taken, taken === length);
  }

  #takeChunked(head: AnswerHead, first: AnswerHead | undefined, bytes: Buffer): void {
    const body = this.#chunked;
    if (!body) return;
    const before = body.data;
    const parts: Buffer[] = [];
    const end = body.push(bytes, 0, parts);
    if (end < 0) {
      // No answer is begun for the bytes before the fault.
      this.#events.broken();
    } else if (body.ended) {
      this.#finish(head, first, parts, body.data - before, end === bytes.length);
    } else {
      this.#events.burst(first, parts, body.data - before);
    }
  }

  /** @param exact nothing stands behind the answer */
  #finish(
    head: AnswerHead,
    first: AnswerHead | undefined,
    parts: readonly Buffer[],
    data: number,
    exact: boolean,
  ): void {
    this.#head = undefined;
    this.#events.whole(first, parts, data, head.reusable && exact);
  }

  /** A piece of a body that ends with the connection. */
  #piece(bytes: Buffer): readonly Buffer[] {
    if (bytes.length === 0) return NOTHING;
    return this.#framed ? asChunk(bytes) : [bytes];
  }
}

function asChunk(bytes: Buffer): readonly Buffer[] {
  return [Buffer.from(`${bytes.length.toString(16)}\r\n`, 'latin1'), bytes, LINE_END];
}
