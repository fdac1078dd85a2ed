import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IncomingHttpHeaders, IncomingHttpStatusHeader, ServerHttp2Stream } from 'node:http2';
import type { Metadata } from '@grpc/grpc-js';
import { QdrantClientResourceExhaustedError } from '@qdrant/js-client-rest';
import t from 'tap';
import { recordOf } from '../../src/audit/record.ts';
import type { Exchange, Outcome } from '../../src/exchange/exchange.ts';
import type { LimitSettings } from '../../src/policy/limits/limits.ts';
import { firstRefusal } from '../../src/policy/rules.ts';
import { grpcClient, restClient, trust } from '../support/clients/official.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { openHttp2 } from '../support/clients/sockets.ts';
import { message, metadataOf, rawClient, same, unary } from '../support/clients/unary.ts';
import { startGateway } from '../support/gateway.ts';
import { startOperated } from '../support/operated.ts';
import { makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { AGREEABLE, fromAll, openVerdictLanes, type Request, VERDICT_LANES } from '../support/verdicts/lanes.ts';

/* Limits of the policy through the running gateway, over every lane. Quotas per day: none fills while a test runs. */

const DAY = { per: 'day', most: 2 * VERDICT_LANES } as const;
const BODY = JSON.stringify({ query: [0.1, 0.2, 0.3, 0.4] });

const query = (name: string): Request => ({
  rest: ['POST', `/collections/${name}/points/query`, BODY],
  grpc: ['/qdrant.Points/Query', message({ 1: name })],
});
const upsert = (name: string): Request => ({
  rest: ['PUT', `/collections/${name}/points`, '{"points":[]}'],
  grpc: ['/qdrant.Points/Upsert', message({ 1: name })],
});

const GRPC = { 'content-type': 'application/grpc', te: 'trailers' };

const limit = (id: string, more: Partial<LimitSettings>): LimitSettings => ({
  ...{ id, mode: 'enforce', each: 'principal', subjects: [id] },
  ...more,
});

const LIMITS: readonly LimitSettings[] = [
  limit('requests', { requests: DAY }),
  limit('searches', { requests: DAY, operations: ['search'] }),
  limit('team', { requests: DAY, collections: ['team-*'] }),
  limit('reader', { requests: DAY }),
  limit('passing', { requests: DAY }),
  limit('shadow', { requests: DAY, mode: 'shadow' }),
  limit('bytes', { bytes: { per: 'day', most: 60 }, operations: ['search'] }),
  limit('debt', { bytes: { per: 'day', most: 60 } }),
  limit('one', { concurrent: 1 }),
  limit('client', { requests: { per: 'day', most: 1 } }),
  limit('snapshots', {
    requests: { per: 'hour', most: 2 * VERDICT_LANES },
    operations: ['create_snapshot'],
    each: 'collection',
  }),
  limit('shared', { requests: DAY, each: 'all', subjects: ['x', 'y'] }),
];

const held: (() => void)[] = [];
/** Calls that are not answered. */
const calls: ServerHttp2Stream[] = [];
/** Keeps requests on the collection `slow` until they are released; others are answered at once. */
const SLOW = {
  onRest: (incoming: IncomingMessage, response: ServerResponse) => {
    if (!incoming.url?.includes('/slow/')) return AGREEABLE.onRest?.(incoming, response) ?? false;
    incoming.resume();
    held.push(() => response.writeHead(200, { 'content-type': 'application/json' }).end('{"result":true}'));
    return true;
  },
  onGrpc: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    if (headers[':path'] !== '/qdrant.Points/Count') return AGREEABLE.onGrpc?.(stream, headers) ?? false;
    stream.on('error', () => undefined);
    stream.resume();
    calls.push(stream);
    return true;
  },
};

const events: object[] = [];
const observe = (exchange: Exchange, outcome: Outcome): void => {
  const trust = { trustedProxies: 0, trustForwardedHeaders: false };
  const event = recordOf(exchange, outcome, { id: '', at: 0, now: 0 }, { trust, logApi: false, firstRefusal });
  if (event) events.push(event);
};

const gateway = await startGateway({
  limits: LIMITS,
  observers: [observe],
  upstream: SLOW,
  settings: { 'gateway.admin.port': 0, 'gateway.admin.token': 'admin-token-0123456789' },
});
const lanes = await openVerdictLanes(gateway);
trust(gateway.ca);
t.teardown(async () => {
  lanes.close();
  await gateway.close();
});

const caller = (subject: string) => ({ 'api-key': makeToken({ access: 'm', subject }) });
const over = (id: string): string => `Rate limiting exceeded: limit ${id} of 10 requests per day exceeded. Retry after`;

