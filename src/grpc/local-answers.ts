import { ErrorCode, Http2Fault } from '../http2/frames.ts';
import { encodeHeaders, encodeTableSizeUpdate, type HeaderField } from '../http2/hpack.ts';
import { writeData, writeHeaders } from '../http2/write-frames.ts';
import type { Denial } from '../policy/denial.ts';
import { requestIdOf } from '../request-id.ts';
import { type ClientWindow, INITIAL_WINDOW } from './client-window.ts';
import type { GrpcExchange } from './grpc-exchange.ts';
import type { Outbox } from './outbox.ts';
import { rejectHeaders } from './reject.ts';

const MAX_WINDOW = 0x7fff_ffff;
const PREFIX_BYTES = 5;
/** What of a refusal can still be said behind an answer's head. */
const IN_TRAILERS = new Set(['grpc-status', 'grpc-message', 'x-request-id']);

/** What the gateway says itself on a client connection: refusals and messages, within the client's windows. */
export class LocalAnswers {
  readonly #outbox: Outbox;
  readonly #window: ClientWindow;
  readonly #clock: () => number;
  #initialWindow = INITIAL_WINDOW;
  /** The client's header table limit while our next block still has to say that we follow it; -1 = nothing owed. */
  #owedTableBytes = -1;

  constructor(outbox: Outbox, window: ClientWindow, clock: () => number) {
    this.#outbox = outbox;
    this.#window = window;
    this.#clock = clock;
  }

  /** The client has shrunk its header table: the next block of ours begins with a size update (RFC 7541 section 4.2). */
  oweTableUpdate(bytes: number): void {
    this.#owedTableBytes = bytes;
  }

  /** The client changed the window its streams begin with. Throws when that overflows the window of `open`. */
  setInitialWindow(bytes: number, open: readonly GrpcExchange[]): void {
    this.#initialWindow = bytes;
    for (const exchange of open) this.#checkWindow(exchange, 0);
  }

  /** The client grants a stream more that upstream does not know. */
  grant(exchange: GrpcExchange, increment: number): void {
    exchange.windowGain += increment;
    this.#checkWindow(exchange, exchange.id);
  }

  /** A status without a body, for a request that never became a call. */
  status(streamId: number, status: string): void {
    this.#outbox.bytes(writeHeaders(streamId, this.#block([[':status', status]]), true));
  }

  /** Trailers only; after a head of upstream's the trailers alone. */
  refuse(exchange: GrpcExchange, denial: Denial): void {
    const fields = rejectHeaders(denial, requestIdOf(exchange), this.#date());
    const left = exchange.headersSent ? fields.filter(([name]) => IN_TRAILERS.has(name)) : fields;
    this.#outbox.bytes(writeHeaders(exchange.id, this.#block(left), true));
    exchange.outgoing = undefined;
    exchange.answered = true;
    exchange.status = denial.code;
  }

  /** Begins an answer with one message; `pump` goes on with it. */
  deliver(exchange: GrpcExchange, message: Buffer): void {
    const head = this.#block([
      [':status', '200'],
      ['content-type', 'application/grpc'],
      ['date', this.#date()],
    ]);
    this.#outbox.bytes(writeHeaders(exchange.id, head, false));
    exchange.headersSent = true;
    const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
    framed[0] = 0;
    framed.writeUInt32BE(message.length, 1);
    message.copy(framed, PREFIX_BYTES);
    exchange.outgoing = framed;
  }

  /** Sends as much of a begun answer as the windows take. @param upstreamKnown upstream counts on the connection window */
  pump(exchange: GrpcExchange, upstreamKnown: boolean): void {
    const { outgoing } = exchange;
    if (!outgoing) return;
    const room = Math.min(this.#initialWindow + exchange.windowGain, this.#window.toClient, outgoing.length);
    if (room > 0) {
      this.#outbox.bytes(writeData(exchange.id, outgoing.subarray(0, room), false));
      this.#window.sentOwn(room, upstreamKnown);
      exchange.windowGain -= room;
      exchange.sent += room;
      exchange.outgoing = outgoing.subarray(room);
    }
    if (exchange.outgoing?.length !== 0) return;
    exchange.outgoing = undefined;
    this.#outbox.bytes(writeHeaders(exchange.id, this.#block([['grpc-status', '0']]), true));
    exchange.answered = true;
    exchange.status = 0;
  }

  /** @param faultOn the stream an overflow is the fault of; 0 = the connection */
  #checkWindow(exchange: GrpcExchange, faultOn: number): void {
    if (this.#initialWindow + exchange.windowGain > MAX_WINDOW) {
      throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, faultOn, 'stream window overflow');
    }
  }

  /** Static table and literals only, so that the client's dynamic table stays upstream's. */
  #block(fields: readonly HeaderField[]): Buffer {
    const block = encodeHeaders(fields);
    if (this.#owedTableBytes < 0) return block;
    const update = encodeTableSizeUpdate(this.#owedTableBytes);
    this.#owedTableBytes = -1;
    return Buffer.concat([update, block]);
  }

  #date(): string {
    return new Date(this.#clock()).toUTCString();
  }
}
