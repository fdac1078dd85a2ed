import t from 'tap';
import { KEYS } from '../support/gateway.ts';
import { type Arena, CREDENTIALS, casesOf, head, only, say, startArena } from '../support/invariants.ts';
import { framesTo, grpcFields, request, restFields } from '../support/invariants-http2.ts';
import { runScript } from '../support/process/run-script.ts';

/** Credential lines, and the status for the admin's list of collections. The first of a name counts, as upstream has it. */
const REPEATED: readonly (readonly [lines: readonly (readonly [string, string])[], status: number])[] = [
  [
    [
      ['api-key', KEYS.admin],
      ['api-key', 'wrong'],
    ],
    200,
  ],
  [
    [
      ['api-key', 'wrong'],
      ['api-key', KEYS.admin],
    ],
    401,
  ],
  [
    [
      ['api-key', CREDENTIALS.nothing],
      ['api-key', KEYS.admin],
    ],
    403,
  ],
  [
    [
      ['api-key', ''],
      ['api-key', KEYS.admin],
    ],
    401,
  ],
  [[['api-key', `${KEYS.admin}, wrong`]], 401],
  [[['api-key', `wrong, ${KEYS.admin}`]], 401],
  [[['api-key', `${KEYS.admin},${KEYS.admin}`]], 401],
  [
    [
      ['authorization', `Bearer ${KEYS.admin}`],
      ['authorization', 'Bearer wrong'],
    ],
    200,
  ],
  [
    [
      ['authorization', 'Bearer wrong'],
      ['authorization', `Bearer ${KEYS.admin}`],
    ],
    401,
  ],
  [[['authorization', `Basic eDp5, Bearer ${KEYS.admin}`]], 401],
  [
    [
      ['api-key', 'wrong'],
      ['authorization', `Bearer ${KEYS.admin}`],
    ],
    401,
  ],
  [
    [
      ['authorization', `Bearer ${KEYS.admin}`],
      ['api-key', 'wrong'],
    ],
    401,
  ],
  [
    [
      ['api-key', ''],
      ['authorization', `Bearer ${KEYS.admin}`],
    ],
    401,
  ],
  [
    [
      ['authorization', 'Bearer wrong'],
      ['api-key', KEYS.admin],
    ],
    200,
  ],
];

/** Lines that hold the admin key where no credential is looked for. */
const ALIASES: readonly string[] = [
  `api_key: ${KEYS.admin}`,
  `apikey: ${KEYS.admin}`,
  `x-api-key: ${KEYS.admin}`,
  `api-key-bin: ${Buffer.from(KEYS.admin).toString('base64')}`,
  `grpc-metadata-api-key: ${KEYS.admin}`,
  `cookie: api-key=${KEYS.admin}`,
  `proxy-authorization: Bearer ${KEYS.admin}`,
  `x-forwarded-authorization: Bearer ${KEYS.admin}`,
  `authorization: bearer ${KEYS.admin}`,
  `authorization: BEARER ${KEYS.admin}`,
  `authorization: Bearer\t${KEYS.admin}`,
  `authorization: Bearer  ${KEYS.admin}`,
  `authorization: Token ${KEYS.admin}`,
  `authorization: ${KEYS.admin}`,
  `authorization: Basic ${Buffer.from(`admin:${KEYS.admin}`).toString('base64')}`,
  `api-key: Bearer ${KEYS.admin}`,
  `api-key: "${KEYS.admin}"`,
  `api-key: ${KEYS.admin.toUpperCase()}`,
];

const LIST = '/qdrant.Collections/List';
const GET_INFO = '/qdrant.Collections/CollectionClusterInfo';
const EMPTY = Buffer.alloc(0);

