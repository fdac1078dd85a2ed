import t from 'tap';
import { ask } from '../support/clients/raw-rest.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { collectionToken, makeToken } from '../support/tokens.ts';

const MISSING = [401, 16, 'Must provide an API key or an Authorization bearer token'] as const;
const INVALID = [401, 16, 'Invalid API key or JWT'] as const;
const ACCEPTED = [200, 0, ''] as const;
const SIGNATURE = [403, 7, 'InvalidSignature'] as const;

interface Case {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expected: readonly [status: number, code: number, text: string];
}

const admin = makeToken({ access: 'm' });
const duplicate = makeToken({
  access: [
    { collection: 'a', access: 'r' },
    { collection: 'a', access: 'rw' },
  ],
});
const [head = '', claims = '', signature = ''] = admin.split('.');

const CASES: readonly Case[] = [
  { name: 'no credential', headers: {}, expected: MISSING },
  { name: 'the admin key', headers: { 'api-key': KEYS.admin }, expected: ACCEPTED },
  { name: 'the alternative key', headers: { 'api-key': KEYS.alt }, expected: ACCEPTED },
  { name: 'the read-only key', headers: { 'api-key': KEYS.readOnly }, expected: ACCEPTED },
  { name: 'a wrong key', headers: { 'api-key': 'wrong' }, expected: INVALID },
  { name: 'a key that goes on', headers: { 'api-key': `${KEYS.admin}0` }, expected: INVALID },
  { name: 'a key that stops early', headers: { 'api-key': KEYS.admin.slice(0, -1) }, expected: INVALID },
  { name: 'a key in other letters', headers: { 'api-key': KEYS.admin.toUpperCase() }, expected: INVALID },
  { name: 'an empty key', headers: { 'api-key': '' }, expected: INVALID },
  { name: 'a key as bearer', headers: { authorization: `Bearer ${KEYS.admin}` }, expected: ACCEPTED },
  { name: 'a wrong key as bearer', headers: { authorization: 'Bearer wrong' }, expected: INVALID },
  { name: 'bearer in small letters', headers: { authorization: `bearer ${KEYS.admin}` }, expected: MISSING },
  { name: 'two blanks behind Bearer', headers: { authorization: `Bearer  ${KEYS.admin}` }, expected: INVALID },
  { name: 'another scheme', headers: { authorization: `Basic ${KEYS.admin}` }, expected: MISSING },
  { name: 'a key in a header of another name', headers: { 'x-api-key': KEYS.admin }, expected: MISSING },
  { name: 'a key in a cookie', headers: { cookie: `api-key=${KEYS.admin}` }, expected: MISSING },
  {
    name: 'a wrong api-key before a right bearer',
    headers: { 'api-key': 'wrong', authorization: `Bearer ${KEYS.admin}` },
    expected: INVALID,
  },
  {
    name: 'an empty api-key before a right bearer',
    headers: { 'api-key': '', authorization: `Bearer ${KEYS.admin}` },
    expected: INVALID,
  },
  {
    name: 'a right api-key before a wrong bearer',
    headers: { 'api-key': KEYS.admin, authorization: 'Bearer wrong' },
    expected: ACCEPTED,
  },
  { name: 'a token as api-key', headers: { 'api-key': admin }, expected: ACCEPTED },
  { name: 'a token as bearer', headers: { authorization: `Bearer ${admin}` }, expected: ACCEPTED },
  { name: 'a token without bearer', headers: { authorization: admin }, expected: MISSING },
  {
    name: 'a token of the alternative key',
    headers: { 'api-key': makeToken({ access: 'm' }, KEYS.alt) },
    expected: ACCEPTED,
  },
  {
    name: 'a token signed with the read-only key',
    headers: { 'api-key': makeToken({ access: 'm' }, KEYS.readOnly) },
    expected: SIGNATURE,
  },
  {
    name: 'a token signed with another key',
    headers: { 'api-key': makeToken({ access: 'm' }, 'another-key-0123456789') },
    expected: SIGNATURE,
  },
  { name: 'a token without signature', headers: { 'api-key': `${head}.${claims}.` }, expected: SIGNATURE },
  { name: 'a token of two parts', headers: { 'api-key': `${head}.${claims}` }, expected: INVALID },
  {
    name: 'a token whose claims were changed',
    headers: { 'api-key': `${head}.${Buffer.from('{"access":"r"}').toString('base64url')}.${signature}` },
    expected: SIGNATURE,
  },
  {
    name: 'a token that names no algorithm',
    headers: { 'api-key': `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims}.` },
    expected: INVALID,
  },
  {
    name: 'a token that names a collection twice',
    headers: { 'api-key': duplicate },
    // Upstream: a text about the claims is an answer, so the first secret decides and the second is not heard.
    expected: [401, 16, 'access[1].collection: Collection name should be unique'],
  },
  { name: 'a token with an empty list', headers: { 'api-key': makeToken({ access: [] }) }, expected: ACCEPTED },
];

