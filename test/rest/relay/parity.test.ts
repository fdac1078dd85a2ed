import { readFileSync } from 'node:fs';
import t from 'tap';
import { exchangeRaw, recordingUpstream, startGateway, type TestGateway, testCertificate } from '../lane-fixture.ts';
import { ODD_ANSWERS, playing } from './odd-answers.ts';

/*
 * The same bytes to both lanes: what the client reads and what upstream gets may not differ.
 */

interface Answer {
  readonly line: string;
  readonly headers: readonly string[];
  readonly body: string;
}

/** All answers of a connection, headers in lower case and sorted, chunks joined; what is new each time is left out. */
function readAnswers(text: string): Answer[] {
  const answers: Answer[] = [];
  let rest = text;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    const [line = '', ...lines] = rest.slice(0, end).split('\r\n');
    const headers = lines.map((one) => {
      const [name = '', ...value] = one.split(': ');
      const fresh = /^(date|x-request-id)$/i.test(name);
      return `${name.toLowerCase()}: ${fresh ? '...' : value.join(': ')}`;
    });
    rest = rest.slice(end + 4);
    let body = '';
    const length = headers.find((one) => one.startsWith('content-length: '))?.slice(16);
    if (headers.includes('transfer-encoding: chunked')) [body, rest] = readChunks(rest);
    else if (length !== undefined) [body, rest] = [rest.slice(0, Number(length)), rest.slice(Number(length))];
    answers.push({ line, headers: headers.sort(), body });
  }
  return answers;
}

function readChunks(text: string): [body: string, rest: string] {
  let [body, rest] = ['', text];
  for (;;) {
    const end = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, end), 16);
    if (end < 0 || Number.isNaN(size)) return [`${body} cut`, ''];
    body += rest.slice(end + 2, end + 2 + size);
    rest = rest.slice(end + 4 + size);
    if (size === 0) return [body, rest];
  }
}

interface Case {
  readonly name: string;
  readonly bytes: string;
}

const MAIN = 'api-key: main\r\n';
const CLOSE = 'connection: close\r\n';
const get = (headers: string, target = '/collections/a'): string =>
  `GET ${target} HTTP/1.1\r\nhost: gateway.test\r\n${headers}\r\n`;
const post = (target: string, headers: string, body: string, method = 'POST'): string =>
  `${method} ${target} HTTP/1.1\r\nhost: gateway.test\r\ncontent-length: ${body.length}\r\n${headers}\r\n${body}`;

const HEADER_LINES: readonly (readonly [string, string])[] = [
  ['end-to-end headers', 'User-Agent: py\r\nX-A: 1\r\ntraceparent: 00\r\nX-A: 2\r\n'],
  ['bytes beyond ASCII', 'x-a: \u00e4\u00ff\r\n'],
  ['other keys', 'openai-api-key: s\r\n'],
  ['two credentials', 'Authorization: Bearer x\r\nproxy-authorization: z\r\n'],
  ['aliases of credentials', 'api_key: x\r\nApi_Key: y\r\nx_forwarded_for: 1\r\nX_Real-IP: 2\r\n'],
  [
    'forwarding headers',
    'X-Forwarded-For: 9.9.9.9\r\nx-forwarded-proto: ftp\r\nforwarded: for=1\r\nx-forwarded-host: e\r\n',
  ],
  ['other targets', 'X-Original-URL: /x\r\nx-rewrite-url: /y\r\nX-HTTP-Method-Override: DELETE\r\n'],
  ['hop-by-hop headers', 'te: trailers\r\nproxy-connection: close\r\nkeep-alive: 5\r\nhttp2-settings: x\r\n'],
  ['names of the language', '__proto__: x\r\nconstructor: y\r\n'],
  ['an origin', 'origin: http://o\r\n'],
  ['conditions and ranges', 'if-none-match: "x"\r\nrange: bytes=0-1\r\naccept-encoding: gzip\r\n'],
  ['blanks around values', 'x-a:    b  \r\nx-b:\r\nx-c:c\r\n'],
];

