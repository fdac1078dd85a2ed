import { request } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { text } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';
import { framed } from '../clients/raw-grpc.ts';

/*
 * Requests of the model of tenants in cleartext, with as little around them as a sequence needs: a run sends thousands. A connection that ends
 * without an answer is an answer, too.
 */

type Headers = Readonly<Record<string, string>>;

/** What Qdrant answers where it ends a connection (v1.19.0). */
const ENDED = 'panicked: the connection has ended';

/**
 * One request on a connection of its own: what the relay hands over takes its connection along.
 *
 * @param url of the port
 * @param body empty = none
 */
export function sendRest(
  url: string,
  method: string,
  path: string,
  headers: Headers,
  body: string,
): Promise<{ readonly status: number; readonly text: string }> {
  const { promise, resolve } = Promise.withResolvers<{ status: number; text: string }>();
  const ended = (): void => resolve({ status: 500, text: JSON.stringify({ status: { error: ENDED } }) });
  const { hostname: host, port } = new URL(url);
  const length = body === '' ? {} : { 'content-length': Buffer.byteLength(body) };
  const fields = { 'content-type': 'application/json', connection: 'close', ...length, ...headers };
  const sent = request({ host, port, method, path, headers: fields, agent: false }, (response) => {
    text(response).then((read) => resolve({ status: response.statusCode ?? 0, text: read }), ended);
  });
  sent.on('error', ended).end(body);
  return promise;
}

const sessions = new Map<string, ClientHttp2Session>();

/** One connection to each port, which does not keep the process. */
function sessionTo(url: string): ClientHttp2Session {
  const known = sessions.get(url);
  if (known && !known.closed && !known.destroyed) return known;
  const made = connect(url);
  made.on('error', () => made.destroy());
  made.unref();
  sessions.set(url, made);
  return made;
}

/** One unary call. Of four messages one is compressed: the gateway makes those anew in another way. */
export function callGrpc(
  url: string,
  path: string,
  headers: Headers,
  message: Buffer,
): Promise<{ readonly code: number; readonly message: string; readonly body: Buffer }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number; message: string; body: Buffer }>();
  const compressed = message.length % 4 === 0;
  const coding = compressed ? { 'grpc-encoding': 'gzip', 'grpc-accept-encoding': 'gzip' } : {};
  const head = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
  const stream = sessionTo(url).request({ ...head, ...coding, ...headers });
  const chunks: Buffer[] = [];
  let status: Record<string, unknown> = {};
  const keep = (fields: Record<string, unknown>): void => {
    if (fields['grpc-status'] !== undefined) status = fields;
  };
  stream.on('response', keep).on('trailers', keep);
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', () => undefined); // It is closed then.
  stream.on('close', () => {
    const { 'grpc-status': code = 14, 'grpc-message': said = ENDED } = status;
    const shown = code === 14 || 'grpc-message' in status ? decodeURIComponent(String(said)) : '';
    resolve({ code: Number(code), message: shown, body: messageIn(Buffer.concat(chunks)) });
  });
  stream.end(framed(compressed ? gzipSync(message) : message, compressed));
  return promise;
}

function messageIn(frame: Buffer): Buffer {
  const message = frame.subarray(5);
  return frame[0] === 1 ? gunzipSync(message) : message;
}
