import t from 'tap';
import { ask } from '../support/clients/raw-rest.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { collectionToken, makeToken, nowSeconds } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const gateway = await startGateway();
const client = rawClient(gateway);
t.teardown(async () => {
  client.close();
  await gateway.close();
});
const EXPIRED = [403, 'ExpiredSignature', 7, 'ExpiredSignature'];

async function verdict(credential: string): Promise<unknown[]> {
  const headers = { 'api-key': credential };
  const rest = await ask(gateway, 'GET', '/collections', headers);
  const grpc = await unary(client, '/qdrant.Collections/List', Buffer.alloc(0), headers);
  return [rest.status, rest.status === 200 ? '' : rest.body, grpc.code, grpc.message];
}

/** Waits until a fresh second has begun, so that what follows runs within it. */
async function secondBegins(): Promise<number> {
  const before = nowSeconds();
  await until(() => nowSeconds() !== before, 'the next second begins');
  return nowSeconds();
}

t.test('the expiry has a leeway of thirty seconds, both edges, whatever iat says', async (test) => {
  const now = await secondBegins();
  const passing = await verdict(makeToken({ iat: 1_500_000_000, exp: now - 29 }));
  const gone = await verdict(makeToken({ iat: 1_500_000_000, exp: now - 31 }));
  test.same(passing, [200, '', 0, ''], '29 s ago passes');
  test.same(gone, EXPIRED, '31 s ago does not');
});

t.test('exactly thirty seconds ago still passes', async (test) => {
  let verdicts: unknown[] = [];
  // Asked again when the second ended before the answers came, which only a machine that stalls makes happen.
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const now = await secondBegins();
    verdicts = await verdict(makeToken({ iat: 1_500_000_000, exp: now - 30 }));
    if (nowSeconds() === now) break;
  }
  test.same(verdicts, [200, '', 0, '']);
});

t.test('a token that is remembered expires all the same', async (test) => {
  const now = await secondBegins();
  const token = makeToken({ exp: now - 29 });
  test.same(await verdict(token), [200, '', 0, '']);
  await until(async () => (await verdict(token))[0] === 403, 'it expires');
  test.same(await verdict(token), EXPIRED);
});

t.test('claims are judged with upstream texts', async (test) => {
  const far = nowSeconds() + 3600;
  const cases: readonly [name: string, credential: string, expected: unknown[]][] = [
    ['an expiry to come', makeToken({ exp: far }), [200, '', 0, '']],
    ['long gone', makeToken({ exp: 1 }), EXPIRED],
    ['not before, to come', makeToken({ nbf: far }), [200, '', 0, '']],
    ['issued in the future', makeToken({ iat: far }), [200, '', 0, '']],
    [
      'a payload constraint',
      makeToken({ access: [{ collection: 'a', access: 'r', payload: { x: 1 } }] }),
      [
        401,
        "access[0].payload: The 'payload' constraint is deprecated and should not be used",
        16,
        "access[0].payload: The 'payload' constraint is deprecated and should not be used",
      ],
    ],
    // Two secrets: what the first could not decode is for the second a signature that does not fit.
    ['an expiry as text', makeToken({ exp: 'never' }), [403, 'InvalidSignature', 7, 'InvalidSignature']],
    ['an unknown access', makeToken({ access: 'w' }), [403, 'InvalidSignature', 7, 'InvalidSignature']],
    [
      'expired, of the alternative key',
      makeToken({ exp: 1 }, KEYS.alt),
      [403, 'InvalidSignature', 7, 'InvalidSignature'],
    ],
    ['expired and signed wrongly', makeToken({ exp: 1 }, 'x'), [403, 'InvalidSignature', 7, 'InvalidSignature']],
  ];
  for (const [name, credential, expected] of cases) test.same(await verdict(credential), expected, name);
});

t.test('with one key an undecodable token is a wrong one', async (test) => {
  const one = await startGateway({ settings: { 'service.alt_api_key': null } });
  test.teardown(() => one.close());
  for (const claims of [{ exp: 'never' }, { access: 'w' }, { access: [{ collection: 'a' }] }]) {
    const answer = await ask(one, 'GET', '/collections', { 'api-key': makeToken(claims) });
    test.same([answer.status, answer.body], [401, 'Invalid API key or JWT']);
  }
  const alt = await ask(one, 'GET', '/collections', { 'api-key': makeToken({}, KEYS.alt) });
  test.same([alt.status, alt.body], [403, 'InvalidSignature']);
});

t.test('several collections, each with its own access', async (test) => {
  const token = makeToken({
    access: [
      { collection: 'read', access: 'r' },
      { collection: 'write', access: 'rw' },
    ],
  });
  const headers = { 'api-key': token, 'content-type': 'application/json' };
  for (const name of ['read', 'write', 'other']) {
    await fetch(`${gateway.upstream.restUrl}/collections/${name}`, {
      method: 'PUT',
      body: '{"vectors":{"size":1,"distance":"Dot"}}',
    });
  }
  const body = '{"points":[{"id":1,"vector":[1]}]}';
  const put = (name: string) => ask(gateway, 'PUT', `/collections/${name}/points?wait=true`, headers, body);
  const get = (name: string) => unary(client, '/qdrant.Collections/Get', message({ 1: name }), { 'api-key': token });
  test.equal((await put('write')).status, 200);
  test.match((await put('read')).body, 'Forbidden: Write access to collection read is required');
  test.match((await put('other')).body, 'Forbidden: Access to collection other is required');
  test.equal((await get('read')).code, 0);
  test.equal((await get('write')).code, 0);
  test.match(await get('other'), { code: 7, message: 'Forbidden: Access to collection other is required' });
  test.match(await get('READ'), { code: 7, message: 'Forbidden: Access to collection READ is required' });
});

t.test('an alias is not its collection', async (test) => {
  const base = gateway.upstream.restUrl;
  const actions = [{ create_alias: { collection_name: 'read', alias_name: 'other-name' } }];
  await fetch(`${base}/collections/aliases`, { method: 'POST', body: JSON.stringify({ actions }) });
  const count = (credential: string, name: string) =>
    ask(gateway, 'POST', `/collections/${name}/points/count`, { 'api-key': credential }, '{}');
  test.equal((await count(collectionToken('r', 'other-name'), 'other-name')).status, 200);
  test.equal((await count(collectionToken('r', 'read'), 'other-name')).status, 403);
  test.equal((await count(collectionToken('r', 'other-name'), 'read')).status, 403);
  test.equal((await count(collectionToken('r', 'read'), 'read')).status, 200);
});
