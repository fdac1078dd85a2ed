import type { Socket } from 'node:net';
import type { ExchangeParts } from '../../exchange/exchange.ts';
import { ClientHeads } from '../../http2/client-heads.ts';
import { ClientLink, faultOf } from '../../http2/client-link.ts';
import { Departure } from '../../http2/departure.ts';
import { ErrorCode, Http2Fault } from '../../http2/frames.ts';
import { Pause } from '../../http2/paced-reading.ts';
import { writeWindowUpdate } from '../../http2/write-frames.ts';
import { certificateOn, type PresentedCertificate } from '../../identity/certificates/presented.ts';
import { Guard } from '../../lifetime/guard.ts';
import { type Standing, standingOf } from '../../lifetime/standing.ts';
import { Cost } from '../../limits/work-scheduler.ts';
import { type ClientAddress, clientAddressOf } from '../../net/client-address.ts';
import { INTERNAL_FAULT, SHUTTING_DOWN, UPSTREAM_TIMEOUT } from '../../policy/denial.ts';
import type { RequestHead } from '../headers/request-head.ts';
import { callLimit, isDripped } from '../idle-limits.ts';
import { CallSpread } from '../nodes/call-spread.ts';
import { Calls } from './calls.ts';
import { ClientWindow } from './client-window.ts';
import type { GrpcRelayOptions } from './options.ts';
import type { RelayCore } from './relay-core.ts';
import { RequestData } from './request-data.ts';
import { type RequestCore, RequestFrames } from './request-frames.ts';
import { StreamTable } from './stream-table.ts';
import { StreamWindows } from './stream-windows.ts';
import { UpstreamHalf } from './upstream-half.ts';
import type { UpstreamSide } from './upstream-side.ts';

/** The gRPC port speaks HTTP/2 without a handshake: other protocols get a readable text instead of a reset. */
const GRPC_PORT = { callCost: Cost.GRPC_CALL, notHttp2: 'this port speaks gRPC over HTTP/2 only\n', settings: [] };

/**
 * One client connection and, from the first permitted call on, one upstream connection, which is used for no other client.
 *
 * ```
 * client frames -> RequestFrames -> RequestData, Calls -> UpstreamHalf -> upstream
 * client        <- AnswerFrames (LocalAnswers)         <- upstream frames
 *
 * connection:      open -> told (first GOAWAY, calls are still accepted) -> leaving (GOAWAY, open calls continue) -> closed
 * ```
 *
 * Upstream ids are assigned in the order calls are decided, so that a call that waits for its identity delays no other.
 * Windows pass end to end (`ClientWindow`, `StreamWindows`); header blocks are decoded and encoded in both directions.
 *
 * INVARIANT: every callback of Node runs under a guard: of the client connection here, of upstream's in `UpstreamHalf`. An
 * exception answers open calls with INTERNAL and ends the connection; an `Http2Fault` is a fault of the peer.
 */
export class GrpcRelay implements RequestCore {
  readonly client: ClientLink<RequestHead>;
  readonly heads: ClientHeads;
  readonly window = new ClientWindow();
  readonly streamWindows = new StreamWindows();
  readonly streams = new StreamTable();
  readonly peer: ClientAddress;
  readonly certificate: PresentedCertificate | undefined;
  readonly standing: Standing;
  readonly parts: ExchangeParts;
  readonly upstream: UpstreamSide;
  readonly data: RequestData;
  readonly calls: Calls;
  readonly #options: GrpcRelayOptions;
  readonly #onClosed: (relay: GrpcRelay) => void;
  readonly #guard: Guard;
  readonly #departure: Departure;
  #flushing = false;