const QUERY = '/collections/a/points/query';
const deep = `{"filter":${'['.repeat(70)}${']'.repeat(70)}}`;
const own: readonly Case[] = [
  ...HEADER_LINES.map(([name, lines]) => ({ name, bytes: get(`${MAIN}${CLOSE}${lines}`) })),
  { name: 'Connection names headers', bytes: get(`${MAIN}connection: close, x-a\r\nx-a: 1\r\n`) },
  { name: 'no credential', bytes: get(CLOSE) },
  { name: 'a wrong credential', bytes: get(`api-key: wrong\r\n${CLOSE}`) },
  { name: 'a collection that is not listed', bytes: get(`api-key: listA\r\n${CLOSE}`, '/collections/b') },
  { name: 'a denial in text', bytes: get(`api-key: listA\r\n${CLOSE}`, '/snapshots/x') },
  { name: 'an unknown route', bytes: get(`api-key: listA\r\n${CLOSE}`, '/nope') },
  { name: 'an unlisted route for the admin', bytes: get(`${MAIN}${CLOSE}`, '/nope') },
  { name: 'an open route', bytes: get(CLOSE, '/readyz') },
  { name: 'the collections of a list', bytes: get(`api-key: listA\r\n${CLOSE}`, '/collections') },
  { name: 'telemetry', bytes: get(`${MAIN}${CLOSE}`, '/telemetry') },
  { name: 'a denial with an origin', bytes: get(`origin: http://o\r\n${CLOSE}`) },
  { name: 'a preflight', bytes: get(`${CLOSE}`).replace('GET', 'OPTIONS') },
  { name: 'HEAD', bytes: get(`${MAIN}${CLOSE}`).replace('GET', 'HEAD') },
  { name: 'a body', bytes: post('/collections/a/points', `${MAIN}${CLOSE}`, '{"points":[]}', 'PUT') },
  { name: 'a body of nothing', bytes: post('/collections/a/points', `${MAIN}${CLOSE}`, '', 'PUT') },
  {
    name: 'a method with a body, without one',
    bytes: get(`${MAIN}${CLOSE}`, '/collections/a/points/scroll').replace('GET', 'POST'),
  },
  { name: 'a body on GET', bytes: `${get(`${MAIN}${CLOSE}content-length: 2\r\n`)}{}` },
  { name: 'a body on DELETE', bytes: post('/collections/a', `${MAIN}${CLOSE}`, '{}', 'DELETE') },
  { name: 'a denied body', bytes: post('/collections/b/points/query', `api-key: listA\r\n${CLOSE}`, '{"query":1}') },
  {
    name: 'a large denied body',
    bytes: post('/collections/b/points/query', 'api-key: listA\r\n', 'x'.repeat(100_000)),
  },
  { name: 'a query', bytes: post(QUERY, `api-key: listA\r\n${CLOSE}`, ' {"query": 18446744073709551615}') },
  {
    name: 'a query that looks up its own',
    bytes: post(QUERY, `api-key: listA\r\n${CLOSE}`, '{"lookup_from":{"collection":"a"}}'),
  },
  {
    name: 'a query that looks up another',
    bytes: post(QUERY, `api-key: listA\r\n${CLOSE}`, '{"lookup_from":{"collection":"b"}}'),
  },
  {
    name: 'a query with an escape',
    bytes: post(QUERY, `api-key: listA\r\n${CLOSE}`, '{"lookup_\\u0066rom":{"collection":"b"}}'),
  },
  { name: 'a query in array form', bytes: post(QUERY, `api-key: listA\r\n${CLOSE}`, '[{"query":1}]') },
  { name: 'a broken query', bytes: post(QUERY, `api-key: listA\r\n${CLOSE}`, '{"lookup_from":') },
  { name: 'an empty query', bytes: post(QUERY, `api-key: listA\r\n${CLOSE}`, '') },
  { name: 'a query too deep', bytes: post(QUERY, `api-key: listA\r\n${CLOSE}`, deep) },
  { name: 'a coded query', bytes: post(QUERY, `api-key: listA\r\ncontent-encoding: gzip\r\n${CLOSE}`, '{}') },
  { name: 'a scroll too deep', bytes: post('/collections/a/points/scroll', `api-key: read\r\n${CLOSE}`, deep) },
  { name: 'a deep scroll of the admin', bytes: post('/collections/a/points/scroll', `${MAIN}${CLOSE}`, deep) },
  {
    name: 'a refused recovery',
    bytes: post('/collections/a/snapshots/recover', `${MAIN}${CLOSE}`, '{"location":"http://x/y"}', 'PUT'),
  },
  { name: 'keep-alive, then a denial, then an end', bytes: get(MAIN) + get('') + get(`${MAIN}${CLOSE}`) },
  {
    name: 'a short denied body, then an end',
    bytes: post('/collections/b', 'api-key: listA\r\n', 'x'.repeat(9_000), 'PATCH') + get(CLOSE),
  },
  {
    name: 'a chunked body between plain requests',
    bytes: `${get(MAIN)}${post('/collections/a/points', `${MAIN}`, '{}', 'PUT').replace('content-length: 2', 'transfer-encoding: chunked').replace('{}', '2\r\n{}\r\n0\r\n\r\n')}${get(`${MAIN}${CLOSE}`)}`,
  },
  { name: 'two hosts', bytes: get(`${MAIN}host: other\r\n`) },
  {
    name: 'an expectation',
    bytes: post('/collections/a/points', `${MAIN}expect: 100-continue\r\n${CLOSE}`, '{}', 'PUT'),
  },
  { name: 'HTTP/1.0', bytes: get(MAIN).replace('HTTP/1.1', 'HTTP/1.0') },
  { name: 'bare line feeds', bytes: get(MAIN).replaceAll('\r\n', '\n') },
  { name: '101 headers', bytes: get(`${MAIN}${'x-a: b\r\n'.repeat(99)}`) },
  { name: '66 KiB of headers', bytes: get(`${MAIN}x-a: ${'b'.repeat(66_000)}\r\n`) },
  { name: 'an unknown method', bytes: get(MAIN).replace('GET', 'FOO') },
  { name: 'the beginning of an unknown method', bytes: 'FOO' },
  { name: 'an upgrade', bytes: get(`${MAIN}connection: upgrade\r\nupgrade: h2c\r\n`) + get(MAIN) },
];

