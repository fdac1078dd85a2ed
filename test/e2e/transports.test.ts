import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import t from 'tap';
import { KEYS } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { collectionToken } from '../support/tokens.ts';
import { onEveryTransport, type Seen, Witness } from '../support/transports/alike.ts';
import type { SentRequest } from '../support/transports/request.ts';
import { openTransports, UNCHANGED } from '../support/transports/transports.ts';

/*
 * The same request on every transport of REST: answer, what upstream gets, audit event and metric do not differ. What was
 * recorded of Qdrant is replayed so by the files named `verdicts-`; here stands what no recording holds.
 */

t.setTimeout(FILE_MS);
const witness = new Witness();
/** Whether the last exchange passed as bytes. */
let relayed = false;
const note = (exchange: object): void => {
  relayed = 'connection' in exchange;
};
const transports = await openTransports({
  observers: [witness.observe, note],
  upstream: UNCHANGED,
  settings: { 'gateway.limits.inspected_body_bytes': 1_048_576 },
});
t.teardown(() => transports.close());

type Headers = SentRequest['headers'];
type Named = readonly [name: string, request: SentRequest];

const CALLERS: Readonly<Record<string, Headers>> = {
  'the admin': [['api-key', KEYS.admin]],
  'a reader of one collection': [['authorization', `Bearer ${collectionToken('r', 'cities')}`]],
  'a global reader': [['api-key', KEYS.readOnly]],
  'a stranger': [],
};
const EACH = Object.entries(CALLERS);
const ADMIN = CALLERS['the admin'] ?? [];
const READER = CALLERS['a reader of one collection'] ?? [];
const JSON_BODY = ['content-type', 'application/json'] as const;
const get = (headers: Headers, target = '/collections/cities'): SentRequest => ({ method: 'GET', target, headers });
const numbered = (count: number): Headers => Array.from({ length: count }, (_, at) => [`x-${at}`, 'y'] as const);

const FIELDS: Readonly<Record<string, Headers>> = {
  'end-to-end headers': [
    ['user-agent', 'py'],
    ['x-a', '1'],
    ['traceparent', '00'],
    ['x-a', '2'],
  ],
  'bytes beyond ASCII': [['x-a', '\u00e4\u00ff']],
  'keys of others': [['openai-api-key', 's']],
  'two credentials': [
    ['authorization', 'Bearer x'],
    ['proxy-authorization', 'z'],
  ],
  'aliases of credentials': [
    ['api_key', 'x'],
    ['x_forwarded_for', '1'],
    ['x_real-ip', '2'],
  ],
  'claims about the peer': [
    ['x-forwarded-for', '9.9.9.9'],
    ['x-forwarded-proto', 'ftp'],
    ['forwarded', 'for=1'],
    ['x-forwarded-host', 'e'],
    ['via', '1.1 x'],
  ],
  'another target': [
    ['x-original-url', '/x'],
    ['x-rewrite-url', '/y'],
    ['x-http-method-override', 'DELETE'],
  ],
  trailers: [
    ['te', 'trailers'],
    ['trailer', 'x'],
  ],
  'names of the language': [
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ],
  'an origin': [['origin', 'http://o']],
  'conditions and ranges': [
    ['if-none-match', '"x"'],
    ['range', 'bytes=0-1'],
    ['accept-encoding', 'gzip'],
  ],
  'an empty value': [['x-b', '']],
  'a cookie': [['cookie', 'a=1; b=2']],
  'a type without a body': [['content-type', 'x/y']],
  'a length of nothing': [['content-length', '0']],
  'a coding of nothing': [['content-encoding', 'identity']],
  'an expectation': [['expect', '100-continue']],
  'another expectation': [['expect', 'other']],
  'settings of another version': [['http2-settings', 'x']],
  'a priority': [['priority', 'u=1']],
  'an id of its own': [['x-request-id', 'r-1']],
  'an id for tracing': [['x-tracing-id', 'r-2']],
  'as many headers as may be': numbered(90),
  'too many headers': numbered(110),
  'a header of 40 KB': [['x-a', 'b'.repeat(40_000)]],
};

