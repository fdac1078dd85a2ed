import { mkdtempSync } from 'node:fs';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { recordOf } from '../../src/audit/record.ts';
import type { Exchange, Outcome } from '../../src/exchange/exchange.ts';
import type { LimitSettings } from '../../src/policy/limits/limits.ts';
import { firstRefusal } from '../../src/policy/rules.ts';
import type { GuardSettings } from '../../src/policy/settings.ts';
import { grpcClient, restClient, trust } from '../support/clients/official.ts';
import { framed } from '../support/clients/raw-grpc.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { rawClient, unary } from '../support/clients/unary.ts';
import { type Field, fields } from '../support/fields.ts';
import { startGateway } from '../support/gateway.ts';
import { makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { AGREEABLE, fromAll, openVerdictLanes, type Request, VERDICT_LANES } from '../support/verdicts/lanes.ts';

/* Limits on cost, and bounds on the numbers of searches, through the running gateway, over every lane. */

const VECTOR = [0.1, 0.2, 0.3, 0.4];
const near = fields([1, fields([2, fields([1, Buffer.alloc(16)])])]);

const query = (name: string, body: object, ...message: Field[]): Request => ({
  rest: ['POST', `/collections/${name}/points/query`, JSON.stringify({ query: VECTOR, ...body })],
  grpc: ['/qdrant.Points/Query', fields([1, name], [3, near], ...message)],
});
/** A search of cost 1 000. */
const plain = query('docs', {});
const limited = (most: number): Request => query('docs', { limit: most }, [8, most]);
const scroll = (most: number): Request => ({
  rest: ['POST', '/collections/docs/points/scroll', JSON.stringify({ limit: most })],
  grpc: ['/qdrant.Points/Scroll', fields([1, 'docs'], [4, most])],
});
const upsert = (count: number, name = 'docs'): Request => ({
  rest: [
    'PUT',
    `/collections/${name}/points`,
    JSON.stringify({ points: Array.from({ length: count }, (_, at) => ({ id: at, vector: VECTOR })) }),
  ],
  grpc: [
    '/qdrant.Points/Upsert',
    fields([1, name], ...Array.from({ length: count }, (_, at): Field => [3, fields([1, fields([1, at])])])),
  ],
});

/** Per day: nothing fills while a test runs. */
const day = (most: number) => ({ per: 'day', most }) as const;
const limit = (id: string, more: Partial<LimitSettings>): LimitSettings => ({
  ...{ id, mode: 'enforce', each: 'principal', subjects: [id] },
  ...more,
});

const LIMITS: readonly LimitSettings[] = [
  limit('cost', { cost: day(2 * VERDICT_LANES * 1000) }),
  limit('small', { cost: day(500) }),
  limit('points', { cost: day(3 * VERDICT_LANES) }),
  limit('both', { cost: day(VERDICT_LANES * 1000), requests: day(100 * VERDICT_LANES) }),
  limit('shadow', { cost: day(500), mode: 'shadow' }),
  limit('team', { cost: day(VERDICT_LANES * 1000), collections: ['team-*'] }),
  limit('reader', { cost: day(VERDICT_LANES * 1000) }),
  limit('early', { requests: day(1), operations: ['query_batch'] }),
  limit('client', { cost: day(1000) }),
  limit('unread', { requests: day(2 * VERDICT_LANES), cost: day(1_000_000) }),
  limit('unread-names', { requests: day(2 * VERDICT_LANES) }),
  limit('unread-bounds', { requests: day(2 * VERDICT_LANES) }),
  limit('unread-bytes', { bytes: day(9000), cost: day(1_000_000) }),
  limit('named', { requests: day(2 * VERDICT_LANES) }),
  limit('left', { requests: day(1), cost: day(1_000_000) }),
];

const guard = (id: string, bounds: NonNullable<GuardSettings['bounds']>, more = {}): GuardSettings => ({
  ...{ id, mode: 'enforce', bounds: { subjects: [id], ...bounds } },
  ...more,
});
const GUARDS: readonly GuardSettings[] = [
  guard('bounded', {
    ...{ max_query_limit: 100, max_offset: 50, search_max_hnsw_ef: 128, search_max_oversampling: 2 },
    ...{
      search_max_batchsize: 3,
      max_points: 5,
      filter_max_conditions: 2,
      filter_max_depth: 2,
      search_allow_exact: false,
    },
  }),
  guard('team-bounds', { collections: ['team-*'], max_query_limit: 5 }),
  guard('unread-bounds', { max_query_limit: 5 }),
  guard('noted', { max_query_limit: 5 }, { mode: 'shadow' }),
];

const events: object[] = [];
const observe = (exchange: Exchange, outcome: Outcome): void => {
  const event = recordOf(...([exchange, outcome, { id: '', at: 0, now: 0 }] as const), {
    trust: { trustedProxies: 0, trustForwardedHeaders: false },
    logApi: false,
    firstRefusal,
  });
  if (event) events.push(event);
};

/** Upserts whose whole message has come to upstream. */
let executed = 0;

const gateway = await startGateway({
  ...{ limits: LIMITS, guards: GUARDS, observers: [observe] },
  upstream: {
    ...AGREEABLE,
    onGrpc: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      if (headers[':path'] !== '/qdrant.Points/Upsert') return AGREEABLE.onGrpc?.(stream, headers) ?? false;
      stream.on('error', () => undefined).resume();
      stream.once('end', () => {
        if (stream.destroyed) return;
        executed += 1;
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(framed(Buffer.alloc(0)));
      });
      return true;
    },
  },
  settings: { 'gateway.admin.port': 0, 'gateway.admin.token': 'admin-token-0123456789' },
});
const lanes = await openVerdictLanes(gateway);
trust(gateway.ca);
t.teardown(async () => {
  lanes.close();
  await gateway.close();
});