/** Answers over all lanes, without the seconds of a wait. */
async function heard(request: Request, headers: Readonly<Record<string, string>>): Promise<readonly string[]> {
  return (await lanes.ask(request, headers)).map((text) => text.replace(/ \d+s$/, ''));
}

t.test('a caller over its limit is refused on every lane, and another is not', async (test) => {
  for (let round = 0; round < 2; round += 1) {
    test.same(await heard(query('docs'), caller('requests')), fromAll('ok'), `round ${round}`);
  }
  const before = gateway.upstream.recorder.rest.length;
  events.length = 0;
  test.same(await heard(query('docs'), caller('requests')), fromAll(over('requests')));
  test.equal(gateway.upstream.recorder.rest.length, before, 'upstream is not asked');
  await until(() => events.length === VERDICT_LANES, 'all are recorded');
  for (const event of events) {
    test.match(event, { result: 'denied', code: 'rate_limited', rule: 'requests', error: /limit requests of 10/ });
  }
  test.same(await heard(query('docs'), caller('nobody')), fromAll('ok'));
});

t.test('only its operations count on a limit of operations', async (test) => {
  for (let round = 0; round < 3; round += 1) {
    test.same(await heard(upsert('docs'), caller('searches')), fromAll('ok'));
  }
  for (const text of ['ok', 'ok', over('searches')]) {
    test.same(await heard(query('docs'), caller('searches')), fromAll(text));
  }
  test.same(await heard(upsert('docs'), caller('searches')), fromAll('ok'));
});

t.test('only its collections count on a limit of collections, also where a message names them', async (test) => {
  for (let round = 0; round < 3; round += 1) {
    test.same(await heard(query('docs'), caller('team')), fromAll('ok'));
  }
  for (const text of ['ok', 'ok', over('team')]) {
    test.same(await heard(query('team-a'), caller('team')), fromAll(text));
  }
  test.same(await heard(query('docs'), caller('team')), fromAll('ok'));
});

t.test('refused requests do not count', async (test) => {
  const reader = { 'api-key': makeToken({ access: [{ collection: 'docs', access: 'r' }], subject: 'reader' }) };
  for (let round = 0; round < 3; round += 1) {
    test.same(await heard(query('other'), reader), fromAll('Forbidden: Access to collection other is required'));
    test.same(await heard(upsert('docs'), reader), fromAll('Forbidden: Write access to collection docs is required'));
  }
  for (const text of ['ok', 'ok', over('reader')]) test.same(await heard(query('docs'), reader), fromAll(text));
});

t.test('a limit in shadow lets pass and is recorded', async (test) => {
  events.length = 0;
  for (let round = 0; round < 3; round += 1) {
    test.same(await heard(query('docs'), caller('shadow')), fromAll('ok'));
  }
  await until(() => events.length === 3 * VERDICT_LANES, 'all are recorded');
  const noted = events.filter((event) => 'would_deny' in event && event.would_deny !== undefined);
  test.equal(noted.length, VERDICT_LANES);
  test.match(noted[0], { result: 'ok', would_deny: { rule: 'shadow', code: 'rate_limited' } });
});

t.test('snapshots of each collection are bounded per hour, over every lane', async (test) => {
  const snapshot = (name: string): Request => ({
    rest: ['POST', `/collections/${name}/snapshots`],
    grpc: ['/qdrant.Snapshots/Create', message({ 1: name })],
  });
  const full = 'Rate limiting exceeded: limit snapshots of 10 requests per hour exceeded. Retry after';
  for (const text of ['ok', 'ok', full]) test.same(await heard(snapshot('docs'), caller('snapshots')), fromAll(text));
  test.same(await heard(snapshot('other'), caller('snapshots')), fromAll('ok'), 'another collection');
  test.same(await heard(query('docs'), caller('snapshots')), fromAll('ok'), 'another operation');
});

t.test('callers of one shared limit use it together', async (test) => {
  test.same(await heard(query('docs'), caller('x')), fromAll('ok'));
  test.same(await heard(query('docs'), caller('y')), fromAll('ok'));
  test.same(await heard(query('docs'), caller('x')), fromAll(over('shared')));
});

t.test('metrics count by limit', async (test) => {
  const { limited } = gateway.snapshot().observed ?? {};
  test.match(limited, {
    requests: { denied: VERDICT_LANES, shadowed: 0 },
    shadow: { denied: 0, shadowed: VERDICT_LANES },
    team: { denied: VERDICT_LANES, shadowed: 0 },
  });
});

