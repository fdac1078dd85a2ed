import { type IncomingMessage, METHODS, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import fastify from 'fastify';
import { begin, bodyChecked, finish, goOnWith, type Protocol, unbegun } from '../../exchange/exchange.ts';
import { addedHeaders, requestIdOf } from '../../exchange/request-id.ts';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { CredentialGuessing } from '../../limits/credential-guessing.ts';
import { type BegunExchange, continueBegun, endBegun, takeBegun } from '../begun-exchange.ts';
import { checkBody } from '../body/check-body.ts';
import { AnswerChanger, BodyCheckPool } from '../body/check-pool.ts';
import { BodyDecoder } from '../body/decoder.ts';
import { BodyMemoryBudget } from '../body/memory-budget.ts';
import { answerPreflight } from '../cors.ts';
import { headerValues, peerOn, type RestExchange } from '../exchange.ts';
import { tieToClient } from '../exchange-life.ts';
import { isClosing, toUpstreamHeaders } from '../headers.ts';
import { failExchange } from '../http1/break-off.ts';
import { answerRaw } from '../http1/parser-fault.ts';
import { takeOddRequest } from '../http1/request-gate.ts';
import type { LaneContext, LaneOptions } from '../options.ts';
import { restProtocol } from '../protocol.ts';
import { answerWhole, reject } from '../reject.ts';
import { createLiveResolver } from '../resolve.ts';
import { AnswerBudget } from '../response/answer-budget.ts';
import { forwardChanged } from '../response/filtered-answer.ts';
import { STRANGER_BODY_IDLE_MS } from '../time-limits.ts';
import { StreamedAnswer, sendUpstream } from './forward.ts';
import { checkHead } from './head.ts';
import { refuseMalformed, socketBelow } from './http2-connection.ts';

/** The complete REST lane: requests of any HTTP version that Node has read the head of. */
export interface RestLane {
  /** Takes one request. Never throws. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  /** From now on every answer of HTTP/1 is the last on its connection and says so. */
  readonly drain: () => void;
  readonly figures: () => LaneFigures;
  readonly close: () => Promise<void>;
}

/** Work in progress. All are 0 while no request is open. */
export interface LaneFigures {
  readonly exchanges: number;
  /** Bodies that take room, and the bytes of those that do not lead. */
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

/**
 * Fastify carries the request to its `onRequest` hook and no further: no body parser, no router, no serializer ever
 * sees it. The target is hidden from the router so that none of its rules for paths can apply.
 *
 * @param server the HTTP/1 server Fastify is to be built on; not listened on here
 */
export async function createRestLane(options: LaneOptions, server: Server): Promise<RestLane> {
  const state = { draining: false };
  const running = new Set<ServerResponse>();
  const report: FaultReport = (error, place) => options.parts.fault(error, undefined, place);
  const checkPool = new BodyCheckPool(report);
  const changer = new AnswerChanger(report);
  const decoder = new BodyDecoder(options.maxInspectedBytes);
  const room = createBodyMemoryBudget(options);
  const answers = createAnswerBudget(options);
  const protocol = createProtocol({ ...options, checkPool, decoder, room, answers, changer });
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    serverFactory: () => server,
    rewriteUrl: () => '/',
    // Unreadable requests are answered by the server's own listener (`parser-fault.ts`).
    clientErrorHandler: () => undefined,
  });
  app.removeAllContentTypeParsers();
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method);
  app.addHook('onRequest', (request, reply, _done) => {
    reply.hijack();
    take(request.raw, reply.raw, request.originalUrl);
  });
  app.route({ method: [...app.supportedMethods], url: '/', handler: () => undefined });
  await app.ready();

  function take(request: IncomingMessage, response: ServerResponse, target: string): void {
    // Node reads nothing behind a request that asks for another protocol, although it gets none: the client starts anew.
    const last = state.draining || request.headers.upgrade !== undefined;
    if (last && request.httpVersionMajor === 1) response.shouldKeepAlive = false;
    const exchange = toExchange(request, response, target);
    const begun = request.httpVersionMajor === 1 ? takeBegun(request.socket) : undefined;
    if (exchange) serve(exchange, begun);
    else if (begun) finish(options.parts, begun.exchange, { status: response.statusCode, received: 0, sent: 0 });
  }

  function toExchange(request: IncomingMessage, response: ServerResponse, target: string): RestExchange | undefined {
    const exchange = newExchange(options, request, response, target);
    const { httpVersionMajor, httpVersionMinor } = request;
    const fault = checkHead(
      { httpVersionMajor, httpVersionMinor, target, headers: exchange.headers },
      options.maxHeaders,
    );
    if (!fault) return exchange;
    options.connections?.fault(fault.status === 431 ? 'head_size' : 'head');
    response.shouldKeepAlive = false;
    answerWhole(exchange, fault.status, ['x-request-id', requestIdOf(exchange)], Buffer.from(fault.message));
    return undefined;
  }

  function serve(exchange: RestExchange, begun: BegunExchange | undefined): void {
    const preflight = options.cors && !begun ? answerPreflight(exchange.method, exchange.headers) : undefined;
    if (preflight) {
      if (preflight.fault) options.connections?.fault(preflight.fault);
      answerWhole(exchange, preflight.status, preflight.headers, Buffer.from(preflight.body));
      return;
    }
    const { response, life } = exchange;
    const same = !begun || continueBegun(exchange, begun);
    running.add(response);
    life.onEnd(() => {
      running.delete(response);
      const status = response.headersSent ? response.statusCode : undefined;
      exchange.answered = true;
      finish(options.parts, exchange, { status, received: exchange.received, sent: exchange.sent });
    });
    if (life.ended) return;
    if (!begun) begin(options.parts, protocol, exchange);
    else if (same) goOnWith(options.parts, protocol, exchange, begun.decision);
    else exchange.guard.failed(new TypeError('two lanes read a head differently'));
  }

  function carry(request: IncomingMessage, response: ServerResponse): void {
    if (refuseMalformed(request)) {
      // Requests left over from a closed connection are refused as well.
      if (socketBelow(request)) options.connections?.fault('stream');
      return;
    }
    const odd = request.httpVersionMajor !== 2 && takeOddRequest(request.socket);
    if (isClosing(request.socket)) return;
    if (!isKnownVersion(request)) {
      options.connections?.fault('head');
      answerRaw(request.socket, 400, '', (error, place) => options.parts.fault(error, undefined, place));
      return;
    }
    response.on('error', ignore);
    request.on('error', ignore);
    try {
      if (!odd && app.supportedMethods.includes(request.method ?? '')) {
        app.routing(request, response);
        return;
      }
      options.connections?.fault('head');
      if (odd) refuseOdd(options, request, response);
      else answerWhole(newExchange(options, request, response, '/'), 501, [], Buffer.from('method not implemented'));
    } catch (error) {
      // INVARIANT: nothing a client sends ends the process; what cannot even be refused is cut.
      options.parts.fault(error, undefined, 'rest_server');
      response.destroy();
    }
  }

  return {
    handle(request, response) {
      carry(request, response);
      if (request.httpVersionMajor === 2) return;
      endBegun(request.socket, options.parts, response.headersSent ? response.statusCode : undefined);
    },
    drain: () => {
      state.draining = true;
      for (const response of running) response.shouldKeepAlive = false;
    },
    figures: () => ({
      exchanges: running.size,
      bodies: room.size,
      bodyBytes: room.taken,
      judging: decoder.size + checkPool.size + changer.size,
      changing: answers.size,
      answers: answers.held,
      answerBytes: answers.bytes,
    }),
    close: async () => {
      await app.close();
      await Promise.all([checkPool.close(), changer.close()]);
    },
  };
}

