import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import t from 'tap';
import { rawClient, unary } from '../support/clients/unary.ts';
import { startGateway } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { realQdrant, settingsBefore } from '../support/real-qdrant.ts';
import { makeToken } from '../support/tokens.ts';
import { RefusalCodes } from '../support/verdicts/refusal-codes.ts';

/*
 * Tenants of a collection with shard keys: without one of their own they do not search it; with one every question and request of the gateway
 * has it.
 */

t.setTimeout(FILE_MS);
const codes = new RefusalCodes();
const condition = { field: 'tenant', from: 'tenant' } as const;
const tenants = [
  { id: 'plain', collections: ['plain', 'keyed'], ...condition },
  { id: 'own', collections: ['own'], ...condition, shard_key: true, shard_key_fallback: 'shared' },
];
/** A real Qdrant in the place of the stand-in: its collections `plain`, `keyed` and `own` are made anew. */
const real = realQdrant();
const settings = settingsBefore(real);
const shown = { tls: false, tenants, observers: [codes.observe] };
const relaying = await startGateway({ ...shown, settings });
const serving = await startGateway({
  ...shown,
  settings: { ...settings, 'gateway.rest.relay': false },
  before: relaying.upstream,
});
const client = rawClient(relaying);
t.teardown(async () => {
  client.close();
  await serving.close();
  await relaying.close();
});
const { upstream } = relaying;
const json = { 'content-type': 'application/json' };
async function change(path: string, method: string, body?: object): Promise<void> {
  const sent = body && { headers: json, body: JSON.stringify(body) };
  const answer = await fetch(`${(real ?? upstream).restUrl}/collections/${path}`, { method, ...sent });
  if (!answer.ok && method !== 'DELETE') throw new Error(`${method} ${path}: ${await answer.text()}`);
}

for (const [name, keys] of Object.entries({ plain: [], keyed: ['acme'], own: ['acme', 'shared'] })) {
  const vectors = { size: 1, distance: 'Dot' };
  const points = [{ id: 1, vector: [1], payload: { tenant: 'acme' } }];
  await change(name, 'DELETE');
  await change(name, 'PUT', keys.length > 0 ? { vectors, sharding_method: 'custom' } : { vectors });
  for (const key of keys) await change(`${name}/shards`, 'PUT', { shard_key: key });
  await change(`${name}/points?wait=true`, 'PUT', keys.length > 0 ? { points, shard_key: 'acme' } : { points });
}
const token = makeToken({ access: 'm', tenant: 'acme' });

/** Status, and the text of a refusal. */
async function overRest(url: string, collection: string, path: string, body: object): Promise<string> {
  const answer = await fetch(`${url}/collections/${collection}${path}`, {
    ...{ method: 'POST', headers: { ...json, 'api-key': token, connection: 'close' }, body: JSON.stringify(body) },
  });
  const text = await answer.text();
  return answer.ok ? '200' : `${answer.status} ${JSON.parse(text).status.error}`;
}

async function overGrpc(fields: MessageInitShape<typeof q.QueryPointsSchema>): Promise<string> {
  const message = toBinary(q.QueryPointsSchema, create(q.QueryPointsSchema, fields));
  const { code, message: text, body } = await unary(client, '/qdrant.Points/Query', message, { 'api-key': token });
  return code === 0 ? `${fromBinary(q.QueryResponseSchema, body).result.length} points` : `${code} ${text}`;
}

const REFUSED =
  'Forbidden: A collection with shard keys can not be searched by tenants that have no shard key of their own';
const nearest = (value: MessageInitShape<typeof q.VectorInputSchema>['variant']) =>
  ({ variant: { case: 'nearest', value: { variant: value } } }) as never;
const byVector = nearest({ case: 'dense', value: { data: [1] } });
const byId = nearest({ case: 'id', value: { pointIdOptions: { case: 'num', value: 1n } } });

