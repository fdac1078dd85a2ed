import { fieldFault, isFieldValue, trailersFault } from '../../http2/field-syntax.ts';
import type { HeaderField } from '../../http2/hpack.ts';
import type { UpstreamCredential } from '../../upstream/credential.ts';
import type { PlainHead } from '../http1/request-head.ts';
import type { AnewHead } from '../relay/answer.ts';
import type { RestResolution } from '../resolve.ts';

/**
 * The head of one REST request over HTTP/2, decoded and checked. Strings hold one character per byte. Headers come without
 * pseudo-headers and with `cookie` fields joined; `host` is `:authority`, else `host`, and empty without either.
 */
export interface Http2Head extends PlainHead {
  /** `content-length` in bytes; -1 = none. */
  readonly announced: number;
  /** Expects `100 Continue` or something else. */
  readonly expects: string | undefined;
  /** Results of earlier requests with the same header block; see `KnownRequest`. */
  known: KnownRequest | undefined;
}

/** The resolution of a repeated head. */
export interface KnownRequest {
  readonly resolution: RestResolution;
  /** Whether upstream had its web UI then: the meaning of `/dashboard` depends on it. */
  readonly webUi: boolean;
  /** It is one that passes as bytes. */
  readonly plain: boolean;
  /** The HTTP/1.1 head that goes upstream for it, once one has, and the credential in it. */
  sent: Buffer | undefined;
  /** The authority in it. */
  sentTo: string;
  credential: UpstreamCredential | undefined;
  /** The same for a body that is made anew. */
  anew: AnewHead | undefined;
}

const PSEUDO = new Set([':method', ':scheme', ':path', ':authority']);
const LENGTH = /^\d{1,15}$/;

/** The parts of a head that are read field by field. */
interface Parts {
  readonly pseudo: Record<string, string>;
  readonly headers: string[];
  readonly cookies: string[];
  announced: number;
  coded: boolean;
  expects: string | undefined;
  host: string | undefined;
}

/**
 * Checks a decoded header list as RFC 9113 sections 8.2 and 8.3 ask. A string is the fault that makes the request malformed:
 * its stream is reset with PROTOCOL_ERROR. Everything that two readers could take differently once it is HTTP/1.1 is malformed.
 */
export function readHttp2Head(fields: readonly HeaderField[]): Http2Head | string {
  const parts: Parts = {
    pseudo: Object.create(null),
    headers: [],
    cookies: [],
    announced: -1,
    coded: false,
    expects: undefined,
    host: undefined,
  };
  for (const [name, value] of fields) {
    const fault = name.charCodeAt(0) === COLON ? takePseudo(parts, name, value) : takeField(parts, name, value);
    if (fault) return fault;
  }
  const { ':method': method, ':scheme': scheme, ':path': target, ':authority': authority } = parts.pseudo;
  if (!method || method === 'CONNECT') return 'method missing or not allowed';
  if (!scheme) return 'scheme missing';
  if (!target) return 'path missing';
  if (authority === '') return 'empty authority';
  if (authority !== undefined && parts.host !== undefined && authority.toLowerCase() !== parts.host.toLowerCase()) {
    return 'host other than the authority';
  }
  // RFC 9113 section 8.2.3
  if (parts.cookies.length > 0) parts.headers.push('cookie', parts.cookies.join('; '));
  const { headers, announced, coded, expects, host } = parts;
  return {
    ...{ method, target, headers, announced, coded, expects, known: undefined, close: false, length: 0 },
    host: authority ?? host ?? '',
    contentLength: Math.max(0, announced),
  };
}

const COLON = 0x3a;

function takePseudo({ pseudo, headers, cookies }: Parts, name: string, value: string): string | undefined {
  if (!PSEUDO.has(name)) return 'unknown pseudo-header';
  if (headers.length > 0 || cookies.length > 0) return 'pseudo-header after a regular header';
  if (pseudo[name] !== undefined) return 'pseudo-header given twice';
  if (!isFieldValue(value)) return 'malformed pseudo-header value';
  pseudo[name] = value;
  return undefined;
}

function takeField(parts: Parts, name: string, value: string): string | undefined {
  const fault = requestFieldFault(name, value);
  if (fault) return fault;
  switch (name) {
    case 'cookie':
      parts.cookies.push(value);
      return undefined;
    case 'content-length':
      if (!LENGTH.test(value)) return 'malformed content-length';
      if (parts.announced >= 0) return 'content-length given twice';
      parts.announced = Number(value);
      break;
    case 'content-encoding':
      parts.coded = true;
      break;
    case 'expect':
      parts.expects = value;
      break;
    case 'host':
      if (parts.host !== undefined) return 'host given twice';
      parts.host = value;
      break;
  }
  parts.headers.push(name, value);
  return undefined;
}

/** Blanks around a value are not allowed (RFC 9113 section 8.2.1). */
const PADDED = /^[ \t]|[ \t]$/;

function requestFieldFault(name: string, value: string): string | undefined {
  const fault = fieldFault(name, value);
  if (fault) return fault;
  if (PADDED.test(value)) return 'blank around a header value';
  if (name === 'te' && value !== 'trailers') return 'te other than trailers';
  return undefined;
}

/** Checks the fields behind a request body, which are then dropped: they are never merged into the head. */
export function trailerFault(fields: readonly HeaderField[]): string | undefined {
  return trailersFault(fields, requestFieldFault);
}
