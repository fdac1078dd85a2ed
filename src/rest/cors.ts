import type { AllowedOrigins } from './allowed-origins.ts';
import { headerValues, type RestExchange } from './exchange.ts';

/**
 * Cross-origin answers as upstream gives them with `enable_cors` (Qdrant v1.18.3).
 */
const VARIES = ['origin', 'access-control-request-method', 'access-control-request-headers'];
const VARY = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE'];
const METHOD_TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** CORS as it is set now; a reload may change it. */
export interface Cors {
  /** `undefined` = off: no preflight is answered and no header added. */
  readonly current: AllowedOrigins | undefined;
}

/** CORS that is off for good. */
export const NO_CORS: Cors = { current: undefined };

/** A CORS preflight answer. Needs no credential. */
export interface PreflightAnswer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
  /** Why it is refused; `undefined` = it is not. */
  readonly fault?: 'preflight';
}

/**
 * The answer to a preflight request, which no credential is asked for; `undefined` = it is an ordinary request. Upstream: an
 * origin that is not allowed is refused first, as actix-cors does with a list of origins.
 */
export function answerPreflight(method: string, headers: readonly string[], cors: Cors): PreflightAnswer | undefined {
  if (method !== 'OPTIONS' || !cors.current) return undefined;
  const [asked] = headerValues(headers, 'access-control-request-method');
  if (asked === undefined || !METHOD_TOKEN.test(asked)) return undefined;
  const common = corsHeaders(headers, cors);
  const [origin] = headerValues(headers, 'origin');
  if (origin !== undefined && !cors.current.allows(origin)) {
    return { status: 400, headers: common, body: 'Origin is not allowed to make this request', fault: 'preflight' };
  }
  if (!METHODS.includes(asked)) {
    return { status: 400, headers: common, body: 'Requested method is not allowed', fault: 'preflight' };
  }
  const [names] = headerValues(headers, 'access-control-request-headers');
  const allowed = names === undefined ? [] : ['access-control-allow-headers', names];
  return {
    status: 200,
    headers: [...common, 'access-control-allow-methods', METHODS.join(', '), ...allowed],
    body: '',
  };
}

/** CORS headers of every answer; none when CORS is off. @param headers the request's */
export function corsHeaders(headers: readonly string[], { current }: Cors): string[] {
  if (!current) return [];
  const [origin] = headerValues(headers, 'origin');
  return origin === undefined || !current.allows(origin)
    ? ['vary', VARY]
    : ['vary', VARY, 'access-control-allow-origin', origin];
}

/**
 * Upstream's answer headers with the CORS part decided here: its own is taken out, so that nothing is said twice or
 * against the gateway's setting, and the gateway's is added when CORS is on.
 */
export function settleCors(exchange: Pick<RestExchange, 'headers'>, answer: readonly string[], cors: Cors): string[] {
  const settled: string[] = [];
  for (let i = 0; i + 1 < answer.length; i += 2) {
    const name = answer[i] ?? '';
    const value = answer[i + 1] ?? '';
    if (name.startsWith('access-control-')) continue;
    const kept = name === 'vary' ? withoutCors(value) : value;
    if (name !== 'vary' || kept !== '') settled.push(name, kept);
  }
  return cors.current ? [...settled, ...corsHeaders(exchange.headers, cors)] : settled;
}

function withoutCors(vary: string): string {
  return vary
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && !VARIES.includes(name.toLowerCase()))
    .join(', ');
}
