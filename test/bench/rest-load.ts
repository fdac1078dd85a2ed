import type { TLSSocket } from 'node:tls';
import { type Load, loadOn, openConnections, Tally, type Target } from './load.ts';

/** Keep-alive connections, each with one request in flight. */
export const REST_CONNECTIONS = 32;

const HEAD_END = '\r\n\r\n';

/** Sends the same request over and over on one connection and counts the answers. */
class RestConnection {
  readonly #socket: TLSSocket;
  readonly #request: Buffer;
  readonly #tally: Tally;
  readonly #answerBytes: number;
  #head = '';
  #bodyLeft = -1;

  constructor(socket: TLSSocket, request: Buffer, answerBytes: number, tally: Tally) {
    this.#socket = socket;
    this.#request = request;
    this.#answerBytes = answerBytes;
    this.#tally = tally;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.write(request);
  }

  #take(chunk: Buffer): void {
    let body = chunk.length;
    if (this.#bodyLeft < 0) {
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf(HEAD_END);
      if (end === -1) return;
      body = this.#head.length - end - HEAD_END.length;
      this.#bodyLeft = this.#readHead(this.#head.slice(0, end));
      this.#head = '';
    }
    this.#bodyLeft -= body;
    if (this.#bodyLeft > 0) return;
    this.#bodyLeft = -1;
    this.#socket.write(this.#request);
  }

  /** Judges an answer by its head and returns the bytes of its body. */
  #readHead(head: string): number {
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) {
      this.#tally.fail('an answer came without content-length');
      this.#socket.destroy();
      return 0;
    }
    if (!head.startsWith('HTTP/1.1 200')) this.#tally.fail(`answer \`${head.slice(0, 40).split('\r')[0]}\``);
    else if (Number(length) !== this.#answerBytes) this.#tally.fail(`an answer of ${length} bytes`);
    else this.#tally.completed++;
    return Number(length);
  }
}

/**
 * Opens TLS connections and repeats `GET path` on each, the next as soon as the answer is in. Rejects when a connection
 * cannot be made.
 */
export async function startRestLoad(target: Target, path: string, answerBytes: number): Promise<Load> {
  const tally = new Tally();
  const lines = [`GET ${path} HTTP/1.1`, `host: localhost:${target.port}`, 'user-agent: bench', 'accept: */*'];
  const request = Buffer.from([...lines, `api-key: ${target.credential}`, '', ''].join('\r\n'), 'latin1');
  const sockets = await openConnections(target, REST_CONNECTIONS, null);
  return loadOn(sockets, tally, (socket) => new RestConnection(socket, request, answerBytes, tally));
}
