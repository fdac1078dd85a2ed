import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { BodyRefusal, collect, jsonBody, strictJsonBody } from './body.ts';
import { collectionRoutes, snapshotRoutes } from './collection-routes.ts';
import { dashboardAnswer } from './dashboard.ts';
import { Fault, faultStatus } from './fault.ts';
import { type Json, parseJson, writeJson } from './json.ts';
import { bodyComplaint, queryComplaint } from './models.ts';
import { plausibleRoutes } from './plausible.ts';
import { readRoutes, writeRoutes } from './point-routes.ts';
import { type Recorder, RestRecord } from './recorder.ts';
import {
  type BodyMode,
  type RestAnswer,
  type RestCall,
  type RestRoute,
  Router,
  splitTarget,
  withNumberedShard,
} from './routing.ts';
import { type CheckAccess, refuseRest } from './secured.ts';
import { serviceRoutes } from './service-routes.ts';
import type { Store } from './store.ts';

/** Test hook: gets every REST request first; true means it has answered (or will). */
export type OnRest = (request: IncomingMessage, response: ServerResponse) => boolean;

type Parts = {
  store: Store;
  recorder: Recorder;
  version: string;
  check: CheckAccess | undefined;
  onRest: OnRest | undefined;
};

const router = new Router(
  [...serviceRoutes, ...collectionRoutes, ...snapshotRoutes, ...writeRoutes, ...readRoutes, ...plausibleRoutes].map(
    withNumberedShard,
  ),
);

/** An HTTP/1.1 server with the REST surface of an unsecured Qdrant; not listening yet. */
export function restServer(parts: Parts): Server {
  const server = createServer({ maxHeaderSize: 128 << 10, requestTimeout: 0, keepAliveTimeout: 5000 });
  server.keepAliveTimeoutBuffer = 0;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    record(parts.recorder, request);
    // Upstream: Qdrant sends neither `Connection` nor a `Keep-Alive` hint.
    response.removeHeader('connection');
    const { method = '', url: path = '', rawHeaders: headers } = request;
    if (parts.check && refuseRest(parts.check, { method, path, headers }, response)) return;
    if (parts.onRest?.(request, response) !== true) {
      answer(parts, request, response).catch(() => response.destroy());
    }
  });
  return server;
}

function record(recorder: Recorder, request: IncomingMessage): void {
  if (!recorder.enabled) {
    return;
  }
  const entry = new RestRecord(request.method ?? '', request.url ?? '', [...request.rawHeaders]);
  recorder.addRest(entry);
  const { socket } = request;
  // Node forgets a request that was answered early, so only the socket tells of its end.
  const gone = (): void => {
    entry.state = 'aborted';
  };
  socket.once('close', gone);
  // A data listener would start the flow; a tap on push leaves back-pressure to the handler.
  const push = request.push.bind(request);
  request.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    if (chunk === null) {
      entry.received.end();
      entry.state = 'complete';
      socket.off('close', gone);
    } else {
      entry.received.add(chunk);
    }
    return push(chunk, encoding);
  };
}

async function answer(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { origin } = request.headers;
  response.setHeader('vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers');
  if (origin !== undefined) {
    response.setHeader('access-control-allow-origin', origin);
  }
  if (request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined) {
    preflight(request, response);
    return;
  }
  const target = splitTarget(request.url ?? '');
  if (target.literals[0] === 'dashboard') {
    request.resume();
    send(response, dashboardAnswer(request.method ?? '', target.segments.slice(1)));
    return;
  }
  const found = router.find(request.method ?? '', target);
  if (found === undefined) {
    request.resume();
    send(response, { status: 404, body: '' });
    return;
  }
  send(response, await handled(parts, request, found.route, found.params, target.query));
}

async function handled(
  parts: Parts,
  request: IncomingMessage,
  route: RestRoute,
  params: string[],
  query: Map<string, string>,
): Promise<RestAnswer> {
  try {
    const body = await bodyOf(request, route.body);
    return carriedOut(parts, route, { params, query, body, method: request.method ?? '', headers: request.headers });
  } catch (error) {
    return refusal(error);
  }
}

function carriedOut(
  { store, version }: Pick<Parts, 'store' | 'version'>,
  route: RestRoute,
  call: Omit<RestCall, 'store' | 'version'>,
): RestAnswer {
  const wrong = queryComplaint(route.method, route.path, call.query);
  if (wrong !== undefined) {
    throw new Fault('bad-input', `Format error in query parameters: ${wrong}`);
  }
  checkBody(route, call.body);
  return route.handle({ store, version, ...call });
}

