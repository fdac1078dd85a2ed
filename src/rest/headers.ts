import type { ServerResponse } from 'node:http';
import { REMOVED_HEADERS } from '../exchange/removed-headers.ts';
import { isReplaced } from '../exchange/request-id.ts';
import { CREDENTIAL_HEADERS } from '../identity/credential.ts';
import { forwardedNode, hasAddress } from '../net/addresses.ts';
import type { UpstreamCredential } from '../upstream/credential.ts';
import { headerValues, type RestExchange } from './exchange.ts';

/** Concern one connection only (RFC 9110 section 7.6.1, RFC 9112), and what would be merged from trailers. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
];

/** Never reach upstream from a client: credentials, what the gateway says itself, and what asks for another target. */
const NOT_FORWARDED = new Set([...HOP_BY_HOP, ...REMOVED_HEADERS, 'host', 'expect']);

/** The credential of the caller, which goes upstream where upstream asks for it. */
const CREDENTIALS = new Set(CREDENTIAL_HEADERS);

const NOT_RETURNED = new Set(HOP_BY_HOP);

/** Neither side may take these from its own message by naming them in `Connection`: they say what the body is. */
const NEVER_LISTED = new Set(['content-length', 'content-type', 'content-encoding']);

/** The options named in `Connection`, in lower case (RFC 9110 section 7.6.1). */
function connectionOptions(headers: readonly string[]): ReadonlySet<string> | undefined {
  const values = headerValues(headers, 'connection');
  if (values.length === 0) return undefined;
  const options = new Set<string>();
  for (const value of values) {
    for (const option of value.split(',')) options.add(option.trim().toLowerCase());
  }
  options.delete('keep-alive');
  options.delete('close');
  return options.size > 0 ? options : undefined;
}

/** Would have upstream answer with something other than the whole, plain body. */
const SELECTING = new Set([
  'accept-encoding',
  'range',
  'if-range',
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
]);

/** Say something of a body that is not sent. */
const ABOUT_THE_BODY = new Set([
  ...['content-type', 'content-encoding', 'content-language', 'content-location', 'content-md5'],
  ...['digest', 'content-digest', 'repr-digest'],
]);

/** The fields of an exchange from which its upstream headers are built. */
export type HeaderSource = Pick<RestExchange, 'headers' | 'peer' | 'remote' | 'host' | 'hasBody' | 'resolution'>;

/** Does the body go upstream? That of an open operation is thrown away: no connection of upstream's waits for a stranger. */
export function sendsBody({ hasBody, resolution }: Pick<HeaderSource, 'hasBody' | 'resolution'>): boolean {
  return hasBody && resolution?.operation.requires.scope !== 'public';
}

/** Changes to a request's headers beyond the common rules. */
export interface RequestHeaderOptions {
  /** The answer has to be read here: ask for all of it, without a content coding. */
  readonly readable: boolean;
  /** The length of the body that is sent, where it is known here. */
  readonly contentLength: number | undefined;
  /** Shown to upstream instead of the credential of the caller. */
  readonly credential: UpstreamCredential;
  /** Headers of ours beside the usual ones; what the client says under these names is not sent. */
  readonly added: readonly string[];
  /** The body is another one than the client's: JSON, without a content coding. Default: the client's. */
  readonly anew?: true;
}

/**
 * The headers to send upstream: name, value, name, value.
 *
 * INVARIANT: the client's `Connection` list is applied before the gateway's own headers are added, so that it cannot
 * take them away; names are compared with `_` read as `-`, so that no alias of a removed header gets through.
 */
export function toUpstreamHeaders(exchange: HeaderSource, options: RequestHeaderOptions): string[] {
  const { headers, peer, remote, host } = exchange;
  const listed = connectionOptions(headers);
  const { added, credential } = options;
  const keepsOwn = credential.kind === 'callers';
  const sent: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] ?? '').toLowerCase();
    if (keepsOwn && CREDENTIALS.has(name)) {
      sent.push(name, headers[i + 1] ?? '');
      continue;
    }
    if (NOT_FORWARDED.has(name) || (name.includes('_') && NOT_FORWARDED.has(name.replaceAll('_', '-')))) continue;
    if (listed?.has(name) && !NEVER_LISTED.has(name)) continue;
    if (name === 'content-length' && (options.contentLength !== undefined || !sendsBody(exchange))) continue;
    if (options.anew && ABOUT_THE_BODY.has(name)) continue;
    if (options.readable && SELECTING.has(name)) continue;
    if (isReplaced(added, name)) continue;
    sent.push(name, headers[i + 1] ?? '');
  }
  if (options.anew && options.contentLength) sent.push('content-type', 'application/json');
  if (options.contentLength !== undefined) sent.push('content-length', String(options.contentLength));
  sent.push('x-forwarded-for', forwardedNode(remote), 'x-forwarded-proto', peer.scheme);
  if (hasAddress(remote)) sent.push('x-real-ip', remote);
  if (host !== '') sent.push('x-forwarded-host', host);
  sent.push(...added, ...credential.forwarded);
  return sent;
}

/** Upstream's answer headers without those of its connection and without what `drop` names (default: none), in lower case. */
export function toClientHeaders(raw: readonly string[], drop: (name: string) => boolean = keepAll): string[] {
  const listed = connectionOptions(raw);
  const kept: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    if (NOT_RETURNED.has(name) || drop(name)) continue;
    if (listed?.has(name) && !NEVER_LISTED.has(name)) continue;
    kept.push(name, raw[i + 1] ?? '');
  }
  return kept;
}

/** The headers of an answer of upstream's with its own body. A 204 has no length (RFC 9110 section 8.6), whatever upstream says. */
export function answerHeaders(status: number, raw: readonly string[]): string[] {
  return status === NO_CONTENT ? toClientHeaders(raw, isLength) : toClientHeaders(raw);
}

/** Status of an answer that has no body and no length. */
export const NO_CONTENT = 204;

function isLength(name: string): boolean {
  return name === 'content-length';
}

/**
 * Writes the head of an answer with exactly these headers; the transport adds `date` and what its connection needs. A name may
 * come several times. Throws, with nothing written, when the status or a header cannot be sent.
 *
 * @param length of the body in bytes, which is written next; without it the body streams
 */
export function writeHead(exchange: RestExchange, status: number, headers: readonly string[], length?: number): void {
  exchange.response.statusCode = status;
  exchange.sendHead(status, headers, length === 0);
  exchange.answered = true;
}

/** Writes such a head over HTTP/1. */
export function writeHttp1Head(response: ServerResponse, status: number, headers: readonly string[]): void {
  try {
    for (let i = 0; i + 1 < headers.length; i += 2) response.appendHeader(headers[i] ?? '', headers[i + 1] ?? '');
    response.writeHead(status);
  } catch (error) {
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    throw error;
  }
  if (!response.shouldKeepAlive || hasClose(headers)) closing.add(response.req.socket);
}

/** Connections whose last answer has begun. Weak: a socket that is gone is forgotten. */
const closing = new WeakSet<object>();

/**
 * Has the last answer on this connection begun? What a client sends behind it is not a request any more (RFC 9112
 * section 9.6), although Node's parser hands it over as one.
 */
export function isClosing(socket: object): boolean {
  return closing.has(socket);
}

function hasClose(headers: readonly string[]): boolean {
  for (let i = 0; i + 1 < headers.length; i += 2)
    if (headers[i] === 'connection' && headers[i + 1] === 'close') return true;
  return false;
}

function keepAll(): boolean {
  return false;
}
