import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { SLOW_MS } from '../../http2/budget.ts';
import type { HeaderWatch } from '../../http2/header-watch.ts';
import { SentFrames } from '../../http2/sent-frames.ts';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { Cost, type WorkScheduler } from '../../limits/work-scheduler.ts';

/** State of an HTTP/2 connection that `node:http2` does not expose. */
interface Known {
  readonly watch: HeaderWatch;
  readonly socket: TLSSocket;
  readonly ends: Map<number, AnswerEnd>;
  readonly guard: Guard;
}

const known = new WeakMap<Http2Session, Known>();

/** Bytes that have been looked at. */
interface Looked {
  readonly bytes: Buffer;
  /** A request begins with them. */
  readonly begins: boolean;
  /** Small DATA frames in them. */
  readonly small: number;
}

/**
 * An HTTP/2 connection of which every byte is shown to a watch before `node:http2` gets it. All that has come is looked at
 * first, so that nothing of a flood begins; then `node:http2` gets it request by request, and slices of small DATA frames one
 * by one, as the connection's turns allow.
 */
export class WatchedConnection extends Duplex {
  readonly #socket: TLSSocket;
  readonly #watch: HeaderWatch;
  readonly #turns: WorkScheduler;
  readonly #faulted: ((fault: 'flood') => void) | undefined;
  readonly #guard: Guard;
  readonly #goOn: () => void;
  #unread: Buffer[] = [];
  #looked: Looked[] = [];
  #waiting = false;
  #ended = false;
  #session: Http2Session | undefined;
  #activeAt = performance.now();
  /** The next request has been asked for its distance from those before. */
  #distanced = false;
  /** The next request waits for its distance. */
  #held = false;
  /** Bytes that have been looked at and not handed on. */
  #kept = 0;
  /** `node:http2` takes no more at the moment. */
  #full = false;
  /** Answers of which the end is waited for, by stream. */
  readonly #ends = new Map<number, AnswerEnd>();
  readonly #sent = new SentFrames((streamId) => this.#ends.get(streamId)?.left());