const caller = (subject: string) => ({ 'api-key': makeToken({ access: 'm', subject }) });
const over = (id: string, most: number): string =>
  `Rate limiting exceeded: limit ${id} of ${most} cost per day exceeded. Retry after`;
const never = (id: string, most: number, cost: number): string =>
  `Rate limiting exceeded: limit ${id} of ${most} cost per day exceeded, the request has ${cost} and never fits`;

/** Answers over all lanes, without the seconds of a wait. */
async function heard(request: Request, headers: Readonly<Record<string, string>>): Promise<readonly string[]> {
  return (await lanes.ask(request, headers)).map((text) => text.replace(/ \d+s$/, ''));
}

t.test('searches are counted by their cost on every lane, and another caller is not', async (test) => {
  test.same(await heard(plain, caller('cost')), fromAll('ok'));
  test.same(await heard(limited(5), caller('cost')), fromAll('ok'));
  test.same(await heard(scroll(500), caller('cost')), fromAll('ok'));
  const before = gateway.upstream.recorder.rest.length;
  events.length = 0;
  test.same(await heard(limited(1), caller('cost')), fromAll(over('cost', 10_000)));
  test.equal(gateway.upstream.recorder.rest.length, before, 'upstream is not asked');
  await until(() => events.length === VERDICT_LANES, 'all are recorded');
  for (const event of events) {
    test.match(event, { result: 'denied', code: 'rate_limited', rule: 'cost', error: /limit cost of 10000 cost/ });
  }
  test.same(await heard(plain, caller('nobody')), fromAll('ok'));
});

t.test('a request that costs more than the quota can hold is not to be tried again', async (test) => {
  test.same(await heard(limited(6), caller('small')), fromAll(never('small', 500, 600)));
  const [, path, body] = limited(6).rest;
  const headers = { ...caller('small'), 'content-length': String(body?.length) };
  const answer = await ask(gateway, 'POST', path, headers, body);
  test.equal(answer.status, 429);
  test.equal(answer.headers['retry-after'], undefined);
  test.match(answer.headers, { 'ratelimit-limit': '500', 'ratelimit-remaining': '500' });
});

