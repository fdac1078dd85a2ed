import type { Socket } from 'node:net';
import { nextTurn } from '../support/later.ts';

/** How a request says in `x-u` that it wants to be answered: the form, and the bytes of the body. */
export const HTTP1_ANSWERS = [
  ...(['now', 'now', 'now', 'late', 'early', 'deaf', 'pieces', 'chunked', 'close', 'info', 'long'] as const),
  ...(['cut', 'cut-chunked', 'cut-head', 'none', 'reset', 'broken', 'empty', 'not-modified'] as const),
] as const;

/** Those after which the client has a whole answer of upstream's. */
export const WHOLE_ANSWERS: readonly string[] = [
  ...['now', 'late', 'pieces', 'chunked', 'close', 'info', 'long', 'empty', 'not-modified'],
];

/** A request as upstream has read it. */
export interface Http1Request {
  /** Its `x-id`. */
  readonly name: string;
  readonly method: string;
  readonly target: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer[];
  whole: boolean;
}

/** An answer as upstream has written it. */
export interface Http1Answer {
  readonly status: number;
  readonly body: Buffer;
  /** All of it was written. */
  whole: boolean;
}

export interface Http1Watch {
  /** The head of a request. */
  request(request: Http1Request): void;
  answer(name: string, answer: Http1Answer): void;
  wrong(what: string): void;
}

const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([\t -~\x80-\xff]*)$/;
/** Fields of the fuzzer's own. A changed bit may make two of the same name of them; the last one counts. */
const OWN_FIELD = /^x-[a-z]+$/;
const LISTED = '{"result":{"collections":[{"name":"a"},{"name":"other"}]},"status":"ok","time":0}';

/** The body of an answer: for a list a list, else bytes that no other request has. */
function bodyFor({ target, name }: Http1Request, bytes: number): Buffer {
  if (/^\/collections(\?|$)/.test(target)) return Buffer.from(LISTED.padEnd(bytes));
  return Buffer.alloc(bytes, `${name} `);
}

/** An upstream connection over HTTP/1.1 that reads requests strictly, one after the other, and answers as `x-u` says. */
export class KeptHttp1Upstream {
  readonly #socket: Socket;
  readonly #watch: Http1Watch;
  #bytes: Buffer = Buffer.alloc(0);
  #request: Http1Request | undefined;
  /** Bytes of a body of known length that are still to come. */
  #left = 0;
  #chunked = false;
  #answering = false;
  #lost = false;

  constructor(socket: Socket, watch: Http1Watch) {
    this.#socket = socket;
    this.#watch = watch;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      if (this.#lost) return;
      this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
      try {
        while (this.#step());
      } catch (error) {
        this.#lost = true;
        watch.wrong(String(error));
      }
    });
    socket.on('end', () => socket.end());
  }

  /** Takes the next part of what has come. `false` = more is needed. */
  #step(): boolean {
    if (this.#request && !this.#request.whole) return this.#body(this.#request);
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end < 0) return false;
    if (this.#answering) throw new Error('a request before the answer to the one before it');
    const lines = this.#bytes.toString('latin1', 0, end).split('\r\n');
    this.#bytes = this.#bytes.subarray(end + 4);
    this.#begin(lines);
    return true;
  }

  #begin([line = '', ...fields]: readonly string[]): void {
    const [, method = '', target = ''] = /^([A-Z]+) (\/[!-~]*) HTTP\/1\.1$/.exec(line) ?? [];
    if (method === '') throw new Error(`a request line: ${JSON.stringify(line)}`);
    const headers = new Map<string, string>();
    for (const field of fields) {
      const [, name = '', value = ''] = FIELD.exec(field) ?? [];
      if (name === '') throw new Error(`a header: ${JSON.stringify(field)}`);
      const lower = name.toLowerCase();
      if (headers.has(lower) && !OWN_FIELD.test(lower)) throw new Error(`${lower} is given twice`);
      headers.set(lower, value);
    }
    for (const never of ['api-key', 'authorization', 'te', 'upgrade']) {
      if (headers.has(never)) throw new Error(`${never} was sent on`);
    }
    const length = headers.get('content-length');
    this.#chunked = headers.has('transfer-encoding');
    if (this.#chunked && length !== undefined) throw new Error('two lengths of one body');
    if (!headers.has('host')) throw new Error('no host');
    this.#left = Number(length ?? 0);
    const whole = this.#left === 0 && !this.#chunked;
    const request = { name: headers.get('x-id') ?? '', method, target, headers, body: [], whole };
    this.#request = request;
    this.#watch.request(request);
    if (isEarly(request) || whole) this.#answer(request);
  }

  #body(request: Http1Request): boolean {
    if (this.#chunked) return this.#chunk(request);
    if (this.#bytes.length === 0) return false;
    const size = Math.min(this.#left, this.#bytes.length);
    this.#take(request, 0, size);
    this.#bytes = this.#bytes.subarray(size);
    this.#left -= size;
    if (this.#left === 0) this.#whole(request);
    return true;
  }

  /** A whole chunk of the body. */
  #chunk(request: Http1Request): boolean {
    const line = this.#bytes.indexOf('\r\n');
    if (line < 0) return false;
    const digits = this.#bytes.toString('latin1', 0, line);
    if (!/^[0-9a-fA-F]{1,8}$/.test(digits)) throw new Error(`a chunk: ${JSON.stringify(digits)}`);
    const end = line + 2 + Number.parseInt(digits, 16);
    if (this.#bytes.length < end + 2) return false;
    if (this.#bytes.toString('latin1', end, end + 2) !== '\r\n') throw new Error('a chunk without its end');
    this.#take(request, line + 2, end);
    this.#bytes = this.#bytes.subarray(end + 2);
    if (end === line + 2) this.#whole(request);
    return true;
  }

  #take(request: Http1Request, from: number, to: number): void {
    request.body.push(Buffer.from(this.#bytes.subarray(from, to)));
  }

  #whole(request: Http1Request): void {
    request.whole = true;
    if (!isEarly(request)) this.#answer(request);
  }

  #answer(request: Http1Request): void {
    this.#answering = true;
    this.#say(request).then(
      () => {
        this.#answering = false;
      },
      (error: unknown) => this.#watch.wrong(String(error)),
    );
  }

  async #say(request: Http1Request): Promise<void> {
    const { method, name, headers } = request;
    const [kind = 'now', size] = (headers.get('x-u') ?? 'now-10').split(/-(?=\d)/);
    const socket = this.#socket;
    if (kind === 'none') return new Promise(() => undefined);
    if (kind === 'reset') {
      socket.resetAndDestroy();
      return;
    }
    const status =
      kind === 'empty' ? 204 : kind === 'not-modified' ? 304 : kind === 'early' || kind === 'deaf' ? 404 : 200;
    const bare = status === 204 || status === 304 || method === 'HEAD';
    const said = bodyFor(request, Number(size) || 0);
    const answer = { status, body: bare ? Buffer.alloc(0) : said, whole: false };
    this.#watch.answer(name, answer);
    // Without a body nothing of it can be missing.
    const isBroken = BROKEN.includes(kind) && !(bare && (kind === 'cut' || kind === 'cut-chunked'));
    const parts = partsOf(kind, { status, name, said, bare });
    for (const [at, part] of parts.entries()) {
      if (socket.destroyed) return;
      // What stands behind an answer comes with it.
      if (at === parts.length - 1 && !isBroken) answer.whole = true;
      socket.write(part);
      if (kind !== 'now') await nextTurn();
    }
    if (kind === 'close' || kind === 'deaf') socket.end();
    if (kind === 'deaf') socket.pause();
    if (BROKEN.includes(kind)) socket.destroySoon();
  }
}

