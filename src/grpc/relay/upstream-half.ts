import {
  DEFAULT_MAX_FRAME_SIZE,
  ErrorCode,
  FRAME_HEADER_BYTES,
  type Frame,
  FrameType,
  Http2Fault,
  MAX_WINDOW,
  type Setting,
} from '../../http2/frames.ts';
import { Pause } from '../../http2/paced-reading.ts';
import { frameHeaders, rewriteStreamId, writeRstStream, writeWindowUpdate } from '../../http2/write-frames.ts';
import { Guard } from '../../lifetime/guard.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { GrpcUpstream } from '../unary/unary-call.ts';
import { AnswerFrames, type AnsweringSide } from './answer-frames.ts';
import { forwardedHead } from './forwarded-head.ts';
import type { GrpcRelayOptions } from './options.ts';
import type { RelayCore } from './relay-core.ts';
import { UpstreamLink } from './upstream-link.ts';
import { passHeld, type UpstreamSide } from './upstream-side.ts';

/** Most DATA of one call that is held for its decision, if the client's window permits it. */
const HOLD_BYTES = 49_152;

/** This much for upstream waits for what else comes in the same turn, until it is as much as the second figure. */
const GATHERED_BYTES = 8_192;
const MOST_GATHERED = 131_072;

/**
 * The upstream half of a relay with one upstream: opens the connection with the first permitted call, assigns stream ids, and passes the
 * client's frames to upstream with the id rewritten in place. `AnswerFrames` passes those of upstream to the client.
 */
export class UpstreamHalf implements AnsweringSide, UpstreamSide {
  readonly #core: RelayCore;
  readonly #upstream: GrpcUpstream;
  readonly #options: GrpcRelayOptions;
  readonly #answers: AnswerFrames;
  #link: UpstreamLink | undefined;
  /** The client's settings so far. */
  #clientSettings: readonly Setting[] = [];
  /** True = upstream has ended the connection, or is about to. */
  #ending = false;
  /** True = the client has ended, or is about to. */
  #over = false;
  /** Connection credit to grant to upstream with the next burst. */
  #toGrant = 0;
  /** Frames for upstream wait for the end of this turn. */
  #gathering = false;
  readonly #guard: Guard;

  constructor(core: RelayCore, upstream: GrpcUpstream, options: GrpcRelayOptions) {
    this.#core = core;
    this.#upstream = upstream;
    this.#options = options;
    this.#answers = new AnswerFrames(core, this, options);
    const report = (error: unknown): void => {
      if (!(error instanceof Http2Fault)) options.parts.fault(error, undefined, 'grpc_upstream');
    };
    const owner = { fail: (error: unknown) => this.#fail(error), cut: () => core.client.socket.destroy() };
    this.#guard = new Guard(owner, 'grpc_upstream', report);
  }

  /** Faults of upstream end the upstream connection; others are internal. */
  #fail(error: unknown): void {
    if (error instanceof Http2Fault) this.#link?.break();
    else this.#core.failOpen();
  }

  /** The connection; `undefined` before the first permitted call. */
  get link(): UpstreamLink | undefined {
    return this.#link;
  }

  get sharesWindow(): boolean {
    return this.#link !== undefined;
  }

  get reading(): boolean {
    return this.#link?.reading === true;
  }

  get congested(): boolean {
    return this.#link?.outbox.congested === true;
  }

