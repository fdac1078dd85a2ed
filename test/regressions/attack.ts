import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { CLIENT_PREFACE, ErrorCode, FrameType } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { writeHeaders, writeSettings } from '../../src/http2/write-frames.ts';
import { framed, type H2Client } from '../support/clients/h2-client.ts';
import { KEYS, startGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { unhurried } from '../support/patience.ts';
import { collectionToken } from '../support/tokens.ts';

/*
 * What the tests of advisories have in common: a gateway before an upstream that says yes to everything, so that a
 * request that gets past a check is always seen, and bytes sent as they are.
 */

/** Header lines of HTTP/1. */
export const ADMIN = `api-key: ${KEYS.admin}`;
/** May read `docs` and nothing else. */
export const SCOPED = `api-key: ${collectionToken('r', 'docs')}`;
export const CLOSE = 'Connection: close';
/** The same for a request that is not plain, so that the Fastify lane takes it and not the relay. */
export const LANE_CLOSE = 'Connection: close, x-lane';

/** The same as fields of HTTP/2. */
export const ADMIN_FIELD: HeaderField = ['api-key', KEYS.admin];
export const SCOPED_FIELD: HeaderField = ['api-key', collectionToken('r', 'docs')];

export interface Answer {
  readonly status: number;
  /** Names in lower case; of several the last. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What came back on one connection. */
export interface Conversation {
  /** Final answers in order; one that was cut off is the last and not whole. */
  readonly answers: readonly Answer[];
  /** Their statuses. */
  readonly statuses: readonly number[];
  /** Statuses of informational answers. */
  readonly informational: readonly number[];
  /** The gateway closed the connection. */
  readonly closed: boolean;
  readonly text: string;
}

export interface Attacked extends TestGateway {
  /**
   * Sends bytes (one character per byte) to the REST port on a connection of their own and reads until the gateway
   * closes it, or until `answers` answers are whole. At most 5 s.
   */
  readonly send: (bytes: string | Buffer, answers?: number) => Promise<Conversation>;
  /** What upstream was asked for clients since the last look, REST as `METHOD target`, then gRPC as its path. */
  readonly seen: () => string[];
  /** Bytes that arrived upstream since the last look (I1: none for what is denied). */
  readonly bytes: () => number;
  /** A keyed request that is answered: the gateway lives, and the answer is its own. Leaves no trace in `seen`. */
  readonly alive: () => Promise<boolean>;
}

interface Teardown {
  readonly teardown: (run: () => Promise<void>) => void;
}

/** Starts a gateway, without TLS unless asked for, before an upstream that says yes to everything. */
export async function attack(t: Teardown, options: TestGatewayOptions = {}): Promise<Attacked> {
  const upstream = { onRest: sayYes, onGrpc: sayYesToCall, ...options.upstream };
  const gateway = await startGateway({ tls: false, ...options, upstream });
  t.teardown(() => gateway.close());
  const { recorder } = gateway.upstream;
  const tls = gateway.rest.url.startsWith('https');
  const send: Attacked['send'] = (bytes, answers) => {
    const { host, port } = gateway.rest;
    const socket = tls
      ? connectTls({ host, port, servername: 'localhost', ca: gateway.ca, ALPNProtocols: ['http/1.1'] })
      : connectTcp({ host, port });
    return converse(socket, bytes, answers);
  };
  let probes = 0;
  return {
    ...gateway,
    send,
    seen: () => {
      const seen = [
        ...recorder.forwarded.map(({ method, target }) => `${method} ${target}`),
        ...recorder.grpc.map(({ path }) => path),
      ];
      recorder.clear();
      return seen;
    },
    bytes: () => recorder.bytes,
    alive: async () => {
      probes += 1;
      const target = `/collections/probe-${probes}`;
      const { answers } = await send(requestOf(`GET ${target}`, ADMIN, CLOSE));
      const reached = recorder.rest.filter((record) => record.target === target).length;
      recorder.clear();
      return reached === 1 && answers[0]?.body === yesTo('GET', target);
    },
  };
}

/** What the agreeable upstream answers to a REST request. Asked for its release it has one, so that it counts as up. */
export function yesTo(method: string, target: string): string {
  const release = target === '/' ? { version: '1.20.0' } : {};
  return JSON.stringify({ result: `${method} ${target}`, status: 'ok', time: 0, ...release });
}

function sayYes(request: IncomingMessage, response: ServerResponse): boolean {
  request.on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end(yesTo(request.method ?? '', request.url ?? ''));
  });
  request.resume();
  return true;
}

function sayYesToCall(stream: ServerHttp2Stream): boolean {
  stream.on('end', () => {
    if (stream.destroyed) return;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(framed(Buffer.alloc(0)));
  });
  stream.resume();
  return true;
}

/** A request head without a body: request line without version, then header lines. `Host` is added where none is. */
export function requestOf(line: string, ...lines: readonly string[]): string {
  const host = lines.some((one) => /^host:/i.test(one)) ? [] : ['Host: localhost'];
  return [`${line} HTTP/1.1`, ...host, ...lines, '', ''].join('\r\n');
}

/** The same with a body of known length. */
export function withBody(body: string, line: string, ...lines: readonly string[]): string {
  return `${requestOf(line, ...lines, `Content-Length: ${Buffer.byteLength(body, 'latin1')}`)}${body}`;
}

