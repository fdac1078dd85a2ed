import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { REST_OPERATIONS } from '../../../src/operations/rest.ts';
import type { RestOperation } from '../../../src/policy/operation.ts';
import { KEYS } from '../gateway.ts';
import { collectionName, Draw, principal, type TestPrincipal } from './arbitraries.ts';
import { namingBody, plainBody, writeJson } from './json.ts';
import { BAD_CREDENTIAL, NO_CREDENTIAL, namesInJson, rowOf, SERVED, type Verdict, verdictOf } from './oracle.ts';

/** One request as a client would send it, and what is known of how it was made. */
export interface RestCase {
  readonly method: string;
  /** Decoded segments. */
  readonly segments: readonly string[];
  /** With its question mark; empty = none. */
  readonly query: string;
  /** Segments and query as sent: with escapes, spare slashes, perhaps a fragment. */
  readonly target: string;
  readonly principal: TestPrincipal;
  /** The principal's own header first among equals, then what must not matter. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The body before its coding; `undefined` = none. */
  readonly text: string | undefined;
  /** As sent. */
  readonly body: Buffer | undefined;
}

/** A request that may be refused for a form the gateway does not judge; its text is the gateway's own. */
export const REFUSED_FORM: Verdict = 'refused for its form';
/** A route the table does not hold: an empty 404. */
const UNKNOWN: Verdict = '';

/** What is to become of a request: by a naive match of the path, and the body parsed whole. */
export function expectedVerdict(one: RestCase): Verdict {
  const row = rowOf(REST_OPERATIONS, one.method, one.segments);
  if (row?.requires.scope === 'public') return SERVED;
  const { grant, credential } = one.principal;
  if (grant === undefined) return credential === undefined ? NO_CREDENTIAL : BAD_CREDENTIAL;
  if (!row) return grant === 'm' ? SERVED : UNKNOWN;
  const at = row.path.split('/').indexOf('{collection}') - 1;
  const target = at < 0 ? undefined : one.segments[at];
  const alone = verdictOf(grant, row.requires, target, []);
  if (alone !== SERVED || row.inspect === undefined || typeof grant === 'string') return alone;
  const others = namesInJson(row.inspect, one.text ?? 'null');
  return others === undefined ? REFUSED_FORM : verdictOf(grant, row.requires, target, others);
}

/** Rows that can name other collections come up more often, for their bodies are what is hard. */
const INSPECTED_ROWS = REST_OPERATIONS.filter((row) => row.inspect !== undefined);
const STRANGE_PATHS = [
  '/nope/{x}',
  '/collections/{collection}/points/query/more',
  '/shards',
  '/collections/{collection}/x',
];

/** Decides for the first and simplest every time. */
const PLAINLY = new Draw({ seed: 0, length: 0 });

export function restCase(draw: Draw): RestCase {
  const row = draw.oneIn(2) ? draw.of(INSPECTED_ROWS) : draw.of(REST_OPERATIONS);
  const strange = draw.oneIn(15);
  const path = strange ? draw.of(STRANGE_PATHS) : row.path;
  const segments = path
    .split('/')
    .slice(1)
    .filter((part) => part !== '')
    .map((part) => parameter(draw, part));
  const query = draw.of([
    '',
    '?wait=true',
    `?api-key=${KEYS.admin}&api_key=${KEYS.admin}`,
    '?a=%2F..%2f&&b==?/../x',
    '?',
  ]);
  const open = row.requires.scope === 'public' && !strange;
  const method = strange ? draw.of(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) : row.method;
  // Every third request is as the official clients write it.
  const plain = draw.oneIn(3);
  const target = (open ? `/${segments.join('/')}` : writePath(plain ? PLAINLY : draw, segments)) + query;
  const who = principal(draw);
  const text = bodyText(draw, row);
  const { body, coding } =
    text === undefined ? { body: undefined, coding: undefined } : coded(plain ? PLAINLY : draw, text);
  const headers = headersOf(plain ? PLAINLY : draw, who, text === undefined ? undefined : { coding });
  return {
    method,
    segments,
    query,
    target: target + (plain ? '' : draw.of(['', '', '', '#x?y'])),
    principal: who,
    headers,
    text,
    body,
  };
}

function parameter(draw: Draw, part: string): string {
  switch (part) {
    case '{collection}':
      return collectionName(draw);
    case '{tail}':
      return draw.of(['index.html', 'logo.svg']);
    default:
      if (!part.startsWith('{')) return part;
      return draw.of(['0', '17', 'näme', 'a b', 'x%y', 'collections', 'a;b']);
  }
}

