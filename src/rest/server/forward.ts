import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { stillStands } from '../../exchange/still-stands.ts';
import { Guard } from '../../lifetime/guard.ts';
import {
  type Denial,
  INTERNAL_FAULT,
  UPSTREAM_BROKEN,
  UPSTREAM_KEY_REFUSED,
  UPSTREAM_TIMEOUT,
} from '../../policy/denial.ts';
import type { UpstreamCredential } from '../../upstream/credential.ts';
import { toUpstreamDenial, type UpstreamRequest } from '../../upstream/http.ts';
import { isSuspect } from '../../upstream/refused-key.ts';
import { streamGuard } from '../body/check-body.ts';
import { askForBody, BodyFault, RequestBody } from '../body/request-body.ts';
import type { RestExchange } from '../exchange.ts';
import { answerHeaders, sendsBody, writeHead } from '../headers.ts';
import { HEALTHY } from '../health-routes.ts';
import { failExchange, refuseOrBreak } from '../http1/break-off.ts';
import { closesConnection, endAfterBody, isUnread } from '../http1/swallow.ts';
import { routeOf } from '../node-route.ts';
import type { LaneOptions } from '../options.ts';
import { DASHBOARD, denyFraming, reject } from '../reject.ts';
import { settledHeaders } from '../response/settled-headers.ts';
import { SuspectAnswer } from '../response/suspect-answer.ts';
import { bodyIdleOf, leastAnswerMs } from '../time-limits.ts';

/** Informational answers taken from upstream for one request before it counts as broken. */
const MAX_INFORMATIONAL = 8;
const UNAUTHORIZED = 401;

/** The head of a request as it is sent. */
export interface SentHead {
  /** Default: the client's. */
  readonly method?: string;
  readonly path: string;
  readonly headers: string[];
}

/**
 * Sends an authorized request upstream, to the path that was resolved, and hands the answer to `handler`. Refuses when there is no room, and
 * when its permit no longer stands: it may have waited for a place, or for questions about it.
 */
export function sendUpstream(
  exchange: RestExchange,
  options: LaneOptions,
  head: SentHead,
  handler: UpstreamAnswer,
): void {
  exchange.life.onEnd(() => handler.ended());
  const again = stillStands(options.parts, exchange);
  if (!again) {
    sendNow(exchange, options, head, handler);
    return;
  }
  exchange.guard.settled(again, (refused) => {
    if (exchange.life.ended) return;
    if (refused) reject(exchange, refused, options.cors);
    else sendNow(exchange, options, head, handler);
  });
}

function sendNow(
  exchange: RestExchange,
  options: LaneOptions,
  { method = exchange.method, path, headers }: SentHead,
  handler: UpstreamAnswer,
): void {
  const route = options.nodes && routeOf(options.nodes, exchange);
  const body = bodyOf(exchange, options);
  const request: UpstreamRequest = {
    method,
    path,
    headers,
    body,
    leastMs: exchange.resolution ? leastAnswerMs(exchange.resolution) : 0,
    share: shareOf(exchange, handler),
    route,
    ...(route?.isRepeatable && body instanceof RequestBody ? { again: keptOf(body) } : {}),
  };
  const refused = options.upstream.send(request, handler);
  if (refused) {
    if (request.body instanceof Readable) request.body.destroy();
    reject(exchange, refused, options.cors);
  }
}

/**
 * Requests of open operations share a part of upstream's connections, and so do the streams of one HTTP/2 connection: they
 * keep no others waiting. Probes of upstream's health are never kept waiting.
 */
function shareOf(exchange: RestExchange, handler: UpstreamAnswer): UpstreamRequest['share'] {
  const { stream, request, resolution, life, guard } = exchange;
  const isOpen = resolution?.operation.requires.scope === 'public';
  if (isOpen ? HEALTHY.has(resolution.operation.name) : !stream) return undefined;
  return {
    owner: isOpen ? STRANGERS : request.socket,
    // A connection has so many streams at most; behind strangers there is no such bound.
    mostWaiting: isOpen ? STRANGERS_WAITING : Number.POSITIVE_INFINITY,
    isWanted: () => !life.ended,
    entered: (leave) => handler.entered(leave),
    guard,
  };
}

