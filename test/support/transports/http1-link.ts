import type { Socket } from 'node:net';
import { openTls } from '../clients/sockets.ts';
import { unhurried } from '../patience.ts';
import { type HeardAnswer, type SentRequest, withoutBody } from './request.ts';

const LINE_END = '\r\n';
const HEAD_END = '\r\n\r\n';
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([\t -~\x80-\xff]*)$/;

interface Waiting {
  readonly method: string;
  readonly resolve: (answer: HeardAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** One kept HTTP/1.1 connection over TLS, one request at a time. Throws for everything that is not one whole answer. */
export class Http1Link {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #waiting: Waiting | undefined;
  /** It takes no more requests: the last answer said so, or it is gone. */
  ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#fail('the connection ended without an answer'));
  }

  static async open(port: number, ca: Buffer): Promise<Http1Link> {
    return new Http1Link(await openTls(port, { ca, ALPNProtocols: ['http/1.1'] }));
  }

  /** Sends the request as it stands, with `host` and the length of its body. */
  send({ method, target, headers, body, host = 'gateway.test' }: SentRequest): Promise<HeardAnswer> {
    const lines = headers.map(([name, value]) => `${name}: ${value}`);
    if (body) lines.push(`content-length: ${body.length}`);
    const head = [`${method} ${target} HTTP/1.1`, `host: ${host}`, ...lines, '', ''].join(LINE_END);
    const late = setTimeout(() => this.#fail('no answer in time'), unhurried(20_000));
    const answer = new Promise<HeardAnswer>((resolve, reject) => {
      this.#waiting = { method, resolve, reject };
    });
    this.#socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body ?? Buffer.alloc(0)]));
    return answer.finally(() => clearTimeout(late));
  }

  close(): void {
    this.ended = true;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    try {
      while (this.#waiting && this.#read(this.#waiting));
      if (!this.#waiting && this.#bytes.length > 0) throw new Error('bytes behind the answer');
    } catch (error) {
      this.#fail(`${String(error)}: ${this.#bytes.toString('latin1', 0, 300)}`);
    }
  }

  /** Reads one head and its body. `false` = more has to come. */
  #read(waiting: Waiting): boolean {
    const end = this.#bytes.indexOf(HEAD_END);
    if (end < 0) return false;
    const [line = '', ...fields] = this.#bytes.toString('latin1', 0, end).split(LINE_END);
    const status = Number(/^HTTP\/1\.1 ([1-5]\d\d) [ -~]*$/.exec(line)?.[1] ?? Number.NaN);
    if (Number.isNaN(status)) throw new Error('no status line');
    const headers = fields.map((field) => {
      const [, name, value] = FIELD.exec(field) ?? [];
      if (name === undefined || value === undefined) throw new Error(`no header: ${field}`);
      return [name.toLowerCase(), value] as const;
    });
    if (status < 200) {
      this.#bytes = this.#bytes.subarray(end + HEAD_END.length);
      return this.#bytes.length > 0;
    }
    const read = withoutBody(waiting.method, status)
      ? { body: Buffer.alloc(0), next: end + HEAD_END.length }
      : this.#body(headers, end + HEAD_END.length);
    if (!read) return false;
    this.#bytes = this.#bytes.subarray(read.next);
    this.#waiting = undefined;
    if (headers.some(([name, value]) => name === 'connection' && value.toLowerCase() === 'close')) this.ended = true;
    waiting.resolve({ status, headers, body: read.body });
    return false;
  }

  #body(headers: HeardAnswer['headers'], from: number): { readonly body: Buffer; readonly next: number } | undefined {
    const valuesOf = (wanted: string) => headers.filter(([name]) => name === wanted).map(([, value]) => value);
    const [lengths, codings] = [valuesOf('content-length'), valuesOf('transfer-encoding')];
    if (lengths.length + codings.length !== 1) throw new Error('not one length');
    if (codings.length === 1) {
      if (codings[0] !== 'chunked') throw new Error('an unknown transfer coding');
      return this.#chunks(from);
    }
    if (!/^\d+$/.test(lengths[0] ?? '')) throw new Error('not a length');
    const next = from + Number(lengths[0]);
    return this.#bytes.length < next ? undefined : { body: Buffer.from(this.#bytes.subarray(from, next)), next };
  }

  #chunks(from: number): { readonly body: Buffer; readonly next: number } | undefined {
    const parts: Buffer[] = [];
    for (let at = from; ; ) {
      const line = this.#bytes.indexOf(LINE_END, at);
      if (line < 0) return undefined;
      const digits = this.#bytes.toString('latin1', at, line);
      if (!/^[0-9a-fA-F]+$/.test(digits)) throw new Error('no size of a chunk');
      const size = Number.parseInt(digits, 16);
      const next = line + 2 + size + 2;
      if (this.#bytes.length < next) return undefined;
      if (this.#bytes.toString('latin1', next - 2, next) !== LINE_END) throw new Error('a chunk without an end');
      if (size === 0) return { body: Buffer.concat(parts), next };
      parts.push(Buffer.from(this.#bytes.subarray(line + 2, line + 2 + size)));
      at = next;
    }
  }

  #fail(why: string): void {
    this.close();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(new Error(why));
  }
}
