import { DEFAULT_MAX_FRAME_SIZE, Flag, type Frame } from '../../http2/frames.ts';
import { rewriteStreamId, writeData } from '../../http2/write-frames.ts';
import type { AnswerBlock } from '../headers/answer-blocks.ts';
import { sendBlock } from '../headers/named-answer.ts';
import type { RelayCore } from '../relay/relay-core.ts';
import type { Seat } from './seat.ts';

/**
 * The answers of several nodes on their way to one client: within the client's windows, frame by frame in turns, so that no
 * answer waits for the end of another. What does not fit waits here; each node's connection window bounds it.
 */
export class AnswerTurns {
  readonly #core: RelayCore;
  readonly #clock: () => number;
  /** Seats whose answers wait; the next is first. */
  readonly #waiting = new Set<Seat>();

  /** @param clock milliseconds */
  constructor(core: RelayCore, clock: () => number) {
    this.#core = core;
    this.#clock = clock;
  }

  /** Takes the head or the trailers of an answer. */
  block(seat: Seat, block: AnswerBlock, ends: boolean): void {
    if (this.#waiting.has(seat)) seat.answer.trailers = block;
    else this.#sendBlock(seat, block, ends);
  }

  /** Takes DATA of an answer. @param data without padding */
  data(seat: Seat, frame: Frame, data: Buffer): void {
    const { client, streamWindows, window } = this.#core;
    const { exchange, answer } = seat;
    const ends = frame.has(Flag.END_STREAM);
    const most = Math.min(window.toClient, streamWindows.room(exchange));
    const fits = frame.length === 0 || (frame.length <= most && !client.outbox.congested);
    if (fits && !this.#waiting.has(seat)) {
      rewriteStreamId(frame, exchange.id);
      client.outbox.frame(frame);
      this.#count(seat, frame.length);
      if (ends) this.#ended(seat);
      return;
    }
    seat.link?.returned(frame.length - data.length);
    if (data.length > 0 || this.#waiting.has(seat)) {
      answer.data.add(data);
      answer.ends = ends;
      this.#waiting.add(seat);
    } else if (ends) {
      // Padding alone.
      client.outbox.bytes(writeData(exchange.id, data, true));
      this.#ended(seat);
    }
  }

  /** Takes a reset by the node, which follows its answer. */
  reset(seat: Seat, code: number): void {
    if (this.#waiting.has(seat)) seat.answer.reset = code;
    else this.#sendReset(seat, code);
  }

  /** True = the seat's answer waits here. */
  holds(seat: Seat): boolean {
    return this.#waiting.has(seat);
  }

  /** Drops what is left of an answer. */
  forget(seat: Seat): void {
    if (!this.#waiting.delete(seat)) return;
    seat.link?.returned(seat.answer.data.clear());
  }

  /** Sends what the client's windows permit. */
  move(): void {
    for (let moved = this.#waiting.size > 0; moved; ) {
      moved = false;
      for (const seat of [...this.#waiting]) {
        if (this.#core.client.outbox.congested || this.#core.client.closing) return;
        if (this.#waiting.has(seat) && this.#step(seat)) moved = true;
      }
    }
  }

  /** Sends one frame of an answer, or its end. `false` = there is no window for it. */
  #step(seat: Seat): boolean {
    const { client, streamWindows, window } = this.#core;
    const { exchange, answer } = seat;
    if (answer.data.bytes > 0) {
      const most = Math.min(window.toClient, streamWindows.room(exchange), DEFAULT_MAX_FRAME_SIZE);
      if (most <= 0) return false;
      const part = answer.data.take(most);
      client.outbox.bytes(writeData(exchange.id, part, answer.ends && answer.data.bytes === 0));
      this.#count(seat, part.length);
      // It goes behind the others.
      this.#waiting.delete(seat);
      if (answer.data.bytes > 0) {
        this.#waiting.add(seat);
        return true;
      }
    }
    this.#waiting.delete(seat);
    if (answer.trailers) this.#sendBlock(seat, answer.trailers, true);
    else if (answer.ends) this.#ended(seat);
    if (answer.reset !== undefined) this.#sendReset(seat, answer.reset);
    return true;
  }

  #count(seat: Seat, bytes: number): void {
    const { exchange } = seat;
    this.#core.client.moved(bytes);
    this.#core.window.relayed(bytes);
    exchange.windowGain -= bytes;
    exchange.sent += bytes;
    exchange.activeAt = this.#clock();
    seat.link?.returned(bytes);
  }

  #sendBlock(seat: Seat, block: AnswerBlock, ends: boolean): void {
    const { exchange } = seat;
    sendBlock(this.#core.heads, exchange, block, ends);
    exchange.headersSent = true;
    exchange.activeAt = this.#clock();
    if (!ends) return;
    exchange.status = block.status;
    this.#ended(seat);
  }

  #ended({ exchange }: Seat): void {
    exchange.answered = true;
    this.#core.calls.settleEnd(exchange);
  }

  #sendReset({ exchange }: Seat, code: number): void {
    if (!this.#core.streams.has(exchange)) return;
    this.#core.calls.resetClient(exchange.id, code);
    this.#core.calls.end(exchange);
  }
}
