import { type IncomingMessage, METHODS, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Protocol } from '../../exchange/exchange.ts';
import { addedHeaders, requestIdOf } from '../../exchange/request-id.ts';
import { begin, bodyChecked, finish, resumeWith } from '../../exchange/steps.ts';
import type { FaultReport } from '../../lifetime/guard.ts';
import { MemoryBudget } from '../../limits/memory-budget.ts';
import { FactsOfCollections } from '../../upstream/collection-facts.ts';
import { createTenantQuestions } from '../../upstream/tenant-questions.ts';
import { type BegunExchange, continueBegun, takeBegun } from '../begun-exchange.ts';
import { checkBody } from '../body/check-body.ts';
import { AnswerChanger, BodyCheckPool } from '../body/check-pool.ts';
import { BodyDecoder } from '../body/decoder.ts';
import { isTenantFound } from '../body/task.ts';
import { answerPreflight } from '../cors.ts';
import type { RestExchange } from '../exchange.ts';
import { toUpstreamHeaders } from '../headers.ts';
import type { Http2Stream } from '../http2/stream.ts';
import type { ClientResponse } from '../message.ts';
import type { LaneContext, LaneOptions } from '../options.ts';
import { restProtocol } from '../protocol.ts';
import { answerWhole, reject } from '../reject.ts';
import { createLiveResolver } from '../resolve.ts';
import { AnswerBudget } from '../response/answer-budget.ts';
import { forwardChanged } from '../response/filtered-answer.ts';
import { forwardAnew } from '../tenants/forward.ts';
import { STRANGER_BODY_IDLE_MS } from '../time-limits.ts';
import { answerConsoleRequest, isConsoleRequest } from './console-request.ts';
import { StreamedAnswer, sendUpstream } from './forward.ts';
import { checkHead } from './head.ts';
import { http1Exchange, http2Exchange } from './new-exchange.ts';
import { answerTokenRequest, isTokenRequest } from './token-request.ts';

/** The complete REST lane: it has every step. */
export interface RestLane {
  /** Takes one request of HTTP/1 that `node:http` has read the head of, behind its checks. Never throws. */
  readonly takeHttp1: (request: IncomingMessage, response: ServerResponse, target: string) => void;
  /** Answers a request of HTTP/1 without looking at it further. */
  readonly refuse: (request: IncomingMessage, response: ServerResponse, status: number, text: string) => void;
  /**
   * Takes one request over HTTP/2.
   *
   * @param begun the exchange, where it has begun already @param early bytes of its body that have come
   */
  readonly takeHttp2: (stream: Http2Stream, socket: Socket, begun?: BegunExchange, early?: Buffer) => void;
  /** From now on every answer of HTTP/1 is the last on its connection and says so. */
  readonly drain: () => void;
  /** Facts of collections, shared by all transports of the listener. */
  readonly facts: FactsOfCollections;
  readonly figures: () => LaneFigures;
  readonly close: () => Promise<void>;
}

/** Work in progress. All are 0 while no request is open. */
export interface LaneFigures {
  readonly exchanges: number;
  /** Bodies with a reservation, and the bytes of those without priority. */
  readonly bodies: number;
  readonly bodyBytes: number;
  /** Bodies being decoded or checked, answers being filtered in a thread, and those that wait for it. */
  readonly judging: number;
  /** Exchanges whose answer is changed on its way: with those that wait for a place, and those that have one. */
  readonly changing: number;
  readonly answers: number;
  /** Bytes of the latter, beyond what is free to each. */
  readonly answerBytes: number;
}