function isEarly({ headers }: Http1Request): boolean {
  return /^(early|deaf)-/.test(headers.get('x-u') ?? '');
}

/** Forms of which the client never has a whole answer. */
const BROKEN: readonly string[] = ['cut', 'cut-chunked', 'cut-head', 'broken'];

interface Said {
  readonly status: number;
  readonly name: string;
  readonly said: Buffer;
  readonly bare: boolean;
}

/** The bytes of an answer, by what is written at a time. */
function partsOf(kind: string, { status, name, said, bare }: Said): Buffer[] {
  const text = (...lines: readonly string[]): Buffer => Buffer.from([...lines, '', ''].join('\r\n'), 'latin1');
  const line = `HTTP/1.1 ${status} Text`;
  const id = `x-id: ${name}`;
  const length = `content-length: ${said.length}`;
  const body = bare ? [] : [said];
  const half = said.length >> 1;
  switch (kind) {
    case 'late':
      return [Buffer.alloc(0), Buffer.alloc(0), text(line, id, length), ...body];
    case 'pieces':
      return [text(line, id, length), ...(bare ? [] : [said.subarray(0, half), said.subarray(half)])];
    case 'chunked':
      return [text(line, id, 'transfer-encoding: chunked'), ...(bare ? [] : chunksOf(said))];
    case 'close':
      return bare ? [text(line, id, 'connection: close')] : [text(line, id), said];
    case 'deaf':
      return [Buffer.concat([text(line, id, length, 'connection: close'), ...body])];
    case 'info':
      return [text('HTTP/1.1 103 Early Hints', 'link: </a>'), Buffer.concat([text(line, id, length), ...body])];
    case 'long':
      return [Buffer.concat([text(line, id, length), ...body, Buffer.from('HTTP/1.1 200 OK\r\n')])];
    case 'cut':
      return [text(line, id, `content-length: ${said.length + 1}`), ...body];
    case 'cut-chunked':
      return [text(line, id, 'transfer-encoding: chunked'), ...(bare ? [] : chunksOf(said).slice(0, -1))];
    case 'cut-head':
      return [Buffer.from(`${line}\r\n${id}\r\n`, 'latin1')];
    case 'broken':
      return [text(line, id, 'content-length: 1x'), ...body];
    case 'empty':
    case 'not-modified':
      return [text(line, id)];
    default:
      return [Buffer.concat([text(line, id, length), ...body])];
  }
}

function chunksOf(said: Buffer): Buffer[] {
  const half = said.length >> 1;
  const chunks = [said.subarray(0, half), said.subarray(half)].filter(({ length }) => length > 0);
  const framed = chunks.map((chunk) =>
    Buffer.concat([Buffer.from(`${chunk.length.toString(16)};e=1\r\n`), chunk, Buffer.from('\r\n')]),
  );
  return [...framed, Buffer.from('0\r\nx-trailer: y\r\n\r\n')];
}