const TARGETS = [
  ...['/', '/healthz', '/readyz', '/livez', '/metrics', '/telemetry', '/cluster', '/locks', '/issues', '/logger'],
  ...['/dashboard', '/dashboard/', '/dashboard/x.js', '/dashboard/..%2f', '/nope', '/stacktrace', '/snapshots'],
  ...['/collections', '/collections/', '/collections//cities', '/collections/cities?x=%00', '/collections/%63ities'],
  ...['/collections/ci%2fties', '/aliases', '/collections/cities/cluster', '/metrics?anonymize=1'],
];

const heads: readonly Named[] = [
  ...Object.entries(FIELDS).flatMap(([name, fields]): Named[] => [
    [`${name}, permitted`, get([...ADMIN, ...fields])],
    [`${name}, refused`, get([...READER, ...fields], '/collections/private')],
  ]),
  ...['FOO', 'TRACE', 'OPTIONS', 'HEAD', 'PATCH', 'PROPFIND', 'get'].flatMap((method): Named[] => [
    [`${method} of the admin`, { ...get(ADMIN), method }],
    [`${method} of a stranger`, { ...get([]), method }],
  ]),
  [
    'a preflight',
    {
      ...get([
        ['origin', 'http://o'],
        ['access-control-request-method', 'PUT'],
        ['access-control-request-headers', 'api-key, x'],
      ]),
      method: 'OPTIONS',
    },
  ],
  ['all of the server', { method: 'OPTIONS', target: '*', headers: ADMIN }],
  ...['a b', 'a@b', 'x:99999999', 'x:1:2', '[::1]:6333', "a'b", 'a/b'].map((host): Named => {
    return [`the host ${host}`, { ...get(ADMIN), host }];
  }),
  ...TARGETS.flatMap((target) =>
    EACH.flatMap(([who, headers]): Named[] => [
      [`GET ${target} as ${who}`, get(headers, target)],
      [`HEAD ${target} as ${who}`, { ...get(headers, target), method: 'HEAD' }],
      [
        `DELETE ${target} with a body as ${who}`,
        { ...get(headers, target), method: 'DELETE', body: Buffer.from('{}') },
      ],
    ]),
  ),
];

const TEXTS: Readonly<Record<string, string>> = {
  'of nothing': '',
  'of a blank': ' ',
  'of an object': '{}',
  'that is broken': '{"a":',
  'in array form': '[{"query":1}]',
  'that nests too deep': `{"filter":${'['.repeat(70)}${']'.repeat(70)}}`,
  'that names its own collection': '{"lookup_from":{"collection":"cities"}}',
  'that names another': '{"lookup_from":{"collection":"private"}}',
  'that hides a name': '{"lookup_\\u0066rom":{"collection":"private"}}',
  'that gives a name twice': '{"lookup_from":{"collection":"cities"},"lookup_from":{"collection":"private"}}',
  'of a NUL': '\0',
  'with a byte order mark': '\ufeff{}',
  'of 200 KB': `{"a":"${'x'.repeat(200_000)}"}`,
  'of 1.2 MB to be judged': `{"lookup_from":1,"a":"${'x'.repeat(1_200_000)}"}`,
};

const PLACES = [
  ...[
    'POST /collections/cities/points/query',
    'POST /collections/private/points/query',
    'PUT /collections/cities/points',
  ],
  ...['POST /collections/cities/points/scroll', 'POST /collections/cities/points/query/batch', 'POST /readyz'],
  ...[
    'POST /collections/aliases',
    'POST /collections/cities/snapshots/upload',
    'PUT /collections/cities/snapshots/recover',
  ],
];