t.test('points are counted, whatever the size of the body', async (test) => {
  test.same(await heard(upsert(2), caller('points')), fromAll('ok'));
  test.same(await heard(upsert(2000), caller('points')), fromAll(never('points', 15, 2000)), 'read by a thread');
  test.same(await heard(upsert(1), caller('points')), fromAll('ok'));
  test.same(await heard(upsert(1), caller('points')), fromAll(over('points', 15)));
});

t.test('of a request that is refused for its cost nothing counts', async (test) => {
  test.same(await heard(limited(51), caller('both')), fromAll(never('both', 5000, 5100)));
  test.same(await heard(plain, caller('both')), fromAll('ok'));
  test.same(await heard(limited(1), caller('both')), fromAll(over('both', 5000)));
});

t.test('a limit in shadow lets pass and is recorded', async (test) => {
  events.length = 0;
  test.same(await heard(plain, caller('shadow')), fromAll('ok'));
  await until(() => events.length === VERDICT_LANES, 'all are recorded');
  for (const event of events) test.match(event, { result: 'ok', would_deny: { rule: 'shadow', code: 'rate_limited' } });
});

t.test('only its collections cost anything, also where a message names them', async (test) => {
  for (let round = 0; round < 2; round += 1) test.same(await heard(plain, caller('team')), fromAll('ok'));
  test.same(await heard(query('team-a', {}), caller('team')), fromAll('ok'));
  test.same(await heard(query('team-a', {}), caller('team')), fromAll(over('team', 5000)));
  test.same(await heard(plain, caller('team')), fromAll('ok'));
});

t.test('a caller whose access depends on names in the body is counted alike', async (test) => {
  const reader = { 'api-key': makeToken({ access: [{ collection: 'docs', access: 'r' }], subject: 'reader' }) };
  const other = 'Forbidden: Access to collection other is required';
  test.same(await heard(query('other', {}), reader), fromAll(other));
  test.same(await heard(plain, reader), fromAll('ok'));
  test.same(await heard(plain, reader), fromAll(over('reader', 5000)));
});

t.test('a request whose body decides is refused before its body comes, once nothing is left', async (test) => {
  const reader = { 'api-key': makeToken({ access: [{ collection: 'docs', access: 'r' }], subject: 'early' }) };
  const [, path, body = ''] = plain.rest;
  const announced = { ...reader, 'content-length': String(body.length) };
  test.equal((await ask(gateway, 'POST', path, announced, body)).status, 200);
  // The body is announced and never sent.
  for (const more of [{}, { 'content-encoding': 'identity' }]) {
    const { status } = await ask(gateway, 'POST', path, { ...announced, ...more, 'content-length': '100000' }, '');
    test.equal(status, 429);
  }
});

/** Not to be read. */
const UNREAD: readonly Request[] = [
  {
    rest: ['POST', '/collections/docs/points/query', '{"lookup_from":'],
    grpc: [plain.grpc[0], Buffer.from([0x0a, 0xff])],
  },
  { rest: ['POST', '/collections/docs/points/query', '{"lookup_from":1'], grpc: [plain.grpc[0], Buffer.from([0x0b])] },
];
const most = (id: string, requests = 2 * VERDICT_LANES): string =>
  `Rate limiting exceeded: limit ${id} of ${requests} requests per day exceeded. Retry after`;
const listed = (subject: string) => ({
  'api-key': makeToken({ access: [{ collection: 'docs', access: 'r' }], subject }),
});

for (const [name, headers, id] of [
  ['a limit on cost', caller('unread'), 'unread'],
  ['bounds', caller('unread-bounds'), 'unread-bounds'],
  ['an access list', listed('unread-names'), 'unread-names'],
] as const) {
  t.test(`a body that is read for ${name}, and cannot be read, counts once on every lane`, async (test) => {
    for (const request of UNREAD) {
      for (const text of await heard(request, headers)) test.notMatch(text, /^(ok|Rate)/);
    }
    test.same(await heard(plain, headers), fromAll(most(id)));
  });
}

