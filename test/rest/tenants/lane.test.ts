import { connect } from 'node:net';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import type { Principal } from '../../../src/identity/principal.ts';
import { GLOBAL_MANAGE } from '../../../src/policy/access.ts';
import { PLAIN_PARTS } from '../../support/exchange-parts.ts';
import { until } from '../../support/until.ts';
import {
  type Answer,
  exchangeRaw,
  type GatewayOverrides,
  readAnswer,
  recordingUpstream,
  restFixture,
  startGateway,
} from '../lane-fixture.ts';
import { condition, FILTER, T, tenancyOf } from './made.ts';

/** Ids of the tenant's points. */
const OWN = new Set(['1', '2', '18446744073709551615']);
const RECORD = (id: string) => `{"id":${id},"payload":{"tenant":"acme","a":1.50,"in":{"tenant":"x"}},"vector":[0.10]}`;

/** An upstream that knows the tenant's points, and says what it knows. */
const answer: Answer = (_request, response, { target, body, method }) => {
  const sent = body.toString();
  const say = (result: string, status = 200): void => {
    const text = `{"result":${result},"status":"ok","time":0.5}`;
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.end(text);
  };
  const asked = /"has_id":\[([^\]]*)\]/.exec(sent)?.[1]?.split(',') ?? [];
  if (target.includes('slow')) return;
  if (target.includes('odd')) say('null', method === 'GET' ? 200 : 400);
  else if (target.includes('gone')) say('null', 404);
  else if (target.includes('broken')) say('null', 500);
  else if (target.includes('strict') && /(?:scroll|count)$/.test(target)) refuse(response, target.includes('busy'));
  else if (method === 'GET') say(INFO);
  else if (target.includes('/points/count')) say('{"count":2}');
  else if (target.includes('/points/scroll')) {
    // Not in the order asked.
    const found = asked.filter((id) => OWN.has(id)).reverse();
    say(`{"points":[${found.map(RECORD).join(',')}],"next_page_offset":null}`);
  } else say(`{"points":[${RECORD('1')}]}`);
};
/** As strict mode does. */
function refuse(response: Parameters<Answer>[1], busy: boolean): void {
  const head = { 'content-type': 'application/json', ...(busy && { 'retry-after': '13' }) };
  response.writeHead(busy ? 429 : 400, head);
  response.end(`{"status":{"error":"${STRICT}"},"time":0.5}`);
}
const STRICT = 'Bad request: Limit exceeded 2 > 1 for \\"limit\\".';
const INFO =
  '{"status":"green","optimizer_status":{"error":"x"},"indexed_vectors_count":9,"points_count":9,"segments_count":4,"config":{"params":{"sparse_vectors":{"sparse":{"modifier":"idf"}}}},"payload_schema":{"tenant":{"data_type":"keyword","points":9}},"update_queue":{"length":3}}';

const upstream = await recordingUpstream(answer);
let tenancy = tenancyOf(condition());
const principal = (): Principal => ({
  ...{ kind: 'principal', access: GLOBAL_MANAGE, bounds: undefined, authType: 'ApiKey', keyId: 'acme' },
  ...{ subject: undefined, tenancy },
});
const { parts } = restFixture(upstream.port).options;
const events: unknown[] = [];
const options = {
  parts: {
    ...parts,
    authenticate: principal,
    bodyRules: { ...PLAIN_PARTS.bodyRules, features: () => ({ updateFilter: true, idfCorpus: true }) },
    fault: (error) => events.push(error),
    record: (exchange, { status, received }) =>
      events.push([exchange.resolution?.operation.name, status, received, 'connection' in exchange]),
  },
} satisfies GatewayOverrides;
const gateways = {
  relay: await startGateway(upstream.port, { ...options, relayed: true }),
  server: await startGateway(upstream.port, { ...options, relayed: false }),
};
let gateway = gateways.relay;
t.teardown(async () => {
  for (const one of Object.values(gateways)) await one.close();
  await upstream.close();
});

/** The same through the relay, which hands over what it does not carry, and through the server. */
function test(name: string, run: (t: Test) => Promise<void>): void {
  for (const [way, one] of Object.entries(gateways)) {
    t.test(`${name} (${way})`, (t) => {
      gateway = one;
      return run(t);
    });
  }
}
t.beforeEach(() => {
  upstream.received.length = 0;
  events.length = 0;
  tenancy = tenancyOf(condition());
});

interface Sent {
  readonly headers?: readonly string[];
  readonly body?: string | Buffer;
}

