import { REMOVED_HEADERS } from '../../exchange/removed-headers.ts';
import { isReplaced } from '../../exchange/request-id.ts';
import { fieldFault, isFieldValue, lengthIn, trailersFault } from '../../http2/field-syntax.ts';
import type { HeaderField } from '../../http2/hpack.ts';
import { CREDENTIAL_HEADERS } from '../../identity/credential.ts';
import { forwardedNode } from '../../net/addresses.ts';
import type { UpstreamCredential } from '../../upstream/credential.ts';

/** The head of one request, decoded and checked. Strings hold one character per byte. */
export interface RequestHead {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  /** Name, value, name, value, in order, without pseudo-headers. Credentials are read from it. */
  readonly rawHeaders: readonly string[];
  /** The same fields with their never-indexed mark, for upstream. */
  readonly fields: readonly HeaderField[];
  /** The first `grpc-encoding`; `undefined` = none. */
  readonly encoding: string | undefined;
  /** `content-length`, or -1. */
  readonly contentLength: number;
  /**
   * The HEADERS frame for upstream, cached after the first use, and the credential in it. Its stream id and END_STREAM flag
   * are meaningless.
   */
  sent: Buffer | undefined;
  credential: UpstreamCredential | undefined;
}

const PSEUDO = new Set([':method', ':scheme', ':path', ':authority']);

/**
 * Checks a decoded header list (RFC 9113 sections 8.2 and 8.3). A string is the fault: the stream is reset with
 * PROTOCOL_ERROR and nothing is forwarded.
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
      const length = lengthIn(value);
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
    credential: undefined,
  };
}

/** Checks request trailers, which are then dropped: they have no meaning here and are never merged. */
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

const NOT_SENT_ON = new Set([...REMOVED_HEADERS, 'host', 'te']);
/** The credential of the caller, which goes upstream where upstream asks for it. */
const CREDENTIALS = new Set(CREDENTIAL_HEADERS);

/** Some readers treat an underscore as a dash, so a removed name is removed in that spelling, too. */
function dashed(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name;
}

/** The parts of an upstream request that come from the gateway. */
export interface OwnFields {
  readonly authority: string;
  /** Address of the client, and whether it uses TLS. */
  readonly remote: string;
  readonly tls: boolean;
  /** Shown to upstream instead of the credential of the caller. */
  readonly credential: UpstreamCredential;
  /** Name, value, ...; the client's fields of these names are dropped. */
  readonly added: readonly string[];
}

/** The header list for upstream: the client's, with the credential that upstream sees and the client's address. */
export function upstreamFields(head: RequestHead, own: OwnFields): HeaderField[] {
  const { credential, added } = own;
  const keepsOwn = credential.kind === 'callers';
  const fields: HeaderField[] = [
    [':method', head.method],
    [':scheme', 'http'],
    [':path', head.path],
    [':authority', own.authority],
    ['te', 'trailers'],
  ];
  for (const field of head.fields) {
    const [name] = field;
    if (keepsOwn && CREDENTIALS.has(name)) fields.push(field);
    else if (!NOT_SENT_ON.has(dashed(name)) && !isReplaced(added, name)) fields.push(field);
  }
  fields.push(['x-forwarded-for', forwardedNode(own.remote)], ['x-forwarded-proto', own.tls ? 'https' : 'http']);
  addFields(fields, added);
  addFields(fields, credential.forwarded);
  return fields;
}

/** Adds name, value, name, value. */
export function addFields(fields: HeaderField[], added: readonly string[]): void {
  for (let i = 0; i + 1 < added.length; i += 2) fields.push([added[i] ?? '', added[i + 1] ?? '']);
}
