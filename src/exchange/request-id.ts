import { randomUUID } from 'node:crypto';
import type { Exchange } from './exchange.ts';

/* One id for each request: the client's own, or a random UUID. No decision depends on it. */

/** The accepted ids: safe in a header, a log line and a file name. */
const WELL_FORMED = /^[A-Za-z0-9][\w.:/+=@~-]{0,127}$/;

/** Headers with a request id, in order of precedence. Upstream: the same, Qdrant v1.18.0. */
const NAMES = ['x-request-id', 'x-tracing-id', 'traceparent'] as const;

/** The parts of a `traceparent` header. */
export interface TraceParent {
  /** 32 and 16 hexadecimal digits, lower case, not all zero. */
  readonly traceId: string;
  readonly spanId: string;
  /** One byte; bit 0 = sampled. */
  readonly flags: number;
}

const TRACE_PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Parses `traceparent` (W3C Trace Context section 3.2); `undefined` = malformed. */
export function parseTraceParent(text: string): TraceParent | undefined {
  const [, version, traceId = '', spanId = '', flags = '', rest] = TRACE_PARENT.exec(text) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}

/** The id sent by the client: the first well-formed one of its headers; `undefined` = none. */
export function suppliedRequestId(headers: readonly string[]): string | undefined {
  for (const name of NAMES) {
    const id = idIn(name, firstValue(headers, name));
    if (id !== undefined) return id;
  }
  return undefined;
}

function idIn(name: (typeof NAMES)[number], value: string | undefined): string | undefined {
  const id = name === 'traceparent' && value !== undefined ? parseTraceParent(value)?.traceId : value;
  return id !== undefined && WELL_FORMED.test(id) ? id : undefined;
}

/** The audit's `tracing_id`. Upstream: the whole value of the header, also of `traceparent` (Qdrant v1.19.0). */
export function tracingIdOf(exchange: Pick<Exchange, 'headers' | 'requestId'>): string {
  const id = requestIdOf(exchange);
  for (const name of NAMES) {
    const value = firstValue(exchange.headers, name);
    if (value !== undefined && idIn(name, value) === id) return value;
  }
  return id;
}

/** The id of a request, created on first use. */
export function requestIdOf(exchange: Pick<Exchange, 'headers' | 'requestId'>): string {
  exchange.requestId ??= suppliedRequestId(exchange.headers) ?? randomUUID();
  return exchange.requestId;
}

/**
 * The id to add to the request upstream: one that the gateway created and has used. `undefined` = the client sent its own,
 * or the id was never used.
 */
function createdRequestId({ headers, requestId }: Pick<Exchange, 'headers' | 'requestId'>): string | undefined {
  return requestId === undefined || suppliedRequestId(headers) === requestId ? undefined : requestId;
}

/** Headers that the gateway adds for upstream: the span, and the id it created. Name, value, names in lower case. */
export function addedHeaders(exchange: Pick<Exchange, 'headers' | 'requestId' | 'trace'>): readonly string[] {
  const { trace = NOTHING } = exchange;
  const id = createdRequestId(exchange);
  return id === undefined ? trace : [...trace, 'x-request-id', id];
}

/**
 * Headers of an answer with the id of its request, which every answer has while an audit keeps requests. An id of upstream's is
 * left out. The headers are returned as they are if the request has no id.
 */
export function withRequestId({ requestId }: Pick<Exchange, 'requestId'>, headers: string[]): string[] {
  if (requestId === undefined) return headers;
  const kept: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i] !== 'x-request-id') kept.push(headers[i] ?? '', headers[i + 1] ?? '');
  }
  kept.push('x-request-id', requestId);
  return kept;
}

const NOTHING: readonly string[] = Object.freeze([]);

/**
 * True = a header of the client (lower case) is replaced by an added one. `tracestate` goes with `traceparent`.
 * INVARIANT: decided by names only, since a client can choose values.
 */
export function isReplaced(added: readonly string[], name: string): boolean {
  if (added.length === 0) return false;
  return isNamed(added, name) || (name === 'tracestate' && isNamed(added, 'traceparent'));
}

function isNamed(headers: readonly string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return true;
  return false;
}

/** The first value of a header. @param name in lower case */
export function firstValue(headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const candidate = headers[i] ?? '';
    if (candidate.length === name.length && candidate.toLowerCase() === name) return headers[i + 1];
  }
  return undefined;
}