/** Makes the lane of one listener. */
export function createRestLane(options: LaneOptions): RestLane {
  const report: FaultReport = (error, place) => options.parts.fault(error, undefined, place);
  const checkPool = new BodyCheckPool(report);
  const changer = new AnswerChanger(report);
  const decoder = new BodyDecoder(options.limits.inspected_body_bytes);
  const budget = createBodyMemoryBudget(options);
  const answers = createAnswerBudget(options);
  const questions = createTenantQuestions(options.upstream, options.credential);
  const facts = new FactsOfCollections(questions.facts, () => performance.now());
  const context = { ...options, checkPool, decoder, budget, answers, changer, questions, facts };
  const lane = new Lane(context, createProtocol(context));
  return {
    takeHttp1: (request, response, target) => lane.takeHttp1(request, response, target),
    refuse: (request, response, status, text) =>
      answerWhole(http1Exchange(options, request, response, '/'), status, [], Buffer.from(text)),
    takeHttp2: (stream, socket, begun, early) => lane.takeHttp2(http2Exchange(options, stream, socket, early), begun),
    drain: () => lane.drain(),
    facts,
    figures: () => ({
      exchanges: lane.running.size,
      bodies: budget.size,
      bodyBytes: budget.taken,
      judging: decoder.size + checkPool.size + changer.size,
      changing: answers.size,
      answers: answers.held,
      answerBytes: answers.bytes,
    }),
    close: async () => {
      await Promise.all([checkPool.close(), changer.close()]);
    },
  };
}

/** The way of requests into the steps. */
class Lane {
  readonly running = new Set<ClientResponse>();
  readonly #options: LaneOptions;
  readonly #protocol: Protocol<RestExchange>;
  readonly #context: LaneContext;
  #draining = false;

  constructor(context: LaneContext, protocol: Protocol<RestExchange>) {
    this.#options = context;
    this.#context = context;
    this.#protocol = protocol;
  }

  takeHttp1(request: IncomingMessage, response: ServerResponse, target: string): void {
    // Node reads nothing behind a request that asks for another protocol, although it gets none: the client starts anew.
    if (this.#draining || request.headers.upgrade !== undefined) response.shouldKeepAlive = false;
    this.#take(http1Exchange(this.#options, request, response, target), takeBegun(request.socket));
  }

  takeHttp2(exchange: RestExchange, begun: BegunExchange | undefined): void {
    if (METHODS.includes(exchange.method)) this.#take(exchange, begun);
    else {
      this.#options.connections?.fault('head');
      answerWhole(exchange, 501, [], Buffer.alloc(0));
    }
  }

  #take(exchange: RestExchange, begun: BegunExchange | undefined): void {
    const { httpVersionMajor, httpVersionMinor } = exchange.request;
    const { requestTarget: target, headers, host } = exchange;
    const { limits, connections, parts } = this.#options;
    const fault = checkHead({ httpVersionMajor, httpVersionMinor, target, headers, host }, limits.header_count);
    if (!fault) {
      this.#serve(exchange, begun);
      return;
    }
    connections?.fault(fault.status === 431 ? 'head_size' : 'head');
    exchange.response.shouldKeepAlive = false;
    answerWhole(exchange, fault.status, ['x-request-id', requestIdOf(exchange)], Buffer.from(fault.message));
    if (begun) finish(parts, begun.exchange, { status: fault.status, received: 0, sent: 0 });
  }

