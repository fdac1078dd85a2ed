import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { Fault, faultCode } from './fault.ts';
import { Deframer, GrpcFault } from './grpc-frames.ts';
import type { GrpcContext, GrpcMethod } from './grpc-method.ts';
import { GrpcRecord, keptBytes, type Recorder } from './recorder.ts';
import { type CheckAccess, refuseGrpc } from './secured.ts';
import type { Store } from './store.ts';

/** The methods are loaded with the first call: their messages cost more than all the rest, and most tests call none. */
const load = createRequire(import.meta.url);
const methodAt = (path: string): GrpcMethod | undefined =>
  (load('./grpc-methods.ts') as typeof import('./grpc-methods.ts')).grpcMethods.get(path);

/** Test hook: gets every gRPC stream first; true means it has answered (or will). */
export type OnGrpc = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean;

/** What the gRPC side needs. `compress` gzips answers where the client accepts it. */
export type GrpcOptions = {
  store: Store;
  recorder: Recorder;
  version: string;
  compress: boolean;
  check: CheckAccess | undefined;
  onGrpc: OnGrpc | undefined;
};

/** Answers a unary call without a socket: the message, or how it is refused. */
export function callInProcess(
  path: string,
  message: Buffer,
  context: GrpcContext,
): Uint8Array | { readonly code: number; readonly message: string } {
  const method = methodAt(path);
  if (!method) return { code: 12, message: '' };
  try {
    const [answer = new Uint8Array()] = method.answer(message, context);
    return answer;
  } catch (error) {
    return refusalOf(error);
  }
}

const windowBytes = 4 << 20;

/** A cleartext HTTP/2 server with the gRPC surface of an unsecured Qdrant; not listening yet. */
export function grpcServer(options: GrpcOptions): Http2Server {
  const server = createServer({
    settings: { initialWindowSize: windowBytes, maxHeaderListSize: 128 << 10 },
    maxSessionMemory: 1024,
  });
  server.on('session', (session) => {
    session.setLocalWindowSize(windowBytes * 4);
    session.on('error', () => session.destroy());
  });
  server.on('sessionError', () => {});
  server.on('stream', (anyStream, headers, _flags, rawHeaders) => {
    const stream = anyStream as ServerHttp2Stream;
    stream.on('error', () => stream.destroy());
    const entry = new GrpcRecord(headers[':path'] ?? '', (rawHeaders as unknown as string[]).slice());
    tap(options.recorder, stream, entry);
    const shown = { path: entry.path, headers: entry.metadata };
    if (options.check && refuseGrpc(options.check, shown, stream)) return;
    if (options.onGrpc?.(stream, headers) !== true) {
      serve(options, stream, headers, entry);
    }
  });
  return server;
}

function tap(recorder: Recorder, stream: ServerHttp2Stream, entry: GrpcRecord): void {
  recorder.addGrpc(entry);
  if (!recorder.enabled) {
    return;
  }
  // A data listener would start the flow; a tap on push leaves back-pressure to the handler.
  const push = stream.push.bind(stream);
  stream.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    if (chunk === null) {
      entry.received.end();
      entry.state = 'complete';
    } else {
      entry.received.add(chunk);
    }
    return push(chunk, encoding);
  };
  stream.on('trailers', (trailers) => {
    for (const [name, value] of Object.entries(trailers)) {
      entry.trailers.push(name, String(value));
    }
  });
  stream.once('close', () => {
    entry.state = entry.state === 'receiving' ? 'aborted' : entry.state;
  });
}

