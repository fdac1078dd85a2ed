import { bodyChecked, finish } from '../../exchange/steps.ts';
import { stillStands } from '../../exchange/still-stands.ts';
import { ErrorCode } from '../../http2/frames.ts';
import type { CredentialMemo } from '../../identity/credential-memo.ts';
import { DepthMeter } from '../../json/depth.ts';
import type { CredentialGuessing } from '../../limits/credential-guessing.ts';
import type { RefusalSlots } from '../../limits/refusal-pacing.ts';
import type { BodyNeeds } from '../../policy/body-checks.ts';
import type { Conditional, Permit } from '../../policy/decide.ts';
import { type Denial, INTERNAL_FAULT, UPSTREAM_TIMEOUT } from '../../policy/denial.ts';
import type { UpstreamCredential } from '../../upstream/credential.ts';
import { BODY_TIMEOUT } from '../body/denials.ts';
import { TOO_DEEP } from '../body/task.ts';
import { headerValues } from '../exchange.ts';
import { answerHeaders } from '../headers.ts';
import { Intake } from '../http1/intake.ts';
import type { AnswerHead } from '../http1/response-head.ts';
import { AnewHeads, upstreamHead } from '../relay/answer.ts';
import type { RelayExchange, RelaySteps } from '../relay/exchange.ts';
import { checkHeld, placeOfCheck } from '../relay/held-check.ts';
import type { SentHeads } from '../relay/upstream.ts';
import type { ClientUpstream, UpstreamUser } from '../relay/upstream-pool.ts';
import { settledHeaders } from '../response/settled-headers.ts';
import { heardForTenant } from '../tenants/task.ts';
import { bodyDeadline } from '../time-limits.ts';
import { encodeAnswerHead, encodeRefusal } from './answer-head.ts';
import type { PlainContext } from './plain-context.ts';
import type { Http2Stream, StreamUser } from './stream.ts';
import type { PlaceWaiter } from './upstream-places.ts';

const NEVER = Number.POSITIVE_INFINITY;

/**
 * - `deciding`: what its decision depends on is being looked up; bytes of its body are kept
 * - `holding`: its body is waited for, to be checked before anything is sent
 * - `waiting`: its connection has as many requests under way upstream as it may have
 * - `relaying`: it is upstream's; its body and the answer pass
 * - `answered`: the answer is complete
 * - `over`: the stream is closed, or the server transport has it
 */
type Phase = 'deciding' | 'holding' | 'waiting' | 'relaying' | 'answered' | 'over';

/** A plain request over HTTP/2: its body and its answer pass as bytes, over one upstream connection of the pool. */
export class PlainRequest implements RelaySteps, UpstreamUser, SentHeads, StreamUser, PlaceWaiter {
  readonly memo: CredentialMemo;
  readonly guesses: CredentialGuessing;
  readonly refusalSlots: RefusalSlots;
  readonly #stream: Http2Stream;
  readonly #context: PlainContext;
  #phase: Phase = 'deciding';
  #exchange: RelayExchange | undefined;
  #held: { readonly decision: Permit | Conditional; readonly needs: BodyNeeds } | undefined;
  /** Body bytes that are not used yet. */
  readonly #intake = new Intake();
  #meter: DepthMeter | undefined;
  #link: ClientUpstream | undefined;
  /** Sent in the place of the client's body. */
  #anew: Buffer | undefined;
  /** Bytes that upstream was given and does not take for now: their credit waits. */
  #untaken = 0;
  /** Bytes of the intake whose credit has gone back. */
  #credited = 0;
  /** It has one of the places upstream of its connection. */
  #hasPlace = false;
  /** The answer began before the whole body was there: the rest of it is not to stand before another client's request. */
  #early = false;
  #deadline = NEVER;

  constructor(stream: Http2Stream, memo: CredentialMemo, context: PlainContext) {
    this.#stream = stream;
    this.memo = memo;
    this.refusalSlots = stream.refusalSlots;
    this.guesses = stream.refusalSlots.guesses;
    this.#context = context;
  }

  /** Ties it to its exchange, which begins next. */
  carry(exchange: RelayExchange): void {
    this.#exchange = exchange;
  }

  get exchange(): RelayExchange | undefined {
    return this.#exchange;
  }

  data(chunk: Buffer): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    if (this.#phase === 'relaying' && this.#link) {
      this.#pass(exchange, this.#link, chunk);
      return;
    }
    // A copy: a small piece would keep all that was read with it.
    this.#intake.push(Buffer.from(chunk));
    if (this.#phase !== 'holding') return;
    this.#credit(chunk.length);
    this.#deadline = bodyDeadline(exchange, this.#context);
  }

