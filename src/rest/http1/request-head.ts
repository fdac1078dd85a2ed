/** Limits of a plain request head. */
export interface HeadLimits {
  /** Size of the head, in bytes, its blank line included. */
  readonly maxBytes: number;
  /** Header fields. */
  readonly maxFields: number;
}

/** A request head in which no two readers can see different things. */
export interface PlainHead {
  readonly method: string;
  /** Origin form: unreserved characters, `%` and single slashes, then a query of visible ASCII as it came. */
  readonly target: string;
  /** Name, value, name, value, in order, names as they were written. */
  readonly headers: readonly string[];
  readonly host: string;
  /** Bytes of the body; 0 = none. */
  readonly contentLength: number;
  /** The client asked for the end of the connection. */
  readonly close: boolean;
  /** Has a `Content-Encoding`. */
  readonly coded: boolean;
  /** Length of the head in bytes, its blank line included. */
  readonly length: number;
}

/** `incomplete`: plain so far. `odd`: not plain, or larger than the limit: left to `node:http`. */
export type HeadReading = PlainHead | 'incomplete' | 'odd';

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const COLON = 0x3a;
const LAST_VISIBLE = 0x7e;

const TOKEN = 1;
const PATH = 2;
const QUERY = 4;
const PERCENT = 0x25;
const SLASH = 0x2f;
const DOT = 0x2e;
const QUESTION = 0x3f;

/** RFC 9110 section 5.6.2 tokens; RFC 3986 unreserved; and what `head.ts` lets stand in a target, without `#`. */
const CLASS = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  const code = char.charCodeAt(0);
  CLASS[code] = /[-._~0-9A-Za-z]/.test(char) ? TOKEN | PATH : TOKEN;
}
for (let code = 0x21; code <= LAST_VISIBLE; code++) {
  if (!'#<>^`'.includes(String.fromCharCode(code))) CLASS[code] = (CLASS[code] ?? 0) | QUERY;
}
// Escapes are left to `resolve`: a path passes as it came only where that writes the very same escapes.
CLASS[PERCENT] = (CLASS[PERCENT] ?? 0) | PATH;

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'];
const VERSION = Buffer.from(' HTTP/1.1\r\n', 'latin1');
const MAX_LENGTH_DIGITS = 15;
/** A name or an address, and a port. */
const HOST = /^(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/** Where the parts of the head that is being read begin and end: name start, name end, value start, value end. */
let marks = new Int32Array(4 * 128);

/**
 * Reads a request head from the start of `bytes`, strictly: CRLF line ends only, no folding, no control or raw bytes, no
 * transfer coding, expectation or upgrade, one host, at most one credential and one decimal length. Pure.
 *
 * INVARIANT: never plain when another HTTP/1.1 reader could see another method, target, header or body length in it.
 */
export function readRequestHead(bytes: Buffer, limits: HeadLimits): HeadReading {
  const end = Math.min(bytes.length, limits.maxBytes);
  const short: HeadReading = bytes.length >= limits.maxBytes ? 'odd' : 'incomplete';
  const method = readMethod(bytes, end);
  if (method === undefined) return 'odd';
  if (method === '') return short;
  const from = method.length + 1;
  const to = endOfTarget(bytes, from, end);
  if (to < 0) return 'odd';
  for (let i = 0; i < VERSION.length; i++) {
    if (to + i >= end) return short;
    if (bytes[to + i] !== VERSION[i]) return 'odd';
  }
  if (marks.length < limits.maxFields * 4) marks = new Int32Array(limits.maxFields * 4);
  let at = to + VERSION.length;
  let fields = 0;
  while (at < end && bytes[at] !== CR) {
    if (fields >= limits.maxFields) return 'odd';
    at = readField(bytes, at, end, fields * 4);
    if (at === ODD) return 'odd';
    if (at === SHORT) return short;
    fields += 1;
  }
  if (at + 1 >= end) return short;
  if (bytes[at + 1] !== LF) return 'odd';
  return toHead(bytes.toString('latin1', 0, at + 2), method, to, fields);
}

/** Empty = not whole yet, `undefined` = none that is known here. */
function readMethod(bytes: Buffer, end: number): string | undefined {
  for (const method of METHODS) {
    let at = 0;
    while (at < method.length && at < end && bytes[at] === method.charCodeAt(at)) at += 1;
    if (at === end) return '';
    if (at === method.length) return bytes[at] === SPACE ? method : undefined;
  }
  return undefined;
}

/** The offset of what follows the target; -1 = not plain. */
function endOfTarget(bytes: Buffer, from: number, end: number): number {
  let at = from;
  let segment = from;
  if (at < end && bytes[at] !== SLASH) return -1;
  for (; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === SLASH) {
      if (at > from && isOddSegment(bytes, segment, at)) return -1;
      segment = at + 1;
    } else if (((CLASS[byte] as number) & PATH) === 0) {
      break;
    }
  }
  if (at === end) return end;
  if (bytes[at] !== SPACE && bytes[at] !== QUESTION) return -1;
  if (at > from + 1 && isOddSegment(bytes, segment, at)) return -1;
  while (at < end && ((CLASS[bytes[at] as number] as number) & QUERY) !== 0) at += 1;
  return at;
}