async function ask(method: string, path: string, { headers = [], body }: Sent = {}) {
  const bytes = Buffer.from(body ?? '');
  const length = body === undefined ? [] : [`content-length: ${bytes.length}`];
  const head = [`${method} ${path} HTTP/1.1`, 'host: x', 'connection: close', ...length, ...headers, '', ''].join(
    '\r\n',
  );
  const { text } = await exchangeRaw(gateway.port, Buffer.concat([Buffer.from(head), bytes]));
  const { status, body: said } = readAnswer(text);
  return [status, said] as const;
}

/** What upstream got, without the questions about the collection. */
const got = () =>
  upstream.received
    .filter(({ method, target }) => method !== 'GET' || target !== '/collections/shop')
    .map(({ method, target, body }) => `${method} ${target} ${body}`);

const POINTS = '/collections/shop/points';
const CHECK = (ids: string, most: number) =>
  `POST ${POINTS}/scroll {"limit":${most},"with_payload":false,"with_vector":false,"filter":{"must":[${T},{"has_id":[${ids}]}]}}`;
const missing = (id: string) => `{"status":{"error":"Not found: No point with id ${id} found"},"time":0.0}`;

test('a query goes upstream anew, and its answer comes as it is', async (t) => {
  const [status, said] = await ask('POST', `${POINTS}/query?timeout=3&other=1`, {
    body: '{"limit":1}',
    headers: ['content-type: application/x-json', 'content-md5: x', 'x-other: 1'],
  });
  t.equal(status, 200);
  t.equal(said, `{"result":{"points":[${RECORD('1')}]},"status":"ok","time":0.5}`);
  t.strictSame(got(), [`POST ${POINTS}/query?timeout=3 {"limit":1,${FILTER}}`]);
  const headers = upstream.received.at(-1)?.headers.join('\n').toLowerCase() ?? '';
  t.match(headers, /content-type\napplication\/json\n/);
  t.match(headers, /content-length\n73$/);
  t.match(headers, /x-other\n1\n/);
  t.notMatch(headers, /content-md5|x-json/);
  // The target changes, which only the server does.
  t.strictSame(events, [['points.query', 200, 11, false]], 'it is recorded as the client sent it');
});

test('compressed bodies, and a client that waits to be asked', async (t) => {
  const body = '{"limit":1}';
  const codings = { gzip: gzipSync(body), br: brotliCompressSync(body), zstd: zstdCompressSync(body) };
  for (const [coding, bytes] of Object.entries(codings)) {
    const [status] = await ask('POST', `${POINTS}/query`, { body: bytes, headers: [`content-encoding: ${coding}`] });
    t.equal(status, 200, coding);
    t.notMatch(upstream.received.at(-1)?.headers.join('\n').toLowerCase(), /content-encoding/);
  }
  t.strictSame(new Set(got()), new Set([`POST ${POINTS}/query {"limit":1,${FILTER}}`]));
  const waiting = `POST ${POINTS}/query HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 11\r\n\r\n{"limit":1}`;
  const { text } = await exchangeRaw(gateway.port, waiting);
  t.match(text, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200/);
  t.equal((await ask('POST', `${POINTS}/query`, { body: '' }))[0], 400, 'an empty body');
  t.equal((await ask('POST', `${POINTS}/query`))[0], 400, 'no body');
  t.equal(got().length, 4);
});

test('points that are named have to be the tenant’s', async (t) => {
  t.equal((await ask('POST', `${POINTS}/query`, { body: '{"query":1,"prefetch":{"query":2}}' }))[0], 200);
  t.strictSame(got(), [CHECK('1,2', 2), `POST ${POINTS}/query {"query":1,"prefetch":{"query":2,${FILTER}},${FILTER}}`]);
  upstream.received.length = 0;
  t.strictSame(await ask('POST', `${POINTS}/query`, { body: '{"query":2,"prefetch":[{"query":7},{"query":8}]}' }), [
    404,
    missing('7'),
  ]);
  t.strictSame(got(), [CHECK('2,7,8', 3)], 'nothing goes on');
  t.strictSame(
    await ask('POST', `${POINTS}/query`, { body: '{"query":18446744073709551615}' }),
    [200, `{"result":{"points":[${RECORD('1')}]},"status":"ok","time":0.5}`],
    'every digit counts',
  );
  t.strictSame(await ask('POST', `${POINTS}/query`, { body: '{"query":18446744073709551614}' }), [
    404,
    missing('18446744073709551614'),
  ]);
  const docs = '{"query":1,"lookup_from":{"collection":"docs"}}';
  tenancy = tenancyOf(condition());
  upstream.received.length = 0;
  t.equal((await ask('POST', `${POINTS}/query`, { body: docs }))[0], 200);
  t.ok(
    got().some((sent) => /^POST \/collections\/docs\/points\/scroll .*"key":"owner","match":\{"value":7\}/.test(sent)),
    got().join(),
  );
});

