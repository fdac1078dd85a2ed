import type { Socket } from 'node:net';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { Cost } from '../../limits/work-scheduler.ts';
import type { CountedClient } from '../../net/connections.ts';
import { resetSocket } from '../../net/reset-socket.ts';
import { type BegunExchange, leaveBegun } from '../begun-exchange.ts';
import { BODY_TIMEOUT } from '../body/denials.ts';
import type { Peer } from '../exchange.ts';
import { BACKLOG, type Intake } from '../http1/intake.ts';
import { TIMED_OUT } from '../http1/linger.ts';
import { answerRaw } from '../http1/parser-fault.ts';
import { RelayClient } from './client.ts';
import { ClientTimes } from './client-times.ts';
import type { RelayContext } from './context.ts';
import type { RelayCore } from './core.ts';
import { CurrentRequest } from './current-request.ts';
import { RelayRequests } from './requests.ts';

/**
 * One client connection: its plain requests, relayed one after the other. Where the connection stands is the phase of its
 * `CurrentRequest`.
 */
export class RelayConnection implements RelayCore {
  /** An exception ends the connection: its exchange is answered with 500 where that is still possible. */
  readonly #report: FaultReport = (error, place) =>
    this.context.options.parts.fault(error, this.#request.exchange, place);
  readonly guard = new Guard({ fail: () => this.fail(), cut: () => this.cut() }, 'rest_relay', this.#report);
  readonly context: RelayContext;
  readonly peer: Peer;
  readonly counted: CountedClient | undefined;
  readonly requests: RelayRequests;
  readonly client: RelayClient;
  readonly times: ClientTimes;
  readonly #socket: Socket;
  readonly #intake: Intake;
  readonly #request: CurrentRequest;
  readonly #closed: (connection: RelayConnection) => void;
  #advancing = false;
  /** Until it is this connection's turn, nothing is begun. */
  #waiting = false;
  /** The client has closed its writing half: what has come whole is still answered. */
  #ended = false;

  /** @param closed called once: the connection has ended or was handed over */
  constructor(
    socket: Socket,
    { peer, client }: { readonly peer: Peer; readonly client: CountedClient | undefined },
    context: RelayContext,
    closed: (connection: RelayConnection) => void,
  ) {
    this.#socket = socket;
    this.#closed = closed;
    this.context = context;
    this.peer = peer;
    this.counted = client;
    this.requests = new RelayRequests(context);
    this.#intake = this.requests.intake;
    this.client = new RelayClient(socket, context, this.guard);
    this.times = new ClientTimes(context);
    this.#request = new CurrentRequest(this);
    socket.on('data', this.#onData).on('drain', this.#onDrain).on('end', this.#onEnd).on('close', this.#onClose);
  }

  /** Looks after the time limits. */
  readonly tick = this.guard.entry((now: number): void => {
    // An idle client leaves its upstream connection to others.
    if (this.#request.phase === 'head') this.#request.kept.release(true);
    if (this.times.isDrainOver(now)) this.breakOff();
    else if (this.times.expire(now)) this.#expired();
  });

  /** The listener closes: an idle connection ends now, any other with its answer. */
  readonly drain = this.guard.entry((): void => {
    if (this.#request.phase === 'head' && this.#intake.length === 0) this.#end();
  });

  #expired(): void {
    const { exchange, phase } = this.#request;
    if (exchange) this.#request.reject(exchange, BODY_TIMEOUT);
    else if (phase === 'head' && this.times.isHeadBegun) this.#refuseHead('timeout', TIMED_OUT);
    else if (phase === 'skipping') this.#end();
    else if (phase !== 'head' || !this.times.goOnTaking(this.#socket.writableLength)) this.#socket.destroy();
  }

  /** Answers a head that does not come to its end, the last thing on this connection. */
  #refuseHead(fault: 'head' | 'timeout', status: number): void {
    this.context.options.connections?.fault(fault);
    this.#over();
    answerRaw(this.#socket, status, '', this.#report);
  }

  readonly #onData = this.guard.entry((chunk: Buffer): void => {
    switch (this.#request.phase) {
      case 'head':
        this.#intake.push(chunk);
        this.#advance();
        break;
      case 'deciding':
        this.keepBack(chunk);
        break;
      case 'holding':
        // Small, and held: it has one idle time for all of it, or a byte now and then would hold it for ever.
        this.#intake.push(chunk);
        if (this.#request.release()) this.#advance();
        break;
      case 'relaying':
        this.#request.passBody(chunk);
        break;
      case 'skipping':
        this.#request.skip(chunk);
        break;
      default:
        this.#request.phase satisfies 'over';
    }
  });

  readonly #onDrain = this.guard.entry((): void => {
    this.times.drained();
    this.#request.kept.current?.link.resume();
    this.#advance();
  });

  readonly #onEnd = this.guard.entry((): void => {
    this.#ended = true;
    if (!this.#request.exchange) this.#endRead();
    this.settle();
  });

  /** Nothing more comes: the connection ends once all that came whole is answered. */
  #endRead(): void {
    const { phase } = this.#request;
    if (phase === 'over' || this.#waiting || this.times.awaitsDrain) return;
    if (phase === 'head' && this.#intake.length > 0) this.#refuseHead('head', 400);
    else this.#end();
  }

  readonly #onClose = this.guard.entry((): void => {
    this.#over();
    this.#request.record();
    this.#closed(this);
  });

  /**
   * To be called wherever the connection comes to stand somewhere else. INVARIANT: this alone pauses and resumes the
   * client's socket, and nothing waits for the rest of a body that cannot come.
   */
  settle(): void {
    const request = this.#request;
    if (request.phase === 'over') return;
    if (this.#ended && this.#awaitsBody()) {
      // A whole request is answered, as natively; this one never.
      if (request.exchange?.status !== undefined) this.breakOff();
      else this.#end();
      request.record();
    } else if (this.#isRead()) this.#socket.resume();
    else this.#socket.pause();
  }

  /** Has the body of what is under way not come whole? */
  #awaitsBody(): boolean {
    const { body, exchange, phase } = this.#request;
    if (phase === 'relaying' || phase === 'skipping') return body.left > 0;
    return exchange !== undefined && !this.requests.isWhole(exchange.head);
  }

  #isRead(): boolean {
    const { body, phase } = this.#request;
    if (phase === 'head') return !this.#waiting && !this.times.awaitsDrain;
    if (phase === 'holding') return true;
    return phase !== 'deciding' && body.left > 0 ? body.wanted : this.#intake.length <= BACKLOG;
  }