t.test('a body that never fits is not to be tried again', async (test) => {
  const [, path] = query('docs').rest;
  const body = `${BODY.slice(0, -1)},"limit":${'1'.repeat(60)}}`;
  for (const more of [{}, { 'content-encoding': 'identity' }] as Readonly<Record<string, string>>[]) {
    const headers = { ...caller('bytes'), ...more, 'content-length': String(body.length) };
    const { status, headers: answered } = await ask(gateway, 'POST', path, headers, body);
    test.equal(status, 429);
    test.equal(answered['retry-after'], undefined);
    test.match(answered, { 'ratelimit-limit': '60', 'ratelimit-remaining': '60' });
  }
});

t.test('requests at once: one is open, the next is refused, and each end gives it back', async (test) => {
  const path = '/collections/slow/points/query';
  for (const [lane, more] of [
    ['relayed', {}],
    ['by the server', { 'content-encoding': 'identity' }],
  ] as const) {
    const headers = { ...caller('one'), ...more, 'content-length': String(BODY.length) };
    const first = ask(gateway, 'POST', path, headers, BODY);
    await until(() => held.length === 1, `${lane}: upstream has it`);
    const refused = await ask(gateway, 'POST', path, headers, BODY);
    test.equal(refused.status, 429, lane);
    test.match(refused.headers, { 'retry-after': '1', 'ratelimit-limit': '1', 'ratelimit-reset': '1' });
    test.match(JSON.parse(refused.body), { status: { error: /limit one of 1 requests at once exceeded/ }, time: 0 });
    for (const release of held.splice(0)) release();
    test.equal((await first).status, 200, lane);
    await until(
      async () => (await ask(gateway, 'POST', '/collections/docs/points/query', headers, BODY)).status === 200,
      'its place is free',
    );
  }
});

t.test(
  'requests at once over HTTP/2: one is open, the next is refused, and the end of the first gives it back',
  async (test) => {
    const session = await openHttp2(gateway.rest.port, gateway.ca);
    test.teardown(() => session.close());
    const post = (name: string, more: Readonly<Record<string, string>>) => {
      const path = `/collections/${name}/points/query`;
      const stream = session.request({ ':method': 'POST', ':path': path, ...caller('one'), ...more });
      stream.end(BODY);
      return once(stream, 'response').then(([head]) => {
        stream.resume();
        return head as IncomingHttpHeaders & IncomingHttpStatusHeader;
      });
    };
    for (const more of [{ 'content-length': String(BODY.length) }, { 'content-encoding': 'identity' }]) {
      const first = post('slow', more);
      await until(() => held.length === 1, 'upstream has it');
      test.match(await post('docs', more), { ':status': 429, 'retry-after': '1', 'ratelimit-limit': '1' });
      for (const release of held.splice(0)) release();
      test.match(await first, { ':status': 200 });
      await until(async () => (await post('docs', more))[':status'] === 200, 'its place is free');
    }
  },
);

t.test('bytes over HTTP/2: a body that never fits is refused before it comes', async (test) => {
  const session = await openHttp2(gateway.rest.port, gateway.ca);
  test.teardown(() => session.destroy());
  for (const more of [{}, { 'content-encoding': 'identity' }]) {
    const head = { ':method': 'POST', ':path': query('docs').rest[1], 'content-length': '61' };
    const stream = session.request({ ...head, ...caller('bytes'), ...more });
    stream.on('error', () => undefined);
    const [answer] = await once(stream, 'response');
    test.match(answer, { ':status': 429, 'ratelimit-limit': '60', 'ratelimit-remaining': '60' });
    test.notHas(answer, { 'retry-after': '' });
    stream.close();
  }
});

t.test('bytes over gRPC: a message of unknown size is let through, and the next waits for the debt', async (test) => {
  const client = rawClient(gateway);
  test.teardown(() => client.close());
  const large = message({ 1: 'docs', 4: 'x'.repeat(200) });
  test.match(await unary(client, '/qdrant.Points/Query', large, caller('debt')), { code: 0 });
  const refused = /limit debt of 60 bytes per day exceeded. Retry after/;
  test.match(await unary(client, '/qdrant.Points/Query', message({ 1: 'docs' }), caller('debt')), { message: refused });
  const session = await openHttp2(gateway.grpc.port, gateway.ca);
  test.teardown(() => session.destroy());
  // The message is never sent.
  const stream = session.request({ ':method': 'POST', ':path': '/qdrant.Points/Query', ...GRPC, ...caller('debt') });
  stream.on('error', () => undefined);
  const [answer] = await once(stream, 'response');
  test.match(answer, { ':status': 200, 'grpc-status': '8', 'retry-after': /^\d+$/ });
});