test('a write by ids that is waited for tells of missing points, another one does not', async (t) => {
  const body = '{"payload":{"a":1},"points":[1,7]}';
  t.strictSame(await ask('POST', `${POINTS}/payload?wait=true`, { body }), [404, missing('7')]);
  t.equal((await ask('POST', `${POINTS}/payload`, { body }))[0], 200);
  t.strictSame(got(), [
    CHECK('1,7', 2),
    `POST ${POINTS}/payload {"payload":{"a":1},"filter":{"must":[${T},{"has_id":[1,7]}]}}`,
  ]);
});

test('retrieving points, many and one', async (t) => {
  const bare = (ids: string[]) => `{"result":[${ids.map(RECORD).join(',')}],"status":"ok","time":0.5}`;
  t.strictSame(await ask('POST', POINTS, { body: '{"ids":[2,7,1,2]}' }), [200, bare(['2', '1'])]);
  t.strictSame(await ask('POST', POINTS, { body: '{"ids":[]}' }), [200, bare([])]);
  t.strictSame(await ask('GET', `${POINTS}/1`), [200, bare(['1']).replace('[', '').replace('],"status', ',"status')]);
  t.strictSame(await ask('GET', `${POINTS}/7`), [
    404,
    '{"status":{"error":"Not found: Point with id 7 does not exists!"},"time":0.0}',
  ]);
  t.equal((await ask('GET', `${POINTS}/x`))[0], 400);
  t.equal(got().length, 4);
});

test('a hidden field is in no answer', async (t) => {
  tenancy = tenancyOf(condition({ hides: true }));
  const shown = '{"id":1,"payload":{"a":1.50,"in":{"tenant":"x"}},"vector":[0.10]}';
  t.strictSame(await ask('POST', `${POINTS}/query`, { body: '{"limit":1}' }), [
    200,
    `{"result":{"points":[${shown}]},"status":"ok","time":0.5}`,
  ]);
  t.strictSame(await ask('POST', POINTS, { body: '{"ids":[1]}' }), [
    200,
    `{"result":[${shown}],"status":"ok","time":0.5}`,
  ]);
  t.strictSame(await ask('GET', `${POINTS}/1`), [200, `{"result":${shown},"status":"ok","time":0.5}`]);
});

test('the information on a collection counts the tenant’s points', async (t) => {
  const [status, said] = await ask('GET', '/collections/shop');
  t.equal(status, 200);
  t.strictSame(JSON.parse(said).result, {
    ...{ status: 'green', optimizer_status: 'ok', indexed_vectors_count: null, points_count: 2, segments_count: 1 },
    config: { params: { sparse_vectors: { sparse: { modifier: 'idf' } } } },
    payload_schema: { tenant: { data_type: 'keyword', points: 0 } },
  });
  t.match(got(), [`POST ${POINTS}/count {"exact":true,"filter":{"must":[${T}]}}`]);
});

test('upstream’s own refusals pass; what cannot be asked is refused', async (t) => {
  tenancy = { scopes: [{ names: new Set(), prefixes: [''], holds: condition({ hides: true }) }] };
  const error = '{"result":null,"status":"ok","time":0.5}';
  t.strictSame(await ask('POST', '/collections/gone/points/scroll', { body: '{}' }), [404, error]);
  t.strictSame(await ask('POST', '/collections/gone/points/query', { body: '{"query":1}' }), [404, error]);
  t.strictSame(await ask('GET', '/collections/gone'), [404, error]);
  t.equal((await ask('POST', '/collections/broken/points/query', { body: '{"query":1}' }))[0], 502, 'the check');
  t.equal((await ask('POST', '/collections/shop/snapshots'))[0], 403);
  t.equal((await ask('POST', '/collections/shop/shards/1/points/scroll', { body: '{}' }))[0], 403);
  t.equal((await ask('DELETE', '/collections/shop'))[0], 403);
});

