import type { Socket } from 'node:net';
import type { Denial } from '../../policy/denial.ts';
import type { PlainHead } from '../http1/request-head.ts';
import type { AnswerHead } from '../http1/response-head.ts';
import { type AnswerEnding, clientHead, refusal } from './answer.ts';
import type { RelayContext } from './context.ts';
import type { RelayExchange } from './exchange.ts';

/** A burst up to this size is copied into one buffer: cheaper than several in one write. */
const COPIED_BYTES = 16_384;

/** A head as it was written, and what it was made of. */
interface WrittenHead {
  readonly from: AnswerHead;
  readonly head: PlainHead;
  readonly date: string;
  readonly close: boolean;
  readonly bytes: Buffer;
}

/** Writes the answers of one client connection. */
export class RelayClient {
  readonly #socket: Socket;
  readonly #context: RelayContext;
  #last: WrittenHead | undefined;

  constructor(socket: Socket, context: RelayContext) {
    this.#socket = socket;
    this.#context = context;
  }

  /** The head of upstream's answer and the first of its body. `close` = the connection ends with it. */
  answer(exchange: RelayExchange, head: AnswerHead, parts: readonly Buffer[], close: boolean): void {
    this.write([this.#clientHead(exchange, head, close), ...parts]);
  }

  /** A refusal, whole; gives the bytes of its body. */
  refuse(exchange: RelayExchange, denial: Denial, close: boolean): number {
    const bytes = refusal(exchange, denial, this.#context.options.cors, this.#ending(close));
    this.write(bytes);
    return bytes[1]?.length ?? 0;
  }

  /** One write for everything. */
  write(parts: readonly Buffer[]): void {
    const [first] = parts;
    if (!first || this.#socket.destroyed) return;
    if (parts.length === 1) {
      this.#socket.write(first);
      return;
    }
    let size = 0;
    for (const part of parts) size += part.length;
    if (size <= COPIED_BYTES) {
      this.#socket.write(Buffer.concat(parts, size));
      return;
    }
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  /** Takes no more for now. */
  get isFull(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** Nothing follows what is written. */
  end(): void {
    this.#socket.end();
  }

  #clientHead(exchange: RelayExchange, from: AnswerHead, close: boolean): Buffer {
    const { head } = exchange;
    const { date } = this.#context.clock;
    const last = this.#last;
    if (last?.from === from && last.head === head && last.date === date && last.close === close) return last.bytes;
    const bytes = clientHead(exchange, from, this.#context.options.cors, this.#ending(close));
    this.#last = { from, head, date, close, bytes };
    return bytes;
  }

  #ending(close: boolean): AnswerEnding {
    const { clock, options } = this.#context;
    return { close, keepAliveMs: options.limits.keep_alive_timeout_ms, date: clock.date };
  }
}
