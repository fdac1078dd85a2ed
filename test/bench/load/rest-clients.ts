import type { TLSSocket } from 'node:tls';
import { type Clients, clientsOn, openConnections, type Slot, type Target, Told } from './clients.ts';

const HEAD_END = '\r\n\r\n';

/** One request as bytes. Fields come after `host`, `user-agent` and `accept`, the credential last. */
export function restRequest(
  target: Target,
  line: string,
  { body, fields = [] }: { readonly body?: Buffer; readonly fields?: readonly string[] } = {},
): Buffer {
  const length = body === undefined ? [] : ['content-type: application/json', `content-length: ${body.length}`];
  const common = [`host: localhost:${target.port}`, 'user-agent: bench', 'accept: */*'];
  const head = [`${line} HTTP/1.1`, ...common, ...length, ...fields, `api-key: ${target.credential}`, '', ''];
  return Buffer.concat([Buffer.from(head.join('\r\n'), 'latin1'), body ?? Buffer.alloc(0)]);
}

/** Reads the answers of one connection, one at a time. */
export class AnswerReader {
  readonly #answerBytes: number;
  #head = '';
  #bodyLeft = -1;
  #fault: string | null = null;

  constructor(answerBytes: number) {
    this.#answerBytes = answerBytes;
  }

  /** Takes the next bytes; once an answer is whole, null or what is wrong with it. */
  take(chunk: Buffer): { readonly fault: string | null } | undefined {
    let body = chunk.length;
    if (this.#bodyLeft < 0) {
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf(HEAD_END);
      if (end === -1) return undefined;
      body = this.#head.length - end - HEAD_END.length;
      this.#bodyLeft = this.#readHead(this.#head.slice(0, end));
      this.#head = '';
    }
    this.#bodyLeft -= body;
    if (this.#bodyLeft > 0) return undefined;
    this.#bodyLeft = -1;
    return { fault: this.#fault };
  }

  /** Judges an answer by its head and returns the bytes of its body. */
  #readHead(head: string): number {
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN);
    if (!head.startsWith('HTTP/1.1 200')) this.#fault = `answer \`${head.slice(0, 40).split('\r')[0]}\``;
    else if (Number.isNaN(length)) this.#fault = 'an answer came without content-length';
    else this.#fault = length === this.#answerBytes ? null : `an answer of ${length} bytes`;
    return Number.isNaN(length) ? 0 : length;
  }
}

class RestSlot implements Slot {
  readonly #socket: TLSSocket;
  readonly #next: () => Buffer;

  constructor(socket: TLSSocket, next: () => Buffer, reader: AnswerReader, told: Told) {
    this.#socket = socket;
    this.#next = next;
    socket.on('data', (chunk: Buffer) => {
      const answer = reader.take(chunk);
      if (answer !== undefined) told.events.answered(this, answer.fault);
    });
  }

  send(): void {
    this.#socket.write(this.#next());
  }
}

/** The requests one after the other, over and over, for as long as the function lives. */
export function cycle(requests: readonly Buffer[]): () => Buffer {
  let cursor = 0;
  return () => {
    const request = requests[cursor] ?? Buffer.alloc(0);
    cursor = (cursor + 1) % requests.length;
    return request;
  };
}

/** Opens keep-alive connections with one slot each; whichever sends takes the `next` request. */
export async function openRestClients(
  target: Target,
  connections: number,
  next: () => Buffer,
  answerBytes: number,
): Promise<Clients> {
  const told = new Told();
  const sockets = await openConnections(target, connections, null);
  return clientsOn(sockets, told, (socket) => [new RestSlot(socket, next, new AnswerReader(answerBytes), told)]);
}
