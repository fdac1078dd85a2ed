import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { SLOW_MS } from '../../http2/budget.ts';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { PieceBudget } from '../../limits/body-pieces.ts';
import { Cost, type WorkScheduler } from '../../limits/work-scheduler.ts';
import { isClosing } from '../headers.ts';
import { BACKLOG, Intake } from './intake.ts';
import { type Pieces, RequestLines } from './request-lines.ts';
import { SocketHold } from './socket-hold.ts';

const LF = 0x0a;
const CR = 0x0d;
/** Chunks of a body that the parser gets at once. */
export const SLICE_CHUNKS = 32;
/** The least number of lines that a chunk has: what cannot be followed is cut by lines. */
const LINES_OF_CHUNK = 2;

export interface GateOptions {
  readonly maxHeadBytes: number;
  readonly scheduler: WorkScheduler;
  readonly report: FaultReport;
}

/** Node's own listeners of one connection, which get from the gate what they would get from the socket. */
interface Parser {
  readonly data: (chunk: Buffer) => void;
  readonly end: () => void;
}

/**
 * Stands between a client's socket and Node's HTTP/1 parser, and gives it one request at a time: the next one begins when
 * the answer before it is written, and when it is the connection's turn. What comes too early waits as bytes, within bounds.
 * The body of a request is given to it in slices of so many chunks, as the connection's turns allow.
 * The half that a client has closed is told to the parser when all that came before has been answered.
 *
 * INVARIANT: a connection has one open exchange at a time (RFC 9112 section 9.3.2), whatever the client sends ahead. Only
 * a request that is refused for its framing may stand beside one, and it is the last.
 * INVARIANT: nothing is given to a parser that Node has taken back: it may be another connection's by then.
 */
export class RequestGate {
  readonly lines: RequestLines;
  readonly #socket: Socket;
  readonly #scheduler: WorkScheduler;
  readonly #guard: Guard;
  readonly #parser: Parser;
  readonly #intake = new Intake();
  #open = 0;
  #feeding = false;
  readonly #resume: () => void;
  readonly #hold: SocketHold;
  readonly #pieces = new PieceBudget(performance.now());
  /** The next bytes wait for the scheduler. */
  #waiting = false;
  #draining = false;
  /** The client has closed its writing half; the parser has been told. */
  #ended = false;
  #finished = false;
  /** Nothing more is for the parser. */
  #stopped = false;