test('a question that strict mode refuses is answered in its words', async (t) => {
  tenancy = { scopes: [{ names: new Set(), prefixes: [''], holds: condition() }] };
  const said = `{"status":{"error":"${STRICT}"},"time":0.0}`;
  const asked: readonly (readonly [method: string, path: string, body?: string])[] = [
    ['POST', '/points/query', '{"query":1}'],
    ['POST', '/points/payload?wait=true', '{"payload":{},"points":[1]}'],
    ['GET', ''],
  ];
  for (const [method, path, body] of asked) {
    const sent = body === undefined ? {} : { body };
    t.strictSame(await ask(method, `/collections/strict${path}`, sent), [400, said], path);
    t.strictSame(await ask(method, `/collections/strict-busy${path}`, sent), [429, said], path);
  }
  const head = 'GET /collections/strict-busy HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';
  t.match((await exchangeRaw(gateway.port, head)).text, /\r\nretry-after: 13\r\n/i);
});

test('a collection is asked for its vectors once, and again when upstream refuses what was made of that', async (t) => {
  tenancy = { scopes: [{ names: new Set(), prefixes: [''], holds: condition() }] };
  const asked = () => upstream.received.filter(({ target }) => target === '/collections/fine').length;
  const query = { body: '{"using":"sparse","query":[1]}' };
  await ask('POST', '/collections/fine/points/query', query);
  t.match(got().at(-1), /"params":\{"idf":\{"corpus":/);
  await ask('POST', '/collections/fine/points/query', query);
  t.equal(asked(), 1);
  await ask('POST', '/collections/fine/points/query', { body: '{"query":[1],"using":"odd","limit":1}' });
  t.equal(asked(), 1);
  const odd = () => upstream.received.filter(({ method }) => method === 'GET').length;
  await ask('POST', '/collections/odd/points/query', { body: '{}' });
  await ask('POST', '/collections/odd/points/query', { body: '{}' });
  t.equal(odd(), 3);
  t.strictSame(await ask('POST', '/collections/odd/points/query', query), [
    502,
    '{"status":{"error":"upstream gave no valid answer"},"time":0.0}',
  ]);
});

test('a client that leaves while its points are asked for ends the question', async (t) => {
  tenancy = { scopes: [{ names: new Set(), prefixes: [''], holds: condition() }] };
  const head = 'POST /collections/slow/points/payload?wait=true HTTP/1.1\r\nhost: x\r\ncontent-length: 29\r\n\r\n';
  const socket = connect({ port: gateway.port, host: '127.0.0.1' });
  socket.write(`${head}{"payload":{},"points":[1,2]}`);
  await until(() => upstream.received.length === 1, 'the question has been asked');
  t.match(got()[0], /^POST \/collections\/slow\/points\/scroll/);
  const open = () =>
    new Promise<number>((resolve) => upstream.server.getConnections((_error, count) => resolve(count)));
  const before = await open();
  // Over HTTP/1 a half that is closed still gets its answer.
  socket.resetAndDestroy();
  await until(() => gateway.listener.figures().exchanges === 0, 'the exchange is over');
  await until(async () => (await open()) < before, 'the question is over');
  t.strictSame(events, [['points.set_payload', undefined, 29, false]], 'it is recorded, and no fault');
});

test('a body of many small parts is made anew in a thread, whatever its length', async (t) => {
  const conditions = Array.from({ length: 4000 }, () => '{"key":"b"}').join(',');
  const body = `{"filter":{"must":[${conditions}]}}`;
  const [status] = await ask('POST', `${POINTS}/scroll`, { body });
  t.equal(status, 200);
  t.strictSame(got(), [`POST ${POINTS}/scroll {"filter":{"must":[${T},${conditions}]}}`]);
  t.strictSame(events, [['points.scroll', 200, body.length, false]]);
});

test('a large upsert is made anew in a thread, and its memory is given back', async (t) => {
  const points = Array.from(
    { length: 4000 },
    (_, id) => `{"id":${id},"vector":[0.123456,1e-7,3],"payload":{"text":"${'x'.repeat(20)}"}}`,
  );
  const body = `{"points":[${points.join(',')}]}`;
  const [status] = await ask('PUT', `${POINTS}?wait=true`, { body });
  t.equal(status, 200);
  const sent = upstream.received[0]?.body.toString() ?? '';
  const expected = points.map((point) => point.replace('"}}', '","tenant":"acme"}}'));
  t.ok(sent === `{"points":[${expected.join(',')}],"update_filter":{"must":[${T}]}}`);
  const [denied] = await ask('PUT', POINTS, { body: body.replace('"id":3999', '"odd":1,"id":3999') });
  t.equal(denied, 400);
  await until(() => gateway.listener.figures().exchanges === 0, 'all is over');
  t.match(gateway.listener.figures(), { bodies: 0, bodyBytes: 0, judging: 0, changing: 0, answers: 0, answerBytes: 0 });
  t.strictSame(gateway.faults, []);
});
