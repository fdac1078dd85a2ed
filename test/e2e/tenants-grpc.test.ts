import { create } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import { QdrantClient } from '@qdrant/js-client-rest';
import t from 'tap';
import { grpcClient, grpcOutcome, restClient, restOutcome, trust } from '../support/clients/official.ts';
import { rawClient, unary } from '../support/clients/unary.ts';
import { startGateway } from '../support/gateway.ts';
import { makeToken } from '../support/tokens.ts';

/** Tenants over gRPC, with the official client through the running gateway. */

const NOT_FOUND = 5;
const DENIED = 7;

const tenants = [
  { id: 'shop', keys: ['api_key'], credentials: 'tokens', collections: ['docs'], field: 'tenant', from: 'tenant' },
  { id: 'open', keys: ['api_key'], credentials: 'tokens', collections: ['open'], free: true },
] as const;
const gateway = await startGateway({ tenants });
t.teardown(() => gateway.close());
trust(gateway.ca);
const direct = new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false });
const { recorder } = gateway.upstream;

const tokenOf = (tenant?: string) =>
  makeToken({
    access: ['docs', 'open', 'other'].map((collection) => ({ collection, access: 'rw' })),
    ...(tenant && { tenant }),
  });
const clientOf = (tenant?: string, compression = false) => grpcClient(gateway, tokenOf(tenant), {}, compression);

const num = (value: bigint) => ({ pointIdOptions: { case: 'num', value } }) as const;
const textValue = (value: string) => ({ kind: { case: 'stringValue', value } }) as const;
const ids = (...values: bigint[]) =>
  create(q.PointsSelectorSchema, { pointsSelectorOneOf: { case: 'points', value: { ids: values.map(num) } } });
const vectors = (...data: number[]) => ({ vectorsOptions: { case: 'vector', value: { data } } }) as const;

async function prepare(): Promise<void> {
  for (const name of ['docs', 'open', 'other']) {
    await direct.deleteCollection(name).catch(() => undefined);
    await direct.createCollection(name, { vectors: { size: 2, distance: 'Dot' } });
  }
  await direct.upsert('docs', {
    wait: true,
    points: [
      { id: 1, vector: [1, 0], payload: { tenant: 'acme', colour: 'red' } },
      { id: 2, vector: [0, 1], payload: { tenant: 'acme', colour: 'blue' } },
      { id: 11, vector: [1, 0], payload: { tenant: 'umbrella', colour: 'red' } },
      { id: 12, vector: [9, 9], payload: { colour: 'red' } },
    ],
  });
  await direct.upsert('open', { wait: true, points: [{ id: 5, vector: [1, 1], payload: {} }] });
}

/** All points of the collection, of every tenant. */
async function stored(): Promise<Record<string, unknown>> {
  const { points } = await direct.scroll('docs', { limit: 100, with_payload: true });
  return Object.fromEntries(points.map(({ id, payload }) => [String(id), payload]));
}

const idsOf = (points: readonly { readonly id?: q.PointId | undefined }[]) =>
  points.map(({ id }) => Number(id?.pointIdOptions.value)).toSorted((a, b) => a - b);

for (const compression of [false, true]) {
  t.test(`reads show the tenant's points only, ${compression ? 'compressed' : 'plain'}`, async (t) => {
    await prepare();
    const acme = clientOf('acme', compression).api('points');
    const umbrella = clientOf('umbrella', compression).api('points');
    t.strictSame(idsOf((await acme.scroll({ collectionName: 'docs' })).result), [1, 2]);
    t.strictSame(idsOf((await umbrella.scroll({ collectionName: 'docs' })).result), [11]);
    t.equal((await acme.count({ collectionName: 'docs', exact: false })).result?.count, 2n);
    t.strictSame(idsOf((await acme.search({ collectionName: 'docs', vector: [1, 1], limit: 10n })).result), [1, 2]);
    const query = { variant: { case: 'nearest', value: { variant: { case: 'id', value: num(1n) } } } } as const;
    t.strictSame(idsOf((await acme.query({ collectionName: 'docs', query, limit: 10n })).result), [2]);
    t.strictSame(await grpcOutcome(umbrella.query({ collectionName: 'docs', query })), [
      NOT_FOUND,
      'Not found: No point with id 1 found',
    ]);
    const got = await acme.get({ collectionName: 'docs', ids: [num(2n), num(11n), num(1n), num(2n)] });
    t.strictSame(
      got.result.map(({ id }) => id?.pointIdOptions.value),
      [2n, 1n],
      'in the order asked',
    );
  });
}

