import { SettingId } from '../../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../../src/http2/hpack.ts';
import { writeData, writeHeaders, writeWindowUpdate } from '../../../src/http2/write-frames.ts';
import { type ClientWatch, StrictClient } from '../../fuzz/strict-client.ts';
import { openTls } from '../clients/sockets.ts';
import { unhurried } from '../patience.ts';
import { type HeardAnswer, type SentRequest, withoutBody } from './request.ts';

const INITIAL_WINDOW = 65_535;
const MOST_WINDOW = 2_147_483_647;
const MOST_DATA = 16_384;

/** A request and its answer under way. */
interface Open {
  readonly id: number;
  readonly method: string;
  readonly resolve: (answer: HeardAnswer) => void;
  readonly reject: (error: Error) => void;
  /** Of the request body: what is still to be sent, and may be. */
  rest: Buffer;
  credit: number;
  status: number;
  headers: readonly (readonly [string, string])[];
  readonly body: Buffer[];
  answered: boolean;
}

/** One HTTP/2 connection over TLS, many requests at a time, each with an answer that keeps every rule. */
export class Http2Link implements ClientWatch {
  readonly #client: StrictClient;
  readonly #open = new Map<number, Open>();
  #next = 1;
  /** It takes no more requests. */
  ended = false;
  #credit = INITIAL_WINDOW;
  #initial = INITIAL_WINDOW;

  private constructor(socket: ConstructorParameters<typeof StrictClient>[0]) {
    this.#client = new StrictClient(socket, this);
    this.#client.open([[SettingId.INITIAL_WINDOW_SIZE, MOST_WINDOW]]);
    this.#client.send(writeWindowUpdate(0, MOST_WINDOW - INITIAL_WINDOW));
    socket.on('data', () => {
      if (this.#client.wrong !== undefined) this.#failAll(this.#client.wrong);
    });
    socket.on('close', () => this.#failAll(`the connection ended without an answer, goaway ${this.#client.goaway}`));
  }

  static async open(port: number, ca: Buffer): Promise<Http2Link> {
    return new Http2Link(await openTls(port, { ca, ALPNProtocols: ['h2'] }));
  }

  /** Sends the request as it stands, with the length of its body. A reset is an answer of status 0. */
  send({ method, target, headers, body, host = 'gateway.test' }: SentRequest): Promise<HeardAnswer> {
    const id = this.#next;
    this.#next += 2;
    const fields: HeaderField[] = [
      [':method', method],
      [':scheme', 'https'],
      [':path', target],
      [':authority', host],
      ...headers.map(([name, value]): HeaderField => [name, value]),
      ...(body ? [['content-length', String(body.length)] as const] : []),
    ];
    const ends = body === undefined || body.length === 0;
    const late = setTimeout(() => this.#failAll(`no answer in time on stream ${id}`), unhurried(20_000));
    const answer = new Promise<HeardAnswer>((resolve, reject) => {
      const begun = { status: 0, headers: [], body: [], answered: false, credit: this.#initial };
      this.#open.set(id, { id, method, resolve, reject, rest: body ?? Buffer.alloc(0), ...begun });
    });
    this.#client.send(writeHeaders(id, encodeHeaders(fields), ends));
    this.#pump();
    return answer.finally(() => clearTimeout(late));
  }

  close(): void {
    this.#client.socket.destroy();
  }

  #pump(): void {
    for (const open of this.#open.values()) {
      while (open.rest.length > 0) {
        const size = Math.min(open.rest.length, open.credit, this.#credit, MOST_DATA);
        if (size <= 0) break;
        const piece = open.rest.subarray(0, size);
        open.rest = open.rest.subarray(size);
        open.credit -= size;
        this.#credit -= size;
        this.#client.send(writeData(open.id, piece, open.rest.length === 0));
      }
      this.#settle(open);
    }
  }

  head(id: number, fields: readonly (readonly [string, string])[], ends: boolean): void {
    const open = this.#open.get(id);
    const status = Number(fields[0]?.[1]);
    if (!open || status < 200) return;
    if (open.status !== 0) throw new Error(`trailers on stream ${id}`);
    open.status = status;
    open.headers = fields.slice(1);
    if (ends) this.#ended(open);
  }

  data(id: number, bytes: Buffer, ends: boolean): void {
    const open = this.#open.get(id);
    if (!open) return;
    if (open.status === 0) throw new Error(`data before the head on stream ${id}`);
    // A copy: the whole read would be kept with it.
    open.body.push(Buffer.from(bytes));
    if (ends) this.#ended(open);
  }

  reset(id: number, code: number): void {
    const open = this.#open.get(id);
    if (!open) return;
    this.#open.delete(id);
    if (!open.answered) open.resolve({ status: 0, headers: [], body: Buffer.from(`reset ${code}`) });
  }

  granted(id: number, increment: number): void {
    const open = this.#open.get(id);
    if (id === 0) this.#credit += increment;
    else if (open) open.credit += increment;
    this.#pump();
  }

  initial(bytes: number): void {
    for (const open of this.#open.values()) open.credit += bytes - this.#initial;
    this.#initial = bytes;
    this.#pump();
  }

  said(): void {}

  #ended(open: Open): void {
    const { method, status, headers } = open;
    const body = Buffer.concat(open.body);
    const lengths = headers.filter(([name]) => name === 'content-length').map(([, value]) => value);
    const wrong = withoutBody(method, status)
      ? body.length > 0
      : lengths.some((length) => length !== String(body.length));
    if (wrong) throw new Error(`content-length ${lengths} and ${body.length} bytes`);
    open.answered = true;
    open.resolve({ status, headers, body });
    this.#settle(open);
  }

  /** The rest of a body goes on being sent behind its answer, as the gateway takes it. */
  #settle(open: Open): void {
    if (open.answered && open.rest.length === 0) this.#open.delete(open.id);
  }

  #failAll(why: string): void {
    this.ended = true;
    for (const { reject } of this.#open.values()) reject(new Error(why));
    this.#open.clear();
    this.#client.socket.destroy();
  }
}