function headerCases(arena: Arena, lane: string): void {
  const test = casesOf(arena);
  const forwarded = () => arena.upstream.recorder.rest.flatMap(({ rawHeaders }) => rawHeaders).join('|');

  test(`H1: the Connection list takes nothing from verdict, framing or the gateway's own headers (${lane})`, async (t) => {
    const listed = [
      ['api-key', 'authorization'],
      ['x-request-id', 'x-forwarded-for', 'x-forwarded-proto', 'x-real-ip', 'x-forwarded-host', 'host'],
      ['content-length', 'content-type', 'content-encoding', 'transfer-encoding'],
    ];
    for (const names of listed) {
      arena.upstream.recorder.clear();
      const lines = [`connection: close, ${names.join(', ')}`, 'content-type: application/json', 'content-length: 13'];
      const put = (credential: string) =>
        `${head('PUT', '/collections/mine/points', credential, lines)}\r\n{"points":[]}`;
      t.match(await say(arena, put('wrong')), { statuses: [401] });
      t.match(await say(arena, put(CREDENTIALS.reader)), { statuses: [403] });
      t.equal((await say(arena, put(KEYS.admin))).statuses.length, 1);
      t.same(
        arena.upstream.recorder.rest.map(({ method, target, body }) => [method, target, body.toString()]),
        [['PUT', '/collections/mine/points', '{"points":[]}']],
        `I1, I2: ${names}`,
      );
      for (const own of ['x-forwarded-for', 'x-forwarded-proto', 'x-real-ip', 'content-length', 'content-type']) {
        t.match(forwarded(), new RegExp(`(^|\\|)${own}\\|`), `${own} is there`);
      }
    }
  });

  test(`H2: of repeated credentials the first counts, never the union, over HTTP/1.1 (${lane})`, async (t) => {
    for (const [lines, status] of REPEATED) {
      const bytes = only(
        'GET',
        '/collections/other/exists',
        undefined,
        lines.map(([name, value]) => `${name}: ${value}`),
      );
      t.match(await say(arena, bytes), { statuses: [status] }, lines.map(([name]) => name).join());
    }
    t.equal(arena.asked().length, REPEATED.filter(([, status]) => status === 200).length, 'I1');
  });

  test(`H4: a key anywhere else is no key (${lane})`, async (t) => {
    for (const line of ALIASES) {
      t.match(await say(arena, only('GET', '/collections', undefined, [line])), { statuses: [401] }, line.slice(0, 20));
    }
    for (const query of ['api-key', 'api_key', 'authorization', 'access_token']) {
      t.match(await say(arena, only('GET', `/collections?${query}=${KEYS.admin}`)), { statuses: [401] }, `?${query}`);
    }
    t.same(arena.asked(), [], 'I1');
    t.match(await say(arena, only('GET', '/collections', undefined, [`API-Key:\t ${KEYS.admin} \t`])), {
      statuses: [200],
    });
    t.match(await say(arena, only('GET', '/collections', undefined, [`aUTHORIZATION: Bearer ${KEYS.admin}`])), {
      statuses: [200],
    });
  });

  test(`H5: forwarding headers of a client are replaced, and no header breaks a log line (${lane})`, async (t) => {
    const lines = [
      'x-forwarded-for: 6.6.6.6, 7.7.7.7',
      'x-forwarded-proto: gopher',
      'x-forwarded-host: evil.test',
      'x-forwarded-port: 666',
      'x_forwarded_for: 6.6.6.6',
      'forwarded: for=6.6.6.6;host=evil.test',
      'x-real-ip: 6.6.6.6',
    ];
    t.match(await say(arena, only('GET', '/collections', KEYS.admin, lines)), { statuses: [200] });
    // The port of upstream is any number.
    t.notMatch(forwarded().replace(/^host\|[^|]*/, ''), /6\.6\.6\.6|evil\.test|gopher|666/);
    t.match(forwarded(), /x-forwarded-for\|127\.0\.0\.1/);
    const odd = ['x-request-id: a%0d%0a{"level":60}', 'traceparent: 00-\\r\\n\\u000a-01', 'x-request-id: \x85\xa0'];
    await say(arena, only('GET', '/collections', KEYS.admin, odd));
    const told = arena.gateway
      .errors()
      .split('\n')
      .filter((line) => line !== '');
    t.same(
      told.filter((line) => !isJson(line)),
      [],
      'each line of the log is one object',
    );
  });

  test(`H9: an answer loses what concerns the connection, and CORS is the gateway's own (${lane})`, async (t) => {
    const cross = ['origin: https://evil.test'];
    const { text } = await say(arena, only('GET', '/collections/hop', KEYS.admin, cross));
    t.match(text, /^HTTP\/1\.1 200 /);
    t.match(text, /x-kept: 1/);
    t.notMatch(text, /x-hop|proxy-auth|keep-alive|upgrade|trailers|allow-credentials|evil-upstream/i);
    t.equal([...text.matchAll(/access-control-allow-origin: https:\/\/evil\.test/gi)].length, 1, 'as native, once');
    arena.upstream.recorder.clear();
    const preflight = await say(
      arena,
      only('OPTIONS', '/collections', undefined, [...cross, 'access-control-request-method: PUT']),
    );
    t.same(preflight.statuses, [200], 'a preflight needs no key');
    t.notMatch(preflight.text, /allow-credentials/i);
    t.match(await say(arena, only('OPTIONS', '/collections', undefined, cross)), { statuses: [401] });
    t.same(arena.asked(), [], 'I1');
  });
}