/** A request line with two readings, or one that was not followed to its beginning. The connection ends with it. */
function refuseOdd(options: LaneOptions, request: IncomingMessage, response: ServerResponse): void {
  response.shouldKeepAlive = false;
  answerWhole(newExchange(options, request, response, '/'), 400, [], Buffer.alloc(0));
}

/** Of the largest body: what all others may have beside the one that goes on to its end. */
const ROOM_SHARE = 0.5;

function createBodyMemoryBudget({ maxInspectedBytes, bodyIdleMs }: LaneOptions): BodyMemoryBudget {
  // One that keeps others waiting has no more time than a stranger.
  const priorityMs = Math.min(bodyIdleMs, STRANGER_BODY_IDLE_MS);
  return new BodyMemoryBudget({
    capacity: Math.floor(maxInspectedBytes * ROOM_SHARE),
    priorityMs,
    // Longer than one body may keep the others waiting.
    waitMs: 2 * priorityMs,
  });
}

function createAnswerBudget({ turns, upstreamWaitMs, answerIdleMs }: LaneOptions): AnswerBudget {
  const stallMs = Math.min(answerIdleMs, STRANGER_BODY_IDLE_MS);
  return new AnswerBudget({ turns, waitMs: upstreamWaitMs, stallMs });
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
        checkBody(exchange, options, { decision, needs }, (found) =>
          bodyChecked(options.parts, protocol, exchange, decision, found),
        ),
      pass(exchange, _permit, { pathToSend }) {
        if (exchange.life.ended) return;
        const contentLength = exchange.body?.length;
        const headers = toUpstreamHeaders(exchange, { readable: false, contentLength, added: addedHeaders(exchange) });
        sendUpstream(exchange, options, pathToSend, headers, new StreamedAnswer(exchange, options));
      },
      change(exchange, permit, plan) {
        if (!exchange.life.ended) forwardChanged(exchange, permit, plan, options);
      },
      reject: (exchange, denial) => reject(exchange, denial, options.cors),
      cut: ({ response }) => void response.destroy(),
    },
    options,
  );
  return protocol;
}

