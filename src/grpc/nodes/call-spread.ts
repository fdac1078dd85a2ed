import { dataOf, ErrorCode, Flag, type Frame, Http2Fault, type Setting } from '../../http2/frames.ts';
import { StreamMap } from '../../http2/stream-map.ts';
import { type Denial, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import type { Node, NodeAddress } from '../../upstream/nodes/node.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { GrpcRelayOptions } from '../relay/options.ts';
import type { RelayCore } from '../relay/relay-core.ts';
import { passHeld, type UpstreamSide } from '../relay/upstream-side.ts';
import { AnswerTurns } from './answer-turns.ts';
import type { GrpcNodes } from './node-choice.ts';
import { type Failure, NodeLink, type SeatedCalls } from './node-link.ts';
import { REQUEST_WINDOW, RequestCredit } from './request-credit.ts';
import { KeptRequests, Seat, type SeatLink } from './seat.ts';

/** Most DATA of one call that is held for its decision: a stream's first window less a frame. */
const HOLD_BYTES = 49_151;

/**
 * The upstream half of a relay with several nodes: each call goes to the node chosen for it, on a connection of this client
 * to that node. The client's windows end here (`RequestCredit`, `AnswerTurns`), and so do the nodes' settings.
 *
 * A call goes to another node when nothing of it was sent, when its node says that it has not processed it, and, if it changes
 * nothing, when its node is lost or ejected before it answered. The client's connection stays.
 */
export class CallSpread implements UpstreamSide, SeatedCalls {
  readonly sharesWindow = false;
  readonly holdLimit = HOLD_BYTES;
  /** Never: what a node does not take waits here, and the others go on. */
  readonly congested = false;
  readonly #core: RelayCore;
  readonly #options: GrpcRelayOptions;
  readonly #nodes: GrpcNodes;
  readonly #credit: RequestCredit;
  readonly #turns: AnswerTurns;
  readonly #kept = new KeptRequests();
  /** By the client's stream ids. */
  readonly #seats = new StreamMap<Seat>();
  /** The connections that take calls, and all. */
  readonly #current = new Map<Node, NodeLink>();
  readonly #links = new Set<NodeLink>();
  /** The client's settings so far. */
  #settings: readonly Setting[] = [];
  /** True = the client has ended, or is about to. */
  #over = false;

  constructor(core: RelayCore, nodes: GrpcNodes, options: GrpcRelayOptions) {
    this.#core = core;
    this.#nodes = nodes;
    this.#options = options;
    this.#credit = new RequestCredit(core, nodes.waiting);
    this.#turns = new AnswerTurns(core, options.clock);
  }

  get reading(): boolean {
    for (const link of this.#links) if (link.reading) return true;
    return false;
  }

  open(exchange: GrpcExchange): void {
    if (this.#over) {
      this.#core.calls.resetClient(exchange.id, ErrorCode.REFUSED_STREAM);
      this.#core.calls.end(exchange);
      return;
    }
    this.#credit.greet();
    const seat = new Seat(exchange, this.#kept);
    seat.ends = exchange.clientEnded && exchange.held.isEmpty;
    this.#seats.set(exchange.id, seat);
    exchange.opened = true;
    const refusal = this.#place(seat);
    if (refusal) this.#core.calls.reject(exchange, refusal);
    else passHeld(this, exchange);
  }

  /** Gives a call to a node. Returns why there is none for it. */
  #place(seat: Seat): Denial | undefined {
    const { exchange, tried } = seat;
    let node = this.#nodes.choose(exchange, tried);
    if ('kind' in node) return node;
    if (this.#isCongested(node) && this.#nodes.takesAny(exchange)) {
      const other = this.#nodes.choose(exchange, [...tried, node]);
      if (!('kind' in other) && !this.#isCongested(other)) node = other;
    }
    if (!node.grpc) return UPSTREAM_UNREACHABLE;
    this.#linkTo(node, node.grpc).place(seat);
    return undefined;
  }

  #isCongested(node: Node): boolean {
    return this.#current.get(node)?.congested === true;
  }

  #linkTo(node: Node, at: NodeAddress): NodeLink {
    const known = this.#current.get(node);
    if (known?.takesCalls) return known;
    const place = { node, at, socket: this.#nodes.socket };
    const link = new NodeLink(place, this.#core, this, this.#turns, this.#settings, this.#options);
    this.#current.set(node, link);
    this.#links.add(link);
    return link;
  }

  pass(exchange: GrpcExchange, frame: Frame): void {
    const seat = this.#seats.get(exchange.id);
    this.#credit.received(frame.length);
    if (!seat?.link || seat.isGone) return;
    const { link } = seat;
    const data = dataOf(frame);
    seat.keep(data);
    seat.credit += frame.length - data.length;
    if (link.pass(seat, frame)) {
      seat.ends = seat.endSent;
      this.#credit.sent(seat, seat.sent(data.length));
      return;
    }
    seat.unsent.add(data);
    seat.ends = frame.has(Flag.END_STREAM);
    this.#credit.waits(data.length);
    if (seat.unsent.bytes > REQUEST_WINDOW + seat.mostOffset - seat.offset)
      throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, exchange.id, 'window exceeded');
    link.wait(seat);
  }

  cancel(exchange: GrpcExchange, code: number): void {
    const seat = this.#seats.get(exchange.id);
    if (!seat) return;
    seat.link?.cancel(seat, code);
    this.#drop(seat);
    exchange.opened = false;
  }

  ended(exchange: GrpcExchange): void {
    const seat = this.#seats.get(exchange.id);
    if (seat) this.#drop(seat);
  }

  #drop(seat: Seat): void {
    this.#seats.delete(seat.exchange.id);
    seat.drop();
    this.#turns.forget(seat);
    seat.link?.forget(seat);
    this.#credit.left(seat.unsent.clear());
  }

  takeSettings(settings: readonly Setting[]): void {
    const changed = new Set(settings.map(([id]) => id));
    this.#settings = [...this.#settings.filter(([id]) => !changed.has(id)), ...settings];
    this.#core.client.acknowledge();
    for (const link of this.#links) link.sendSettings(settings);
  }

  clientAcknowledged(): void {}

  granted(): void {}

  grantedStream(exchange: GrpcExchange, increment: number): void {
    const seat = this.#seats.get(exchange.id);
    if (seat && !seat.answerEnded && !seat.isGone) seat.link?.grant(seat, increment);
  }

  burstEnded(): void {}

  clientDrained(): void {
    this.#core.flush();
  }

  move(): void {
    this.#turns.move();
    for (const link of this.#links) link.move();
  }

  flush(): void {
    for (const link of this.#links) link.flush();
  }

  tick(): void {
    this.#credit.tick();
    for (const link of [...this.#links]) {
      const { state } = link.node;
      if (this.#nodes.leavesOut(link.node)) this.#leave(link);
      // A drained node, or one that is gone, is not chosen.
      const isOut = !link.takesCalls || state === 'drained' || state === 'gone';
      if (!isOut || !link.isIdle) continue;
      this.#remove(link);
      link.close();
    }
  }

  /** An ejected node: when it is back, it is connected again; calls that change nothing do not wait for it. */
  #leave(link: NodeLink): void {
    link.retire();
    for (const seat of link.seats()) this.#takeAway(seat, link, UPSTREAM_UNREACHABLE);
  }

  waitedTooLong(exchange: GrpcExchange, now: number): boolean {
    const seat = this.#seats.get(exchange.id);
    if (!seat?.link || seat.heard || !exchange.clientEnded) return false;
    this.#nodes.failed(seat.link.node, 'timeout');
    if (!this.#takeAway(seat, seat.link, UPSTREAM_TIMEOUT)) return false;
    exchange.activeAt = now;
    return true;
  }

  /** Sends a call that changes nothing to another node before its own has answered. `false` = it stays. */
  #takeAway(seat: Seat, link: SeatLink, denial: Denial): boolean {
    if (seat.heard || seat.resent || !seat.isWhole || !this.#nodes.isRepeatable(seat.exchange)) return false;
    if ('kind' in this.#nodes.choose(seat.exchange, [...seat.tried, link.node])) return false;
    link.cancel(seat, ErrorCode.CANCEL);
    this.failed(seat, 'lost', denial);
    return true;
  }

  close(): void {
    this.#over = true;
    for (const link of this.#links) link.close();
    this.#links.clear();
    this.#current.clear();
  }

  sent(seat: Seat, bytes: number): void {
    this.#credit.left(bytes);
    this.#credit.sent(seat, seat.sent(bytes));
  }

  answered(node: Node): void {
    this.#nodes.answered(node);
  }

  lost(link: NodeLink, failure: 'unreachable' | 'timeout' | 'broken' | undefined): void {
    this.#remove(link);
    if (failure) this.#nodes.failed(link.node, failure);
  }

  #remove(link: NodeLink): void {
    this.#links.delete(link);
    if (this.#current.get(link.node) === link) this.#current.delete(link.node);
  }

  failed(seat: Seat, how: Failure, denial: Denial): void {
    const { exchange } = seat;
    if (!this.#over && this.#again(seat, how)) return;
    if (how === 'unprocessed') {
      // The client may send it again.
      this.#core.calls.resetClient(exchange.id, ErrorCode.REFUSED_STREAM);
      this.#core.calls.end(exchange);
    } else this.#core.calls.reject(exchange, denial);
  }

  /** Sends a call to another node. `false` = it may not be sent again, or there is no other node. */
  #again(seat: Seat, how: Failure): boolean {
    if (seat.heard || (how === 'lost' && !this.#nodes.isRepeatable(seat.exchange))) return false;
    if (how !== 'unsent') {
      if (seat.resent) return false;
      seat.resent = true;
    }
    if (seat.link) seat.tried.push(seat.link.node);
    const waited = seat.unsent.bytes;
    if (!seat.rewind()) return false;
    this.#credit.waits(seat.unsent.bytes - waited);
    return this.#place(seat) === undefined;
  }
}