/** Empty, or a dot segment. */
function isOddSegment(bytes: Buffer, from: number, to: number): boolean {
  const length = to - from;
  if (length === 0) return true;
  return length <= 2 && bytes[from] === DOT && bytes[to - 1] === DOT;
}

const ODD = -1;
const SHORT = -2;

/** Reads one header line into `marks`; the offset of the next one, or `ODD` or `SHORT`. */
function readField(bytes: Buffer, start: number, end: number, mark: number): number {
  let at = start;
  while (at < end && ((CLASS[bytes[at] as number] as number) & TOKEN) !== 0) at += 1;
  if (at === end) return SHORT;
  if (at === start || bytes[at] !== COLON) return ODD;
  marks[mark] = start;
  marks[mark + 1] = at;
  at += 1;
  while (at < end && bytes[at] === SPACE) at += 1;
  marks[mark + 2] = at;
  while (at < end && (bytes[at] as number) >= SPACE && (bytes[at] as number) <= LAST_VISIBLE) at += 1;
  if (at === end) return SHORT;
  if (bytes[at] !== CR) return ODD;
  if (at + 1 === end) return SHORT;
  if (bytes[at + 1] !== LF) return ODD;
  let last = at;
  while (last > (marks[mark + 2] as number) && bytes[last - 1] === SPACE) last -= 1;
  marks[mark + 3] = last;
  return at + 2;
}

/** The headers that frame or authorize the request, complete after the last header. */
interface Framing {
  host: string | undefined;
  credentials: number;
  connections: number;
  lengths: number;
  contentLength: number;
  close: boolean;
  coded: boolean;
  odd: boolean;
}

function toHead(text: string, method: string, targetEnd: number, fields: number): HeadReading {
  const headers: string[] = [];
  const framing: Framing = {
    host: undefined,
    credentials: 0,
    connections: 0,
    lengths: 0,
    contentLength: 0,
    close: false,
    coded: false,
    odd: false,
  };
  for (let mark = 0; mark < fields * 4; mark += 4) {
    const name = text.slice(marks[mark], marks[mark + 1]);
    const value = text.slice(marks[mark + 2], marks[mark + 3]);
    note(framing, name, value);
    headers.push(name, value);
  }
  const { host, credentials, connections, lengths, contentLength, close, coded } = framing;
  if (framing.odd || host === undefined || credentials > 1 || connections > 1 || lengths > 1) return 'odd';
  const target = text.slice(method.length + 1, targetEnd);
  return { method, target, headers, host, contentLength, close, coded, length: text.length };
}

/** Only the lengths of the names that matter are looked at. */
function note(framing: Framing, name: string, value: string): void {
  switch (name.length) {
    case 4:
      if (name.toLowerCase() === 'host') noteHost(framing, value);
      break;
    case 6:
      if (name.toLowerCase() === 'expect') framing.odd = true;
      break;
    case 7:
      noteSeven(framing, name.toLowerCase());
      break;
    case 10:
      if (name.toLowerCase() === 'connection') noteConnection(framing, value.toLowerCase());
      break;
    case 13:
      if (name.toLowerCase() === 'authorization') framing.credentials += 1;
      break;
    case 14:
      if (name.toLowerCase() === 'content-length') noteLength(framing, value);
      break;
    case 16:
      if (name.toLowerCase() === 'content-encoding') framing.coded = true;
      break;
    case 17:
      if (name.toLowerCase() === 'transfer-encoding') framing.odd = true;
      break;
  }
}

function noteHost(framing: Framing, value: string): void {
  if (framing.host !== undefined || !HOST.test(value)) framing.odd = true;
  framing.host = value;
}

function noteSeven(framing: Framing, name: string): void {
  if (name === 'api-key') framing.credentials += 1;
  else if (name === 'upgrade' || name === 'trailer') framing.odd = true;
}

function noteConnection(framing: Framing, value: string): void {
  framing.connections += 1;
  if (value === 'close') framing.close = true;
  else if (value !== 'keep-alive') framing.odd = true;
}

function noteLength(framing: Framing, value: string): void {
  framing.lengths += 1;
  if (value.length === 0 || value.length > MAX_LENGTH_DIGITS || (value.length > 1 && value[0] === '0')) {
    framing.odd = true;
    return;
  }
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) framing.odd = true;
    length = length * 10 + digit;
  }
  framing.contentLength = length;
}