/**
 * INVARIANT: what calls itself HTTP/2 on an HTTP/1 connection is neither: Node's parser lets any version through, and the
 * checks of framing go by it.
 */
function isKnownVersion(request: IncomingMessage): boolean {
  return 'stream' in request || request.httpVersion === '1.1' || request.httpVersion === '1.0';
}

const EXPECTS_CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

/** Wrong credentials by the socket they came on. */
const guessesOn = new WeakMap<Socket, CredentialGuessing>();

function guessesOf(socket: Socket): CredentialGuessing {
  const known = guessesOn.get(socket);
  if (known) return known;
  const guesses = new CredentialGuessing();
  guessesOn.set(socket, guesses);
  return guesses;
}

function newExchange(
  options: Pick<LaneOptions, 'parts' | 'cors'>,
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
): RestExchange {
  const report: FaultReport = (error, place) => options.parts.fault(error, exchange, place);
  const owner = { fail: () => failExchange(exchange, options.cors), cut: () => response.destroy() };
  const guard = new Guard(owner, 'exchange', report);
  const life = new Lifetime((error) => report(error, 'clean_up'));
  const http2 = request.httpVersionMajor === 2;
  const socket = socketBelow(request) ?? request.socket;
  const headers = http2 ? withoutPseudo(request.rawHeaders) : request.rawHeaders;
  const peer = peerOn(socket);
  const [host] = headerValues(http2 ? request.rawHeaders : headers, http2 ? ':authority' : 'host');
  const exchange: RestExchange = {
    protocol: 'rest',
    resolution: undefined,
    principal: undefined,
    ...unbegun(),
    request,
    response,
    life,
    guard,
    method: request.method ?? '',
    requestTarget: target,
    headers,
    host: host ?? '',
    peer,
    remote: peer.address,
    ...(http2 ? {} : { guesses: guessesOf(socket) }),
    hasBody: http2 ? !endsWithHead(request) : hasFraming(request),
    awaitsContinue: EXPECTS_CONTINUE.test(request.headers.expect ?? ''),
    body: undefined,
    upload: undefined,
    measuredTo: undefined,
    received: 0,
    sent: 0,
    answered: false,
  };
  tieToClient(exchange, (error, place) => options.parts.fault(error, undefined, place));
  return exchange;
}

function withoutPseudo(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? '';
    if (!name.startsWith(':')) headers.push(name, raw[i + 1] ?? '');
  }
  return headers;
}

function hasFraming(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
  return coding !== undefined || (length !== undefined && Number(length) !== 0);
}

/** HTTP/2: the head carried END_STREAM. */
function endsWithHead(request: IncomingMessage): boolean {
  if (!('stream' in request)) return false;
  const { stream } = request;
  return (
    typeof stream === 'object' && stream !== null && 'endAfterHeaders' in stream && stream.endAfterHeaders === true
  );
}

function ignore(): void {}
