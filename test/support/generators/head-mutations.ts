import type { Draw } from './arbitraries.ts';

/** Header lines that frame, route or authorize in an odd way. */
const ODD_LINES = [
  'content-length: 2',
  'content-length: 0',
  'content-length:\t5',
  'content-length: 2, 2',
  'content-length: +2',
  'content-length : 2',
  'Content-Length: 00002',
  'transfer-encoding: chunked',
  'transfer-encoding: identity',
  'Transfer-Encoding: chunked, chunked',
  'transfer-encoding:\vchunked',
  'transfer-encoding: xchunked',
  'connection: close',
  'connection: keep-alive, x-n',
  'connection: content-length, api-key',
  'expect: 100-continue',
  'expect: nothing',
  'upgrade: h2c',
  'trailer: api-key',
  'host: other',
  'host : localhost',
  ' folded: a',
  '\tapi-key: main',
  'api-key: main',
  'API-KEY: listNone',
  'api_key: main',
  'content-encoding: gzip',
  'x-http-method-override: DELETE',
  'x-original-url: /collections/b',
  'no colon',
  ': no name',
  'x-a: \xe9\xff',
  `x-long: ${'y'.repeat(700)}`,
] as const;

const ODD_BYTES = [
  '\0',
  '\t',
  '\n',
  '\r',
  '\r\n',
  '\v',
  '\f',
  ' ',
  '  ',
  '\x1b',
  '\x7f',
  '\x80',
  '\xff',
  ':',
  ',',
  ';',
  '#',
  '%2e',
  '%00',
  '/../',
  '//',
  '\\',
];

/** What a client may send for the size and the frame of `{}` in one chunk. */
const CHUNKS = [
  '2\r\n{}\r\n0\r\n\r\n',
  '2;a=b\r\n{}\r\n0\r\n\r\n',
  '02\r\n{}\r\n000\r\n\r\n',
  '2 \r\n{}\r\n0\r\n\r\n',
  '0x2\r\n{}\r\n0\r\n\r\n',
  '2\n{}\n0\n\n',
  '2\r\n{}\r\n0\r\nx-late: 1\r\napi-key: main\r\n\r\n',
  '3\r\n{}\r\n0\r\n\r\n',
  '1\r\n{\r\n1\r\n}\r\n0\r\n\r\n',
  '2\r\n{}0\r\n\r\n',
  'ffffffffffffffff2\r\n{}\r\n0\r\n\r\n',
  '2\r\n{}\r\n-0\r\n\r\n',
] as const;

const LINES: readonly (readonly [method: string, target: string])[] = [
  ['GET', '/collections/a'],
  ['GET', '/collections/b'],
  ['GET', '/collections/a/exists?x=%20y'],
  ['GET', '/collections/%61'],
  ['GET', 'http://localhost/collections/a'],
  ['HEAD', '/collections/a'],
  ['DELETE', '/collections/a'],
  ['OPTIONS', '/collections/a'],
  ['PUT', '/collections/a/points'],
  ['PUT', '/collections/a/points?wait=true'],
  ['POST', '/collections/a/points/query'],
  ['POST', '/collections/a/points/scroll'],
  ['GET', '/healthz'],
  ['GET', '/unknown'],
];
const BODIES = [
  '{}',
  '{"query":1,"lookup_from":{"collection":"a"}}',
  '{"query":1,"lookup_from":{"collection":"b"}}',
  '',
  'GET /collections/b HTTP/1.1\r\n\r\n',
];
const PRINCIPALS = ['main', 'main', 'read', 'listA', 'listNone', 'wrong', undefined];

/** One request as a client writes it, one character per byte. It carries `number` in `x-n`. */
export function plainRequest(draw: Draw, number: number): string {
  const [method, target] = draw.of(LINES);
  const key = draw.of(PRINCIPALS);
  const lines = [`${method} ${target} HTTP/1.${draw.oneIn(12) ? 0 : 1}`, `x-n: ${number}`, 'host: localhost'];
  if (key !== undefined) lines.push(`api-key: ${key}`);
  if (draw.oneIn(4)) lines.push('user-agent: qdrant-client/1.18');
  let body = '';
  if (method === 'PUT' || method === 'POST' || draw.oneIn(8)) {
    lines.push('content-type: application/json');
    const chunked = draw.oneIn(3);
    body = chunked ? draw.of(CHUNKS) : draw.of(BODIES);
    lines.push(chunked ? 'transfer-encoding: chunked' : `content-length: ${body.length}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

type Mutation = (draw: Draw, text: string) => string;

const splice = (text: string, at: number, removed: number, added: string): string =>
  text.slice(0, at) + added + text.slice(at + removed);

/** A change of whole header lines. */
function ofLines(change: (draw: Draw, lines: string[], at: number) => void): Mutation {
  return (draw, text) => {
    const end = Math.max(0, text.indexOf('\r\n\r\n'));
    const lines = text.slice(0, end).split('\r\n');
    change(draw, lines, draw.below(lines.length));
    return lines.join('\r\n') + text.slice(end);
  };
}

const MUTATIONS: readonly Mutation[] = [
  (draw, text) => {
    const at = draw.below(text.length);
    return splice(text, at, 1, String.fromCharCode(text.charCodeAt(at) ^ (1 << draw.below(8))));
  },
  (draw, text) => splice(text, draw.below(text.length + 1), 0, draw.of(ODD_BYTES)),
  (draw, text) => splice(text, draw.below(text.length), 1, draw.of(ODD_BYTES)),
  (draw, text) => splice(text, draw.below(text.length), 1 + draw.below(3), ''),
  (draw, text) => text.slice(0, draw.below(text.length)),
  // Blanks, where blanks are.
  (draw, text) => {
    const at = text.indexOf(' ', draw.below(text.length));
    return at < 0 ? text : splice(text, at, 1, draw.of(['  ', '\t', ' \t', '', '   ']));
  },
  // Line ends, where line ends are.
  (draw, text) => {
    const at = text.indexOf('\r\n', draw.below(text.length));
    return at < 0 ? text : splice(text, at, 2, draw.of(['\n', '\r', '\r\r\n', '\n\r', '\r\n\r\n', '\r\n ']));
  },
  ofLines((draw, lines, at) => lines.splice(at, 0, lines[draw.below(lines.length)] ?? '')),
  ofLines((_draw, lines, at) => lines.splice(at, 1)),
  ofLines((draw, lines, at) => lines.splice(at, 0, ...lines.splice(draw.below(lines.length), 1))),
  ofLines((draw, lines) => lines.splice(1 + draw.below(lines.length), 0, draw.of(ODD_LINES))),
  ofLines((draw, lines) => lines.splice(1 + draw.below(lines.length), 0, draw.of(ODD_LINES))),
  ofLines((draw, lines, at) => {
    lines[at] = draw.oneIn(2) ? (lines[at] ?? '').toUpperCase() : (lines[at] ?? '').toLowerCase();
  }),
];

/** A request changed in one or two places; one in four is left as it is. */
export function mutatedRequest(draw: Draw, number: number): string {
  let text = plainRequest(draw, number);
  if (draw.oneIn(4)) return text;
  for (let left = 1 + draw.below(2); left > 0 && text.length > 0; left -= 1) text = draw.of(MUTATIONS)(draw, text);
  return text;
}