t.test('a client that leaves gives its place back', async (test) => {
  const session = await openHttp2(gateway.rest.port, gateway.ca);
  for (let round = 0; round < 3; round += 1) {
    const stream = session.request({ ':method': 'POST', ':path': '/collections/slow/points/query', ...caller('one') });
    stream.on('error', () => undefined);
    stream.end(BODY);
    await until(() => held.length === 1, 'upstream has it');
    stream.destroy();
    await once(stream, 'close');
    held.length = 0;
    await until(
      async () => (await lanes.ask(query('docs'), caller('one'))).every((text) => text === 'ok'),
      'its place is free',
    );
  }
  session.close();
  test.pass('no place is lost');
});

t.test('a request that passes from one lane to another is counted once, and gives its place back', async (test) => {
  const lists: Request = { rest: ['GET', '/collections'], grpc: ['/qdrant.Collections/List', new Uint8Array()] };
  const reader = (subject: string) => ({
    'api-key': makeToken({ access: [{ collection: 'docs', access: 'r' }], subject }),
  });
  for (let round = 0; round < 3; round += 1) {
    await until(async () => (await lanes.ask(lists, reader('one'))).every((text) => text === 'ok'), 'a place is free');
  }
  for (const text of ['ok', 'ok', over('passing')]) test.same(await heard(lists, reader('passing')), fromAll(text));
});

t.test('a call that is cancelled, or fails upstream, gives its place back', async (test) => {
  const client = rawClient(gateway);
  test.teardown(() => client.close());
  const slow = Buffer.from(message({ 1: 'slow' }));
  const metadata = metadataOf(caller('one'));
  for (let round = 0; round < 3; round += 1) {
    const ended = Promise.withResolvers<number | undefined>();
    const before = calls.length;
    const call = client.makeUnaryRequest('/qdrant.Points/Count', same, same, slow, metadata, (error) =>
      ended.resolve(error?.code),
    );
    await until(() => calls.length > before, 'upstream has it');
    test.match(await lanes.ask(query('docs'), caller('one')), Array(VERDICT_LANES).fill(/at once exceeded/));
    if (round === 0) calls.at(-1)?.close(2);
    else call.cancel();
    test.not(await ended.promise, 0);
    await until(
      async () => (await lanes.ask(query('docs'), caller('one'))).every((text) => text === 'ok'),
      'its place is free',
    );
  }
});

t.test('the official clients tell a limit as they tell one of a strict mode', async (test) => {
  const token = makeToken({ access: 'm', subject: 'client' });
  const rest = restClient(gateway, token);
  await rest.query('docs', { query: [0.1, 0.2, 0.3, 0.4] });
  await test.rejects(rest.query('docs', { query: [0.1, 0.2, 0.3, 0.4] }), QdrantClientResourceExhaustedError);
  const grpc = grpcClient(gateway, token);
  const told = await grpc
    .api('points')
    .query({ collectionName: 'docs' })
    .catch((error: Error) => error.cause);
  test.match(told, { name: 'QdrantClientResourceExhaustedError', message: /of 1 requests per day exceeded/ });
  const client = rawClient(gateway);
  test.teardown(() => client.close());
  const { promise, resolve } = Promise.withResolvers<{ code?: number; metadata?: Metadata } | null>();
  client.makeUnaryRequest(
    ...(['/qdrant.Points/Query', same, same, Buffer.from(message({ 1: 'docs' }))] as const),
    metadataOf({ 'api-key': token }),
    (error) => resolve(error),
  );
  const failed = await promise;
  test.equal(failed?.code, 8);
  test.match(failed?.metadata?.get('retry-after'), [/^\d+$/]);
});

t.test('limits come, change and go with the policy file, and what was used stays', async (test) => {
  const operated = await startOperated({ upstream: AGREEABLE });
  const asking = await openVerdictLanes(operated);
  test.teardown(async () => {
    asking.close();
    await operated.close();
  });
  const answers = async () => (await asking.ask(query('docs'), caller('a'))).map((text) => text.replace(/ \d+s$/, ''));
  const reload = async (text: string): Promise<void> => {
    operated.write('policy.yaml', text);
    test.match(await operated.supervisor.reload('admin'), { ok: true });
  };
  test.same(await answers(), fromAll('ok'));
  await reload('limits: [{ id: day, requests: { per: day, most: 10 } }]\n');
  test.same(await answers(), fromAll('ok'));
  await reload('rules: [{ id: r, access: m }]\nlimits: [{ id: day, requests: { per: day, most: 10 } }]\n');
  test.same(await answers(), fromAll('ok'));
  test.same(await answers(), fromAll(over('day')), 'the reload between kept what was used');
  await reload('rules: []\n');
  test.same(await answers(), fromAll('ok'));
});
