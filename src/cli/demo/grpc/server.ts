import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { type Collections, Refused } from '../collections.ts';
import { answerCall } from './methods.ts';

const MOST_BYTES = 4 << 20;
/** Length of the prefix of a message: a flag and four bytes. Source: gRPC over HTTP/2, "Length-Prefixed-Message". */
const PREFIX = 5;
/** Codes of gRPC by the status that REST has. */
const CODES: Readonly<Record<number, number>> = { 400: 3, 404: 5, 409: 6, 413: 8, 501: 12 };
const INTERNAL = 13;

/** The gRPC side of the stand-in, not listening yet: one message in, one out, without compression. */
export function grpcServer(
  all: Collections,
  release: string,
): { readonly server: Http2Server; readonly drop: () => void } {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => session.destroy()).once('close', () => sessions.delete(session));
  });
  server.on('stream', (opened, headers) => {
    const stream = opened as ServerHttp2Stream;
    stream.on('error', () => stream.destroy());
    const path = String(headers[':path'] ?? '');
    messageOf(stream).then(
      (message) => respond(stream, () => answerCall(path, message, all, release)),
      (error: unknown) => respond(stream, () => fail(error)),
    );
  });
  return { server, drop: () => sessions.forEach((session) => void session.destroy()) };
}

function fail(error: unknown): never {
  throw error;
}

async function messageOf(stream: ServerHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Refused(413, `the demo takes messages of at most ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  const all = Buffer.concat(chunks);
  if (all.length < PREFIX || all.readUInt8(0) !== 0 || all.readUInt32BE(1) !== all.length - PREFIX) {
    throw new Refused(400, 'the demo takes one message without compression');
  }
  return all.subarray(PREFIX);
}

function respond(stream: ServerHttp2Stream, answer: () => Uint8Array): void {
  if (stream.destroyed) return;
  const head = { ':status': 200, 'content-type': 'application/grpc' };
  let message: Uint8Array;
  try {
    message = answer();
  } catch (error) {
    const code = error instanceof Refused ? (CODES[error.status] ?? INTERNAL) : INTERNAL;
    const text = error instanceof Error ? error.message : 'not readable';
    stream.respond({ ...head, 'grpc-status': code, 'grpc-message': encodeURI(text) }, { endStream: true });
    return;
  }
  stream.respond(head, { waitForTrailers: true });
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  const prefix = Buffer.alloc(PREFIX);
  prefix.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([prefix, message]));
}