  #serve(exchange: RestExchange, begun: BegunExchange | undefined): void {
    const { cors, parts, connections } = this.#options;
    if (!begun && isConsoleRequest(exchange, this.#options)) {
      this.#answerHere(exchange, answerConsoleRequest);
      return;
    }
    const preflight = begun ? undefined : answerPreflight(exchange.method, exchange.headers, cors);
    if (preflight) {
      if (preflight.fault) connections?.fault(preflight.fault);
      answerWhole(exchange, preflight.status, preflight.headers, Buffer.from(preflight.body));
      return;
    }
    if (!begun && isTokenRequest(exchange, this.#options)) {
      this.#answerHere(exchange, answerTokenRequest);
      return;
    }
    const { response, life } = exchange;
    const same = !begun || continueBegun(exchange, begun);
    this.running.add(response);
    life.onEnd(() => {
      this.running.delete(response);
      const status = response.headersSent ? response.statusCode : undefined;
      exchange.answered = true;
      finish(parts, exchange, { status, received: exchange.received, sent: exchange.sent });
    });
    if (life.ended) return;
    if (!begun) begin(parts, this.#protocol, exchange);
    else if (same) resumeWith(parts, this.#protocol, exchange, begun.decision);
    else exchange.guard.failed(new TypeError('two lanes read a head differently'));
  }

  /** A request for a token or for the console is answered here: it has no operation, and nothing of it goes upstream. */
  #answerHere(exchange: RestExchange, answer: (exchange: RestExchange, context: LaneContext) => void): void {
    const { response, life } = exchange;
    this.running.add(response);
    life.onEnd(() => {
      this.running.delete(response);
      exchange.answered = true;
    });
    if (!life.ended) exchange.guard.run(() => answer(exchange, this.#context));
  }

  drain(): void {
    this.#draining = true;
    for (const response of this.running) response.shouldKeepAlive = false;
  }
}

/** Of the largest body: what all others may have beside the one that goes on to its end. */
const ROOM_SHARE = 0.5;

function createBodyMemoryBudget({ limits }: LaneOptions): MemoryBudget {
  // One that keeps others waiting has no more time than a stranger.
  const priorityMs = Math.min(limits.body_idle_timeout_ms, STRANGER_BODY_IDLE_MS);
  return new MemoryBudget({
    capacity: Math.floor(limits.inspected_body_bytes * ROOM_SHARE),
    priorityMs,
    // Longer than one body may keep the others waiting.
    waitMs: 2 * priorityMs,
  });
}

function createAnswerBudget({ scheduler, answerMemory, upstreamWaitMs, limits }: LaneOptions): AnswerBudget {
  const stallMs = Math.min(limits.stream_idle_timeout_ms, STRANGER_BODY_IDLE_MS);
  return new AnswerBudget({ scheduler, memory: answerMemory, waitMs: upstreamWaitMs, stallMs });
}

function createProtocol(options: LaneContext): Protocol<RestExchange> {
  const resolve = createLiveResolver(options.webUi);
  const protocol = restProtocol<RestExchange>(
    {
      resolve(exchange) {
        exchange.resolution = resolve(exchange.method, exchange.requestTarget);
        return exchange.resolution;
      },
      checkBody: (exchange, decision, needs) =>
        checkBody(known(exchange), options, { decision, needs }, (found) => {
          if (isTenantFound(found)) bodyChecked(options.parts, protocol, exchange, decision, found.names, found.tenant);
          else bodyChecked(options.parts, protocol, exchange, decision, found);
        }),
      pass(exchange, _permit, { pathToSend }) {
        if (known(exchange).life.ended) return;
        const contentLength = exchange.body?.length;
        const added = addedHeaders(exchange);
        const credential = options.credential();
        const headers = toUpstreamHeaders(exchange, { readable: false, contentLength, credential, added });
        sendUpstream(exchange, options, { path: pathToSend, headers }, new StreamedAnswer(exchange, options));
      },
      sendAnew(exchange, rewriting) {
        if (!known(exchange).life.ended) forwardAnew(exchange, rewriting, options);
      },
      change(exchange, permit, plan) {
        if (!known(exchange).life.ended) forwardChanged(exchange, permit, plan, options);
      },
      reject: (exchange, denial) => reject(exchange, denial, options.cors),
      abandonBody,
      cut: ({ response }) => void response.destroy(),
    },
    options,
  );
  return protocol;
}

/** Over HTTP/1.1 what still comes is not read before the refusal. */
function abandonBody({ body, upload, stream, request }: RestExchange): void {
  body?.release();
  if (!stream) return;
  upload?.stop();
  request.resume();
}

/** Over HTTP/2 a connection of a known caller has wider limits. */
function known(exchange: RestExchange): RestExchange {
  if (exchange.principal) exchange.stream?.known();
  return exchange;
}