function refusal(error: unknown): RestAnswer {
  if (error instanceof BodyRefusal) {
    return { status: error.status, type: 'text/plain; charset=utf-8', body: error.message };
  }
  const fault = error instanceof Fault ? error : new Fault('internal', `Service internal error: ${error}`);
  return { status: faultStatus(fault), type: 'application/json', body: errorBody(fault.message) };
}

/** A request without a socket. */
interface Request<Body> {
  readonly method: string;
  readonly target: string;
  readonly body: Body;
}

/** Answers a request without a socket, as the server would. @param request `body` is JSON; empty = none */
export function answerInProcess(
  parts: Pick<Parts, 'store' | 'version'>,
  { body, ...request }: Request<string>,
): { readonly status: number; readonly body: string } {
  const answer = carryOut(parts, { ...request, body: () => (body === '' ? null : parseJson(body)) });
  if (!('result' in answer)) return { status: answer.status, body: answer.body.toString() };
  return { status: answer.status ?? 200, body: writeJson({ result: answer.result, status: 'ok', time: 0.00001 }) };
}

/**
 * The same without any text. What is answered may be part of the store, which later writes change.
 *
 * @param request `body` null = none
 * @returns the result, or the body of a refusal
 */
export function askInProcess(
  parts: Pick<Parts, 'store' | 'version'>,
  { body, ...request }: Request<Json>,
): { readonly status: number; readonly result: Json } | { readonly status: number; readonly refusal: string } {
  const answer = carryOut(parts, { ...request, body: () => body });
  if ('result' in answer) return { status: answer.status ?? 200, result: answer.result };
  return { status: answer.status, refusal: answer.body.toString() };
}

function carryOut(parts: Pick<Parts, 'store' | 'version'>, { method, target, body }: Request<() => Json>): RestAnswer {
  const { query, ...split } = splitTarget(target);
  const found = router.find(method, { query, ...split });
  if (found === undefined) return { status: 404, body: '' };
  try {
    return carriedOut(parts, found.route, { params: found.params, query, body: body(), method, headers: {} });
  } catch (error) {
    return refusal(error);
  }
}

// Upstream: a body is read into its structure before anything of it is looked at.
function checkBody({ method, path, body: mode }: RestRoute, body: Json): void {
  const found = mode === 'json' || mode === 'json-strict' ? bodyComplaint(method, path, body) : undefined;
  if (found === undefined) {
    return;
  }
  throw mode === 'json'
    ? new Fault('bad-input', `Format error in JSON body: ${found.text}`)
    : new BodyRefusal(400, `Json deserialize error: ${found.text}`);
}

async function bodyOf(request: IncomingMessage, mode: BodyMode): Promise<Json> {
  if (mode === 'none') {
    request.resume();
    return null;
  }
  if (mode === 'drain') {
    for await (const _chunk of request) {
      // Nothing is kept: an upload of any size runs in constant memory.
    }
    return null;
  }
  const bytes = await collect(request);
  return mode === 'json' ? jsonBody(request, bytes) : strictJsonBody(request, bytes);
}

function errorBody(message: string): string {
  return writeJson({ status: { error: message }, time: 0.0 });
}

function send(response: ServerResponse, answer: RestAnswer): void {
  if ('result' in answer) {
    const { result, status = 200 } = answer;
    const envelope: Json =
      status === 202 ? { status: 'accepted', time: 0.00001 } : { result, status: 'ok', time: 0.00001 };
    write(response, status, 'application/json', writeJson(envelope));
    return;
  }
  for (const [name, value] of Object.entries(answer.headers ?? {})) {
    response.setHeader(name, value);
  }
  write(response, answer.status, answer.type, answer.body);
}

function write(response: ServerResponse, status: number, type: string | undefined, body: string | Buffer): void {
  response.statusCode = status;
  if (type !== undefined) {
    response.setHeader('content-type', type);
  }
  response.setHeader('content-length', Buffer.byteLength(body));
  response.end(body);
}

const methods = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'CONNECT', 'PATCH', 'TRACE'];

function preflight(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const wanted = request.headers['access-control-request-method'] ?? '';
  if (!methods.includes(wanted)) {
    write(response, 400, 'text/plain; charset=utf-8', 'Requested method is not allowed');
    return;
  }
  const headers = request.headers['access-control-request-headers'];
  response.setHeader('access-control-allow-methods', methods.join(', '));
  if (headers !== undefined) {
    response.setHeader('access-control-allow-headers', headers);
  }
  write(response, 200, undefined, '');
}
