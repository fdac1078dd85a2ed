import { begin, bodyChecked, finish } from '../../exchange/steps.ts';
import { stillStands } from '../../exchange/still-stands.ts';
import type { TenantFinding } from '../../exchange/tenants.ts';
import { DEFAULT_MAX_FRAME_SIZE, ErrorCode, type Frame } from '../../http2/frames.ts';
import type { PresentedCertificate } from '../../identity/certificates/presented.ts';
import { CredentialMemo } from '../../identity/credential-memo.ts';
import type { Guard } from '../../lifetime/guard.ts';
import type { Standing } from '../../lifetime/standing.ts';
import { RefusalSlots } from '../../limits/refusal-pacing.ts';
import type { ClientAddress } from '../../net/client-address.ts';
import { type BodyNeeds, needsOnly } from '../../policy/body-checks.ts';
import type { Conditional, Permit, References } from '../../policy/decide.ts';
import { type Denial, INTERNAL_FAULT, UPSTREAM_BROKEN } from '../../policy/denial.ts';
import { type AskUpstream, answerFor, type Question } from '../answer.ts';
import { GrpcExchange, type GrpcSteps } from '../exchange.ts';
import type { RequestHead } from '../headers/request-head.ts';
import { GRPC } from '../protocol.ts';
import type { TenantLane } from '../tenants/lane.ts';
import { loadedTenants, loadTenants } from '../tenants/load.ts';
import { LocalAnswers } from './local-answers.ts';
import type { GrpcRelayOptions } from './options.ts';
import type { OpenCalls, RelayCore } from './relay-core.ts';
import { lengthFault, type RequestData } from './request-data.ts';
import type { UpstreamSide } from './upstream-side.ts';

/** Checks of messages that the relay runs. */
const CHECKS: ReadonlySet<string> = new Set<keyof BodyNeeds>(['names', 'depth', 'dotNames', 'facts', 'tenant']);

/** Settled: what follows it runs behind all that has been settled before. */
const NOW = Promise.resolve();
/** Without a reason, an exception with a stack would be made for each call. */
const CALL_ENDED = 'the call has ended';

/**
 * The calls of one client connection, from the head to the record: the steps of the protocol, the gateway's own answers, and
 * the end.
 *
 * ```
 * waiting -> inspecting -> relayed        frames pass verbatim, only the stream id is rewritten
 *    \            \-----> local           the gateway answers; DATA is discarded, its credit returned
 *     \--> relayed | local
 *      \-> collecting -> relayed | local   the message is made anew; the answer passes if it needs no change
 * ```
 *
 * INVARIANT: each call is recorded once, when it leaves the table of streams.
 */
export class Calls implements GrpcSteps, OpenCalls {
  readonly peer: ClientAddress;
  readonly certificate: PresentedCertificate | undefined;
  readonly memo = new CredentialMemo();
  readonly refusalSlots: RefusalSlots;
  readonly standing: Standing;
  readonly #core: RelayCore;
  readonly #upstream: UpstreamSide;
  readonly #data: RequestData;
  readonly #answers: LocalAnswers;
  readonly #guard: Guard;
  readonly #options: GrpcRelayOptions;
  /** Answered calls whose clients have not ended their sides; reset with the next frames sent. */
  readonly #toReset: GrpcExchange[] = [];
  #endedAt: number;
  #tenants: TenantLane | undefined;
  /** True = pending answers will be sent. */
  #flushes = false;
  /** True = answers go on in the next turn of the event loop. */
  #goesOn = false;

  /** @param guard of the client connection */
  constructor(core: RelayCore, upstream: UpstreamSide, data: RequestData, guard: Guard, options: GrpcRelayOptions) {
    this.peer = core.peer;
    this.certificate = core.certificate;
    this.standing = core.standing;
    this.#core = core;
    this.#upstream = upstream;
    this.#data = data;
    this.#guard = guard;
    this.#options = options;
    const { client, heads, window, streamWindows } = core;
    this.refusalSlots = new RefusalSlots(client);
    this.#answers = new LocalAnswers(client.outbox, heads, window, streamWindows, options.clock);
    this.#endedAt = options.clock();
  }

  /** Clock reading (milliseconds) at the end of the last call; before it that of the connection's begin. */
  get endedAt(): number {
    return this.#endedAt;
  }