function isJson(line: string): boolean {
  try {
    return typeof JSON.parse(line) === 'object';
  } catch {
    return false;
  }
}

const upstream = {
  onRest: (incoming: { url?: string | undefined }, response: import('node:http').ServerResponse) => {
    if (incoming.url !== '/collections/hop') return false;
    response.writeHead(200, [
      ...['connection', 'x-hop, keep-alive', 'x-hop', '1', 'keep-alive', 'timeout=5', 'proxy-authenticate', 'Basic'],
      ...['upgrade', 'h2c', 'te', 'trailers', 'x-kept', '1', 'access-control-allow-credentials', 'true'],
      ...['access-control-allow-origin', 'https://evil-upstream.test', 'content-length', '2'],
    ]);
    response.end('{}');
    return true;
  },
};
const arena = await startArena({}, upstream);
const unrelayed = await startArena({ QDRANT_GATEWAY__REST__RELAY: 'false' }, upstream);
headerCases(arena, 'relay');
headerCases(unrelayed, 'lane');

casesOf(arena)('H2: of repeated credentials the first counts over HTTP/2 and gRPC, too', async (t) => {
  const codes: Readonly<Record<number, string>> = { 200: 'grpc 0', 401: 'grpc 16', 403: 'grpc 7' };
  const [rest, grpc] = [await framesTo(arena, 'rest'), await framesTo(arena, 'grpc')];
  let streamId = 1;
  for (const [lines, status] of REPEATED) {
    const name = lines.map(([field]) => field).join();
    t.equal(await request(rest, streamId, restFields('/collections/other/exists', lines)), `status ${status}`, name);
    const message = Buffer.from('\x0a\x05other');
    const code = await request(grpc, streamId, grpcFields('/qdrant.Collections/CollectionExists', lines), message);
    t.equal(code, codes[status], `${name} over gRPC`);
    streamId += 2;
  }
  const blank: readonly (readonly [string, string])[] = [
    ['api-key', ` ${KEYS.admin}`],
    ['api-key', `${KEYS.admin} `],
  ];
  for (const line of blank) {
    t.equal(await request(grpc, streamId, grpcFields(LIST, [line]), EMPTY), 'grpc 16', 'blanks belong to the value');
    streamId += 2;
  }
  rest.close();
  grpc.close();
});

casesOf(arena)('H4: gRPC metadata of other names is no key', async (t) => {
  const client = await framesTo(arena, 'grpc');
  const names = ['api_key', 'x-api-key', 'api-key-bin', 'grpc-metadata-api-key', 'cookie', 'proxy-authorization'];
  for (const [index, name] of names.entries()) {
    const fields = grpcFields(GET_INFO, [[name, KEYS.admin]]);
    t.equal(await request(client, index * 2 + 1, fields, EMPTY), 'grpc 16', name);
  }
  t.same(arena.asked(), [], 'I1');
  client.close();
});

t.test('H6: an empty key is no key: not at start, not in a request', async (t) => {
  for (const env of [{}, { QDRANT__SERVICE__API_KEY: '' }, { QDRANT__SERVICE__READ_ONLY_API_KEY: '' }]) {
    const { code, out, err } = await runScript(['src/cli/main.ts', 'serve'], { env });
    t.not(code, 0, JSON.stringify(env));
    t.notMatch(out + err, /listens on/);
  }
  const tried = ['api-key:', 'api-key: \t', 'authorization: Bearer ', 'authorization: Bearer'];
  for (const line of tried) {
    t.match(await say(arena, only('GET', '/collections', undefined, [line])), { statuses: [401] }, line);
  }
});
