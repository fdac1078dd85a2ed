import type { ConsoleAnswer } from '../../exchange/console-request.ts';
import { jsonLine } from '../../text/printable.ts';

/**
 * Nothing is loaded from elsewhere, nothing runs that is not a file of this console, no page of another origin shows it in a frame,
 * and no text becomes markup (Trusted Types).
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/** Headers of every answer of the console. */
export const SAFE_HEADERS: readonly string[] = [
  ...['content-security-policy', POLICY],
  ...['x-content-type-options', 'nosniff'],
  ...['x-frame-options', 'DENY'],
  ...['referrer-policy', 'no-referrer'],
  ...['cross-origin-opener-policy', 'same-origin'],
  ...['cross-origin-resource-policy', 'same-origin'],
  ...['permissions-policy', 'camera=(), geolocation=(), microphone=()'],
];

const NO_STORE = ['cache-control', 'no-store'];

/** An answer of JSON, which no cache keeps. @param body a text = its JSON, as `jsonLine` makes it. INVARIANT: names that callers choose are printable in it. */
export function json(status: number, body: object | string, headers: readonly string[] = []): ConsoleAnswer {
  const all = [...SAFE_HEADERS, ...NO_STORE, 'content-type', 'application/json; charset=utf-8', ...headers];
  return { status, headers: all, body: typeof body === 'string' ? body : jsonLine(body) };
}

/** An error. @param error one sentence; nothing of the request is repeated in it */
export function problem(status: number, error: string, headers: readonly string[] = []): ConsoleAnswer {
  return json(status, { error }, headers);
}

/** A redirect to a path of this console, or to the identity provider. */
export function redirect(location: string, headers: readonly string[] = []): ConsoleAnswer {
  return { status: 303, headers: [...SAFE_HEADERS, ...NO_STORE, 'location', location, ...headers], body: '' };
}