const gateway = await startGateway();
const client = rawClient(gateway);
t.teardown(async () => {
  client.close();
  await gateway.close();
});
const { recorder } = gateway.upstream;

for (const { name, headers, expected } of CASES) {
  const [, code, text] = expected;
  t.test(`${name} is ${code === 0 ? 'accepted' : 'refused'} on both protocols`, async (test) => {
    recorder.clear();
    const rest = await ask(gateway, 'GET', '/collections', headers);
    const grpc = await unary(client, '/qdrant.Collections/List', Buffer.alloc(0), headers);
    test.same([rest.status, grpc.code, grpc.message], expected);
    if (code === 0) return;
    test.equal(rest.body, text);
    test.equal(rest.headers['content-type'], undefined);
    test.equal(rest.headers['www-authenticate'], undefined);
    test.same([recorder.rest.length, recorder.grpc.length], [0, 0], 'nothing reaches upstream');
  });
}

t.test('open operations need no credential and look at none', async (test) => {
  for (const headers of [{}, { 'api-key': 'wrong' }, { 'api-key': makeToken({ exp: 1 }) }]) {
    for (const path of ['/', '/healthz', '/livez', '/readyz']) {
      test.equal((await ask(gateway, 'GET', path, headers)).status, 200, path);
    }
    for (const path of ['/qdrant.Qdrant/HealthCheck', '/grpc.health.v1.Health/Check']) {
      test.equal((await unary(client, path, Buffer.alloc(0), headers)).code, 0, path);
    }
  }
});

t.test('no credential ever reaches upstream', async (test) => {
  recorder.clear();
  const both = { 'api-key': KEYS.admin, authorization: `Bearer ${admin}`, 'x-other': 'kept' };
  test.equal((await ask(gateway, 'GET', '/collections', both)).status, 200);
  test.equal((await unary(client, '/qdrant.Collections/List', Buffer.alloc(0), both)).code, 0);
  const sent = [...recorder.rest.flatMap((one) => one.rawHeaders), ...recorder.grpc.flatMap((one) => one.metadata)];
  const names = sent.map((text) => text.toLowerCase());
  test.notOk(names.includes('api-key') || names.includes('authorization'));
  test.notOk(sent.some((text) => text.includes(KEYS.admin) || text.includes(admin)));
  test.equal(sent.filter((text) => text === 'kept').length, 2);
});

t.test('with JWT off every token is a wrong key, and keys go on', async (test) => {
  const off = await startGateway({ settings: { 'service.jwt_rbac': false } });
  const offClient = rawClient(off);
  test.teardown(async () => {
    offClient.close();
    await off.close();
  });
  for (const [credential, expected] of [
    [admin, INVALID],
    [collectionToken('rw', 'cities'), INVALID],
    [makeToken({ exp: 1 }), INVALID],
    [KEYS.admin, ACCEPTED],
    [KEYS.alt, ACCEPTED],
    [KEYS.readOnly, ACCEPTED],
  ] as const) {
    const headers = { 'api-key': credential };
    const rest = await ask(off, 'GET', '/collections', headers);
    const grpc = await unary(offClient, '/qdrant.Collections/List', Buffer.alloc(0), headers);
    test.same([rest.status, grpc.code, grpc.message], expected);
  }
});

t.test('a stateful claim is asked again each time', async (test) => {
  const direct = gateway.upstream.restUrl;
  const json = { 'content-type': 'application/json' };
  const put = (path: string, body: object) =>
    fetch(`${direct}${path}`, { method: 'PUT', headers: json, body: JSON.stringify(body) });
  await put('/collections/users', { vectors: { size: 1, distance: 'Dot' } });
  const token = makeToken({
    value_exists: { collection: 'users', matches: [{ key: 'name', value: 'ann' }] },
  });
  const missing = makeToken({ value_exists: { collection: 'nowhere', matches: [] } });
  const asked = async (credential: string) => {
    const headers = { 'api-key': credential };
    const rest = await ask(gateway, 'GET', '/collections', headers);
    const grpc = await unary(client, '/qdrant.Collections/Get', message({ 1: 'users' }), headers);
    return [rest.status, grpc.code, grpc.message];
  };
  const refused = 'Invalid JWT, stateful validation failed';
  test.same(await asked(token), [401, 16, refused]);
  await put('/collections/users/points?wait=true', { points: [{ id: 1, vector: [1], payload: { name: 'ann' } }] });
  test.same(await asked(token), [200, 0, '']);
  await fetch(`${direct}/collections/users/points/delete?wait=true`, {
    method: 'POST',
    headers: json,
    body: '{"points":[1]}',
  });
  test.same(await asked(token), [401, 16, refused]);
  test.same(await asked(missing), [403, 7, refused]);
});