t.test('a body that names what the access refuses does not count', async (test) => {
  const other = 'Forbidden: Access to collection other is required';
  for (let round = 0; round < 3; round += 1) {
    test.same(await heard(query('other', {}), listed('named')), fromAll(other));
  }
  test.same(await heard(plain, listed('named')), fromAll('ok'));
});

t.test('the bytes of a body that cannot be read count', async (test) => {
  const headers = { ...caller('unread-bytes'), 'content-length': '4000' };
  const told: number[] = [];
  for (const more of [{}, { 'content-encoding': 'identity' }, {}, { 'content-encoding': 'identity' }]) {
    told.push((await ask(gateway, 'POST', plain.rest[1], { ...headers, ...more }, '{'.padEnd(4000))).status);
  }
  test.same(told, [400, 400, 429, 429]);
});

t.test('a body that its client leaves unfinished counts', async (test) => {
  const headers = { ...caller('left'), 'content-length': '100', 'content-type': 'application/json' };
  events.length = 0;
  const { rest, ca } = gateway;
  const to = { host: 'localhost', port: rest.port, ca, agent: false, path: plain.rest[1] } as const;
  const asked = httpsRequest({ ...to, method: 'POST', headers });
  asked.on('error', () => undefined).write('{"query":');
  await until(() => gateway.snapshot().observed?.inFlight.rest === 1, 'it is open');
  asked.destroy();
  await until(() => events.length === 1, 'it is recorded');
  test.same(await heard(plain, caller('left')), fromAll(most('left', 1)));
});

t.test('metrics count by limit', async (test) => {
  test.match(gateway.snapshot().observed?.limited, {
    cost: { denied: VERDICT_LANES, shadowed: 0 },
    shadow: { denied: 0, shadowed: VERDICT_LANES },
  });
});

t.test('official clients tell it as they tell a strict mode', async (test) => {
  const token = makeToken({ access: 'm', subject: 'client' });
  const rest = restClient(gateway, token);
  await rest.query('docs', { query: VECTOR });
  await test.rejects(rest.query('docs', { query: VECTOR }), { name: 'QdrantClientResourceExhaustedError' });
  const told = await grpcClient(gateway, makeToken({ access: 'm', subject: 'bounded' }))
    .api('points')
    .query({ collectionName: 'docs', limit: 101n })
    .catch((error: Error) => error);
  test.match(told, {
    message: /Limit exceeded 101 > 100 for "limit". Help: Reduce the "limit" parameter to or below 100/,
  });
});

const bad = (name: string, value: number, most: number): string =>
  `Bad request: Limit exceeded ${value} > ${most} for \\"${name}\\". Help: Reduce the \\"${name}\\" parameter to or below ${most}.`;
const leaf = fields([1, fields([1, 'city'])]);
const MATCH = { key: 'city', match: { value: 'x' } };
const params = (...of: Field[]): Field => [6, fields(...of)];
const many = (count: number): Request => ({
  rest: ['POST', '/collections/docs/points/query/batch', JSON.stringify({ searches: Array(count).fill({}) })],
  grpc: [
    '/qdrant.Points/QueryBatch',
    fields([1, 'docs'], ...Array.from({ length: count }, (): Field => [2, fields([1, 'docs'])])),
  ],
});

