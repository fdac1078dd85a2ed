import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { Agent, request } from 'node:https';
import { connect as connectTls } from 'node:tls';
import type { TestGateway } from '../gateway.ts';
import { againOptions, keepSession } from './tls-again.ts';

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

/** One GET on a connection of its own; header lines go out byte for byte, one character per byte. */
export function sendLines(gateway: TestGateway, target: string, lines: readonly string[]): Promise<RawAnswer> {
  const head = [`GET ${target} HTTP/1.1`, 'Host: localhost', ...lines, 'Connection: close', '', ''].join('\r\n');
  return sendBytes(gateway, Buffer.from(head, 'latin1'));
}

/** These bytes on a connection of their own, over TLS; they must ask for its end. */
export async function sendBytes(gateway: TestGateway, bytes: Buffer): Promise<RawAnswer> {
  const { host, port } = gateway.rest;
  const again = { port, ca: gateway.ca, ALPNProtocols: ['http/1.1'] };
  const socket = connectTls({ host, port, servername: 'localhost', ...againOptions(again) });
  keepSession(socket, again);
  socket.write(bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  const [top = '', ...rest] = Buffer.concat(chunks).toString().split('\r\n\r\n');
  const contentType = /^content-type: *(.*)$/im.exec(top)?.[1];
  return { status: Number(top.split(' ', 2)[1]), contentType, text: unchunked(top, rest.join('\r\n\r\n')) };
}

function unchunked(head: string, body: string): string {
  if (!/^transfer-encoding: *chunked$/im.test(head)) return body;
  const bytes = Buffer.from(body);
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.toString('latin1', at, end), 16);
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = size > 0 ? end + 4 + size : bytes.length;
  }
  return Buffer.concat(parts).toString();
}