const MAY_STAND = /[!$&'()*+,;=:@A-Za-z0-9._~"\\-]/;

/** One segment in one of its many spellings. */
export function writeSegment(draw: Draw, segment: string): string {
  const rarely = draw.below(4) + 1;
  let written = '';
  for (const char of segment) {
    if (MAY_STAND.test(char) && !draw.oneIn(rarely + 1)) written += char;
    else for (const byte of Buffer.from(char)) written += escaped(draw, byte);
  }
  return written;
}

function escaped(draw: Draw, byte: number): string {
  const hex = byte.toString(16).padStart(2, '0');
  return `%${draw.oneIn(2) ? hex.toUpperCase() : hex}`;
}

/** A path in one of its many spellings: escapes anywhere, runs of slashes, slashes at the end. */
export function writePath(draw: Draw, segments: readonly string[]): string {
  const slashes = (): string => (draw.oneIn(8) ? '/'.repeat(draw.below(3) + 1) : '/');
  const path = segments.map((segment) => slashes() + writeSegment(draw, segment)).join('');
  return draw.oneIn(8) || path === '' ? `${path}${slashes()}` : path;
}

function bodyText(draw: Draw, row: RestOperation): string | undefined {
  if (row.inspect) return writeJson(draw, namingBody(draw, row.inspect));
  if (row.body === 'none') return draw.oneIn(10) ? writeJson(draw, plainBody(draw)) : undefined;
  if (row.body === 'multipart')
    return '--x\r\nContent-Disposition: form-data; name="snapshot"\r\n\r\n\u0001\u0002\r\n--x--\r\n';
  return writeJson(draw, plainBody(draw));
}

const CODERS: readonly (readonly [name: string, code: (body: Buffer) => Buffer])[] = [
  ['identity', (body) => body],
  ['gzip', (body) => gzipSync(body)],
  ['Deflate', (body) => deflateSync(body)],
  ['br', (body) => brotliCompressSync(body, { params: { 1: 1 } })],
  ['ZSTD', (body) => zstdCompressSync(body)],
];

function coded(draw: Draw, text: string): { body: Buffer; coding: string | undefined } {
  const plain = Buffer.from(text);
  if (!draw.oneIn(4)) return { body: plain, coding: undefined };
  const [coding, code] = draw.of(CODERS);
  return { body: code(plain), coding };
}

/** Taken out on the way, with `_` for `-` as well. */
const TAKEN: readonly (readonly [string, string])[] = [
  ['cookie', `api-key=${KEYS.admin}; authorization=Bearer ${KEYS.admin}`],
  ['x-forwarded-for', '10.0.0.1'],
  ['X_Forwarded_For', '10.0.0.2'],
  ['x-forwarded-host', 'evil.example'],
  ['x-forwarded-proto', 'http'],
  ['x-forwarded-uri', '/healthz'],
  ['forwarded', 'for=10.0.0.1'],
  ['x-real-ip', '10.0.0.1'],
  ['x-original-url', '/healthz'],
  ['x-rewrite-url', '/collections'],
  ['x-http-method-override', 'GET'],
  ['x-method-override', 'GET'],
  ['api_key', KEYS.admin],
  ['keep-alive', 'timeout=5'],
  ['proxy-authorization', `Bearer ${KEYS.admin}`],
];
const TAKEN_NAMES = new Set([
  ...TAKEN.map(([name]) => name.toLowerCase()),
  ...['api-key', 'authorization', 'connection', 'x-dropped'],
]);

/** Arrive as they were sent, and decide nothing. */
const KEPT: readonly (readonly [string, string])[] = [
  ['x-api-key', KEYS.admin],
  ['api-key-bin', KEYS.admin],
  ['x-openai-api-key', 'sk-something'],
  ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  ['user-agent', 'qdrant-client/1.18 (odd;  spaces)'],
  ['accept', '*/*'],
  ['x-twice', 'one'],
  ['x-twice', 'two'],
];
const CONTENT_TYPES = [
  'application/json',
  'text/plain',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-16',
];

function headersOf(
  draw: Draw,
  { credential }: TestPrincipal,
  content: { readonly coding: string | undefined } | undefined,
): (readonly [string, string])[] {
  const own: (readonly [string, string])[] = credential ? [credential] : [];
  if (content && !draw.oneIn(6)) own.push(['content-type', draw.of(CONTENT_TYPES)]);
  if (content?.coding !== undefined) own.push(['content-encoding', content.coding]);
  const noise = draw.some(5, () => draw.of(draw.oneIn(2) ? TAKEN : KEPT));
  if (credential?.[0] === 'api-key' && draw.oneIn(2)) noise.push(['authorization', `Bearer ${KEYS.admin}`]);
  const listed = draw.oneIn(6) ? [['Connection', 'X-Dropped, close'] as const, ['x-dropped', '1'] as const] : [];
  // Only the first of its name counts, so a better one may stand anywhere behind it.
  const late = credential && draw.oneIn(3) ? [[credential[0], `Bearer ${KEYS.admin}`] as const] : [];
  return [...draw.shuffled([...own, ...noise, ...listed]), ...late].map(([name, value]) => [
    anyCase(draw, name),
    value,
  ]);
}

function anyCase(draw: Draw, name: string): string {
  return draw.of([name, name, name.toUpperCase(), name.replace(/^./, (first) => first.toUpperCase())]);
}

/** What the hop to upstream itself puts there. */
const HOP = ['host', 'connection', 'content-length', 'transfer-encoding'];
const OF_GATEWAY = new Set([...HOP, 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-real-ip']);

type Headers = readonly (readonly [name: string, value: string])[];

/** The headers of a request that have to arrive, sorted by name; equal names keep their order. */
export function toArrive(sent: Headers): Headers {
  return sorted(sent.filter(([name]) => !TAKEN_NAMES.has(name.toLowerCase())));
}

/** What has arrived, in the same order, without what the gateway says itself. */
export function arrivedOf(headers: Headers): Headers {
  return sorted(headers.filter(([name]) => !OF_GATEWAY.has(name.toLowerCase())));
}

function sorted(headers: Headers): Headers {
  return headers
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
}