  keepBack(chunk: Buffer): void {
    this.#intake.push(chunk);
    this.settle();
  }

  /** Begins requests as long as there are whole heads and each is settled at once. */
  #advance(): void {
    if (this.#advancing || this.#waiting) return;
    this.#advancing = true;
    while (this.#request.phase === 'head' && this.#intake.length > 0 && !this.#waiting) {
      if (this.#socket.writableNeedDrain) {
        this.times.awaitDrain();
        break;
      }
      if (!this.#beginNext()) break;
      this.#takeTurn();
    }
    this.#advancing = false;
    if (this.#ended && !this.#request.exchange) this.#endRead();
    this.settle();
  }

  /** Pipelined requests are begun as the scheduler allows. */
  #takeTurn(): void {
    const { scheduler } = this.context;
    if (this.#request.phase !== 'head' || this.#intake.length === 0 || scheduler.spend(Cost.PIPELINED_REQUEST)) return;
    this.#waiting = true;
    scheduler.wait(this.#turn);
  }

  readonly #turn = this.guard.entry((): void => {
    this.#waiting = false;
    this.#advance();
  });

  /** `false` = there is no whole, plain request to begin. */
  #beginNext(): boolean {
    const next = this.requests.next();
    if (next === 'incomplete') {
      this.times.awaitHead();
      return false;
    }
    if (next === 'odd') {
      this.handOver();
      return false;
    }
    this.#request.begin(next.head, next.resolution);
    return true;
  }

  proceed(close: boolean): void {
    if (close || this.context.clock.draining) {
      this.#end();
      return;
    }
    this.times.awaitRequest();
    this.#advance();
  }

  breakOff(): void {
    this.cut(this.peer.scheme === 'http');
  }

  /** Ends the connection behind what is written, and in any case. */
  #end(): void {
    this.#over();
    this.times.awaitEnd();
    this.#socket.destroySoon();
  }

  fail(): void {
    if (!this.#request.fail()) this.breakOff();
  }

  cut(reset = false): void {
    this.#over();
    this.#request.record();
    if (reset) resetSocket(this.#socket);
    else this.#socket.destroy();
  }

  /** INVARIANT: only while nothing of the request has been used, so the other lane reads the very bytes that came. */
  handOver(begun?: BegunExchange): void {
    const socket = this.#socket;
    const unread = this.#intake.bytes;
    if (begun) leaveBegun(socket, begun, this.context.options.parts);
    this.#over();
    socket.off('data', this.#onData).off('drain', this.#onDrain).off('end', this.#onEnd).off('close', this.#onClose);
    this.#closed(this);
    this.context.handOver(socket, unread, this.#ended);
  }

  #over(): void {
    if (this.#request.phase === 'over') return;
    this.times.stop();
    this.#request.close();
    this.requests.clear();
  }
}
