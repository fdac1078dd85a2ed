import { DEFAULT_MAX_FRAME_SIZE, ErrorCode, Flag, type Frame, Http2Fault, type Setting } from '../../http2/frames.ts';
import { StreamMap } from '../../http2/stream-map.ts';
import { rewriteStreamId, writeData, writeRstStream, writeWindowUpdate } from '../../http2/write-frames.ts';
import { Guard } from '../../lifetime/guard.ts';
import { type Denial, UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import type { Node, NodeAddress } from '../../upstream/nodes/node.ts';
import type { SocketOptions } from '../../upstream/sockets.ts';
import type { GrpcRelayOptions } from '../relay/options.ts';
import type { RelayCore } from '../relay/relay-core.ts';
import { UpstreamLink } from '../relay/upstream-link.ts';
import type { AnswerTurns } from './answer-turns.ts';
import { AnswerWindow } from './answer-window.ts';
import { type AnsweringNode, NodeAnswers } from './node-answers.ts';
import { NodeHeads } from './node-heads.ts';
import type { Seat } from './seat.ts';
import { SendWindows } from './send-windows.ts';

/**
 * The ways in which a call fails at a node.
 * - `unsent`: nothing of it was sent
 * - `unprocessed`: the node says that it has not processed it and will not (RFC 9113 section 8.7)
 * - `lost`: without an answer
 */
export type Failure = 'unsent' | 'unprocessed' | 'lost';

/** The calls of the client connection, as one node's connection sees them. */
export interface SeatedCalls {
  /** Request DATA has been sent. @param bytes without padding */
  sent(seat: Seat, bytes: number): void;
  failed(seat: Seat, how: Failure, denial: Denial): void;
  /** The node has answered a call. */
  answered(node: Node): void;
  /** The connection is lost. @param failure how it counts against the node; `undefined` = not at all */
  lost(link: NodeLink, failure: 'unreachable' | 'timeout' | 'broken' | undefined): void;
}

/** Where a connection goes. */
export interface NodePlace {
  readonly node: Node;
  /** Its gRPC port. */
  readonly at: NodeAddress;
  readonly socket: SocketOptions;
}

/** The connection of one client connection to one node: its streams, and what is sent on them. Nothing is flushed here. */
export class NodeLink implements AnsweringNode {
  readonly node: Node;
  readonly windows = new SendWindows();
  readonly #core: RelayCore;
  readonly #calls: SeatedCalls;
  readonly #turns: AnswerTurns;
  readonly #link: UpstreamLink;
  readonly #heads: NodeHeads;
  readonly #window: AnswerWindow;
  readonly #streams = new StreamMap<Seat>();
  /** Calls that are not sent yet, and those with request DATA that is not, in turns. */
  readonly #waiting = new Set<Seat>();
  readonly #unsent = new Set<Seat>();
  /** Calls with stream credit that the node has not been told of. */
  readonly #toTell = new Set<Seat>();
  #state: 'connecting' | 'open' | 'lost' = 'connecting';
  /** True = takes no more calls. */
  #retired = false;

  /** Connects at once. @param settings of the client */
  constructor(
    { node, at, socket }: NodePlace,
    core: RelayCore,
    calls: SeatedCalls,
    turns: AnswerTurns,
    settings: readonly Setting[],
    options: GrpcRelayOptions,
  ) {
    this.node = node;
    this.#core = core;
    this.#calls = calls;
    this.#turns = turns;
    const report = (error: unknown): void => {
      if (!(error instanceof Http2Fault)) options.parts.fault(error, undefined, 'grpc_upstream');
    };
    const owner = { fail: (error: unknown) => this.#fail(error), cut: () => core.client.socket.destroy() };
    const guard = new Guard(owner, 'grpc_upstream', report);
    const events = new NodeAnswers(core, this, turns, options);
    this.#link = new UpstreamLink(at.address, socket, settings, events, guard, options.clock);
    this.#window = new AnswerWindow(this.#link.outbox);
    this.#heads = new NodeHeads(
      this.#link.outbox,
      { authority: at.authority, tls: options.tls },
      options.upstream.credential,
    );
    this.#link.onDrain(() => core.flush());
  }

  /** Faults of the node end its connection; others are internal. */
  #fail(error: unknown): void {
    if (error instanceof Http2Fault) this.#link.break();
    else this.#core.failOpen();
  }

  /** False = it takes no more calls; it closes once the last has ended. */
  get takesCalls(): boolean {
    return !this.#retired && this.#state !== 'lost';
  }

  /** True = the node does not accept what it is sent. */
  get congested(): boolean {
    return this.#link.outbox.congested;
  }

  get reading(): boolean {
    return this.#link.reading;
  }

  /** True = no call depends on the connection. */
  get isIdle(): boolean {
    return this.#streams.size === 0 && this.#waiting.size === 0;
  }

  get #mayBegin(): boolean {
    return this.#state === 'open' && this.#streams.size < this.windows.mostStreams && !this.congested;
  }

  /** Sends a call now, or as soon as the node takes it. */
  place(seat: Seat): void {
    seat.link = this;
    seat.isCounted = true;
    this.node.begun();
    if (this.#waiting.size === 0 && this.#mayBegin) this.#begin(seat);
    else this.#waiting.add(seat);
  }

  #begin(seat: Seat): void {
    const { exchange } = seat;
    const { outbox } = this.#link;
    seat.streamId = this.#link.takeId();
    seat.window = this.windows.initial;
    this.#streams.set(seat.streamId, seat);
    seat.endSent = seat.ends && seat.unsent.bytes === 0;
    this.#heads.send(exchange, seat.streamId, seat.endSent);
    seat.toGrant = 0;
    if (exchange.windowGain > 0) outbox.bytes(writeWindowUpdate(seat.streamId, exchange.windowGain));
    if (seat.unsent.bytes > 0) this.#unsent.add(seat);
  }

  pass(seat: Seat, frame: Frame): boolean {
    if (seat.streamId === 0 || seat.unsent.bytes > 0) return false;
    if (frame.length > 0 && (frame.length > this.windows.room(seat) || this.congested)) return false;
    rewriteStreamId(frame, seat.streamId);
    this.#link.outbox.frame(frame);
    this.#link.moved(frame.length);
    this.windows.sent(seat, frame.length);
    seat.endSent = frame.has(Flag.END_STREAM);
    return true;
  }

  wait(seat: Seat): void {
    if (seat.streamId !== 0) this.#unsent.add(seat);
  }

  /** Sends what waits, as far as the node takes it. */
  move(): void {
    if (this.#state !== 'open') return;
    for (const seat of this.#toTell) this.grant(seat, 0);
    for (const seat of this.#waiting) {
      if (!this.#mayBegin) break;
      this.#waiting.delete(seat);
      this.#begin(seat);
    }
    for (let moved = this.#unsent.size > 0; moved && !this.congested; ) {
      moved = false;
      for (const seat of [...this.#unsent]) if (this.#sendSome(seat)) moved = true;
    }
  }

  /** Sends one frame of waiting DATA. `false` = there is no window for it, or no more of it. */
  #sendSome(seat: Seat): boolean {
    const most = Math.min(this.windows.room(seat), DEFAULT_MAX_FRAME_SIZE);
    if (seat.unsent.bytes > 0 && most <= 0) return false;
    const data = seat.unsent.take(Math.max(1, most));
    seat.endSent = seat.ends && seat.unsent.bytes === 0;
    this.#link.outbox.bytes(writeData(seat.streamId, data, seat.endSent));
    this.#link.moved(data.length);
    this.windows.sent(seat, data.length);
    if (seat.unsent.bytes === 0) this.#unsent.delete(seat);
    this.#calls.sent(seat, data.length);
    return seat.unsent.bytes > 0;
  }

  grant(seat: Seat, bytes: number): void {
    // Before its head goes out, the call's whole gain waits for that.
    if (seat.streamId !== 0) seat.toGrant += bytes;
    if (seat.toGrant === 0) return;
    if (this.congested) {
      this.#toTell.add(seat);
      return;
    }
    this.#toTell.delete(seat);
    this.#link.outbox.bytes(writeWindowUpdate(seat.streamId, seat.toGrant));
    seat.toGrant = 0;
  }

  /** Settings of the client. */
  sendSettings(settings: readonly Setting[]): void {
    this.#link.sendSettings(settings);
  }

  seat(streamId: number): Seat | undefined {
    return this.#streams.get(streamId);
  }

  seats(): Seat[] {
    return this.#streams.values();
  }

  received(bytes: number): void {
    this.#window.received(bytes);
  }

  returned(bytes: number): void {
    this.#window.returned(bytes);
  }

  acknowledge(): void {
    this.#link.acknowledge();
  }

  opened(): void {
    this.#state = 'open';
    this.#core.flush();
  }

  answered(seat: Seat): void {
    seat.hear();
    this.#calls.answered(this.node);
  }

  cancel(seat: Seat, code: number): void {
    if (seat.streamId !== 0 && !seat.isGone) this.#link.outbox.bytes(writeRstStream(seat.streamId, code));
    this.forget(seat);
  }

  forget(seat: Seat): void {
    this.#streams.delete(seat.streamId);
    this.#waiting.delete(seat);
    this.#unsent.delete(seat);
    this.#toTell.delete(seat);
    seat.isGone = true;
    if (!seat.isCounted) return;
    seat.isCounted = false;
    this.node.ended();
  }

  refused(seat: Seat): void {
    this.forget(seat);
    this.#calls.failed(seat, 'unprocessed', UPSTREAM_UNREACHABLE);
  }

  retire(): void {
    this.#retired = true;
    for (const seat of [...this.#waiting]) {
      this.refused(seat);
    }
  }

  lost(failure: 'unreachable' | 'timeout' | 'broken', denial: Denial): void {
    // Not after GOAWAY: it is about this connection, and one client can bring it about for all.
    const counts = this.#state === 'connecting' || (!this.isIdle && !this.#retired);
    this.#state = 'lost';
    const open = this.#streams.values();
    const waiting = [...this.#waiting];
    for (const seat of [...open, ...waiting]) this.forget(seat);
    this.#calls.lost(this, counts ? failure : undefined);
    for (const seat of waiting) this.#calls.failed(seat, 'unsent', denial);
    for (const seat of open) {
      if (!seat.answerEnded) this.#calls.failed(seat, 'lost', denial);
      else if (this.#turns.holds(seat)) this.#turns.reset(seat, ErrorCode.NO_ERROR);
      else this.#core.calls.reject(seat.exchange, denial);
    }
  }

  /** Sends pending frames. */
  flush(): void {
    this.#window.grant();
    this.#link.outbox.flush();
  }

  close(): void {
    this.#state = 'lost';
    for (const seat of [...this.#streams.values(), ...this.#waiting]) this.forget(seat);
    this.#link.close();
  }
}
