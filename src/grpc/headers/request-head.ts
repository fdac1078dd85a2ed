import { isReplaced } from '../../exchange/request-id.ts';
import { fieldFault, isFieldValue, trailersFault } from '../../http2/field-syntax.ts';
import type { HeaderField } from '../../http2/hpack.ts';

/** The head of one request, decoded and checked. Strings hold one character per byte. */
export interface RequestHead {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  /** Name, value, name, value, in order, without pseudo-headers: what credentials are read from. */
  readonly rawHeaders: readonly string[];
  /** The same fields with their never-indexed mark, to be sent on. */
  readonly fields: readonly HeaderField[];
  /** The first `grpc-encoding`; `undefined` = none. */
  readonly encoding: string | undefined;
  /** `content-length`, or -1. */
  readonly contentLength: number;
  /** The HEADERS frame that goes upstream for it, once one has; on which stream, and whether it ends it, is of no meaning. */
  sent: Buffer | undefined;
}

const PSEUDO = new Set([':method', ':scheme', ':path', ':authority']);

/**
 * Checks a decoded header list as RFC 9113 section 8.2 and 8.3 ask. A string tells what is malformed: the stream is then
 * reset with PROTOCOL_ERROR and nothing is sent on.
 */
export function readRequestHead(fields: readonly HeaderField[]): RequestHead | string {
  const pseudo: Record<string, string> = Object.create(null);
  const rest: HeaderField[] = [];
  const rawHeaders: string[] = [];
  let encoding: string | undefined;
  let contentLength = -1;
  for (const field of fields) {
    const [name, value] = field;
    if (name.charCodeAt(0) === 0x3a) {
      const fault = pseudoFault(name, pseudo, rest.length);
      if (fault) return fault;
      if (!isFieldValue(value)) return 'malformed pseudo-header value';
      pseudo[name] = value;
      continue;
    }
    const fault = requestFieldFault(name, value);
    if (fault) return fault;
    if (name === 'grpc-encoding') encoding ??= value;
    if (name === 'content-length') {
      const length = /^\d{1,15}$/.test(value) ? Number(value) : -2;
      if (length === -2 || (contentLength >= 0 && contentLength !== length)) return 'malformed content-length';
      contentLength = length;
    }
    rest.push(field);
    rawHeaders.push(name, value);
  }
  const method = pseudo[':method'];
  const path = pseudo[':path'];
  const scheme = pseudo[':scheme'];
  if (!method || method === 'CONNECT') return 'method missing or not allowed';
  if (!scheme) return 'scheme missing';
  if (path === undefined || !isPath(path)) return 'path missing or malformed';
  return {
    method,
    scheme,
    authority: pseudo[':authority'] ?? '',
    path,
    rawHeaders,
    fields: rest,
    encoding,
    contentLength,
    sent: undefined,
  };
}

/** Fields a client sends behind its body: checked, then dropped (request trailers give nothing and are never merged). */
export function trailerFault(fields: readonly HeaderField[]): string | undefined {
  return trailersFault(fields, requestFieldFault);
}

function pseudoFault(name: string, seen: Record<string, string>, regular: number): string | undefined {
  if (!PSEUDO.has(name)) return 'unknown pseudo-header';
  if (regular > 0) return 'pseudo-header after a regular header';
  if (seen[name] !== undefined) return 'pseudo-header given twice';
  return undefined;
}

function requestFieldFault(name: string, value: string): string | undefined {
  const fault = fieldFault(name, value);
  if (fault) return fault;
  if (name === 'te' && value !== 'trailers') return 'te other than trailers';
  return undefined;
}

function isPath(path: string): boolean {
  if (path.charCodeAt(0) !== 0x2f) return false;
  for (let i = 1; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code <= 0x20 || code >= 0x7f) return false;
  }
  return true;
}

/** Removed on the way: credentials, and what only the gateway may say about the client. */
const NOT_SENT_ON = new Set([
  'api-key',
  'authorization',
  'forwarded',
  'host',
  'te',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
]);

/** Some readers take an underscore for a dash; a name that could be taken for a removed one is removed as well. */
function dashed(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name;
}

/**
 * The header list that goes upstream: the client's without credentials, with the real peer named.
 *
 * @param added name, value, ... of ours; what the client says under these names is not sent
 */
export function upstreamFields(
  head: RequestHead,
  authority: string,
  peer: string,
  tls: boolean,
  added: readonly string[] = [],
): HeaderField[] {
  const fields: HeaderField[] = [
    [':method', head.method],
    [':scheme', 'http'],
    [':path', head.path],
    [':authority', authority],
    ['te', 'trailers'],
  ];
  for (const field of head.fields) {
    const [name] = field;
    if (!NOT_SENT_ON.has(dashed(name)) && !isReplaced(added, name)) fields.push(field);
  }
  fields.push(['x-forwarded-for', peer], ['x-forwarded-proto', tls ? 'https' : 'http']);
  for (let i = 0; i + 1 < added.length; i += 2) fields.push([added[i] ?? '', added[i + 1] ?? '']);
  return fields;
}