const BOUNDED: readonly [name: string, Request, answer: string, caller?: string][] = [
  ['a limit within its bound', limited(100), 'ok'],
  ['a limit over it', limited(101), bad('limit', 101, 100)],
  ['a limit of a prefetch', query('docs', { prefetch: { limit: 101 } }, [2, fields([7, 101])]), bad('limit', 101, 100)],
  ['a scroll over it', scroll(101), bad('limit', 101, 100)],
  ['an offset over it', query('docs', { offset: 51 }, [9, 51]), bad('offset', 51, 50)],
  ['hnsw_ef', query('docs', { params: { hnsw_ef: 129 } }, params([1, 129])), bad('hnsw_ef', 129, 128)],
  [
    'oversampling',
    query('docs', { params: { quantization: { oversampling: 2.5 } } }, params([3, fields([3, 2.5, 'double'])])),
    bad('oversampling', 2.5, 2),
  ],
  [
    'an exact search',
    query('docs', { params: { exact: true } }, params([2, 1])),
    'Bad request: Exact search disabled!. Help: Set exact=false.',
  ],
  ['a batch within its bound', many(3), 'ok'],
  ['a batch over it', many(4), bad('search batch size', 4, 3)],
  ['points within their bound', upsert(5), 'ok'],
  ['points over it', upsert(6), bad('points', 6, 5)],
  ['many more of them', upsert(2000), bad('points', 2000, 5)],
  [
    'conditions',
    query('docs', { filter: { must: [MATCH, MATCH, MATCH] } }, [5, fields([2, leaf], [2, leaf], [2, leaf])]),
    'Bad request: Filter condition limit reached (3 > 2). Help: Reduce the amount of conditions of your filter.',
  ],
  [
    'filters in each other',
    query('docs', { filter: { must: { must: { must: MATCH } } } }, [
      5,
      fields([2, fields([4, fields([2, fields([4, fields([2, leaf])])])])]),
    ]),
    'Bad request: Filter depth limit reached (3 > 2). Help: Reduce the depth of your filter.',
  ],
  ['another caller has no bounds', limited(1000), 'ok', 'nobody'],
  ['bounds of other collections', limited(6), 'ok', 'team-bounds'],
  ['of its collections', query('team-a', { limit: 6 }, [8, 6]), bad('limit', 6, 5), 'team-bounds'],
  ['a guard in shadow', limited(6), 'ok', 'noted'],
];

for (const [name, request, answer, who = 'bounded'] of BOUNDED) {
  t.test(`bounds: ${name}`, async (test) => {
    events.length = 0;
    const told = await lanes.ask(request, caller(who));
    const [, , , , grpc] = told;
    // The text of REST is JSON.
    const rest = answer.includes('\\"') ? answer.slice(0, answer.indexOf('\\"') + 1) : answer;
    test.same(told.slice(0, 4), Array(4).fill(rest));
    test.equal(grpc, answer.replaceAll('\\"', '"'));
    await until(() => events.length === VERDICT_LANES, 'all are recorded');
    for (const event of events) {
      if (answer !== 'ok') test.match(event, { result: 'denied', code: 'bound_exceeded', rule: who });
      else if (who === 'noted') test.match(event, { result: 'ok', would_deny: { rule: 'noted' } });
      else test.match(event, { result: 'ok' });
    }
  });
}

t.test('a bound answers 400', async (test) => {
  const [, path, body] = limited(101).rest;
  const headers = { ...caller('bounded'), 'content-length': String(body?.length) };
  const answer = await ask(gateway, 'POST', path, headers, body);
  test.equal(answer.status, 400);
  test.match(JSON.parse(answer.body), { status: { error: bad('limit', 101, 100).replaceAll('\\"', '"') }, time: 0 });
});

t.test('an operation whose numbers are not read is refused where bounds may hold', async (test) => {
  const { status, body } = await ask(gateway, 'POST', '/collections/docs/no/such', caller('bounded'), '{}');
  test.equal(status, 400);
  test.match(body, /Operation without readable bounds/);
});

t.test('a message that is larger than what is held is refused before its end', async (test) => {
  const before = gateway.upstream.recorder.grpc.length;
  executed = 0;
  const large = fields([1, 'x'], [2, fields([4, 'x'.repeat(3 << 20)])]);
  const six = Array.from({ length: 6 }, (): Field => [3, fields([3, large])]);
  const client = rawClient(gateway);
  test.teardown(() => client.close());
  const path = '/qdrant.Points/Upsert';
  const told = await unary(client, path, fields([1, 'docs'], ...six), caller('bounded'));
  test.match(told, { code: 3, message: bad('points', 6, 5).replaceAll('\\"', '"') });
  const five = await unary(client, path, fields([1, 'docs'], ...six.slice(1)), caller('bounded'));
  test.equal(five.code, 0, 'as many as may be');
  await until(() => gateway.upstream.recorder.grpc.length > before, 'it has come');
  test.equal(executed, 1, 'upstream has executed one');
});