  constructor(socket: Socket, parser: Parser, { maxHeadBytes, scheduler, report }: GateOptions) {
    this.#socket = socket;
    this.#hold = new SocketHold(socket);
    this.#parser = parser;
    this.#scheduler = scheduler;
    this.lines = new RequestLines(maxHeadBytes);
    this.#guard = new Guard({ fail: () => socket.destroy(), cut: () => socket.destroy() }, 'rest_server', report);
    this.#resume = this.#guard.entry(() => {
      this.#waiting = false;
      this.#release();
    });
    socket.on(
      'data',
      this.#guard.entry((chunk: Buffer) => this.take(chunk)),
    );
    socket.on(
      'end',
      this.#guard.entry(() => this.end()),
    );
    socket.once(
      'close',
      this.#guard.entry(() => this.stop()),
    );
  }

  /** The next bytes from the client. */
  take(chunk: Buffer): void {
    if (this.#stopped) return;
    this.#intake.push(chunk);
    this.#release();
  }

  /** Nothing more comes from the client. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
  }

  /** The parser has given out a request. */
  begun(response: ServerResponse): void {
    this.#open += 1;
    this.#pieces.begun();
    response.once(
      'close',
      this.#guard.entry(() => this.#answered()),
    );
  }

  /** From now on whatever comes is dropped. */
  stop(): void {
    this.#stopped = true;
    this.#intake.clear();
    this.#hold.set(false);
  }

  #answered(): void {
    this.#open -= 1;
    if (this.#intake.length > 0 && !this.#scheduler.spend(Cost.HTTP1_REQUEST)) this.#waitForTurn();
    else this.#release();
  }

  #waitForTurn(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#scheduler.wait(this.#resume);
  }

  /**
   * Pays for what the parser got. Past the turn the rest of the body waits as bytes, even if none are there yet: each read
   * would begin a slice otherwise.
   */
  #pay({ all, small }: Pieces): void {
    if (all === 0) return;
    const inTurn = this.#scheduler.spend(all * Cost.BODY_PIECE);
    if (this.#pieces.take(small, performance.now()) && !this.#waiting) {
      this.#waiting = true;
      this.#guard.after(SLOW_MS, this.#resume);
    } else if (!inTurn) this.#waitForTurn();
  }

  #release(): void {
    if (this.#feeding) return;
    this.#feeding = true;
    while (this.#feedNext()) if (this.#stopped) break;
    this.#feeding = false;
    const full = this.#intake.length > BACKLOG || (this.#waiting && !this.lines.between);
    this.#hold.set(full && !this.#stopped);
    this.#finishRead();
  }

  /** `false` = there is nothing to feed, or not now. */
  #feedNext(): boolean {
    const { lines } = this;
    if (this.#intake.length === 0 || this.#waiting || this.#stopped || this.#socket.destroyed) return false;
    const { between } = lines;
    // Bytes after the last request of a connection are not a request (RFC 9112 section 9.6).
    if ((between || lines.lost) && isClosing(this.#socket)) {
      this.stop();
      return false;
    }
    if (between && this.#open > 0) return false;
    if (between && this.#socket.writableNeedDrain) {
      this.#waitForDrain();
      return false;
    }
    const { bytes } = this.#intake;
    const size = lines.lost ? 0 : lines.push(bytes, SLICE_CHUNKS);
    if (lines.lost) {
      const piece = endOfPiece(bytes);
      this.#parser.data(this.#intake.take(piece.size));
      this.#pay({ all: piece.chunks, small: piece.chunks });
    } else {
      const { pieces } = lines;
      this.#parser.data(this.#intake.take(size));
      this.#pay(pieces);
    }
    return true;
  }

  #waitForDrain(): void {
    if (this.#draining) return;
    this.#draining = true;
    const resume = (): void => {
      this.#draining = false;
      this.#release();
    };
    this.#socket.once('drain', this.#guard.entry(resume));
  }

  /** Tells the parser of the end once nothing stands before it: an answer that is owed is written first. */
  #finishRead(): void {
    if (!this.#ended || this.#finished || this.#stopped || this.#intake.length > 0 || this.#socket.destroyed) return;
    if (this.#open > 0 && this.lines.between) return;
    this.#finished = true;
    this.#parser.end();
  }
}

/** Where what cannot be followed is cut: no piece holds the ends of two heads, or more chunks than a slice. */
function endOfPiece(bytes: Buffer): { readonly size: number; readonly chunks: number } {
  let lines = 0;
  const end = (size: number) => ({ size, chunks: Math.floor(lines / LINES_OF_CHUNK) });
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    lines += 1;
    const next = bytes[at + 1] === CR ? at + 2 : at + 1;
    if (bytes[next] === LF) return end(next + 1);
    if (lines === SLICE_CHUNKS * LINES_OF_CHUNK) return end(at + 1);
  }
  return end(bytes.length);
}

const gates = new WeakMap<object, RequestGate>();

/** The gate of an HTTP/1 connection; `undefined` = it has none. */
export function gateOf(socket: object): RequestGate | undefined {
  return gates.get(socket);
}

/** Puts a gate before Node's parser. @param connect gives the socket to Node's server */
export function openGate(socket: Socket, connect: () => void, options: GateOptions): RequestGate {
  const before = new Set([...socket.listeners('data'), ...socket.listeners('end')]);
  connect();
  const data = socket.listeners('data').filter((listener) => !before.has(listener));
  const end = socket.listeners('end').filter((listener) => !before.has(listener));
  const [onData] = data;
  const [onEnd] = end;
  // INVARIANT: a parser that would read beside the gate, or that cannot be found, gets nothing.
  if (!onData || !onEnd || data.length > 1 || end.length > 1) throw new TypeError('no parser to stand before');
  const parser: Parser = {
    data: (chunk) => Reflect.apply(onData, socket, [chunk]),
    end: () => Reflect.apply(onEnd, socket, []),
  };
  // Ours first: Node's parser reads by itself unless the socket has a listener for bytes.
  const gate = new RequestGate(socket, parser, options);
  gates.set(socket, gate);
  socket.removeListener('data', asListener(onData));
  socket.removeListener('end', asListener(onEnd));
  return gate;
}

function asListener(listener: (...args: never[]) => void): (...args: unknown[]) => void {
  return listener as (...args: unknown[]) => void;
}

/** True = the next request on this HTTP/1.1 connection is odd, or was not examined. Call once per request. */
export function takeOddRequest(socket: object): boolean {
  return gates.get(socket)?.lines.takeOdd() ?? true;
}