const NAMES_ANOTHER = Buffer.from(TEXTS['that names another'] ?? '');
const CODINGS: readonly (readonly [coding: string, body: Buffer])[] = [
  ['gzip', gzipSync(NAMES_ANOTHER)],
  ['gzip', NAMES_ANOTHER],
  ['br', brotliCompressSync(NAMES_ANOTHER)],
  ['deflate', deflateSync(NAMES_ANOTHER)],
  ['x-gzip', gzipSync(NAMES_ANOTHER)],
  ['identity', NAMES_ANOTHER],
  ['gzip, gzip', gzipSync(gzipSync(NAMES_ANOTHER))],
  ['unknown', NAMES_ANOTHER],
  ['gzip', gzipSync(Buffer.alloc(5_000_000, ' '))],
];

const bodies: readonly Named[] = [
  ...Object.entries(TEXTS).flatMap(([name, text]) =>
    PLACES.flatMap((place) =>
      EACH.map(([who, headers]): Named => {
        const [method = '', target = ''] = place.split(' ');
        const request = { method, target, headers: [...headers, JSON_BODY], body: Buffer.from(text) };
        return [`a body ${name}, ${place} as ${who}`, request];
      }),
    ),
  ),
  ...CODINGS.flatMap(([coding, body], at) =>
    EACH.map(([who, headers]): Named => {
      const coded = [...headers, JSON_BODY, ['content-encoding', coding] as const];
      const request = { method: 'POST', target: '/collections/cities/points/query', headers: coded, body };
      return [`a body in ${coding} (${at + 1}) as ${who}`, request];
    }),
  ),
];

t.test('each transport is the one it is named after', async (t) => {
  for (const { name, send } of transports.all) {
    const { status } = await send(get(ADMIN, '/collections/cities/exists'));
    t.strictSame([status, relayed], [200, /relay|plain/.test(name)], name);
  }
});

for (const [what, cases] of Object.entries({ heads, bodies })) {
  t.test(`${what} come to the same on every transport`, async (t) => {
    const heard = await onEveryTransport(
      transports,
      witness,
      cases.map(([, request]) => request),
    );
    for (const [index, { differences }] of heard.entries()) t.strictSame(differences, [], cases[index]?.[0] ?? '');
    const statuses = new Set(heard.map(({ first }) => first.answer.status));
    for (const status of [200, 400, 401, 403]) t.ok(statuses.has(status), `some are ${status}`);
    t.comment(`${cases.length} requests, statuses ${[...statuses].sort().join(' ')}`);
  });
}

/** What HTTP/2 calls malformed, so that its stream is reset, and what comes of it over HTTP/1.1. */
const MALFORMED: readonly (readonly [name: string, request: SentRequest, http1: number])[] = [
  ['te other than trailers', get([...ADMIN, ['te', 'gzip']]), 404],
  ['blanks around a value', get([['api-key', `  ${KEYS.admin} `]]), 404],
  ['a NUL in a value', get([...ADMIN, ['x-a', 'b\0']]), 400],
  ['a length that is none', get([...ADMIN, ['content-length', 'x']]), 400],
  ['a length below nothing', get([...ADMIN, ['content-length', '-1']]), 400],
  ['two lengths', get([...ADMIN, ['content-length', '1'], ['content-length', '1']]), 400],
  ['CONNECT', { ...get(ADMIN), method: 'CONNECT' }, 405],
  ['an empty host', { ...get(ADMIN), host: '' }, 400],
];

t.test('what HTTP/2 calls malformed is reset there, and both transports of a version agree', async (t) => {
  const heard = await onEveryTransport(
    transports,
    witness,
    MALFORMED.map(([, request]) => request),
  );
  for (const [index, { seen }] of heard.entries()) {
    const [name = '', , http1 = 0] = MALFORMED[index] ?? [];
    const statuses = Object.values(seen).map(({ answer }: Seen) => answer.status || answer.body);
    t.strictSame(statuses, [http1, http1, 'reset 1', 'reset 1'], name);
    t.strictSame(seen['HTTP/1.1 server'], seen['HTTP/1.1 relay'], `${name}: over HTTP/1.1`);
    t.strictSame(seen['HTTP/2 server'], { ...seen['HTTP/2 plain'], upstream: [] }, `${name}: over HTTP/2`);
  }
});