const recorded: { method: string; target: string; headers?: [string, string][] }[] = JSON.parse(
  readFileSync(new URL('../../cases/paths.json', import.meta.url), 'utf8'),
);
const paths: readonly Case[] = recorded.flatMap(({ method, target, headers = [] }) =>
  ['', 'api-key: main\r\n', 'api-key: listA\r\n'].map((key) => ({
    name: `${method} ${target.slice(0, 60)} with "${key.trim()}"`,
    bytes: `${method} ${target} HTTP/1.1\r\nhost: gateway.test\r\n${key}${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}connection: close\r\n\r\n`,
  })),
);

for (const tls of [false, true]) {
  t.test(`requests over ${tls ? 'TLS' : 'plain TCP'}: answers, and what upstream gets`, async (t) => {
    const upstream = await recordingUpstream();
    const overrides = tls ? { tls: await testCertificate() } : {};
    const fastify = await startGateway(upstream.port, {
      ...overrides,
      bodyRules: { snapshotUrlRecovery: false },
      relayed: false,
    });
    const relay = await startGateway(upstream.port, {
      ...overrides,
      bodyRules: { snapshotUrlRecovery: false },
      relayed: true,
    });
    t.teardown(async () => {
      await fastify.close();
      await relay.close();
      await upstream.close();
    });
    const ask = async (gateway: TestGateway, bytes: string) => {
      upstream.received.length = 0;
      gateway.outcomes.length = 0;
      const { text, closed } = await exchangeRaw(gateway.port, bytes, { tls, limitMs: 3_000 });
      // Fastify's lane sends pipelined requests side by side, in any order.
      const received = upstream.received.map(({ method, target, headers, body }) => ({
        method,
        target,
        headers: pairs(headers),
        body: body.toString('latin1'),
      }));
      const outcomes = gateway.outcomes.map(({ exchange, outcome }) => [
        exchange.resolution?.operation.name,
        exchange.decision?.kind,
        outcome,
      ]);
      received.sort((a, b) => a.method.localeCompare(b.method));
      return { answers: readAnswers(text), closed, received, outcomes };
    };
    for (const { name, bytes } of tls ? own.slice(0, 24) : [...own, ...paths]) {
      t.strictSame(await ask(relay, bytes), await ask(fastify, bytes), name);
    }
    t.strictSame([fastify.faults, relay.faults], [[], []]);
  });
}

function pairs(headers: readonly string[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]?.toLowerCase()}: ${headers[i + 1]}`);
  return lines.sort();
}

t.test('answers of upstream come to the same', async (t) => {
  let pieces: readonly string[] = [];
  const upstream = await playing(() => pieces);
  const fastify = await startGateway(upstream.port, { relayed: false });
  const relay = await startGateway(upstream.port, { relayed: true });
  t.teardown(async () => {
    await fastify.close();
    await relay.close();
    upstream.close();
  });
  for (const [name, ...played] of ODD_ANSWERS) {
    pieces = played;
    for (const [method, bytes] of [
      ['GET', get(`${MAIN}${CLOSE}`)],
      ['HEAD', get(`${MAIN}${CLOSE}`).replace('GET', 'HEAD')],
    ] as const) {
      if (method === 'HEAD' && !/^(a length|chunked, empty|204|until the end)$/.test(name)) continue;
      const [one, other] = [await exchangeRaw(relay.port, bytes), await exchangeRaw(fastify.port, bytes)];
      t.strictSame(readAnswers(one.text), readAnswers(other.text), `${method}: ${name}`);
      t.equal(one.closed, other.closed);
    }
  }
});
