import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { bodyOf, type Leaver, lineOf } from './leaver.ts';

/** What comes of one client. */
export interface Told {
  readonly status: number | undefined;
  /** It had sent all of its body. */
  readonly sentAll: boolean;
}

/** A request over HTTP/1.1 that is held upstream. */
export function hold(socket: Socket, id: number): Socket {
  socket.on('error', ignore).on('data', ignore);
  const head = `PUT /collections/a/points?id=${id}&answer=held HTTP/1.1\r\nhost: a\r\napi-key: main\r\n`;
  socket.write(`${head}transfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\n2\r\n{}\r\n0\r\n\r\n`);
  return socket;
}

/** Requests on one HTTP/2 connection that are held upstream. */
export function holdHttp2(port: number, ids: readonly number[]): ClientHttp2Session {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', ignore);
  for (const id of ids) {
    const path = `/collections/a/points?id=${id}&answer=held`;
    const headers = { ':method': 'PUT', ':path': path, 'api-key': 'main', 'content-length': '2' };
    session.request(headers).on('error', ignore).on('data', ignore).end('{}');
  }
  return session;
}

/** Does it speak HTTP/2? */
export function isHttp2({ lane }: Leaver): boolean {
  return lane === 'http2' || lane === 'http2-server';
}

function headersOf(leaver: Leaver): string[] {
  const headers: string[] = ['content-type: application/json'];
  if (leaver.credential !== 'none') headers.push(`api-key: ${leaver.credential}`);
  if (leaver.coding !== 'plain' && leaver.size !== 'none') headers.push(`content-encoding: ${leaver.coding}`);
  // Not plain.
  else if (leaver.lane === 'http2-server') headers.push('content-encoding: identity');
  if (leaver.lane === 'fastify') headers.push('expect:');
  return headers;
}

function framed(leaver: Leaver, body: Buffer): Buffer {
  if (!leaver.chunked || body.length === 0) return body;
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += 50_000) {
    const part = body.subarray(at, at + 50_000);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

/** Asks over HTTP/1 and leaves. @param id of the request, for upstream */
export async function leaveHttp1(port: number, leaver: Leaver, id: number): Promise<Told> {
  const body = bodyOf(leaver);
  const [method, path] = lineOf(leaver, id);
  const framing =
    body.length === 0 ? [] : [leaver.chunked ? 'transfer-encoding: chunked' : `content-length: ${body.length}`];
  const lines = [`${method} ${path} HTTP/1.1`, 'host: a', ...headersOf(leaver), ...framing, '', ''];
  const head = Buffer.from(lines.join('\r\n'));
  const bytes = Buffer.concat([head, framed(leaver, body)]);
  const size = {
    head: head.length >> 1,
    'after-head': head.length,
    'mid-body': head.length + ((bytes.length - head.length) >> 1),
  };
  const end = leaver.phase in size ? size[leaver.phase as keyof typeof size] : bytes.length;
  const socket = leaver.tls ? connectTls({ port, rejectUnauthorized: false }) : connectTcp(port);
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  const reading = new Reading();
  socket.setNoDelay(true);
  socket
    .on('error', ignore)
    .on('data', (chunk: Buffer) => reading.push(chunk))
    .on('close', () => reading.close());
  for (let at = 0, piece = 1; piece <= leaver.pieces; piece += 1) {
    const to = piece === leaver.pieces ? end : Math.floor((end * piece) / leaver.pieces);
    socket.write(bytes.subarray(at, to));
    at = to;
    await turn();
  }
  if (leaver.phase === 'mid-answer') await reading.begun;
  if (leaver.phase === 'after-answer') await reading.whole;
  for (let left = leaver.turns; left > 0; left -= 1) await turn();
  if (leaver.way === 'end') socket.end(() => socket.destroySoon());
  else if (leaver.way === 'destroy' || leaver.tls) socket.destroy();
  else socket.resetAndDestroy();
  await closed;
  return { status: reading.status, sentAll: end === bytes.length };
}

/** The answer on an HTTP/1 connection. */
class Reading {
  readonly begun: Promise<void>;
  readonly whole: Promise<void>;
  status: number | undefined;
  #head = '';
  #left: number | undefined;
  #begin: () => void = ignore;
  #end: () => void = ignore;

  constructor() {
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
    this.whole = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  push(chunk: Buffer): void {
    if (this.#left === undefined) {
      this.#readHead(chunk.toString('latin1'));
      return;
    }
    this.#left -= chunk.length;
    if (this.#left <= 0 || chunk.toString('latin1', Math.max(0, chunk.length - 5)) === '0\r\n\r\n') this.#end();
  }

  #readHead(text: string): void {
    this.#head += text;
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    this.status = Number(this.#head.slice(9, 12));
    this.#begin();
    const length = /\r\ncontent-length: (\d+)/i.exec(this.#head)?.[1];
    this.#left = Number(length ?? Number.POSITIVE_INFINITY) - (this.#head.length - end - 4);
    if (this.#left <= 0 || this.#head.endsWith('0\r\n\r\n')) this.#end();
  }

  close(): void {
    this.#begin();
    this.#end();
  }
}

/** The same over HTTP/2. */
export async function leaveHttp2(port: number, leaver: Leaver, id: number): Promise<Told> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  const closed = new Promise<void>((resolve) => void session.once('close', () => resolve()));
  session.on('error', ignore);
  let told: Told = { status: undefined, sentAll: false };
  const connected = new Promise<boolean>((resolve) => {
    session.once('connect', () => resolve(true)).once('close', () => resolve(false));
  });
  if ((await connected) && leaver.phase !== 'head') told = await requestAndLeave(session, leaver, id);
  session.destroy();
  await closed;
  return told;
}

async function requestAndLeave(session: ClientHttp2Session, leaver: Leaver, id: number): Promise<Told> {
  const [method, path] = lineOf(leaver, id);
  const headers: Record<string, string> = { ':method': method, ':path': path };
  for (const line of headersOf(leaver)) {
    const [name = '', value = ''] = line.split(': ');
    if (value !== '') headers[name] = value;
  }
  const body = bodyOf(leaver);
  if (!leaver.chunked && body.length > 0) headers['content-length'] = String(body.length);
  const stream = session.request(headers, { endStream: body.length === 0 && leaver.phase !== 'after-head' });
  let status: number | undefined;
  const closed = new Promise<void>((resolve) => void stream.once('close', () => resolve()));
  const begun = new Promise<void>(
    (resolve) =>
      void stream.once('response', (answer) => {
        status = Number(answer[':status']);
        resolve();
      }),
  );
  stream.on('error', ignore).on('data', ignore);
  const ended = new Promise<void>((resolve) => void stream.once('end', () => resolve()));
  const end = leaver.phase === 'after-head' ? 0 : leaver.phase === 'mid-body' ? body.length >> 1 : body.length;
  const whole = end === body.length && leaver.phase !== 'after-head';
  if (end > 0) stream.write(body.subarray(0, end));
  if (whole && body.length > 0) stream.end();
  if (leaver.phase === 'mid-answer') await Promise.race([begun, closed]);
  if (leaver.phase === 'after-answer') await Promise.race([ended, closed]);
  for (let left = leaver.turns; left > 0; left -= 1) await turn();
  if (leaver.way === 'reset') {
    // To close it would end the body first.
    if (whole) stream.close(constants.NGHTTP2_CANCEL);
    else stream.destroy(new Error('left'));
    await closed;
  } else if (leaver.way === 'end') {
    await turn();
  }
  return { status, sentAll: whole || (body.length === 0 && leaver.phase !== 'after-head') };
}

function ignore(): void {}
