import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { ErrorCode } from '../../http2/frames.ts';
import type { ClientRequest, ClientResponse } from '../message.ts';
import type { Http2Head } from './request-head.ts';
import type { Http2Stream, StreamUser } from './stream.ts';

/** The body of a request over HTTP/2. Credit goes back to the client as its reader takes the bytes. */
export class Http2Request extends Readable implements ClientRequest {
  readonly httpVersion = '2.0';
  readonly httpVersionMajor = 2;
  readonly httpVersionMinor = 0;
  readonly method: string;
  readonly headers: ClientRequest['headers'];
  readonly rawHeaders: readonly string[];
  readonly socket: Socket;
  readonly stream: Http2Stream;
  complete: boolean;
  /** Bytes that are buffered beyond what the reader wants. */
  #unread = 0;

  /** @param early bytes of the body that have come, and whose credit has gone back */
  constructor(stream: Http2Stream, socket: Socket, early: Buffer | undefined) {
    // One byte: `push` tells whether the reader took all there was.
    super({ highWaterMark: 1 });
    this.stream = stream;
    this.socket = socket;
    const { method, headers } = stream.head;
    this.method = method;
    this.rawHeaders = headers;
    this.headers = transportFields(stream.head);
    this.complete = stream.clientEnded;
    if (early) this.push(early);
    if (this.complete) this.push(null);
  }

  /** The next bytes of the body. */
  receive(chunk: Buffer): void {
    if (this.destroyed || this.push(chunk)) this.stream.consumed(chunk.length);
    else this.#unread += chunk.length;
  }

  receiveEnd(): void {
    this.complete = true;
    this.push(null);
  }

  override _read(): void {
    this.stream.guard.run(() => {
      const bytes = this.#unread;
      this.#unread = 0;
      if (bytes > 0) this.stream.consumed(bytes);
    });
  }
}

function transportFields({ announced, expects }: Http2Head): ClientRequest['headers'] {
  return {
    ...(announced >= 0 ? { 'content-length': String(announced) } : {}),
    ...(expects === undefined ? {} : { expect: expects }),
  };
}

/** The answer to a request over HTTP/2. Its head goes through `ClientStream.respond`. */
export class Http2Response extends EventEmitter implements ClientResponse {
  statusCode = 200;
  shouldKeepAlive = true;
  readonly #stream: Http2Stream;
  #writeBlocked = false;

  constructor(stream: Http2Stream) {
    super();
    this.#stream = stream;
  }

  get headersSent(): boolean {
    return this.#stream.headersSent;
  }

  get destroyed(): boolean {
    return this.#stream.closed;
  }

  get writableLength(): number {
    return this.#stream.queued;
  }

  write(chunk: Buffer): boolean {
    const more = this.#stream.write(chunk);
    this.#writeBlocked = !more;
    return more;
  }

  end(): void {
    this.#stream.finish();
  }

  /** An answer that is not whole ends broken. */
  destroy(): void {
    this.#stream.reset(ErrorCode.INTERNAL_ERROR);
  }

  writeContinue(): void {
    this.#stream.respond(100, [], false);
  }

  drained(): void {
    if (!this.#writeBlocked) return;
    this.#writeBlocked = false;
    this.emit('drain');
  }
}

/** Serves a stream as a request and a response. @param fail answers 500 where that is still possible */
export function serverPair(
  stream: Http2Stream,
  socket: Socket,
  { early, fail }: { readonly early: Buffer | undefined; readonly fail: () => void },
): { readonly request: Http2Request; readonly response: Http2Response } {
  const request = new Http2Request(stream, socket, early);
  const response = new Http2Response(stream);
  const user: StreamUser = {
    data: (chunk) => request.receive(chunk),
    end: () => request.receiveEnd(),
    drained: () => response.drained(),
    fail,
    tick: () => undefined,
    closed: () => {
      response.emit('close');
      request.destroy();
    },
  };
  stream.use(user);
  return { request, response };
}
