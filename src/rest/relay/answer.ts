import { STATUS_CODES } from 'node:http';
import { addedHeaders, requestIdOf } from '../../exchange/request-id.ts';
import type { Denial } from '../../policy/denial.ts';
import type { UpstreamCredential } from '../../upstream/credential.ts';
import { type Cors, corsHeaders } from '../cors.ts';
import { answerHeaders, toUpstreamHeaders } from '../headers.ts';
import type { AnswerHead } from '../http1/response-head.ts';
import { renderRefusal } from '../reject.ts';
import { settledHeaders } from '../response/settled-headers.ts';
import type { RelayExchange } from './exchange.ts';
import type { SentHeads } from './upstream.ts';

const NOTHING: readonly string[] = Object.freeze([]);
/** Methods of which a body is expected: without one upstream is told so (RFC 9110 section 8.6). */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);

/**
 * The head to send upstream: what was resolved, upstream's own host, and the headers every lane sends. An id of ours is
 * told only with a span: heads that repeat are made once.
 */
export function upstreamHead(exchange: RelayExchange, authority: string, credential: UpstreamCredential): Buffer {
  const added = exchange.trace ? addedHeaders(exchange) : NOTHING;
  const headers = toUpstreamHeaders(exchange, { readable: false, contentLength: undefined, credential, added });
  let text = headText(exchange, authority, headers);
  if (!exchange.hasBody && WITH_BODY.has(exchange.method)) text += 'content-length: 0\r\n';
  return Buffer.from(`${text}\r\n`, 'latin1');
}

/**
 * The same for a body that is made anew, but for its length: `content-length`, and the end of the head, are yet to follow.
 * Upstream is told that it is JSON.
 */
function openHead(exchange: RelayExchange, authority: string, credential: UpstreamCredential): Buffer {
  const added = exchange.trace ? addedHeaders(exchange) : NOTHING;
  // Any length: the true one is written behind.
  const headers = toUpstreamHeaders(exchange, { readable: false, contentLength: 1, credential, added, anew: true });
  return Buffer.from(headText(exchange, authority, headers, 'content-length'), 'latin1');
}

function headText(exchange: RelayExchange, authority: string, headers: readonly string[], without?: string): string {
  const { method, resolution } = exchange;
  let text = `${method} ${resolution.pathToSend} HTTP/1.1\r\nhost: ${authority}\r\nconnection: keep-alive\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i] !== without) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  }
  return text;
}

/** A head without its length, for heads that repeat themselves. */
export interface AnewHead {
  readonly bytes: Buffer;
  readonly authority: string;
  readonly credential: UpstreamCredential;
}

/** Makes the heads for one body that was made anew. */
export class AnewHeads implements SentHeads {
  readonly #length: Buffer;
  readonly #known: { anew: AnewHead | undefined } | undefined;

  /** @param bytes of the body @param known of the client's head, if it may repeat itself */
  constructor(bytes: number, known: { anew: AnewHead | undefined } | undefined) {
    this.#length = Buffer.from(`content-length: ${bytes}\r\n\r\n`, 'latin1');
    this.#known = known;
  }

  sentHead(exchange: RelayExchange, authority: string, credential: UpstreamCredential): Buffer {
    return Buffer.concat([this.#open(exchange, authority, credential), this.#length]);
  }

  #open(exchange: RelayExchange, authority: string, credential: UpstreamCredential): Buffer {
    const known = exchange.trace ? undefined : this.#known;
    const last = known?.anew;
    if (last?.authority === authority && last.credential === credential) return last.bytes;
    const bytes = openHead(exchange, authority, credential);
    if (known) known.anew = { bytes, authority, credential };
    return bytes;
  }
}

/** Connection state that an answer's head announces to the client. */
export interface AnswerEnding {
  /** It is the last on its connection. */
  readonly close: boolean;
  readonly keepAliveMs: number;
  /** Now, as a `Date` header has it. */
  readonly date: string;
}

/** An answer of upstream's for this client, as the other lane would write it. */
export function clientHead(exchange: RelayExchange, answer: AnswerHead, cors: Cors, ending: AnswerEnding): Buffer {
  const headers = settledHeaders(exchange, answerHeaders(answer.status, answer.headers), cors);
  const chunked = answer.framing === 'chunked' || answer.framing === 'close';
  return writeHead(answer.status, headers, chunked, ending);
}

/** A refusal, head and body. */
export function refusal(exchange: RelayExchange, denial: Denial, cors: Cors, ending: AnswerEnding): Buffer[] {
  const { status, headers, body } = renderRefusal(denial, exchange.resolution.operation.denial, requestIdOf(exchange));
  const bytes = Buffer.from(body);
  const whole = [...headers, ...corsHeaders(exchange.headers, cors), 'content-length', String(bytes.length)];
  const head = writeHead(status, whole, false, ending);
  return exchange.method === 'HEAD' || bytes.length === 0 ? [head] : [head, bytes];
}

function writeHead(status: number, headers: readonly string[], chunked: boolean, ending: AnswerEnding): Buffer {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
  let dated = false;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i] === 'date') dated = true;
    text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  }
  if (!dated) text += `Date: ${ending.date}\r\n`;
  if (ending.close) text += 'Connection: close\r\n';
  else text += `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(ending.keepAliveMs / 1_000)}\r\n`;
  if (chunked) text += 'Transfer-Encoding: chunked\r\n';
  return Buffer.from(`${text}\r\n`, 'latin1');
}