  constructor(socket: Socket, options: GrpcRelayOptions, onClosed: (relay: GrpcRelay) => void) {
    this.#options = options;
    this.parts = options.parts;
    this.#onClosed = onClosed;
    this.peer = clientAddressOf(socket);
    this.certificate = certificateOn(socket);
    this.standing = standingOf(socket);
    const report = (error: unknown): void => {
      if (!(error instanceof Http2Fault)) options.parts.fault(error, undefined, 'grpc_client');
    };
    const owner = { fail: (error: unknown) => this.#fail(error), cut: () => socket.destroy() };
    this.#guard = new Guard(owner, 'grpc_client', report);
    const frames = new RequestFrames(this, options);
    this.client = new ClientLink(socket, options.limits, frames, this.#guard, { ...options, ...GRPC_PORT });
    this.#departure = new Departure(this.client, options.clock);
    this.heads = new ClientHeads(this.client.outbox);
    this.upstream = upstreamOf(this, options);
    this.data = new RequestData(this, this.upstream, this.#guard, options);
    this.calls = new Calls(this, this.upstream, this.data, this.#guard, options);
    socket.on(
      'drain',
      this.#guard.entry(() => this.#readOn()),
    );
  }

  get isLeaving(): boolean {
    return this.#departure.isLeaving;
  }

  /** Lets open calls finish and takes no new ones but those on their way; closes when the last is done. */
  drain(): void {
    this.#guard.run(() => {
      if (this.#departure.tell()) this.flush();
    });
  }

  /** Takes no new calls from now on: upstream has ended, so none that is on its way could be served. */
  drainAtOnce(): void {
    this.#departure.skipTelling();
    this.leave();
  }

  leave(): void {
    if (!this.#departure.leave()) return;
    this.flush();
    this.#closeIfDone();
  }

  /** Ends all calls with an error and closes. */
  destroy(): void {
    this.#guard.run(() => {
      this.#departure.skipTelling();
      this.calls.rejectAll(SHUTTING_DOWN);
      this.leave();
      this.client.close();
      this.client.socket.destroySoon();
    });
  }

  /** Called about once a second: ends idle calls and connections. */
  tick(now: number): void {
    this.#guard.run(() => {
      const { stream_idle_timeout_ms: connectionIdleMs } = this.#options.limits;
      this.client.tick(now);
      this.#endIfStuck(now);
      for (const exchange of this.streams.all()) {
        const isLate = now - exchange.activeAt > callLimit(exchange, this.#options.limits);
        if (isDripped(exchange, this.#options.limits, !this.client.reading.paused, now)) {
          this.calls.reject(exchange, UPSTREAM_TIMEOUT);
        } else if (isLate && !this.upstream.waitedTooLong(exchange, now)) this.calls.reject(exchange, UPSTREAM_TIMEOUT);
      }
      this.upstream.tick(now);
      if (this.#departure.isDue(now)) this.leave();
      if (this.streams.size === 0 && now - this.calls.endedAt > connectionIdleMs) this.drain();
      this.flush();
    });
  }

  /** A client that does not accept any data, from upstream or the gateway, is disconnected after a time limit. */
  #endIfStuck(now: number): void {
    const { limits } = this.#options;
    const bodyIdleMs = limits.body_idle_timeout_ms;
    const { isKnown } = this.client;
    if (this.client.outbox.stuckMs(now) <= (isKnown ? Math.max(limits.stream_idle_timeout_ms, bodyIdleMs) : bodyIdleMs))
      return;
    this.#options.connections?.fault('timeout');
    this.client.socket.destroy();
  }

  /** Handles a fault: of the client (`Http2Fault`), or internal. */
  #fail(error: unknown): void {
    if (error instanceof Http2Fault) this.client.fail(error.code, error.reason, faultOf(error));
    else this.failOpen();
  }

  failOpen(): void {
    this.calls.rejectAll(INTERNAL_FAULT);
    this.client.fail(ErrorCode.INTERNAL_ERROR, 'internal error');
  }

  burstEnded(): void {
    this.data.endBurst();
    this.calls.pumpWaiting();
    this.upstream.burstEnded();
    this.flush();
    this.pauseIfCongested();
  }

  /** INVARIANT: the gateway does not read from a client that does not accept data, from upstream or the gateway. */
  pauseIfCongested(): void {
    if (this.client.closing) return;
    if (this.client.outbox.congested) this.client.reading.pause(Pause.OWN);
    if (this.upstream.congested) this.client.reading.pause(Pause.UPSTREAM);
  }

  #readOn(): void {
    this.client.reading.resume(Pause.OWN);
    this.calls.pumpWaiting();
    this.upstream.clientDrained();
    this.flush();
  }

  endAll(): void {
    this.upstream.close();
    this.data.clear();
    this.calls.endAll();
  }

  gone(): void {
    this.#onClosed(this);
  }

  /** Sends pending frames. During a burst this is left to its end, for one write. */
  flush(): void {
    if (this.#flushing || this.client.closing || this.client.inBurst || this.upstream.reading) return;
    this.#flushing = true;
    this.upstream.move();
    this.calls.resetAnswered();
    const credit = this.window.takeReturn();
    if (credit > 0) this.client.outbox.bytes(writeWindowUpdate(0, credit));
    this.client.outbox.flush();
    this.upstream.flush();
    this.#flushing = false;
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#departure.isLeaving && this.streams.size === 0) this.client.close();
  }
}

function upstreamOf(core: RelayCore, options: GrpcRelayOptions): UpstreamSide {
  const { upstream } = options;
  return 'choose' in upstream ? new CallSpread(core, upstream, options) : new UpstreamHalf(core, upstream, options);
}
