import type { Socket } from 'node:net';
import { begin, bodyChecked, finish } from '../../exchange/steps.ts';
import { CredentialMemo } from '../../identity/credential-memo.ts';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { CredentialGuessing } from '../../limits/credential-guessing.ts';
import { Cost } from '../../limits/work-scheduler.ts';
import type { CountedClient } from '../../net/connections.ts';
import type { BodyNeeds } from '../../policy/body-checks.ts';
import type { Conditional, Permit } from '../../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import { type BegunExchange, leaveBegun } from '../begun-exchange.ts';
import { BODY_TIMEOUT } from '../body/denials.ts';
import { type BodyFinding, TOO_DEEP } from '../body/task.ts';
import type { Peer } from '../exchange.ts';
import type { Intake } from '../http1/intake.ts';
import { isSwallowed, TIMED_OUT } from '../http1/linger.ts';
import { answerRaw } from '../http1/parser-fault.ts';
import type { AnswerHead } from '../http1/response-head.ts';
import { bodyDeadline } from '../time-limits.ts';
import { RelayBody } from './body.ts';
import { RelayClient } from './client.ts';
import type { RelayContext } from './context.ts';
import { newRelayExchange, type RelayExchange, type RelaySteps } from './exchange.ts';
import { checkHeld, placeOfCheck } from './held-check.ts';
import { BACKLOG, NEVER, type Phase } from './phase.ts';
import { RelayRequests } from './requests.ts';
import { type AnswerSink, UpstreamConnection } from './upstream.ts';

/** A decision that waits for the whole body, and the checks of that. */
interface HeldDecision {
  readonly decision: Permit | Conditional;
  readonly needs: BodyNeeds;
}

/** One client connection: its plain requests, one after the other, relayed over one upstream connection of its own. */
export class RelayConnection implements RelaySteps, AnswerSink {
  /** An exception ends the connection: its exchange is answered with 500 where that is still possible. */
  readonly #report: FaultReport = (error, place) => this.#context.options.parts.fault(error, this.#exchange, place);
  readonly #guard = new Guard({ fail: () => this.#fail(), cut: () => this.cut() }, 'rest_relay', this.#report);
  readonly memo = new CredentialMemo();
  readonly guesses = new CredentialGuessing();
  readonly #socket: Socket;
  readonly #context: RelayContext;
  readonly #peer: Peer;
  readonly #counted: CountedClient | undefined;
  readonly #link: UpstreamConnection;
  readonly #requests: RelayRequests;
  readonly #intake: Intake;
  readonly #client: RelayClient;
  readonly #closed: (connection: RelayConnection) => void;
  #phase: Phase = 'head';
  #deadline: number;
  /** When a client that takes none of its answer is given up. */
  #drainDeadline = NEVER;
  /** Bytes of a head have come, or the connection is new: the time for it runs. */
  #headBegun = true;
  #exchange: RelayExchange | undefined;
  /** The decision that waits for a held body. */
  #held: HeldDecision | undefined;
  readonly #body = new RelayBody();
  #close = false;
  /** Bytes of its last answer that an idle client had not taken when last looked at: while they become fewer it is busy. */
  #owed = 0;
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
    this.#requests = new RelayRequests(context);
    this.#intake = this.#requests.intake;
    this.#client = new RelayClient(socket, context);
    this.#peer = peer;
    this.#counted = client;
    this.#context = context;
    const { clock, upstream } = context;
    this.#link = new UpstreamConnection(upstream, this, () => clock.now, this.#guard.at('rest_upstream'));
    this.#deadline = clock.now + context.options.limits.header_timeout_ms;
    socket.on('data', this.#onData).on('drain', this.#onDrain).on('end', this.#onEnd).on('close', this.#onClose);
  }

  /** Looks after the time limits. */
  readonly tick = this.#guard.entry((now: number): void => {
    this.#link.tick(now);
    if (now >= this.#drainDeadline) this.#breakOff();
    else if (now >= this.#deadline) this.#expire();
  });