t.test("writes change the tenant's points only", async (t) => {
  await prepare();
  const acme = clientOf('acme').api('points');
  await acme.upsert({
    collectionName: 'docs',
    wait: true,
    points: [{ id: num(3n), payload: { colour: textValue('green') }, vectors: vectors(1, 1) }],
  });
  await acme.upsert({
    collectionName: 'docs',
    wait: true,
    points: [{ id: num(11n), payload: { colour: textValue('stolen') }, vectors: vectors(1, 1) }],
  });
  t.match(await stored(), { 3: { tenant: 'acme', colour: 'green' }, 11: { tenant: 'umbrella', colour: 'red' } });
  const steal = acme.upsert({
    collectionName: 'docs',
    wait: true,
    points: [{ id: num(4n), payload: { tenant: textValue('umbrella') }, vectors: vectors(1, 1) }],
  });
  t.match(await grpcOutcome(steal), [DENIED, /`tenant`/]);
  await acme.setPayload({
    collectionName: 'docs',
    wait: true,
    payload: { colour: textValue('black') },
    pointsSelector: { pointsSelectorOneOf: { case: 'filter', value: {} } },
  });
  await acme.clearPayload({ collectionName: 'docs', wait: true, points: ids(2n) });
  t.strictSame(await stored(), {
    1: { tenant: 'acme', colour: 'black' },
    2: { tenant: 'acme' },
    3: { tenant: 'acme', colour: 'black' },
    11: { tenant: 'umbrella', colour: 'red' },
    12: { colour: 'red' },
  });
  const missing = acme.setPayload({
    collectionName: 'docs',
    wait: true,
    payload: { a: textValue('b') },
    pointsSelector: ids(1n, 11n),
  });
  t.strictSame(
    await grpcOutcome(missing),
    [NOT_FOUND, 'Not found: No point with id 11 found'],
    "another's point is missing",
  );
  await acme.delete({ collectionName: 'docs', wait: true, points: ids(1n, 11n, 12n) });
  t.strictSame(Object.keys(await stored()), ['2', '3', '11', '12']);
});

t.test('a collection without an entry, and a caller without a tenant, are refused', async (t) => {
  await prepare();
  const acme = clientOf('acme');
  const points = acme.api('points');
  t.match(
    await grpcOutcome(clientOf().api('points').scroll({ collectionName: 'docs' })),
    [DENIED, /names its tenant/],
    'no tenant',
  );
  t.match(
    await grpcOutcome(points.scroll({ collectionName: 'other' })),
    [DENIED, /other/],
    'no entry for the collection',
  );
  t.match(await grpcOutcome(points.createFieldIndex({ collectionName: 'docs', fieldName: 'colour', fieldType: 0 })), [
    DENIED,
    /./,
  ]);
  t.strictSame(idsOf((await points.scroll({ collectionName: 'open' })).result), [5], 'a free collection');
  t.equal(
    await grpcOutcome(
      points.upsert({
        collectionName: 'open',
        wait: true,
        points: [{ id: num(6n), payload: {}, vectors: vectors(1, 1) }],
      }),
    ),
    'ok',
  );
});

t.test('a query of a collection that is not there is told so', async (t) => {
  await prepare();
  await direct.deleteCollection('docs');
  const query = create(q.QuerySchema, {
    variant: { case: 'nearest', value: { variant: { case: 'sparse', value: { values: [1], indices: [1] } } } },
  });
  const asked = clientOf('acme').api('points').query({ collectionName: 'docs', query, using: 'words' });
  t.match(await grpcOutcome(asked), [NOT_FOUND, /doesn't exist/]);
  const client = restClient(gateway, tokenOf('acme'));
  const sparse = { query: { indices: [1], values: [1] }, using: 'words' };
  t.match(await restOutcome(client.query('docs', sparse)), [404, /doesn't exist/], 'over REST as well');
});

t.test("the information on a collection has the tenant's number of points", async (t) => {
  await prepare();
  const { result } = await clientOf('acme').api('collections').get({ collectionName: 'docs' });
  t.match(result, { pointsCount: 2n, segmentsCount: 1n });
  t.equal(result?.indexedVectorsCount, undefined);
  t.equal(result?.config?.params?.vectorsConfig?.config.case, 'params');
});

t.test('a large upsert is written whole', async (t) => {
  await prepare();
  const acme = clientOf('acme').api('points');
  const long = 'x'.repeat(2000);
  const points = Array.from({ length: 1500 }, (_, i) => ({
    id: num(BigInt(1000 + i)),
    payload: { long: textValue(long) },
    vectors: vectors(i, 1),
  }));
  recorder.clear();
  await acme.upsert({ collectionName: 'docs', wait: true, points });
  t.equal((await acme.count({ collectionName: 'docs' })).result?.count, 1502n);
  t.equal(
    (
      await acme.scroll({
        collectionName: 'docs',
        limit: 2000,
        withPayload: { selectorOptions: { case: 'enable', value: true } },
      })
    ).result.length,
    1502,
    'and read',
  );
});

t.test('other tenants do not wait for a message of many small parts', async (t) => {
  await prepare();
  const name = Buffer.from([0x0a, 4, ...Buffer.from('docs')]);
  // `PointStruct{id: {num: 1}}`, so many that they take a second or so.
  const point = Buffer.from([0x1a, 4, 0x0a, 2, 0x08, 1]);
  const message = Buffer.concat([name, Buffer.alloc(point.length * 200_000, point)]);
  const client = rawClient(gateway);
  t.teardown(() => client.close());
  const ended: string[] = [];
  const large = unary(client, '/qdrant.Points/Upsert', message, { 'api-key': tokenOf('acme') }, 60_000).then(() =>
    ended.push('large'),
  );
  const umbrella = clientOf('umbrella').api('points');
  for (let i = 0; i < 20; i++) t.equal((await umbrella.count({ collectionName: 'docs' })).result?.count, 1n);
  ended.push('small');
  await large;
  t.strictSame(ended, ['small', 'large']);
});