  end(): void {
    const [exchange, held] = [this.#exchange, this.#held];
    if (!exchange || this.#phase !== 'holding' || !held) return;
    this.#deadline = NEVER;
    this.#held = undefined;
    this.checkBody(exchange, held.decision, held.needs);
  }

  checkBody(exchange: RelayExchange, decision: Permit | Conditional, needs: BodyNeeds): void {
    if (exchange !== this.#exchange) return;
    if (exchange.principal) this.#stream.known();
    const { limits } = this.#context.options;
    switch (placeOfCheck(needs, exchange.head, limits.inspected_body_bytes)) {
      case 'held':
        if (this.#stream.clientEnded) {
          exchange.whole = true;
          exchange.received = exchange.head.contentLength;
          this.#phase = 'deciding';
          checkHeld(this.#context, exchange, this.#intake, { decision, needs });
        } else this.#hold(exchange, decision, needs);
        break;
      case 'passing':
        this.#meter = new DepthMeter(limits.json_depth);
        bodyChecked(this.#context.options.parts, this.#context.protocol, exchange, decision, undefined);
        break;
      default:
        this.giveOver(exchange, decision);
    }
  }

  #hold(exchange: RelayExchange, decision: Permit | Conditional, needs: BodyNeeds): void {
    this.#held = { decision, needs };
    this.#phase = 'holding';
    this.#credit(this.#intake.length);
    this.#deadline = bodyDeadline(exchange, this.#context);
  }

  /** Bytes of the intake may be sent again, although they are not used yet: the body is waited for. */
  #credit(bytes: number): void {
    this.#credited += bytes;
    this.#stream.consumed(bytes);
  }

  sendAnew(exchange: RelayExchange, body: Buffer): void {
    if (exchange !== this.#exchange) return;
    // INVARIANT: nothing of the client's body is to come that could go behind it.
    if (!this.#stream.clientEnded) throw new TypeError('a body was made anew before it was whole');
    this.#anew = body;
    this.pass(exchange);
  }

  pass(exchange: RelayExchange): void {
    if (exchange !== this.#exchange) return;
    if (exchange.principal) this.#stream.known();
    this.#hasPlace ||= this.#context.places.take(this);
    if (this.#hasPlace) {
      this.#send(exchange);
      return;
    }
    this.#phase = 'waiting';
    this.#deadline = this.#context.clock.now + this.#context.options.upstreamWaitMs;
  }

  get isWaiting(): boolean {
    return this.#phase === 'waiting';
  }

  /** INVARIANT: not in the stack of the request that gave the place back. */
  placed(): void {
    this.#hasPlace = true;
    this.#stream.guard.soon(() => {
      if (this.#exchange && this.isWaiting) this.#sendWaited(this.#exchange);
    });
  }

  /** Its permit may have fallen while it waited for its place. */
  #sendWaited(exchange: RelayExchange): void {
    const again = stillStands(this.#context.options.parts, exchange);
    if (!again) {
      this.#send(exchange);
      return;
    }
    this.#stream.guard.settled(again, (refused) => {
      if (exchange !== this.#exchange || !this.isWaiting) return;
      if (refused) this.reject(exchange, refused);
      else this.#send(exchange);
    });
  }

  #send(exchange: RelayExchange): void {
    const link = this.#context.pool.take(this);
    this.#link = link;
    const { length } = this.#intake;
    const owed = this.#owed;
    const body = length > 0 ? this.#intake.take(length) : undefined;
    this.#phase = 'relaying';
    exchange.received = length;
    if (body && this.#meter?.push(body) === false) {
      this.reject(exchange, TOO_DEEP);
      return;
    }
    if (this.#stream.inBurst) this.#context.pool.hold(link);
    const anew = this.#anew;
    const heads = anew ? new AnewHeads(anew.length, this.#stream.head.known) : this;
    this.#passed(exchange, link.link.send(exchange, heads, anew ?? body), owed);
  }

  /** Bytes of the intake whose credit has not gone back. */
  get #owed(): number {
    return this.#intake.length - this.#credited;
  }

  #pass(exchange: RelayExchange, link: ClientUpstream, chunk: Buffer): void {
    exchange.received += chunk.length;
    if (this.#meter?.push(chunk) === false) {
      this.reject(exchange, TOO_DEEP);
      return;
    }
    if (this.#stream.inBurst) this.#context.pool.hold(link);
    this.#passed(exchange, link.link.write(chunk), chunk.length);
  }

  /** One time runs: the client's for more of its body, or upstream's for taking it and for its answer. */
  #passed(exchange: RelayExchange, more: boolean, bytes: number): void {
    // Upstream may have been lost with what was just written to it.
    if (this.#phase !== 'relaying') return;
    if (more) this.#taken(exchange, bytes);
    else {
      this.#untaken += bytes;
      this.#deadline = NEVER;
    }
  }

  /** Upstream takes more. */
  #taken(exchange: RelayExchange, bytes: number): void {
    this.#stream.consumed(bytes);
    const awaited = !this.#stream.clientEnded;
    this.#deadline = awaited ? bodyDeadline(exchange, this.#context) : NEVER;
    if (awaited) this.#link?.link.waitForBody();
  }

  onUpstreamDrain(): void {
    if (!this.#exchange || this.#phase !== 'relaying') return;
    const bytes = this.#untaken;
    this.#untaken = 0;
    this.#taken(this.#exchange, bytes);
  }

  sentHead(exchange: RelayExchange, authority: string, credential: UpstreamCredential): Buffer {
    const { known } = this.#stream.head;
    if (exchange.trace || !known) return upstreamHead(exchange, authority, credential);
    if (known.sent && known.sentTo === authority && known.credential === credential) return known.sent;
    known.sentTo = authority;
    known.credential = credential;
    known.sent = upstreamHead(exchange, authority, credential);
    return known.sent;
  }

  onAnswer(head: AnswerHead | undefined, parts: readonly Buffer[], data: number, ended: boolean): void {
    const exchange = this.#exchange;
    const link = this.#link;
    if (!exchange || !link) return;
    exchange.sent += data;
    if (head) {
      this.#early = exchange.received < exchange.head.contentLength;
      exchange.status = head.status;
      exchange.answeredAt = this.#context.options.parts.now();
      heardForTenant(exchange, head.status, this.#context.facts);
      this.#stream.respondFramed(this.#encoded(exchange, head, link), ended && data === 0);
    }
    let more = true;
    for (const part of parts) more = this.#stream.write(part, true);
    if (!ended) {
      if (!more) link.link.pause();
      return;
    }
    this.#phase = 'answered';
    this.#release(this.#stream.clientEnded && !this.#early);
    this.#deadline = NEVER;
    if (!this.#stream.clientEnded) this.#stream.swallow(exchange.principal !== undefined);
    this.#stream.finish();
  }

  #encoded(exchange: RelayExchange, from: AnswerHead, link: ClientUpstream): Buffer {
    const { cors } = this.#context.options;
    const { date } = this.#context.clock;
    const allowed = cors.current;
    const origin = allowed ? headerValues(exchange.headers, 'origin')[0] : undefined;
    const last = link.written;
    if (
      exchange.requestId === undefined &&
      last?.from === from &&
      last.origin === origin &&
      last.allowed === allowed &&
      last.date === date
    )
      return last.bytes;
    const headers = settledHeaders(exchange, answerHeaders(from.status, from.headers), cors);
    const bytes = encodeAnswerHead(from.status, headers, date);
    if (exchange.requestId !== undefined) return bytes;
    link.written = { from, headers: exchange.headers, origin, allowed, date, close: false, bytes };
    return bytes;
  }

  onAnswerFault(denial: Denial): void {
    if (this.#exchange) this.reject(this.#exchange, denial);
  }

  drained(): void {
    if (this.#phase === 'relaying') this.#link?.link.resume();
  }

  reject(exchange: RelayExchange, denial: Denial): void {
    if (exchange !== this.#exchange || this.#phase === 'answered') return;
    exchange.refusal = denial;
    this.#release(false);
    if (exchange.status !== undefined) {
      this.#stream.reset(ErrorCode.INTERNAL_ERROR);
      return;
    }
    this.#phase = 'answered';
    this.#deadline = NEVER;
    this.#intake.clear();
    const { framed, body } = encodeRefusal(exchange, denial, this.#context.options.cors, this.#context.clock.date);
    exchange.status = denial.status;
    exchange.sent += body.length;
    this.#stream.swallow(exchange.principal !== undefined);
    this.#stream.respondFramed(framed, body.length === 0);
    this.#stream.write(body);
    this.#stream.finish();
  }

  abandonBody(exchange: RelayExchange): void {
    if (exchange !== this.#exchange) return;
    this.#deadline = NEVER;
    this.#stream.consumed(this.#owed);
    this.#intake.clear();
    this.#credited = 0;
    this.#stream.swallow(true);
  }

  /** INVARIANT: only while nothing of the body has been used, so that the other transport reads the very bytes that came. */
  giveOver(exchange: RelayExchange, decision: Permit | Conditional): void {
    if (exchange !== this.#exchange) return;
    this.#stream.consumed(this.#owed);
    this.#exchange = undefined;
    this.#phase = 'over';
    // The pool's connection of it, if any, is not used.
    exchange.forwardedAt = 0;
    const { length } = this.#intake;
    const early = length > 0 ? this.#intake.take(length) : undefined;
    this.#context.takeOver(this.#stream, { exchange, decision }, early);
  }

  cut(): void {
    this.#stream.reset(ErrorCode.INTERNAL_ERROR);
  }

  fail(): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    exchange.decision = INTERNAL_FAULT;
    this.reject(exchange, INTERNAL_FAULT);
  }

  tick(now: number): void {
    if (now < this.#deadline || !this.#exchange) return;
    this.reject(this.#exchange, this.isWaiting ? UPSTREAM_TIMEOUT : BODY_TIMEOUT);
  }

  closed(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#phase = 'over';
    this.#release(false);
    if (!exchange) return;
    const { status, received, sent } = exchange;
    finish(this.#context.options.parts, exchange, { status, received, sent });
  }

  #release(whole: boolean): void {
    const link = this.#link;
    this.#link = undefined;
    if (link) this.#context.pool.release(link, whole);
    if (!this.#hasPlace) return;
    this.#hasPlace = false;
    this.#context.places.leave();
  }
}