  /**
   * Most bytes of a call that may be held: the client must keep window for a whole frame, since some clients send only
   * whole frames, and upstream grants nothing for DATA it has not received.
   */
  get holdLimit(): number {
    return Math.max(0, Math.min(HOLD_BYTES, this.#core.streamWindows.fromClient - DEFAULT_MAX_FRAME_SIZE));
  }

  /** Sends a call upstream with all its held DATA, or ends it if upstream accepts no more calls. */
  open(exchange: GrpcExchange): void {
    if (this.#ending || this.#over) {
      // Upstream has not processed it: the client may retry (RFC 9113 section 8.7).
      this.#core.calls.resetClient(exchange.id, ErrorCode.REFUSED_STREAM);
      this.#core.calls.end(exchange);
      return;
    }
    const link = this.#connect();
    const id = link.takeId();
    this.#core.streams.link(exchange, id);
    const ends = exchange.clientEnded && exchange.held.isEmpty;
    this.#sendHead(link, exchange, id, ends);
    if (exchange.windowGain > 0) link.outbox.bytes(writeWindowUpdate(id, exchange.windowGain));
    passHeld(this, exchange);
  }

  /** The head of equal requests of this connection is encoded once, unless each carries its own span. */
  #sendHead(link: UpstreamLink, exchange: GrpcExchange, id: number, ends: boolean): void {
    const { head, trace } = exchange;
    const credential = this.#upstream.credential();
    if (head.sent && !trace && head.credential === credential) {
      link.outbox.headersLike(head.sent, id, ends);
      return;
    }
    const { authority } = this.#upstream;
    const framed = forwardedHead(exchange, { authority, tls: this.#options.tls, credential });
    if (!trace && framed.length <= FRAME_HEADER_BYTES + DEFAULT_MAX_FRAME_SIZE) {
      head.sent = framed;
      head.credential = credential;
    }
    link.outbox.bytes(frameHeaders(framed, id, ends));
  }

  /**
   * Settings of the client. Without a connection they are kept for it and acknowledged now; otherwise they are passed to
   * upstream, and acknowledged when upstream has.
   */
  takeSettings(settings: readonly Setting[]): void {
    const changed = new Set(settings.map(([id]) => id));
    this.#clientSettings = [...this.#clientSettings.filter(([id]) => !changed.has(id)), ...settings];
    if (!this.#link) {
      this.#core.client.acknowledge();
      return;
    }
    this.#core.streamWindows.passed();
    this.#link.sendSettings(settings);
  }

  clientAcknowledged(): void {
    this.#link?.acknowledge();
  }

  /** Passes a frame of the client to upstream. */
  pass(exchange: GrpcExchange, frame: Frame): void {
    rewriteStreamId(frame, exchange.upstreamId);
    if (!this.#link) return;
    // The bytes of a compressed message may still be inflated.
    this.#link.outbox.frame(frame, exchange.head.encoding !== 'gzip');
    if (frame.type === FrameType.DATA) this.#link.moved(frame.length);
  }

  /** Cancels a call at upstream. */
  cancel(exchange: GrpcExchange, code: number): void {
    if (exchange.upstreamId === 0) return;
    this.#link?.outbox.bytes(writeRstStream(exchange.upstreamId, code));
    this.#core.streams.cancel(exchange);
  }

  ended(exchange: GrpcExchange): void {
    this.#core.streams.unlink(exchange);
  }

  /** Connection credit for upstream, which is sent in one frame at the end of the burst. */
  granted(bytes: number): void {
    if (this.#link) this.#toGrant += bytes;
  }

  grantedStream(exchange: GrpcExchange, _increment: number, frame: Frame): void {
    if (exchange.upstreamId !== 0) this.pass(exchange, frame);
  }

  flush(): void {
    this.#sendGrants();
    if (!this.#gathering) this.#link?.outbox.flush();
  }

  /** A large message comes in one event for each TLS record: those of one turn of the event loop leave in one write. */
  #gather(): void {
    const waiting = this.#link?.outbox.waiting ?? 0;
    const isMuch = waiting >= GATHERED_BYTES && waiting < MOST_GATHERED;
    if (isMuch && !this.#gathering) this.#guard.soon(this.#flushGathered);
    this.#gathering = isMuch;
  }

  readonly #flushGathered = (): void => {
    this.#gathering = false;
    this.flush();
  };

  #sendGrants(): void {
    const bytes = this.#toGrant;
    if (bytes === 0) return;
    this.#toGrant = 0;
    // INVARIANT: upstream's window is the client's plus the owed credit (`ClientWindow`), together within the limit.
    if (bytes > MAX_WINDOW) throw new RangeError('more was granted than a window holds');
    this.#link?.outbox.bytes(writeWindowUpdate(0, bytes));
  }

  burstEnded(): void {
    if (this.#link?.stalled) this.#link.resume();
    this.#gather();
  }

  clientDrained(): void {
    if (this.#link?.stalled === false) this.#link.resume();
  }

  move(): void {}

  waitedTooLong(): boolean {
    return false;
  }

  tick(): void {}

  /** Upstream has ended the connection, or is about to: no more calls are sent to it, nor accepted from the client. */
  retire(): void {
    this.#ending = true;
    this.#core.drainAtOnce();
  }

  /** The connection is lost. */
  lost(): void {
    this.#link = undefined;
    this.#toGrant = 0;
  }

  /** The client has ended. */
  close(): void {
    this.#over = true;
    this.#link?.close();
    this.#link = undefined;
  }

  #connect(): UpstreamLink {
    if (this.#link) return this.#link;
    const { address, socket } = this.#upstream;
    const { client, streamWindows, window } = this.#core;
    const { clock } = this.#options;
    const link = new UpstreamLink(address, socket, this.#clientSettings, this.#answers, this.#guard, clock);
    this.#link = link;
    this.granted(window.adopt());
    streamWindows.adopt();
    link.onDrain(() => client.reading.resume(Pause.UPSTREAM));
    return link;
  }
}
