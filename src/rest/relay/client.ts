import type { Socket } from 'node:net';
import type { Guard } from '../../lifetime/guard.ts';
import { writeAll } from '../../net/written-bytes.ts';
import type { Denial } from '../../policy/denial.ts';
import { headerValues } from '../exchange.ts';
import type { AnswerHead } from '../http1/response-head.ts';
import { type AnswerEnding, clientHead, refusal } from './answer.ts';
import type { RelayContext } from './context.ts';
import type { RelayExchange } from './exchange.ts';
import type { ClientUpstream } from './upstream-pool.ts';

/** A burst up to this size is copied into one buffer: cheaper than several in one write. */
const COPIED_BYTES = 16_384;
/** More than this waits for the client before upstream is not read any more. */
const WAITING_BYTES = 131_072;

/** An answer of upstream's as far as it has come. */
export interface RelayedAnswer {
  readonly head: AnswerHead;
  readonly parts: readonly Buffer[];
  /** The client's connection ends with it. */
  readonly close: boolean;
}

/** Writes the answers of one client connection. */
export class RelayClient {
  readonly #socket: Socket;
  readonly #context: RelayContext;
  readonly #guard: Guard;

  /** @param guard of the connection */
  constructor(socket: Socket, context: RelayContext, guard: Guard) {
    this.#socket = socket;
    this.#context = context;
    this.#guard = guard;
  }

  /**
   * The head of upstream's answer and the first of its body.
   *
   * @param link the answer came on it
   */
  answer(exchange: RelayExchange, link: ClientUpstream, answer: RelayedAnswer): void {
    this.#write([this.#clientHead(exchange, link, answer), ...answer.parts]);
  }

  /** A refusal, whole; gives the bytes of its body. */
  refuse(exchange: RelayExchange, denial: Denial, close: boolean): number {
    const bytes = refusal(exchange, denial, this.#context.options.cors, this.#ending(close));
    this.#write(bytes);
    return bytes[1]?.length ?? 0;
  }

  /** More of an answer's body, whose bytes no other code uses. */
  write(parts: readonly Buffer[]): void {
    const [first] = parts;
    if (parts.length !== 1 || !first) this.#write(parts);
    else if (!this.#socket.destroyed) writeAll(this.#socket, [{ bytes: first, once: true }], this.#guard);
  }

  /** One write for everything. */
  #write(parts: readonly Buffer[]): void {
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
    return this.#socket.writableLength >= WAITING_BYTES;
  }

  /** Nothing follows what is written. */
  end(): void {
    this.#socket.end();
  }

  /** Most answers on an upstream connection have the head of the one before, and so do requests on a client's. */
  #clientHead(exchange: RelayExchange, link: ClientUpstream, { head: from, close }: RelayedAnswer): Buffer {
    const { clock, options } = this.#context;
    const { headers } = exchange;
    const { date } = clock;
    // No other answer has the same id.
    if (exchange.requestId !== undefined) return clientHead(exchange, from, options.cors, this.#ending(close));
    const last = link.written;
    const allowed = options.cors.current;
    const alike = last?.from === from && last.date === date && last.close === close && last.allowed === allowed;
    if (alike && last.headers === headers) return last.bytes;
    const origin = allowed ? headerValues(headers, 'origin')[0] : undefined;
    const bytes =
      alike && last.origin === origin ? last.bytes : clientHead(exchange, from, options.cors, this.#ending(close));
    link.written = { from, headers, origin, allowed, date, close, bytes };
    return bytes;
  }

  #ending(close: boolean): AnswerEnding {
    const { clock, options } = this.#context;
    return { close, keepAliveMs: options.limits.keep_alive_timeout_ms, date: clock.date };
  }
}