const STRANGERS = Symbol('strangers');
const STRANGERS_WAITING = 1024;

function bodyOf(exchange: RestExchange, options: LaneOptions): UpstreamRequest['body'] {
  if (exchange.body) return exchange.body.toUpstream(exchange.guard.at('body'));
  if (!sendsBody(exchange)) return null;
  askForBody(exchange);
  return new RequestBody(exchange, bodyIdleOf(exchange, options.limits.body_idle_timeout_ms), streamGuard(exchange));
}

/** Has the body kept, for a second node. */
function keptOf(body: RequestBody): () => Buffer | undefined {
  body.keep();
  return () => body.again();
}

type Controller = Dispatcher.DispatchController;

/** The part of an answer from upstream that every way of passing it on has in common. undici enters through its guard. */
export abstract class UpstreamAnswer implements Dispatcher.DispatchHandler {
  protected readonly exchange: RestExchange;
  protected readonly options: LaneOptions;
  /** An exception ends the request upstream, and the exchange. */
  protected readonly guard: Guard;
  readonly onRequestStart: (controller: Controller) => void;
  readonly onResponseStart: (controller: Controller, status: number) => void;
  readonly onResponseData: (controller: Controller, chunk: Buffer) => void;
  readonly onResponseEnd: (controller: Controller) => void;
  readonly onResponseError: (controller: Controller, error: Error) => void;
  #controller: Controller | undefined;
  /** Gives back the share of its owner; see `Share`. */
  #leave: (() => void) | undefined;
  readonly #waiting: NodeJS.Timeout;
  #informational = 0;
  #gone = false;
  /** The credential of the request, and its answer while that may refuse it. */
  readonly #credential: UpstreamCredential;
  #suspect: { readonly answer: SuspectAnswer; readonly pass: (controller: Controller) => void } | undefined;
  /** Upstream has said all it had to say. */
  protected complete = false;