  /**
   * A new stream with a valid head. Throws a fault of the stream if it ends before the announced DATA, or if its head finds no
   * room beside those of the other calls.
   */
  begin(streamId: number, head: RequestHead, headBytes: number, endStream: boolean): void {
    const exchange = new GrpcExchange(streamId, head, this, this.#options.clock());
    exchange.holdLimit = this.#upstream.holdLimit;
    exchange.clientEnded = endStream;
    if (endStream && head.contentLength > 0) throw lengthFault(streamId);
    this.#core.client.heads.take(streamId, headBytes);
    exchange.headBytes = headBytes;
    this.#core.streams.add(exchange);
    begin(this.#core.parts, GRPC, exchange);
  }

  /** Answers a head above the limits, which does not become a call. */
  refuseHead(streamId: number, endStream: boolean): void {
    this.#answers.status(streamId, '431');
    if (!endStream) this.resetClient(streamId, ErrorCode.NO_ERROR);
  }

  checkBody(exchange: GrpcExchange, decision: Permit | Conditional, needs: BodyNeeds): void {
    if (exchange.principal) this.#core.client.known();
    if (!this.#core.streams.has(exchange) || exchange.answered) return;
    exchange.refusesDotNames = needs.dotNames === true;
    if (!needsOnly(needs, CHECKS)) this.reject(exchange, INTERNAL_FAULT);
    else if (needs.tenant) this.#collect(exchange, decision);
    else if (needs.names && decision.kind === 'conditional') this.#data.inspect(exchange, decision);
    // INVARIANT: a call whose numbers are wanted waits for its names, too.
    else if (needs.facts) this.reject(exchange, INTERNAL_FAULT);
    else {
      // Measured while it passes; its end is held back.
      exchange.measures = needs.depth === true || exchange.refusesDotNames;
      this.bodyChecked(exchange, decision, undefined);
    }
  }

  bodyChecked(
    exchange: GrpcExchange,
    decision: Permit | Conditional,
    found: References | Denial | undefined,
    tenant?: TenantFinding,
  ): void {
    bodyChecked(this.#core.parts, GRPC, exchange, decision, found, tenant);
  }

  /** Holds the call whole, to make it anew for a tenant. What that takes is loaded for the first such call. */
  #collect(exchange: GrpcExchange, decision: Permit | Conditional): void {
    this.#tenants ??= loadedTenants()?.(this.#core, this.#guard, this.#options, (...checked) =>
      this.bodyChecked(...checked),
    );
    if (this.#tenants) {
      this.#tenants.begin(exchange, decision);
      return;
    }
    this.#guard.settled(loadTenants(), () => {
      if (this.#core.streams.has(exchange) && !exchange.answered) this.#collect(exchange, decision);
      if (!this.#core.client.inBurst) this.#core.burstEnded();
    });
  }

  collect(exchange: GrpcExchange, frame: Frame): void {
    this.#tenants?.take(exchange, frame);
  }

  forward(exchange: GrpcExchange, permit: Permit): void {
    // The client left while its credential was checked, or was refused after a time limit.
    if (!this.#core.streams.has(exchange) || exchange.answered) return;
    if (exchange.principal) this.#core.client.known();
    const { tenant } = permit;
    const question =
      typeof tenant === 'object'
        ? this.#tenants?.answer(exchange, permit, tenant)
        : answerFor(exchange, permit, this.#options.upstream.credential(), this.#options.answerMemory);
    // INVARIANT: the message of the client is not sent where another one was made for it.
    if (typeof tenant === 'object' && !question && !exchange.isRemade)
      throw new TypeError('a call was made anew, and nothing sends it');
    if (question) {
      this.#answer(exchange, question, permit);
      return;
    }
    this.#data.permit(exchange, permit);
    this.#core.flush();
  }

  reject(exchange: GrpcExchange, denial: Denial): void {
    try {
      this.#reject(exchange, denial);
    } catch (error) {
      // Called for a failed exchange: no caller can catch it.
      this.#guard.failed(error);
    }
  }

  #reject(exchange: GrpcExchange, denial: Denial): void {
    exchange.stopReading();
    this.#tenants?.forget(exchange);
    if (!this.#core.streams.has(exchange)) return; // the client left while its credential was looked at
    if (exchange.answered) {
      this.#cutShort(exchange);
      return;
    }
    this.#upstream.cancel(exchange, ErrorCode.CANCEL);
    this.#swallowHeld(exchange);
    exchange.state = 'local';
    exchange.refusal = denial;
    this.#answers.refuse(exchange, denial);
    this.settleEnd(exchange);
    this.#core.flush();
  }

  abandonBody(exchange: GrpcExchange): void {
    exchange.stopReading();
    this.#tenants?.forget(exchange);
    if (!this.#core.streams.has(exchange) || exchange.answered) return;
    this.#upstream.cancel(exchange, ErrorCode.CANCEL);
    this.#swallowHeld(exchange);
    exchange.state = 'local';
    this.#core.flush();
  }

  /** Ends a call that was answered while its client has not ended its side. */
  #cutShort(exchange: GrpcExchange): void {
    this.#upstream.cancel(exchange, ErrorCode.CANCEL);
    this.resetClient(exchange.id, ErrorCode.NO_ERROR);
    this.end(exchange);
    this.#core.flush();
  }

  #answer(exchange: GrpcExchange, question: Question, permit: Permit): void {
    this.#swallowHeld(exchange);
    exchange.state = 'local';
    exchange.asking = new AbortController();
    this.#guard.settled(
      question(this.#askFor(exchange), permit, exchange.asking.signal),
      (answer) => {
        if (!this.#core.streams.has(exchange) || exchange.answered) return;
        if (answer.kind === 'denial') {
          this.reject(exchange, answer);
          return;
        }
        this.#answers.deliver(exchange, answer.message);
        exchange.activeAt = this.#options.clock();
        this.#pump(exchange);
        this.#flushSoon();
      },
      (error: unknown) => {
        this.#core.parts.fault(error, exchange);
        this.reject(exchange, UPSTREAM_BROKEN);
      },
    );
  }

  /** INVARIANT: nothing is asked for a call, after whatever wait, whose permit no longer stands. */
  #askFor(exchange: GrpcExchange): AskUpstream {
    const { ask } = this.#options;
    return {
      askOpen: (path, mostMs) => ask.askOpen(path, mostMs),
      ask: async (path, message, caller) =>
        (await stillStands(this.#core.parts, exchange)) ?? (await ask.ask(path, message, caller)),
    };
  }

  /** Sends the answers of one moment in one write. */
  #flushSoon(): void {
    if (this.#flushes) return;
    this.#flushes = true;
    this.#guard.settled(NOW, () => {
      this.#flushes = false;
      this.#core.flush();
      this.#core.pauseIfCongested();
    });
  }

  /** Continues the local answers that wait for the client's windows. */
  pumpWaiting(): void {
    for (const exchange of this.#answers.waiting) this.#pump(exchange);
  }

  /** Sends as much of a local answer as the client's windows permit. */
  #pump(exchange: GrpcExchange): void {
    if (!exchange.outgoing) return;
    const sent = this.#answers.pump(exchange, this.#upstream.sharesWindow);
    if (sent > 0) {
      exchange.activeAt = this.#options.clock();
      this.#core.client.moved(sent, Math.ceil(sent / DEFAULT_MAX_FRAME_SIZE));
    }
    this.settleEnd(exchange);
    if (this.#answers.leftBehind) this.#goOn();
  }

  /** A socket that took all at once does not drain; one that did not, does, and continues the answers then. */
  #goOn(): void {
    this.#answers.leftBehind = false;
    if (this.#goesOn) return;
    this.#goesOn = true;
    this.#guard.soon(() => {
      this.#goesOn = false;
      this.#core.flush();
      if (this.#core.client.outbox.room === 0) return;
      this.pumpWaiting();
      this.#core.flush();
    });
  }

  #swallowHeld(exchange: GrpcExchange): void {
    this.#core.window.swallowed(exchange.held.clear() + exchange.owedCredit);
    exchange.owedCredit = 0;
  }

  resetClient(streamId: number, code: number): void {
    this.#core.client.resetStream(streamId, code);
    this.#core.streams.ended.add(streamId);
  }

  settleEnd(exchange: GrpcExchange): void {
    if (!exchange.answered) return;
    if (exchange.clientEnded) this.end(exchange);
    else if (exchange.state === 'local') this.#toReset.push(exchange);
  }

  end(exchange: GrpcExchange): void {
    const { status } = exchange;
    if (!this.#core.streams.remove(exchange)) return;
    this.#upstream.ended(exchange);
    this.#core.client.heads.give(exchange.headBytes);
    exchange.stopReading();
    this.#tenants?.forget(exchange);
    exchange.asking?.abort(CALL_ENDED);
    this.#answers.forget(exchange);
    this.#swallowHeld(exchange);
    this.#endedAt = this.#options.clock();
    finish(this.#core.parts, exchange, { status, received: exchange.received, sent: exchange.sent });
  }

  /** Resets and ends the calls that were answered before their clients had ended (RFC 9113 section 8.1). */
  resetAnswered(): void {
    for (const exchange of this.#toReset) {
      if (!this.#core.streams.has(exchange)) continue;
      this.resetClient(exchange.id, ErrorCode.NO_ERROR);
      this.end(exchange);
    }
    this.#toReset.length = 0;
  }

  /** Answers all open calls with an error. */
  rejectAll(denial: Denial): void {
    for (const exchange of this.#core.streams.all()) this.reject(exchange, denial);
  }

  /** Ends all open calls: their client is gone. */
  endAll(): void {
    this.#toReset.length = 0;
    for (const exchange of this.#core.streams.all()) this.end(exchange);
  }
}