for (const [lane, { rest }] of Object.entries({ relay: relaying, server: serving })) {
  t.test(`over REST (${lane})`, async (t) => {
    for (const [path, body] of [
      ['/points/query', { query: [1] }],
      ['/points/query', { query: 1 }],
      ['/points/query/groups', { query: [1], group_by: 'a' }],
      ['/points/search/matrix/pairs', {}],
    ] as const) {
      t.equal(await overRest(rest.url, 'keyed', path, body), `403 ${REFUSED}`, `${path} ${JSON.stringify(body)}`);
      t.equal(await overRest(rest.url, 'plain', path, body), '200', `${path}, without shard keys`);
      t.equal(await overRest(rest.url, 'own', path, body), '200', `${path}, with an own one`);
    }
    for (const [path, body] of [
      ['/points/scroll', {}],
      ['/points/count', {}],
      ['/points', { ids: [1] }],
    ] as const) {
      t.equal(await overRest(rest.url, 'keyed', path, body), '200', path);
    }
    const lookup = { query: 1, lookup_from: { collection: 'keyed' } };
    t.equal(
      await overRest(rest.url, 'plain', '/points/query', lookup),
      `403 ${REFUSED}`,
      'vectors of another collection',
    );
    t.equal(
      await overRest(rest.url, 'plain', '/points/query', { query: 1, lookup_from: { collection: 'own' } }),
      '200',
      'the same with a shard key',
    );
  });
}

t.test('over gRPC', async (t) => {
  const own = { collectionName: 'own', limit: 1n };
  const keyed = { collectionName: 'keyed', limit: 1n };
  const plain = { collectionName: 'plain', limit: 1n };
  // Twice: facts are asked for once, and then known.
  for (const again of ['first', 'again']) {
    t.equal(await overGrpc({ ...keyed, query: byVector }), `7 ${REFUSED}`, again);
    t.equal(await overGrpc({ ...keyed, query: byId }), `7 ${REFUSED}`, again);
    t.equal(await overGrpc({ ...plain, query: byVector }), '1 points', again);
    t.equal(await overGrpc({ ...own, query: byVector }), '1 points', again);
    t.equal(await overGrpc({ ...plain, query: byId, lookupFrom: { collectionName: 'keyed' } }), `7 ${REFUSED}`, again);
    t.match(await overGrpc({ ...plain, query: byId, lookupFrom: { collectionName: 'own' } }), /points$/, again);
  }
});

const skip = real ? 'what a real Qdrant gets is not recorded' : false;
t.test('all that the gateway asks and sends for it has the shard key', { skip }, async (t) => {
  upstream.recorder.clear();
  t.equal(await overRest(relaying.rest.url, 'own', '/points/query', { query: 1 }), '200');
  t.match(await overGrpc({ collectionName: 'own', limit: 1n, query: byId }), /points$/);
  const selector = '"shard_key":{"target":"acme","fallback":"shared"}';
  const sent = upstream.recorder.rest.map(({ target, received }) => `${target} ${received.bytes.toString()}`);
  const asked = sent.filter((one) => one.includes('/points/'));
  t.equal(asked.length, 2, 'a question for the id, and the query');
  for (const one of asked) t.ok(one.includes(selector), one);
  t.ok(asked[1]?.includes(`"lookup_from":{"collection":"own",${selector}}`));
  const calls = upstream.recorder.grpc.filter(({ path }) => path.startsWith('/qdrant.Points/'));
  t.equal(calls.length, 2);
  const [scroll, query] = calls.map(({ messages }) => messages[0] ?? Buffer.alloc(0));
  const place = {
    shardKeys: [{ key: { case: 'keyword', value: 'acme' } }],
    fallback: { key: { case: 'keyword', value: 'shared' } },
  };
  t.match(fromBinary(q.ScrollPointsSchema, scroll ?? Buffer.alloc(0)), { shardKeySelector: place });
  t.match(fromBinary(q.QueryPointsSchema, query ?? Buffer.alloc(0)), {
    ...{ shardKeySelector: place, lookupFrom: { collectionName: 'own', shardKeySelector: place } },
  });
});