/** Sends bytes and reads answers; see `Attacked.send`. */
export async function converse(socket: Socket, bytes: string | Buffer, wanted = Infinity): Promise<Conversation> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let text = '';
  const timer = setTimeout(() => resolve(false), unhurried(15_000));
  socket.on('error', () => undefined);
  socket.once('close', () => resolve(true));
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    if (wanted !== Infinity && readAnswers(text).answers.length >= wanted) resolve(false);
  });
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  const closed = await promise;
  clearTimeout(timer);
  socket.destroy();
  const { answers, cut, informational } = readAnswers(text);
  const all = cut ? [...answers, cut] : answers;
  return { answers: all, statuses: all.map(({ status }) => status), informational, closed, text };
}

interface Read {
  readonly answers: readonly Answer[];
  readonly cut: Answer | undefined;
  readonly informational: readonly number[];
}

function readAnswers(text: string): Read {
  const answers: Answer[] = [];
  const informational: number[] = [];
  let at = 0;
  for (;;) {
    const end = text.indexOf('\r\n\r\n', at);
    if (end < 0) return { answers, cut: undefined, informational };
    const [top = '', ...lines] = text.slice(at, end).split('\r\n');
    const status = Number(top.split(' ', 2)[1]);
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    at = end + 4;
    if (status < 200) {
      informational.push(status);
      continue;
    }
    const body = headers['transfer-encoding'] === 'chunked' ? readChunks(text, at) : readSized(text, at, headers);
    if (body.next < 0) return { answers, cut: { status, headers, body: body.text }, informational };
    answers.push({ status, headers, body: body.text });
    at = body.next;
  }
}

function readSized(text: string, at: number, headers: Record<string, string>): { text: string; next: number } {
  const length = Number(headers['content-length'] ?? 0);
  const body = text.slice(at, at + length);
  return { text: body, next: body.length === length ? at + length : -1 };
}

function readChunks(text: string, start: number): { text: string; next: number } {
  let body = '';
  for (let at = start; ; ) {
    const end = text.indexOf('\r\n', at);
    const size = end < 0 ? Number.NaN : Number.parseInt(text.slice(at, end), 16);
    if (Number.isNaN(size) || text.length < end + 4 + size) return { text: body, next: -1 };
    body += text.slice(end + 2, end + 2 + size);
    at = end + 4 + size;
    if (size === 0) return { text: body, next: at };
  }
}

/** Values of a header as upstream received it, in order. */
export function headerOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}

/** A HEADERS frame of an ordinary HTTP/2 request. */
export function h2Request(
  streamId: number,
  line: string,
  fields: readonly HeaderField[] = [],
  endStream = true,
): Buffer {
  const [method = '', path = ''] = line.split(' ', 2);
  const pseudo: HeaderField[] = [
    [':method', method],
    [':scheme', 'https'],
    [':authority', 'localhost'],
    [':path', path],
  ];
  return writeHeaders(streamId, encodeHeaders([...pseudo, ...fields]), endStream);
}

/** The HTTP status of a stream, or `reset N`, or `goaway N`, or `closed`: whatever comes first. */
export async function h2Status(client: H2Client, streamId: number): Promise<string> {
  const found = client.until((frames) => {
    for (const { type, streamId: id, headers, payload } of frames) {
      if (type === FrameType.GOAWAY && payload.readUInt32BE(4) !== ErrorCode.NO_ERROR)
        return `goaway ${payload.readUInt32BE(4)}`;
      if (id !== streamId) continue;
      if (type === FrameType.RST_STREAM) return `reset ${payload.readUInt32BE(0)}`;
      if (type === FrameType.HEADERS) return `${headers[':status']}`;
    }
    return undefined;
  });
  return await found.catch((error: Error) => {
    if (client.closed) return 'closed';
    throw error;
  });
}

/** How the gateway ended a connection: `goaway N` or `closed`; waits for the close. */
export async function ending(client: H2Client): Promise<string> {
  await client.until(() => (client.closed ? true : undefined));
  const last = client.frames.findLast(({ type }) => type === FrameType.GOAWAY);
  return last ? `goaway ${last.payload.readUInt32BE(4)}` : 'closed';
}

/** Waits until something holds, at most 3 s; what it came to. */
export async function eventually(holds: () => boolean): Promise<boolean> {
  const until = performance.now() + 3000;
  while (!holds() && performance.now() < until) await new Promise<void>((resolve) => setTimeout(resolve, 5));
  return holds();
}

/** Any frame at all, also one that makes no sense. */
export function rawFrame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** Speaks HTTP/2 over TLS up to `frames`, then resets the connection below TLS. */
export async function sendAndReset(port: number, ca: Buffer, ...frames: readonly Buffer[]): Promise<void> {
  const below = connectTcp({ host: '127.0.0.1', port });
  below.on('error', () => undefined);
  await once(below, 'connect');
  const socket = connectTls({ socket: below, servername: 'localhost', ca, ALPNProtocols: ['h2'] });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  await new Promise<void>((resolve) =>
    socket.write(Buffer.concat([CLIENT_PREFACE, writeSettings([]), ...frames]), () => resolve()),
  );
  below.resetAndDestroy();
}

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

/** Bytes that are still held after a collection. */
export function retained(): number {
  if (typeof collect === 'function') collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
