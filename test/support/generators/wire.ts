import { setImmediate as turn } from 'node:timers/promises';
import { connect } from 'node:tls';
import { againOptions, keepSession } from '../clients/tls-again.ts';
import type { TestGateway } from '../gateway.ts';
import type { RestCase } from './rest.ts';

export interface SentAnswer {
  readonly status: number;
  /** The body; of a JSON refusal the error alone. */
  readonly text: string;
}

/**
 * Sends a request byte for byte on a connection of its own, in the pieces `split` makes of it, and reads the answer
 * to its end.
 */
export async function sendCase(
  gateway: TestGateway,
  one: RestCase,
  split: (bytes: Buffer) => readonly Buffer[],
): Promise<SentAnswer> {
  return answerOf(await exchange(gateway, split(bytesOf(one, true))));
}

/** Sends requests behind each other on one connection without waiting; done when the gateway has closed it. */
export async function sendInOneGo(
  gateway: TestGateway,
  cases: readonly RestCase[],
  split: (bytes: Buffer) => readonly Buffer[],
): Promise<void> {
  const bytes = cases.map((one, index) => bytesOf(one, index === cases.length - 1));
  await exchange(gateway, split(Buffer.concat(bytes)));
}

async function exchange(gateway: TestGateway, pieces: readonly Buffer[]): Promise<Buffer> {
  const { host, port } = gateway.rest;
  const again = { port, ca: gateway.ca, ALPNProtocols: ['http/1.1'] };
  const socket = connect({ host, port, servername: 'localhost', ...againOptions(again) });
  keepSession(socket, again);
  socket.setNoDelay(true).setTimeout(10_000, () => socket.destroy(new Error('no answer for 10 s')));
  const read = readAll(socket);
  for (const piece of pieces) {
    if (socket.destroyed || socket.writableEnded) break;
    socket.write(piece);
    await turn();
  }
  return await read;
}

async function readAll(socket: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of socket) chunks.push(chunk);
  } catch (error) {
    // A refusal may come before the body has been taken; the rest of it then meets a closed connection.
    if (chunks.length === 0) throw error;
  }
  return Buffer.concat(chunks);
}

function bytesOf({ method, target, headers, body }: RestCase, last: boolean): Buffer {
  const lines = [
    `${method} ${target} HTTP/1.1`,
    'Host: localhost',
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  if (last && !headers.some(([name]) => name.toLowerCase() === 'connection')) lines.push('Connection: close');
  // By its length a body is framed in one of two ways, so that a case is always sent alike.
  const chunked = body !== undefined && body.length % 3 === 0;
  if (chunked) lines.push('Transfer-Encoding: chunked');
  else if (body) lines.push(`Content-Length: ${body.length}`);
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return Buffer.concat([head, chunked ? chunksOf(body) : (body ?? Buffer.alloc(0))]);
}

function chunksOf(body: Buffer): Buffer {
  const middle = body.length >> 1;
  const parts = [body.subarray(0, middle), body.subarray(middle)].filter((part) => part.length > 0);
  const framed = parts.flatMap((part) => [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]);
  return Buffer.concat([...framed, Buffer.from('0\r\n\r\n')]);
}

function answerOf(bytes: Buffer): SentAnswer {
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes.toString('latin1', 0, end);
  const status = Number(head.split(' ', 2)[1]);
  const text = bytes.toString('utf8', end + 4);
  const refused = /^\{"status":\{"error":("(?:[^"\\]|\\.)*")\}/.exec(text)?.[1];
  return { status, text: refused === undefined ? text : String(JSON.parse(refused)) };
}
