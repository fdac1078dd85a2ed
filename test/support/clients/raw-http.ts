import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { Agent, request } from 'node:https';
import type { TestGateway } from '../gateway.ts';

export interface RawRequest {
  readonly method: string;
  /** Sent as it stands. */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: string | undefined;
}

export interface RawAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly text: string;
}

/** Sends requests as they are given, redirects and codings untouched. */
export interface RawClient {
  readonly send: (request: RawRequest) => Promise<RawAnswer>;
  readonly close: () => void;
}

/** HTTP/1.1 over TLS on up to `sockets` kept connections. */
export function http1Client(gateway: TestGateway, sockets: number): RawClient {
  const agent = new Agent({ keepAlive: true, maxSockets: sockets, ca: gateway.ca });
  const { host, port } = gateway.rest;
  const send = (raw: RawRequest): Promise<RawAnswer> =>
    new Promise((resolve, reject) => {
      const headers: Record<string, string> = Object.fromEntries(raw.headers);
      if (raw.body !== undefined) headers['content-length'] = String(Buffer.byteLength(raw.body));
      const options = { agent, host, port, servername: 'localhost', method: raw.method, path: raw.target, headers };
      const sent = request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, contentType: response.headers['content-type'], text });
        });
      });
      sent.on('error', reject);
      sent.end(raw.body);
    });
  return { send, close: () => agent.destroy() };
}

/** HTTP/2 over TLS, all requests on one connection. */
export function http2Client(gateway: TestGateway): RawClient {
  const session = connect(gateway.rest.url, { ca: gateway.ca });
  return { send: (raw) => sendHttp2(session, raw), close: () => session.destroy() };
}

async function sendHttp2(session: ClientHttp2Session, raw: RawRequest): Promise<RawAnswer> {
  const headers = { ':method': raw.method, ':path': raw.target, ...Object.fromEntries(raw.headers) };
  const stream = session.request(headers, { endStream: raw.body === undefined });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = once(stream, 'end');
  const head = once(stream, 'response');
  if (raw.body !== undefined) stream.end(raw.body);
  const [response] = await head;
  await ended;
  const { ':status': status, 'content-type': contentType } = response as Record<string, unknown>;
  return {
    status: Number(status),
    contentType: typeof contentType === 'string' ? contentType : undefined,
    text: Buffer.concat(chunks).toString(),
  };
}