  /**
   * @param report told of faults of ours, which end the connection
   * @param faulted told when the connection is ended for a flood
   */
  constructor(
    socket: TLSSocket,
    {
      watch,
      turns,
      report,
    }: { readonly watch: HeaderWatch; readonly turns: WorkScheduler; readonly report: FaultReport },
    faulted?: (fault: 'flood') => void,
  ) {
    super({ allowHalfOpen: true });
    this.#faulted = faulted;
    this.#socket = socket;
    this.#watch = watch;
    this.#turns = turns;
    const guard = new Guard({ fail: () => this.destroy(), cut: () => socket.destroy() }, 'rest_http2', report);
    this.#guard = guard;
    this.#goOn = guard.entry(() => this.#handle());
    socket
      .on('data', guard.entry(this.#onData))
      .on('end', guard.entry(this.#onEnd))
      .on(
        'error',
        guard.entry((error: Error) => void this.destroy(error)),
      )
      .on(
        'close',
        guard.entry(() => void this.destroy()),
      );
    // Ends are Node's to tell; a connection that is cut is no fault of ours.
    this.on('error', ignore);
  }

  /** Ties the connection to the session that Node made of it. */
  belongsTo(session: Http2Session): void {
    this.#session = session;
    known.set(session, { watch: this.#watch, socket: this.#socket, ends: this.#ends, guard: this.#guard });
  }

  /** Takes no more requests; ends when the open ones are answered. */
  drain(): void {
    this.#session?.close();
  }

  /** The same, if nothing has come or gone for so long. A timeout set on the session would keep a destroyed one alive. */
  drainIfIdle(now: number, idleMs: number): void {
    if (now - this.#activeAt > idleMs) this.drain();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#activeAt = performance.now();
    this.#unread.push(chunk);
    if (this.#waiting) return;
    if (this.#turns.crowded) this.#wait();
    else this.#goOn();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    // Nothing is begun any more for a client that has gone, of those that have to keep a distance.
    if (this.#held) this.#looked = [];
    if (!this.#waiting) this.push(null);
  };

  #wait(): void {
    this.#waiting = true;
    this.#socket.pause();
    this.#turns.wait(this.#goOn);
  }

  /** The client gives up so much that what it sends next can wait. */
  #waitAWhile(): void {
    this.#waiting = true;
    this.#socket.pause();
    this.#guard.after(SLOW_MS, this.#goOn);
  }

  #handle(): void {
    const waited = this.#waiting;
    this.#waiting = false;
    while (!this.destroyed && (this.#unread.length > 0 || (this.#looked.length > 0 && !this.#keepsDistance()))) {
      if (this.#watch.takeSlowed()) {
        this.#waitAWhile();
        break;
      }
      const cost = this.#unread.length > 0 ? this.#look() : this.#handOn();
      if (this.#turns.spend(cost)) continue;
      if (this.#unread.length > 0 || this.#looked.length > 0) this.#wait();
      break;
    }
    if (this.#waiting || this.destroyed) return;
    if (this.#ended) this.push(null);
    else if (waited && !this.#full) this.#socket.resume();
  }

  /**
   * Has the next request to wait, because its address flooded lately? What comes behind it is read and looked at all the
   * same, so that it is known when the client has gone.
   */
  #keepsDistance(): boolean {
    if (this.#held) return true;
    if (this.#distanced || !this.#looked[0]?.begins) return false;
    this.#distanced = true;
    const ms = this.#watch.distance();
    if (ms === 0) return false;
    this.#held = true;
    this.#guard.after(ms, this.#release);
    return true;
  }

  readonly #release = (): void => {
    this.#held = false;
    if (!this.#waiting) this.#goOn();
  };

  /** Looks at what came, to the end of the next header block. */
  #look(): number {
    const [chunk = EMPTY] = this.#unread;
    const before = this.#watch.blocks;
    const taken = this.#watch.push(chunk);
    const begins = this.#watch.blocks > before;
    const { small } = this.#watch;
    this.#kept += taken;
    if (this.#watch.flooded || this.#kept > MOST_KEPT) {
      this.#faulted?.('flood');
      this.destroy();
      return Cost.HEADER_BLOCK;
    }
    if (taken === chunk.length) this.#unread.shift();
    else this.#unread[0] = chunk.subarray(taken);
    this.#looked.push({ bytes: taken === chunk.length ? chunk : chunk.subarray(0, taken), begins, small });
    return begins ? Cost.HEADER_BLOCK : 0;
  }

  #handOn(): number {
    this.#distanced = false;
    const looked = this.#looked.shift();
    if (!looked) return 0;
    this.#kept -= looked.bytes.length;
    if (!this.push(looked.bytes)) {
      this.#full = true;
      this.#socket.pause();
    }
    return (looked.begins ? Cost.HTTP2_REQUEST : 0) + looked.small * Cost.BODY_PIECE;
  }

  override _read(): void {
    this.#guard.run(() => {
      this.#full = false;
      if (!this.#waiting) this.#socket.resume();
    });
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#guard.run(() => {
      this.#activeAt = performance.now();
      this.#socket.write(chunk, done);
      this.#sent.push(chunk);
    });
  }

  override _writev(chunks: { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#guard.run(() => {
      this.#activeAt = performance.now();
      this.#socket.cork();
      const last = chunks.length - 1;
      for (const [index, { chunk }] of chunks.entries()) this.#socket.write(chunk, index === last ? done : undefined);
      this.#socket.uncork();
      for (const { chunk } of chunks) this.#sent.push(chunk);
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#guard.run(() => void this.#socket.end(this.#guard.entry(() => done())));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#guard.run(() => {
      this.#socket.destroy();
      done(error);
    });
  }
}

/**
 * The end of one answer. `node:http2` says that an answer has ended before its last frame has been written, and puts a reset
 * before what it has not written yet; so the frames that leave are asked.
 */
export class AnswerEnd {
  readonly #stream: ServerHttp2Stream;
  readonly #guard: Guard;
  #left = false;
  #resets = false;

  constructor(stream: ServerHttp2Stream, guard: Guard) {
    this.#stream = stream;
    this.#guard = guard;
  }

  /** END_STREAM has been written to the socket. */
  left(): void {
    this.#left = true;
    // Not within the write that `node:http2` is at.
    if (this.#resets) this.#guard.soon(() => this.#reset());
  }

  /** Tells the client to stop sending (RFC 9113 section 8.1): as soon as it has all of its answer, and not before. */
  resetOnceLeft(): void {
    this.#resets = true;
    if (this.#left) this.#reset();
  }

  #reset(): void {
    this.#stream.close(NO_ERROR);
  }
}

/** Watches for the end of a request's answer from now on. `undefined` = no HTTP/2, or its connection is gone. */
export function watchAnswerEnd(request: object): AnswerEnd | undefined {
  const stream = streamOf(request);
  const found = stream?.session && known.get(stream.session);
  if (!stream || !found || stream.id === undefined || stream.destroyed) return undefined;
  const { id } = stream;
  const { ends, guard } = found;
  const end = new AnswerEnd(stream, guard);
  ends.set(id, end);
  stream.once(
    'close',
    guard.entry(() => void ends.delete(id)),
  );
  return end;
}

/** The client's socket below an HTTP/2 request; `undefined` = the request is no HTTP/2, or its connection is gone. */
export function socketBelow(request: object): TLSSocket | undefined {
  const session = streamOf(request)?.session;
  return session && known.get(session)?.socket;
}

/**
 * Resets a malformed HTTP/2 request, or one whose header block was not examined (RFC 9113 section 8.1.1). `false` = the
 * request is well-formed, or not HTTP/2. Call once per request.
 */
export function refuseMalformed(request: object): boolean {
  const stream = streamOf(request);
  if (!stream) return false;
  const watch = stream.session && known.get(stream.session)?.watch;
  if (watch && !watch.takeMalformed(stream.id ?? 0)) return false;
  stream.close(PROTOCOL_ERROR);
  return true;
}

/** The client's fault for which Node ended a session; `undefined` = not the client's. */
export function sessionFault(error: Error): 'connection' | 'flood' | undefined {
  const { code, errno } = error as { readonly code?: unknown; readonly errno?: unknown };
  if (code === 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES') return 'connection';
  if (code !== 'ERR_HTTP2_ERROR') return undefined;
  return errno === FLOODED ? 'flood' : 'connection';
}

/** `NGHTTP2_ERR_FLOODED` */
const FLOODED = -904;
const EMPTY = Buffer.alloc(0);
/** Bytes that may wait to be handed on: what flow control and the limit of streams allow is less. */
const MOST_KEPT = 1_048_576;
/** RFC 9113 section 7. */
const NO_ERROR = 0;
const PROTOCOL_ERROR = 1;

/** The stream of an HTTP/2 request; `undefined` = no HTTP/2. */
export function streamOf(request: object): ServerHttp2Stream | undefined {
  return 'stream' in request && isStream(request.stream) ? request.stream : undefined;
}

function isStream(stream: unknown): stream is ServerHttp2Stream {
  return typeof stream === 'object' && stream !== null && 'session' in stream && 'close' in stream;
}

function ignore(): void {}
