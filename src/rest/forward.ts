import type { Dispatcher } from 'undici';
import { type Denial, INTERNAL_FAULT, UPSTREAM_BROKEN, UPSTREAM_BUSY, UPSTREAM_TIMEOUT } from '../policy/denial.ts';
import { toUpstreamDenial, type UpstreamRequest } from '../upstream/http.ts';
import { settleCors } from './cors.ts';
import { toClientHeaders, writeHead } from './headers.ts';
import type { LaneOptions } from './lane-options.ts';
import { streamGuard } from './nesting-guard.ts';
import { endAfterBody, isUnread, reject, resetStream } from './reject.ts';
import { askForBody, BodyFault, RequestBody } from './request-body.ts';
import { isHttp2, type RestExchange, whenEnded } from './rest-exchange.ts';

const INTERNAL_ERROR = 2;
/** Informational answers taken from upstream for one request before it counts as broken. */
const MAX_INFORMATIONAL = 8;

/** Sends an authorized request upstream, to the path that was resolved, and hands the answer to `handler`. Refuses when there is no room. */
export function sendUpstream(
  exchange: RestExchange,
  options: LaneOptions,
  path: string,
  headers: string[],
  handler: UpstreamAnswer,
): void {
  const request: UpstreamRequest = {
    method: exchange.method,
    path,
    headers,
    body: bodyOf(exchange, options),
  };
  whenEnded(exchange, () => handler.ended());
  if (!options.upstream.send(request, handler)) {
    if (request.body instanceof RequestBody) request.body.destroy();
    reject(exchange, UPSTREAM_BUSY, options.cors);
  }
}

function bodyOf(exchange: RestExchange, options: LaneOptions): UpstreamRequest['body'] {
  if (exchange.body) return exchange.body.toUpstream();
  if (!exchange.hasBody) return null;
  askForBody(exchange);
  const body = new RequestBody(exchange, options.bodyIdleMs, streamGuard(exchange, options));
  body.on('error', () => undefined);
  return body;
}

/** The part of an answer from upstream that every way of passing it on has in common. */
export abstract class UpstreamAnswer implements Dispatcher.DispatchHandler {
  protected readonly exchange: RestExchange;
  protected readonly options: LaneOptions;
  #controller: Dispatcher.DispatchController | undefined;
  readonly #waiting: NodeJS.Timeout;
  #informational = 0;
  #gone = false;
  /** Upstream has said all it had to say. */
  protected complete = false;

  constructor(exchange: RestExchange, options: LaneOptions) {
    this.exchange = exchange;
    this.options = options;
    const late = (): void => this.abort(UPSTREAM_TIMEOUT, new Error('no connection to upstream became free'));
    this.#waiting = setTimeout(late, options.upstreamWaitMs).unref();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    clearTimeout(this.#waiting);
    if (this.#gone) controller.abort(new Error('client left'));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status >= 200) {
      this.exchange.answeredAt = this.options.parts.now();
      this.head(controller, status, rawHeadersOf(controller));
    } else if (++this.#informational > MAX_INFORMATIONAL) controller.abort(new Error('too many informational answers'));
  }

  abstract onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void;
  abstract onResponseEnd(): void;
  protected abstract head(controller: Dispatcher.DispatchController, status: number, headers: string[]): void;

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#waiting);
    if (this.#gone) return;
    this.fail(error instanceof BodyFault ? error.denial : toUpstreamDenial(error), error);
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
    if (exchange.answered) {
      exchange.refusal ??= denial;
      breakOff(exchange);
    } else reject(exchange, denial, options.cors);
  }

  /** Gives the answer up for a reason of ours. */
  protected abort(denial: Denial, error: Error): void {
    this.#gone = true;
    this.#controller?.abort(error);
    this.fail(denial, error);
  }
}

/** Ends an answer so that no client can take it for whole, not even one that reads to the end of the connection. */
function breakOff(exchange: RestExchange): void {
  const { socket } = exchange.request;
  if (isHttp2(exchange)) resetStream(exchange, INTERNAL_ERROR);
  else if (exchange.peer.scheme === 'https') socket.destroy();
  else socket.resetAndDestroy();
}

/** Streams the answer to the client as it comes, at the client's pace. */
export class StreamedAnswer extends UpstreamAnswer {
  #stalled: NodeJS.Timeout | undefined;

  protected override head(controller: Dispatcher.DispatchController, status: number, headers: string[]): void {
    const { exchange, options } = this;
    if (exchange.answered) {
      controller.abort(new Error('answered already'));
      return;
    }
    const answer = settleCors(exchange, toClientHeaders(headers, keepAll), options.cors);
    if (exchange.resolution?.operation.name === 'service.dashboard') denyFraming(answer);
    // What is left of a refused upload is not waited for.
    if (isUnread(exchange)) answer.push('connection', 'close');
    writeHead(exchange, status, answer);
  }

  override onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response } = this.exchange;
    if (response.destroyed) return;
    this.exchange.sent += chunk.length;
    if (response.write(chunk)) return;
    controller.pause();
    const slow = new Error('the client takes no more of its answer');
    this.#stalled = setTimeout(() => this.abort(UPSTREAM_TIMEOUT, slow), this.options.answerIdleMs).unref();
    response.once('drain', () => {
      clearTimeout(this.#stalled);
      controller.resume();
    });
  }

  override ended(): void {
    clearTimeout(this.#stalled);
    super.ended();
  }

  override onResponseEnd(): void {
    this.complete = true;
    const { exchange } = this;
    if (!exchange.answered) this.fail(UPSTREAM_BROKEN, undefined);
    else if (isUnread(exchange)) endAfterBody(exchange);
    else exchange.response.end();
  }
}

function keepAll(): boolean {
  return false;
}

function rawHeadersOf(controller: Dispatcher.DispatchController): string[] {
  const raw = controller.rawHeaders;
  if (!Array.isArray(raw)) return [];
  return raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')));
}

/** Upstream: says so itself since Qdrant v1.10. */
function denyFraming(answer: string[]): void {
  if (!answer.includes('x-frame-options')) answer.push('x-frame-options', 'DENY');
}
