import { begin, bodyChecked, finish } from '../../exchange/steps.ts';
import { CredentialMemo } from '../../identity/credential-memo.ts';
import { CredentialGuessing } from '../../limits/credential-guessing.ts';
import type { BodyNeeds } from '../../policy/body-checks.ts';
import type { Conditional, Permit } from '../../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import { TOO_DEEP } from '../body/task.ts';
import { isSwallowed, TIMED_OUT } from '../http1/linger.ts';
import type { PlainHead } from '../http1/request-head.ts';
import type { AnswerHead } from '../http1/response-head.ts';
import type { RestResolution } from '../resolve.ts';
import { heardForTenant } from '../tenants/task.ts';
import { RelayBody } from './body.ts';
import type { RelayContext } from './context.ts';
import type { RelayCore } from './core.ts';
import { newRelayExchange, type RelayExchange, type RelaySteps } from './exchange.ts';
import { checkHeld, type HeldDecision, placeOfCheck } from './held-check.ts';
import { KeptLink } from './kept-link.ts';
import type { Phase } from './phase.ts';
import type { UpstreamUser } from './upstream-pool.ts';

/**
 * The request that a client connection is at: its steps, its body on the way to upstream, and its answer. One after the
 * other, over an upstream connection that is kept while the client is busy.
 */
export class CurrentRequest implements RelaySteps, UpstreamUser {
  readonly memo = new CredentialMemo();
  readonly guesses = new CredentialGuessing();
  readonly refusalSlots = undefined;
  readonly body = new RelayBody();
  readonly kept: KeptLink;
  readonly #core: RelayCore;
  readonly #context: RelayContext;
  #phase: Phase = 'head';
  #exchange: RelayExchange | undefined;
  /** The decision that waits for a held body. */
  #held: HeldDecision | undefined;
  /** The answer says that the connection ends. */
  #close = false;
  /** The answer began before the whole body was there: the rest of it is not to stand before another client's request. */
  #early = false;

