import { requestIdOf } from '../../exchange/request-id.ts';
import type { ClientHeads } from '../../http2/client-heads.ts';
import type { HeaderField } from '../../http2/hpack.ts';
import type { Outbox } from '../../http2/outbox.ts';
import { writeData } from '../../http2/write-frames.ts';
import type { Denial } from '../../policy/denial.ts';
import type { GrpcExchange } from '../exchange.ts';
import { named } from '../headers/named-answer.ts';
import { rejectHeaders } from '../reject.ts';
import type { ClientWindow } from './client-window.ts';
import type { StreamWindows } from './stream-windows.ts';

const PREFIX_BYTES = 5;
/** Fields of a refusal that may follow the head of an answer. */
const IN_TRAILERS = new Set(['grpc-status', 'grpc-message', 'retry-after', 'x-request-id']);

/** The gateway's own answers on a client connection, refusals and messages, within the client's windows. */
export class LocalAnswers {
  readonly #outbox: Outbox;
  readonly #window: ClientWindow;
  readonly #streamWindows: StreamWindows;
  readonly #heads: ClientHeads;
  readonly #clock: () => number;
  /** Calls with an answer that waits for the client's windows, or its socket. */
  readonly #waiting = new Set<GrpcExchange>();

  constructor(
    outbox: Outbox,
    heads: ClientHeads,
    window: ClientWindow,
    streamWindows: StreamWindows,
    clock: () => number,
  ) {
    this.#outbox = outbox;
    this.#heads = heads;
    this.#window = window;
    this.#streamWindows = streamWindows;
    this.#clock = clock;
  }

  /** True = the windows permit more than the socket was to be given at once. */
  leftBehind = false;

  /** Calls with a waiting answer; `pump` continues them when the client grants more. */
  get waiting(): ReadonlySet<GrpcExchange> {
    return this.#waiting;
  }

  /** Sends a status without a body, for a request that never became a call. */
  status(streamId: number, status: string): void {
    this.#heads.fields(streamId, [[':status', status]], true);
  }

  /** Ends the answer of a call, whatever is left of it. */
  forget(exchange: GrpcExchange): void {
    exchange.outgoing = undefined;
    this.#waiting.delete(exchange);
  }

  /** Sends trailers only; after a head of upstream's just the trailers. */
  refuse(exchange: GrpcExchange, denial: Denial): void {
    const fields = rejectHeaders(denial, requestIdOf(exchange), this.#date());
    const left = exchange.headersSent ? fields.filter(([name]) => IN_TRAILERS.has(name)) : fields;
    this.#heads.fields(exchange.id, left, true);
    this.forget(exchange);
    exchange.answered = true;
    exchange.status = denial.grpc;
  }

  /** Begins an answer with one message; `pump` continues it. */
  deliver(exchange: GrpcExchange, message: Buffer): void {
    const head: HeaderField[] = [
      [':status', '200'],
      ['content-type', 'application/grpc'],
      ['date', this.#date()],
    ];
    this.#heads.fields(exchange.id, named(head, exchange.requestId), false);
    exchange.headersSent = true;
    const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
    framed[0] = 0;
    framed.writeUInt32BE(message.length, 1);
    message.copy(framed, PREFIX_BYTES);
    exchange.outgoing = framed;
    this.#waiting.add(exchange);
  }

  /**
   * Sends as much of a begun answer as the windows and the socket permit. Returns the bytes of it.
   * @param upstreamKnown upstream counts on the connection window
   */
  pump(exchange: GrpcExchange, upstreamKnown: boolean): number {
    const { outgoing } = exchange;
    if (!outgoing) return 0;
    const windows = Math.min(this.#streamWindows.room(exchange), this.#window.toClient);
    const room = Math.min(windows, this.#outbox.room, outgoing.length);
    if (room > 0) {
      this.#outbox.bytes(writeData(exchange.id, outgoing.subarray(0, room), false));
      this.#window.sentOwn(room, upstreamKnown);
      exchange.windowGain -= room;
      exchange.sent += room;
      exchange.outgoing = outgoing.subarray(room);
    }
    if (room < Math.min(windows, outgoing.length)) this.leftBehind = true;
    if (exchange.outgoing?.length !== 0) return Math.max(0, room);
    this.forget(exchange);
    this.#heads.fields(exchange.id, [['grpc-status', '0']], true);
    exchange.answered = true;
    exchange.status = 0;
    return room;
  }

  #date(): string {
    return new Date(this.#clock()).toUTCString();
  }
}
