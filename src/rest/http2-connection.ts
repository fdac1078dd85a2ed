import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

/**
 * Reads the client's half of one HTTP/2 connection before `node:http2` does. It is there because `node:http2` leaves a
 * header field out in silence where its name or value may not be (RFC 9113 section 8.2.1) instead of refusing the request.
 */
export interface Http2Watch {
  /** The next bytes, in any pieces. Never throws: what cannot be read makes every later request malformed. */
  readonly push: (chunk: Buffer) => void;
  /** What has been pushed holds a flood: the connection is to end. */
  readonly flooded: boolean;
  /** Had a header block of this stream a field that may not be? True once, then forgotten. */
  readonly takeMalformed: (streamId: number) => boolean;
}

/** What is known of an HTTP/2 connection beside what Node tells. */
interface Known {
  readonly watch: Http2Watch;
  readonly socket: TLSSocket;
}

const known = new WeakMap<Http2Session, Known>();

/** An HTTP/2 connection of which every byte is shown to a watch before `node:http2` gets it. */
export class WatchedConnection extends Duplex {
  readonly #socket: TLSSocket;
  readonly #watch: Http2Watch;

  constructor(socket: TLSSocket, watch: Http2Watch) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#watch = watch;
    socket
      .on('data', this.#onData)
      .on('end', () => this.push(null))
      .on('error', (error) => this.destroy(error))
      .on('close', () => this.destroy());
    // Ends are Node's to tell; a connection that is cut is no fault of ours.
    this.on('error', () => undefined);
  }

  /** Ties the connection to the session that Node made of it. */
  belongsTo(session: Http2Session): void {
    known.set(session, { watch: this.#watch, socket: this.#socket });
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#watch.push(chunk);
    if (this.#watch.flooded) this.destroy();
    else if (!this.push(chunk)) this.#socket.pause();
  };

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _writev(chunks: { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#socket.cork();
    const last = chunks.length - 1;
    for (const [index, { chunk }] of chunks.entries()) this.#socket.write(chunk, index === last ? done : undefined);
    this.#socket.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

/** The client's socket below an HTTP/2 request; `undefined` = the request is no HTTP/2, or its connection is gone. */
export function socketBelow(request: object): TLSSocket | undefined {
  const session = streamOf(request)?.session;
  return session && known.get(session)?.socket;
}

/**
 * Resets an HTTP/2 request that had a field which may not be, as RFC 9113 section 8.1.1 asks, also where nobody looked.
 * `false` = it is sound, or no HTTP/2. To be asked once for each request.
 */
export function refuseMalformed(request: object): boolean {
  const stream = streamOf(request);
  if (!stream) return false;
  const watch = stream.session && known.get(stream.session)?.watch;
  if (watch && !watch.takeMalformed(stream.id ?? 0)) return false;
  stream.close(PROTOCOL_ERROR);
  return true;
}

/** RFC 9113 section 7. */
const PROTOCOL_ERROR = 1;

function streamOf(request: object): ServerHttp2Stream | undefined {
  return 'stream' in request && isStream(request.stream) ? request.stream : undefined;
}

function isStream(stream: unknown): stream is ServerHttp2Stream {
  return typeof stream === 'object' && stream !== null && 'session' in stream && 'close' in stream;
}