  constructor(exchange: RestExchange, options: LaneOptions) {
    this.exchange = exchange;
    this.options = options;
    this.#credential = options.credential();
    const owner = { fail: (error: unknown) => this.#broken(error), cut: () => exchange.response.destroy() };
    const guard = new Guard(owner, 'rest_upstream', (error, place) => options.parts.fault(error, exchange, place));
    this.guard = guard;
    this.onRequestStart = guard.entry((controller: Controller) => this.#started(controller));
    this.onResponseStart = guard.entry((controller: Controller, status: number) => this.#answer(controller, status));
    this.onResponseData = guard.entry((controller: Controller, chunk: Buffer) => {
      if (this.#suspect) this.#judge(controller, chunk);
      else this.data(controller, chunk);
    });
    this.onResponseEnd = guard.entry((controller: Controller) => {
      this.#leaveShare();
      if (this.#suspect) this.#judge(controller, undefined);
      if (!this.#gone) this.end();
    });
    this.onResponseError = guard.entry((_controller: Controller, error: Error) => {
      this.#leaveShare();
      this.#ended(error);
    });
    const late = (): void => this.abort(UPSTREAM_TIMEOUT, new Error('no connection to upstream became free'));
    this.#waiting = guard.after(options.upstreamWaitMs, late).unref();
  }

  /** The request begins with a share of its owner's. */
  entered(leave: () => void): void {
    this.#leave = leave;
  }

  #leaveShare(): void {
    const leave = this.#leave;
    this.#leave = undefined;
    leave?.();
  }

  protected abstract head(controller: Controller, status: number, headers: string[]): void;
  protected abstract data(controller: Controller, chunk: Buffer): void;
  protected abstract end(): void;

  #started(controller: Controller): void {
    this.#controller = controller;
    clearTimeout(this.#waiting);
    if (this.#gone) controller.abort(new Error('client left'));
  }

  #answer(controller: Controller, status: number): void {
    if (status >= 200) {
      this.exchange.answeredAt = this.options.parts.now();
      this.#begin(controller, status, rawHeadersOf(controller));
    } else if (++this.#informational > MAX_INFORMATIONAL) controller.abort(new Error('too many informational answers'));
  }

  /** An answer that may refuse the credential waits for its body. */
  #begin(controller: Controller, status: number, headers: string[]): void {
    if (!isSuspect(status)) {
      this.head(controller, status, headers);
      return;
    }
    const pass = (by: Controller): void => this.head(by, status, headers);
    this.#suspect = { answer: new SuspectAnswer(status, headers, false), pass };
    if (status === UNAUTHORIZED) this.#judge(controller, undefined);
  }

  /** @param chunk the next bytes; `undefined` = they are not waited for */
  #judge(controller: Controller, chunk: Buffer | undefined): void {
    const suspect = this.#suspect;
    if (!suspect) return;
    const { answer, pass } = suspect;
    if (chunk) answer.add([chunk], chunk.length);
    if (chunk && !answer.isClear) return;
    this.#suspect = undefined;
    if (answer.refuses && this.#credential.kind !== 'callers') {
      this.abort(UPSTREAM_KEY_REFUSED, new Error('upstream refuses the credential'));
      return;
    }
    this.exchange.refusedThere = answer.refuses;
    pass(controller);
    for (const part of answer.parts) this.data(controller, part);
  }

  #ended(error: Error): void {
    clearTimeout(this.#waiting);
    if (this.#gone) return;
    this.fail(error instanceof BodyFault ? error.denial : toUpstreamDenial(error), error);
  }

  /** A fault of ours, which has been reported: nothing more is taken from upstream, and the client is told. */
  #broken(error: unknown): void {
    clearTimeout(this.#waiting);
    this.#gone = true;
    this.#controller?.abort(error instanceof Error ? error : new Error('internal fault'));
    failExchange(this.exchange, this.options.cors);
  }

  /** The client has its answer, or has left: upstream hears of that at once. */
  ended(): void {
    this.#gone = true;
    clearTimeout(this.#waiting);
    if (!this.complete) this.#controller?.abort(new Error('client left'));
  }

  /** A refusal while that is still possible; else the answer ends as a broken message, never as a short success. */
  protected fail(denial: Denial, error: unknown): void {
    const { exchange, options } = this;
    if (denial === INTERNAL_FAULT) options.parts.fault(error, exchange);
    refuseOrBreak(exchange, denial, options.cors);
  }

  /** Gives the answer up for a reason of ours. */
  protected abort(denial: Denial, error: Error): void {
    this.#gone = true;
    this.#controller?.abort(error);
    this.fail(denial, error);
  }
}

/** Streams the answer to the client as it comes, at the client's pace. */
export class StreamedAnswer extends UpstreamAnswer {
  #stalled: NodeJS.Timeout | undefined;

  protected override head(controller: Controller, status: number, headers: string[]): void {
    const { exchange, options } = this;
    if (exchange.answered) {
      controller.abort(new Error('answered already'));
      return;
    }
    const answer = settledHeaders(exchange, answerHeaders(status, headers), options.cors);
    if (exchange.resolution?.operation.name === DASHBOARD) denyFraming(answer);
    if (closesConnection(exchange, status)) answer.push('connection', 'close');
    writeHead(exchange, status, answer);
  }

  protected override data(controller: Controller, chunk: Buffer): void {
    if (this.exchange.life.ended) return;
    const { response } = this.exchange;
    this.exchange.sent += chunk.length;
    if (response.write(chunk) || this.#stalled) return;
    controller.pause();
    const slow = new Error('the client takes no more of its answer');
    this.#stalled = this.guard
      .after(this.options.limits.stream_idle_timeout_ms, () => this.abort(UPSTREAM_TIMEOUT, slow))
      .unref();
    response.once(
      'drain',
      this.guard.entry(() => {
        clearTimeout(this.#stalled);
        this.#stalled = undefined;
        controller.resume();
      }),
    );
  }

  override ended(): void {
    clearTimeout(this.#stalled);
    super.ended();
  }

  protected override end(): void {
    this.complete = true;
    const { exchange } = this;
    if (exchange.life.ended) return;
    if (!exchange.answered) this.fail(UPSTREAM_BROKEN, undefined);
    else if (isUnread(exchange)) endAfterBody(exchange);
    else exchange.response.end();
  }
}

function rawHeadersOf(controller: Controller): string[] {
  const raw = controller.rawHeaders;
  if (!Array.isArray(raw)) return [];
  return raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')));
}