  /** The listener closes: an idle connection ends now, any other with its answer. */
  readonly drain = this.#guard.entry((): void => {
    if (this.#phase === 'head' && this.#intake.length === 0) this.#end();
  });

  #expire(): void {
    this.#deadline = NEVER;
    if (this.#exchange) this.reject(this.#exchange, BODY_TIMEOUT);
    else if (this.#phase === 'head' && this.#headBegun) this.#refuseHead('timeout', TIMED_OUT);
    else if (this.#phase === 'skipping') this.#end();
    else if (this.#phase === 'head' && this.#owed !== this.#socket.writableLength) {
      this.#owed = this.#socket.writableLength;
      this.#deadline = this.#context.clock.now + this.#context.options.limits.stream_idle_timeout_ms;
    } else this.#socket.destroy();
  }

  /** Answers a head that does not come to its end, the last thing on this connection. */
  #refuseHead(fault: 'head' | 'timeout', status: number): void {
    this.#context.options.connections?.fault(fault);
    this.#over();
    answerRaw(this.#socket, status, '', this.#report);
  }

  readonly #onData = this.#guard.entry((chunk: Buffer): void => {
    switch (this.#phase) {
      case 'head':
        this.#intake.push(chunk);
        this.#advance();
        break;
      case 'deciding':
        this.#keepBack(chunk);
        break;
      case 'holding':
        // Small, and held: it has one idle time for all of it, or a byte now and then would hold it for ever.
        this.#intake.push(chunk);
        this.#release();
        break;
      case 'relaying':
        if (this.#body.left > 0 && this.#exchange) this.#passBody(this.#exchange, chunk);
        else this.#keepBack(chunk);
        break;
      case 'skipping':
        this.#skip(chunk);
        break;
      default:
        this.#phase satisfies 'over';
    }
  });

  readonly #onDrain = this.#guard.entry((): void => {
    this.#drainDeadline = NEVER;
    this.#link.resume();
    this.#advance();
  });

  readonly #onEnd = this.#guard.entry((): void => {
    this.#ended = true;
    if (!this.#exchange) this.#endRead();
    this.#settle();
  });

  /** Nothing more comes: the connection ends once all that came whole is answered. */
  #endRead(): void {
    if (this.#phase === 'over' || this.#waiting || this.#drainDeadline !== NEVER) return;
    if (this.#phase === 'head' && this.#intake.length > 0) this.#refuseHead('head', 400);
    else this.#end();
  }

  readonly #onClose = this.#guard.entry((): void => {
    this.#over();
    this.#record();
    this.#closed(this);
  });

  /**
   * To be called wherever the connection comes to stand somewhere else. INVARIANT: this alone pauses and resumes the
   * client's socket, and nothing waits for the rest of a body that cannot come.
   */
  #settle(): void {
    if (this.#phase === 'over') return;
    if (this.#ended && this.#awaitsBody()) {
      // A whole request is answered, as natively; this one never.
      if (this.#exchange?.status !== undefined) this.#breakOff();
      else this.#end();
      this.#record();
    } else if (this.#isRead()) this.#socket.resume();
    else this.#socket.pause();
  }

  /** Has the body of what is under way not come whole? */
  #awaitsBody(): boolean {
    if (this.#phase === 'relaying' || this.#phase === 'skipping') return this.#body.left > 0;
    return this.#exchange !== undefined && !this.#requests.isWhole(this.#exchange.head);
  }

  #isRead(): boolean {
    if (this.#phase === 'head') return !this.#waiting && this.#drainDeadline === NEVER;
    if (this.#phase === 'holding') return true;
    return this.#phase !== 'deciding' && this.#body.left > 0 ? this.#body.wanted : this.#intake.length <= BACKLOG;
  }

  /** Keeps bytes that arrived too early, within bounds. */
  #keepBack(chunk: Buffer): void {
    this.#intake.push(chunk);
    this.#settle();
  }

  /** Begins requests as long as there are whole heads and each is settled at once. */
  #advance(): void {
    if (this.#advancing || this.#waiting) return;
    this.#advancing = true;
    while (this.#phase === 'head' && this.#intake.length > 0 && !this.#waiting) {
      if (this.#socket.writableNeedDrain) {
        this.#drainDeadline = this.#context.clock.now + this.#context.options.limits.stream_idle_timeout_ms;
        break;
      }
      if (!this.#beginNext()) break;
      // Pipelined requests are begun as the scheduler allows.
      if (this.#phase === 'head' && this.#intake.length > 0 && !this.#context.scheduler.spend(Cost.PIPELINED_REQUEST)) {
        this.#waiting = true;
        this.#context.scheduler.wait(this.#turn);
      }
    }
    this.#advancing = false;
    if (this.#ended && !this.#exchange) this.#endRead();
    this.#settle();
  }

  readonly #turn = this.#guard.entry((): void => {
    this.#waiting = false;
    this.#advance();
  });

  /** `false` = there is no whole, plain request to begin. */
  #beginNext(): boolean {
    const { clock, options, protocol } = this.#context;
    const next = this.#requests.next();
    if (next === 'incomplete') {
      if (!this.#headBegun) this.#deadline = clock.now + options.limits.header_timeout_ms;
      this.#headBegun = true;
      return false;
    }
    if (next === 'odd') {
      this.#handOver();
      return false;
    }
    this.#phase = 'deciding';
    this.#deadline = NEVER;
    this.#exchange = newRelayExchange(this, next.head, next.resolution, this.#peer);
    this.#counted?.begun();
    begin(options.parts, protocol, this.#exchange);
    return true;
  }

  checkBody(exchange: RelayExchange, decision: Permit | Conditional, needs: BodyNeeds): void {
    if (exchange !== this.#exchange) return;
    const { limits } = this.#context.options;
    switch (placeOfCheck(needs, exchange.head, limits.inspected_body_bytes)) {
      case 'held':
        if (!this.#holds(exchange, { decision, needs })) return;
        this.#checked(exchange, decision, checkHeld(this.#intake, exchange.head, { decision, needs }, limits));
        break;
      case 'passing':
        this.#body.measure(limits.json_depth);
        this.#checked(exchange, decision, undefined);
        break;
      default:
        this.giveOver(exchange, decision);
    }
  }

  #checked(exchange: RelayExchange, decision: Permit | Conditional, found: BodyFinding): void {
    bodyChecked(this.#context.options.parts, this.#context.protocol, exchange, decision, found);
  }

  pass(exchange: RelayExchange): void {
    if (exchange === this.#exchange) this.#send(exchange);
  }

  giveOver(exchange: RelayExchange, decision: Permit | Conditional): void {
    if (exchange === this.#exchange) this.#handOver({ exchange, decision });
  }

  /** Is the whole body there? Else it is waited for, and `held` is taken up again then. */
  #holds(exchange: RelayExchange, held: HeldDecision): boolean {
    if (this.#requests.isWhole(exchange.head)) {
      exchange.whole = true;
      exchange.received = exchange.head.contentLength;
      return true;
    }
    this.#held = held;
    this.#phase = 'holding';
    this.#deadline = bodyDeadline(this.#exchange, this.#context);
    this.#settle();
    return false;
  }

  /** Goes on with a request whose body was waited for, once it is whole. */
  #release(): void {
    const [exchange, held] = [this.#exchange, this.#held];
    if (!exchange || !held || !this.#requests.isWhole(exchange.head)) return;
    this.#held = undefined;
    this.#deadline = NEVER;
    this.checkBody(exchange, held.decision, held.needs);
    this.#advance();
  }

  #send(exchange: RelayExchange): void {
    const body = this.#takeBody(exchange);
    exchange.received = body?.length ?? 0;
    this.#phase = 'relaying';
    this.#close = false;
    if (body && !this.#body.nestsWithin(body)) {
      this.reject(exchange, TOO_DEEP);
      return;
    }
    this.#waitFor(exchange, this.#link.send(exchange, this.#requests.sentHead(exchange), body));
  }

  /** Takes the head, and of the body what is there. */
  #takeBody({ head }: RelayExchange): Buffer | undefined {
    const body = this.#requests.takeBody(head);
    this.#body.begin(head.contentLength, body?.length ?? 0);
    return body;
  }

  #passBody(exchange: RelayExchange, chunk: Buffer): void {
    const part = this.#body.take(chunk);
    exchange.received += part.length;
    if (part !== chunk) this.#keepBack(chunk.subarray(part.length));
    if (!this.#body.nestsWithin(part)) {
      this.reject(exchange, TOO_DEEP);
      return;
    }
    // Pieces that come in one turn of the event loop go upstream in one write.
    if (this.#link.hold()) this.#guard.soon(() => this.#link.letGo());
    this.#waitFor(exchange, this.#link.write(part));
  }

  /** One time runs: the client's for more of its body, or upstream's for taking it and for its answer. */
  #waitFor(exchange: RelayExchange, more: boolean): void {
    // Upstream may have been lost with what was just written to it.
    if (exchange !== this.#exchange) return;
    const awaited = more && this.#body.left > 0;
    this.#body.wanted = more;
    this.#deadline = awaited ? bodyDeadline(exchange, this.#context) : NEVER;
    if (awaited) this.#link.waitForBody();
    this.#settle();
  }

  onUpstreamDrain(): void {
    if (this.#phase === 'relaying' && this.#body.left > 0 && this.#exchange) this.#waitFor(this.#exchange, true);
  }

  onAnswer(head: AnswerHead | undefined, parts: readonly Buffer[], data: number, ended: boolean): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    exchange.sent += data;
    if (head) {
      exchange.status = head.status;
      exchange.answeredAt = this.#context.options.parts.now();
      this.#close = exchange.head.close || this.#context.clock.draining || !isSwallowed(this.#body.left);
      this.#client.answer(exchange, head, parts, this.#close);
    } else {
      this.#client.write(parts);
    }
    if (ended) {
      this.#answered();
    } else if (this.#socket.writableNeedDrain) {
      this.#drainDeadline = this.#context.clock.now + this.#context.options.limits.stream_idle_timeout_ms;
      this.#link.pause();
    }
  }

  onAnswerFault(denial: Denial): void {
    if (this.#exchange) this.reject(this.#exchange, denial);
  }

  reject(exchange: RelayExchange, denial: Denial): void {
    if (exchange !== this.#exchange) return;
    exchange.refusal = denial;
    if (exchange.status !== undefined) {
      this.#link.destroy();
      this.#breakOff();
      return;
    }
    if (this.#phase === 'relaying') this.#link.destroy();
    else this.#takeBody(exchange);
    const gaveUp = denial === INTERNAL_FAULT || (denial.status === TIMED_OUT && this.#body.left > 0);
    this.#close = gaveUp || exchange.head.close || this.#context.clock.draining || !isSwallowed(this.#body.left);
    exchange.status = denial.status;
    exchange.sent += this.#client.refuse(exchange, denial, this.#close);
    this.#answered();
  }

  /** The answer is written: on to what the connection is good for now. */
  #answered(): void {
    const known = this.#exchange?.principal !== undefined;
    this.#record();
    this.#body.measure(undefined);
    this.#held = undefined;
    this.#drainDeadline = NEVER;
    this.#close ||= this.#context.clock.draining;
    if (this.#close || this.#body.left > 0) this.#link.destroy();
    this.#phase = 'skipping';
    if (this.#body.left === 0) {
      this.#proceed();
      return;
    }
    // The client hears at once that its connection ends; what it still sends is read all the same.
    if (this.#close) this.#socket.end();
    this.#deadline = this.#body.linger(this.#context.clock.now, known);
    this.#settle();
  }

  /** The request and its answer are over. */
  #proceed(): void {
    const { clock, options } = this.#context;
    if (this.#close || clock.draining) {
      this.#end();
      return;
    }
    this.#deadline = clock.now + options.limits.keep_alive_timeout_ms;
    this.#headBegun = false;
    this.#owed = 0;
    this.#phase = 'head';
    this.#advance();
  }

  /** Discards the rest of an unread body; the bytes behind it are the next request's. */
  #skip(chunk: Buffer): void {
    const { length } = this.#body.take(chunk);
    if (length < chunk.length) this.#intake.push(chunk.subarray(length));
    if (this.#body.left === 0) {
      this.#proceed();
      return;
    }
    // Not ended: a client that has yet to read its answer would lose it.
    this.#deadline = this.#body.skip(length, this.#context.clock.now);
    this.#settle();
  }

  /** Ends an answer so that no client can take it for whole. */
  #breakOff(): void {
    this.cut(this.#peer.scheme === 'http');
  }

  /** Ends the connection behind what is written, and in any case. */
  #end(): void {
    this.#over();
    this.#deadline = this.#context.clock.now + this.#context.options.limits.stream_idle_timeout_ms;
    this.#socket.destroySoon();
  }

  #fail(): void {
    const exchange = this.#exchange;
    if (exchange) exchange.decision = INTERNAL_FAULT;
    if (exchange && exchange.status === undefined) this.reject(exchange, INTERNAL_FAULT);
    else this.#breakOff();
  }

  cut(reset = false): void {
    this.#over();
    this.#record();
    if (reset) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** Step 8, once for each exchange. */
  #record(): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    this.#exchange = undefined;
    this.#counted?.ended();
    const { status, received, sent } = exchange;
    finish(this.#context.options.parts, exchange, { status, received, sent });
  }

  /** INVARIANT: only while nothing of the request has been used, so the other lane reads the very bytes that came. */
  #handOver(begun?: BegunExchange): void {
    const socket = this.#socket;
    const unread = this.#intake.bytes;
    if (begun) {
      this.#counted?.handedOver();
      this.#exchange = undefined;
      leaveBegun(socket, begun, this.#context.options.parts);
    }
    this.#over();
    socket.off('data', this.#onData).off('drain', this.#onDrain).off('end', this.#onEnd).off('close', this.#onClose);
    this.#closed(this);
    this.#context.handOver(socket, unread, this.#ended);
  }

  #over(): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#deadline = NEVER;
    this.#drainDeadline = NEVER;
    this.#link.destroy();
    this.#requests.clear();
  }
}
