import type { Socket } from 'node:net';
import { requestIdOf } from '../exchange/request-id.ts';
import { carrierOf } from '../net/client-address.ts';
import type { Denial, QuotaReached } from '../policy/denial.ts';
import { type Cors, corsHeaders } from './cors.ts';
import type { RestExchange } from './exchange.ts';
import { NO_CONTENT, writeHead } from './headers.ts';
import { closesConnection, endAfterBody, isUnread } from './http1/swallow.ts';

/** Status, headers and body of a refusal. */
export interface Refusal {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

/** Upstream's JSON envelope of an error (Qdrant v1.18.3). */
function envelope(message: string): string {
  return `{"status":{"error":${JSON.stringify(message)}},"time":0.0}`;
}

/**
 * A denial as upstream writes it: authentication bare and without content type, an unknown operation empty, everything
 * else in the row's format. Ours is one header more: every refusal says the id of its request.
 */
export function renderRefusal(denial: Denial, format: 'json' | 'text', requestId: string): Refusal {
  const { status, message, retryAfter } = denial;
  const id = ['x-request-id', requestId];
  if (denial.reached) id.unshift(...quotaHeaders(denial.reached));
  else if (retryAfter !== undefined) id.unshift('retry-after', String(retryAfter));
  switch (denial.why) {
    case 'authentication':
      return { status, headers: id, body: message };
    case 'unknown':
      return { status, headers: id, body: '' };
    case 'access':
    case 'request':
    case 'limit':
      return format === 'text'
        ? { status, headers: ['content-type', 'text/plain; charset=utf-8', ...id], body: message }
        : { status, headers: ['content-type', 'application/json', ...id], body: envelope(message) };
    case 'fault':
      return { status, headers: ['content-type', 'application/json', ...id], body: envelope(message) };
    default:
      return denial.why satisfies never;
  }
}

/**
 * `retry-after` in seconds, as upstream's strict mode says it, and the gateway's own fields in the form of
 * draft-ietf-httpapi-ratelimit-headers-06.
 */
function quotaHeaders({ most, left, retryAfter }: QuotaReached): string[] {
  const quota = ['ratelimit-limit', String(most), 'ratelimit-remaining', String(left)];
  if (retryAfter === undefined) return quota;
  return ['retry-after', String(retryAfter), ...quota, 'ratelimit-reset', String(retryAfter)];
}

/** The row of everything below `/dashboard`. */
export const DASHBOARD = 'service.dashboard';

/** Upstream: every answer below `/dashboard` says so since Qdrant v1.10. */
export function denyFraming(headers: string[]): void {
  if (!headers.includes('x-frame-options')) headers.push('x-frame-options', 'DENY');
}

/** Answers the request here. Does nothing once an answer has begun. */
export function reject(exchange: RestExchange, denial: Denial, cors: Cors): void {
  if (exchange.answered || isClosed(exchange.request.socket)) return;
  exchange.refusal = denial;
  const refusal = renderRefusal(denial, exchange.resolution?.operation.denial ?? 'json', requestIdOf(exchange));
  const headers = [...refusal.headers, ...corsHeaders(exchange.headers, cors)];
  if (exchange.resolution?.operation.name === DASHBOARD) denyFraming(headers);
  answerWhole(exchange, refusal.status, headers, Buffer.from(refusal.body));
}

/** Its client gets no answer any more, and its exchange ends when Node tells so: over TLS some turns later. */
function isClosed(socket: Socket): boolean {
  const carrier = carrierOf(socket);
  return socket.destroyed || (carrier !== undefined && 'destroyed' in carrier && carrier.destroyed === true);
}

/** Answers with a whole body; what is left of the request's body is thrown away. */
export function answerWhole(exchange: RestExchange, status: number, headers: readonly string[], body: Buffer): void {
  if (exchange.answered) return;
  exchange.response.statusCode = status;
  const unread = isUnread(exchange);
  const close = closesConnection(exchange, status) ? ['connection', 'close'] : [];
  const length = status === NO_CONTENT ? [] : ['content-length', String(body.length)];
  writeHead(exchange, status, [...headers, ...length, ...close], exchange.method === 'HEAD' ? 0 : body.length);
  if (exchange.method !== 'HEAD') {
    exchange.sent += body.length;
    if (body.length > 0) exchange.response.write(body);
  }
  if (unread) endAfterBody(exchange);
  else exchange.response.end();
}