for (const mode of ['shadow', 'learn'] as const) {
  t.test(`with the whole policy in ${mode} nothing is refused, and refusals are noted`, async (test) => {
    const noted: (string | undefined)[] = [];
    const loose = await startGateway({
      ...{ limits: LIMITS, guards: GUARDS, upstream: AGREEABLE },
      observers: [({ shadowed }) => noted.push(shadowed?.denial.code)],
      settings: { 'gateway.mode': mode, 'gateway.learn_file': join(mkdtempSync(join(tmpdir(), 'learnt-')), 'l.yaml') },
    });
    const asking = await openVerdictLanes(loose);
    test.teardown(async () => {
      asking.close();
      await loose.close();
    });
    const told = async (request: Request, who: string) => {
      noted.length = 0;
      test.same(await asking.ask(request, caller(who)), fromAll('ok'), who);
      await until(() => noted.length === VERDICT_LANES, 'all are recorded');
      return new Set(noted);
    };
    test.same(await told(limited(101), 'bounded'), new Set(['bound_exceeded']));
    test.same(await told(limited(1), 'bounded'), new Set([undefined]));
    test.same(await told(limited(6), 'small'), new Set(['rate_limited']));
    test.same(await told(upsert(3), 'points'), new Set([undefined]));
  });
}

const shopOf = ({ rest: [method, path, body = ''], grpc }: Request): Request => ({
  rest: [method, path.replace('docs', 'shop'), body],
  grpc,
});

t.test('the requests of a tenant are counted and bounded by their own numbers', async (test) => {
  const shared = await startGateway({
    guards: [guard('tenant', { max_query_limit: 50, filter_max_conditions: 1 })],
    limits: [limit('tenant', { cost: day(VERDICT_LANES * 3000) }), limit('form', { requests: day(2 * VERDICT_LANES) })],
    tenants: [{ id: 'shop', credentials: 'tokens', collections: ['shop'], field: 'tenant', from: 'tenant' }],
    upstream: AGREEABLE,
  });
  const asking = await openVerdictLanes(shared);
  test.teardown(async () => {
    asking.close();
    await shared.close();
  });
  const access = [{ collection: 'shop', access: 'r' }];
  const headers = { 'api-key': makeToken({ access, subject: 'tenant', tenant: 'acme' }) };
  const heardOf = async (request: Request) =>
    (await asking.ask(request, headers)).map((text) => text.replace(/ \d+s$|".*$/, ''));
  const filter = { filter: { must: [MATCH] } };
  test.same(await heardOf(query('shop', filter, [5, fields([2, leaf])])), fromAll('ok'), 'with its own condition');
  const told = await heardOf(query('shop', { limit: 51 }, [8, 51]));
  for (const text of told) test.match(text, /^Bad request: Limit exceeded 51 > 50 for/);
  test.same(await heardOf(query('shop', { limit: 20 }, [8, 20])), fromAll('ok'));
  test.same(await heardOf(query('shop', { limit: 1 }, [8, 1])), fromAll(over('tenant', VERDICT_LANES * 3000)));
  const form = { 'api-key': makeToken({ access, subject: 'form', tenant: 'acme' }) };
  for (const [unread] of [[query('shop', { unheard: 1 }, [99, 1])], UNREAD]) {
    const refused = unread && (await asking.ask(shopOf(unread), form));
    for (const text of refused ?? []) test.notMatch(text, /^(ok|Rate)/, 'a form that is not known');
  }
  const full = (await asking.ask(query('shop', {}), form)).map((text) => text.replace(/ \d+s$/, ''));
  test.same(full, fromAll(most('form')), 'its refused forms count');
});

t.test('a compressed body is read like any other', async (test) => {
  const [, path, body = ''] = limited(101).rest;
  const coded = gzipSync(body);
  const headers = { ...caller('bounded'), 'content-encoding': 'gzip', 'content-length': String(coded.length) };
  test.equal((await ask(gateway, 'POST', path, headers, coded)).status, 400);
});