function serve(options: GrpcOptions, stream: ServerHttp2Stream, headers: IncomingHttpHeaders, entry: GrpcRecord): void {
  const method = methodAt((headers[':path'] ?? '').split(/[?#]/, 1)[0] ?? '');
  if (method === undefined) {
    stream.resume();
    refuse(stream, 12, '');
    return;
  }
  const answer = new Answer(options, stream, headers);
  const context: GrpcContext = { store: options.store, version: options.version };
  const encoding = headers['grpc-encoding'];
  const deframer = new Deframer(typeof encoding === 'string' ? encoding : undefined);
  const messages: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => {
    answer.guard(() => {
      for (const { message, compressed } of deframer.push(chunk)) {
        entry.compressed.push(compressed);
        // Copied where cut, for a view would keep the whole message alive.
        entry.messages.push(message.length > keptBytes ? Buffer.from(message.subarray(0, keptBytes)) : message);
        if (method.each) {
          answer.send(method, message, context);
        } else {
          messages.push(message);
        }
      }
    });
  });
  stream.on('end', () => {
    answer.guard(() => {
      deframer.end();
      if (!method.each) {
        answer.send(method, firstOf(messages), context);
      }
      answer.finish();
    });
  });
}

function firstOf(messages: Buffer[]): Buffer {
  const [first] = messages;
  if (first === undefined) {
    throw new GrpcFault(13, 'Missing request message.');
  }
  return first;
}

/** The answering side of one call; headers go out with the first message. */
class Answer {
  readonly #stream: ServerHttp2Stream;
  readonly #gzip: boolean;
  #started = false;
  #over = false;

  constructor(options: GrpcOptions, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.#stream = stream;
    const accepted = String(headers['grpc-accept-encoding'] ?? '').split(',');
    this.#gzip = options.compress && accepted.some((coding) => coding.trim() === 'gzip');
  }

  send(method: GrpcMethod, message: Buffer, context: GrpcContext): void {
    for (const bytes of method.answer(message, context)) {
      this.#start();
      this.#stream.write(framed(bytes, this.#gzip));
    }
  }

  finish(): void {
    this.#start();
    this.#over = true;
    this.#stream.end();
  }

  /** Runs a step and turns what it throws into a gRPC status. */
  guard(step: () => void): void {
    if (this.#over || this.#stream.destroyed) {
      return;
    }
    try {
      step();
    } catch (error) {
      this.#over = true;
      this.#fail(error);
    }
  }

  #start(): void {
    if (this.#started) {
      return;
    }
    this.#started = true;
    const encoding = this.#gzip ? { 'grpc-encoding': 'gzip' } : {};
    const head = { ':status': 200, 'content-type': 'application/grpc', 'grpc-accept-encoding': 'gzip', ...encoding };
    this.#stream.respond(head, { waitForTrailers: true });
    this.#stream.once('wantTrailers', () => this.#stream.sendTrailers({ 'grpc-status': '0' }));
  }

  #fail(error: unknown): void {
    const { code, message } = refusalOf(error);
    if (this.#started) {
      this.#stream.removeAllListeners('wantTrailers');
      this.#stream.once('wantTrailers', () => this.#stream.sendTrailers(status(code, message)));
      this.#stream.end();
    } else {
      refuse(this.#stream, code, message);
    }
  }
}

function refusalOf(error: unknown): { readonly code: number; readonly message: string } {
  const code = error instanceof GrpcFault ? error.code : error instanceof Fault ? faultCode(error) : 13;
  // The words about a JSON body belong to REST alone.
  const message = (error instanceof Error ? error.message : String(error)).replace('Format error in JSON body: ', '');
  return { code, message };
}

function status(code: number, message: string): Record<string, string> {
  const text = message === '' ? {} : { 'grpc-message': encodeMessage(message) };
  return { 'grpc-status': String(code), ...text };
}

/** As Qdrant encodes it: grpc-js leaves a quoted colon as it is. */
function encodeMessage(text: string): string {
  return encodeURI(text).replaceAll(/[?#]/g, encodeURIComponent);
}

function refuse(stream: ServerHttp2Stream, code: number, message: string): void {
  // A client that has cut its connection leaves streams that are not destroyed yet.
  if (!stream.destroyed && !stream.closed && stream.session?.destroyed === false && !stream.headersSent) {
    const head = { ':status': 200, 'content-type': 'application/grpc', ...status(code, message) };
    stream.respond(head, { endStream: true });
  }
}

function framed(message: Uint8Array, gzip: boolean): Buffer {
  const body = gzip ? gzipSync(message) : message;
  const frame = Buffer.allocUnsafe(5 + body.length);
  frame.writeUInt8(gzip ? 1 : 0, 0);
  frame.writeUInt32BE(body.length, 1);
  frame.set(body, 5);
  return frame;
}