  constructor(core: RelayCore) {
    this.#core = core;
    this.#context = core.context;
    this.kept = new KeptLink(core.context.pool, this);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** The exchange that is not recorded yet. */
  get exchange(): RelayExchange | undefined {
    return this.#exchange;
  }

  /** Begins the next request, which stands first among `requests`. */
  begin(head: PlainHead, resolution: RestResolution): void {
    const { counted, peer, times } = this.#core;
    const { options, protocol } = this.#context;
    this.#phase = 'deciding';
    times.clear();
    this.#exchange = newRelayExchange(this, head, resolution, peer);
    counted?.begun();
    begin(options.parts, protocol, this.#exchange);
  }

  checkBody(exchange: RelayExchange, decision: Permit | Conditional, needs: BodyNeeds): void {
    if (exchange !== this.#exchange) return;
    const { limits } = this.#context.options;
    switch (placeOfCheck(needs, exchange.head, limits.inspected_body_bytes)) {
      case 'held':
        if (!this.#holds(exchange, { decision, needs })) return;
        this.#phase = 'deciding';
        checkHeld(this.#context, exchange, this.#core.requests.intake, { decision, needs });
        break;
      case 'passing':
        this.body.measure(limits.json_depth);
        bodyChecked(this.#context.options.parts, this.#context.protocol, exchange, decision, undefined);
        break;
      default:
        this.giveOver(exchange, decision);
    }
  }

  pass(exchange: RelayExchange): void {
    if (exchange === this.#exchange) this.#send(exchange);
  }

  sendAnew(exchange: RelayExchange, body: Buffer): void {
    if (exchange !== this.#exchange) return;
    // INVARIANT: nothing of the client's body is to come that could go behind it.
    if (!this.#core.requests.isWhole(exchange.head)) throw new TypeError('a body was made anew before it was whole');
    this.#send(exchange, body);
  }

  giveOver(exchange: RelayExchange, decision: Permit | Conditional): void {
    if (exchange !== this.#exchange) return;
    this.#core.counted?.handedOver();
    this.#exchange = undefined;
    this.#core.handOver({ exchange, decision });
  }

  /** Is the whole body there? Else it is waited for, and `held` is taken up again then. */
  #holds(exchange: RelayExchange, held: HeldDecision): boolean {
    if (this.#core.requests.isWhole(exchange.head)) {
      exchange.whole = true;
      exchange.received = exchange.head.contentLength;
      return true;
    }
    this.#held = held;
    this.#phase = 'holding';
    // INVARIANT: a body is held up to some size only (`placeOfCheck`).
    this.#core.requests.intake.expect(exchange.head.length + exchange.head.contentLength);
    this.#core.times.awaitBody(exchange);
    this.#core.settle();
    return false;
  }

  /** Goes on with a request whose body was waited for. `false` = it is not whole yet. */
  release(): boolean {
    const [exchange, held] = [this.#exchange, this.#held];
    if (!exchange || !held || !this.#core.requests.isWhole(exchange.head)) return false;
    this.#held = undefined;
    this.#core.times.clear();
    this.checkBody(exchange, held.decision, held.needs);
    return true;
  }

  /** @param anew what is sent in the place of the client's body */
  #send(exchange: RelayExchange, anew?: Buffer): void {
    const { requests } = this.#core;
    const body = this.#takeBody(exchange);
    exchange.received = body?.length ?? 0;
    this.#phase = 'relaying';
    this.#close = false;
    if (body && !this.body.nestsWithin(body)) {
      this.reject(exchange, TOO_DEEP);
      return;
    }
    const heads = anew ? requests.headsAnew(exchange, anew.length) : requests;
    this.#waitFor(exchange, this.kept.take().link.send(exchange, heads, anew ?? body));
  }

  /** Takes the head, and of the body what is there. */
  #takeBody({ head }: RelayExchange): Buffer | undefined {
    const body = this.#core.requests.takeBody(head);
    this.body.begin(head.contentLength, body?.length ?? 0);
    return body;
  }

  /** More of the body, while the request is relayed; the bytes behind it are kept. */
  passBody(chunk: Buffer): void {
    const exchange = this.#exchange;
    const link = this.kept.current?.link;
    if (!exchange || !link || this.body.left === 0) {
      this.#core.keepBack(chunk);
      return;
    }
    const part = this.body.take(chunk);
    exchange.received += part.length;
    if (part !== chunk) this.#core.keepBack(chunk.subarray(part.length));
    if (!this.body.nestsWithin(part)) {
      this.reject(exchange, TOO_DEEP);
      return;
    }
    // Pieces that come in one turn of the event loop go upstream in one write.
    if (link.hold()) this.#core.guard.soon(() => link.letGo());
    this.#waitFor(exchange, link.write(part, part === chunk));
  }

  /** One time runs: the client's for more of its body, or upstream's for taking it and for its answer. */
  #waitFor(exchange: RelayExchange, more: boolean): void {
    // Upstream may have been lost with what was just written to it.
    if (exchange !== this.#exchange) return;
    const awaited = more && this.body.left > 0;
    this.body.wanted = more;
    if (awaited) {
      this.#core.times.awaitBody(exchange);
      this.kept.current?.link.waitForBody();
    } else this.#core.times.clear();
    this.#core.settle();
  }

  onUpstreamDrain(): void {
    if (this.#phase === 'relaying' && this.body.left > 0 && this.#exchange) this.#waitFor(this.#exchange, true);
  }

  onAnswer(head: AnswerHead | undefined, parts: readonly Buffer[], data: number, ended: boolean): void {
    const exchange = this.#exchange;
    const link = this.kept.current;
    if (!exchange || !link) return;
    exchange.sent += data;
    if (head) {
      this.#early = this.body.left > 0;
      exchange.status = head.status;
      exchange.answeredAt = this.#context.options.parts.now();
      this.#close = exchange.head.close || this.#context.clock.draining || !isSwallowed(this.body.left);
      heardForTenant(exchange, head.status, this.#context.facts);
      this.#core.client.answer(exchange, link, { head, parts, close: this.#close });
    } else {
      this.#core.client.write(parts);
    }
    if (ended) {
      this.#answered();
    } else if (this.#core.client.isFull) {
      this.#core.times.awaitDrain();
      link.link.pause();
    }
  }

  onAnswerFault(denial: Denial): void {
    if (denial === INTERNAL_FAULT) this.#core.fail();
    else if (this.#exchange) this.reject(this.#exchange, denial);
  }

  reject(exchange: RelayExchange, denial: Denial): void {
    if (exchange !== this.#exchange) return;
    exchange.refusal = denial;
    if (exchange.status !== undefined) {
      this.kept.release(false);
      this.#core.breakOff();
      return;
    }
    if (this.#phase === 'relaying') this.kept.release(false);
    else this.#takeBody(exchange);
    const gaveUp = denial === INTERNAL_FAULT || (denial.status === TIMED_OUT && this.body.left > 0);
    this.#close = gaveUp || exchange.head.close || this.#context.clock.draining || !isSwallowed(this.body.left);
    exchange.status = denial.status;
    exchange.sent += this.#core.client.refuse(exchange, denial, this.#close);
    this.#answered();
  }

  /** Its bytes stay before those of the next request: they are few, and no more are read. */
  abandonBody(): void {}

  /** The answer is written: on to what the connection is good for now. */
  #answered(): void {
    const known = this.#exchange?.principal !== undefined;
    this.record();
    this.body.measure(undefined);
    this.#held = undefined;
    this.#core.times.drained();
    this.#close ||= this.#context.clock.draining;
    if (this.#early) this.kept.release(false);
    this.#phase = 'skipping';
    if (this.body.left === 0) {
      this.#proceed();
      return;
    }
    // The client hears at once that its connection ends; what it still sends is read all the same.
    if (this.#close) this.#core.client.end();
    this.#core.times.awaitRest(this.body.linger(this.#context.clock.now, known));
    this.#core.settle();
  }

  /** Discards the rest of an unread body; the bytes behind it are the next request's. */
  skip(chunk: Buffer): void {
    const { length } = this.body.take(chunk);
    if (length < chunk.length) this.#core.requests.intake.push(chunk.subarray(length));
    if (this.body.left === 0) {
      this.#proceed();
      return;
    }
    // Not ended: a client that has yet to read its answer would lose it.
    this.#core.times.awaitRest(this.body.skip(length, this.#context.clock.now));
    this.#core.settle();
  }

  #proceed(): void {
    this.#phase = 'head';
    this.#core.proceed(this.#close);
  }

  /** Answers an internal fault. `false` = the connection has to be broken off instead. */
  fail(): boolean {
    const exchange = this.#exchange;
    if (!exchange) return false;
    exchange.decision = INTERNAL_FAULT;
    if (exchange.status !== undefined) return false;
    this.reject(exchange, INTERNAL_FAULT);
    return true;
  }

  cut(): void {
    this.#core.cut();
  }

  /** No more requests: the connection is over. */
  close(): void {
    this.#phase = 'over';
    this.kept.release(true);
  }

  /** Step 8, once for each exchange. */
  record(): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    this.#exchange = undefined;
    this.#core.counted?.ended();
    const { status, received, sent } = exchange;
    finish(this.#context.options.parts, exchange, { status, received, sent });
  }
}
