import { Distance, QdrantClient as GrpcClient } from '@qdrant/js-client-grpc';
import { QdrantClient } from '@qdrant/js-client-rest';
import t, { type Test } from 'tap';
import { type FakeQdrant, startFakeQdrant } from '../support/fake-qdrant/main.ts';

const cities = [
  { id: 1, vector: [0.05, 0.61, 0.76, 0.74], payload: { city: 'Berlin' } },
  { id: 2, vector: [0.19, 0.81, 0.75, 0.11], payload: { city: 'London' } },
  { id: 3, vector: [0.36, 0.55, 0.47, 0.94], payload: { city: 'Moscow' } },
  { id: 4, vector: [0.18, 0.01, 0.85, 0.8], payload: { city: 'New York' } },
  { id: 5, vector: [0.24, 0.18, 0.22, 0.44], payload: { city: 'Beijing' } },
  { id: 6, vector: [0.35, 0.08, 0.11, 0.44], payload: { city: 'Mumbai' } },
];

async function started(test: Test): Promise<{ fake: FakeQdrant; rest: QdrantClient; grpc: GrpcClient }> {
  const fake = await startFakeQdrant();
  test.teardown(() => fake.close());
  const rest = new QdrantClient({ url: fake.restUrl });
  const grpc = new GrpcClient({ url: fake.grpcUrl });
  await rest.createCollection('cities', { vectors: { size: 4, distance: 'Dot' } });
  await rest.upsert('cities', { wait: true, points: cities });
  return { fake, rest, grpc };
}

t.test('the quick start of the documentation runs over REST', async (test) => {
  const { rest } = await started(test);
  const nearest = await rest.query('cities', { query: [0.2, 0.1, 0.9, 0.7], limit: 3 });
  test.same(
    nearest.points.map(({ id, score }) => [id, score]),
    [
      [4, 1.362],
      [1, 1.273],
      [3, 1.208],
    ],
  );
  const london = { must: [{ key: 'city', match: { value: 'London' } }] };
  const filtered = await rest.query('cities', {
    query: [0.2, 0.1, 0.9, 0.7],
    filter: london,
    limit: 3,
    with_payload: true,
  });
  test.same(filtered.points, [{ id: 2, version: 1, score: 0.871, payload: { city: 'London' } }]);
  test.same(await rest.count('cities'), { count: 6 });
  const info = await rest.getCollection('cities');
  test.match(info, { status: 'green', points_count: 6, config: { params: { vectors: { size: 4, distance: 'Dot' } } } });
  test.equal(await rest.deleteCollection('cities'), true);
  test.same(await rest.getCollections(), { collections: [] });
});

t.test('what REST wrote is read over gRPC, and the other way round', async (test) => {
  const { rest, grpc } = await started(test);
  const found = await grpc.api('points').search({
    collectionName: 'cities',
    vector: [0.2, 0.1, 0.9, 0.7],
    limit: 1n,
    withPayload: { selectorOptions: { case: 'enable', value: true } },
    withVectors: { selectorOptions: { case: 'enable', value: true } },
  });
  test.same(found.result[0]?.id?.pointIdOptions, { case: 'num', value: 4n });
  test.same(found.result[0]?.payload.city?.kind, { case: 'stringValue', value: 'New York' });
  const vector = found.result[0]?.vectors?.vectorsOptions;
  test.equal(vector?.case === 'vector' ? vector.value.data.length : 0, 4);
  await grpc.api('collections').create({
    collectionName: 'over-grpc',
    vectorsConfig: { config: { case: 'params', value: { size: 2n, distance: Distance.Euclid } } },
  });
  await grpc.api('points').upsert({
    collectionName: 'over-grpc',
    points: [
      {
        id: { pointIdOptions: { case: 'uuid', value: 'C0FFEE00-0000-4000-8000-000000000001' } },
        payload: { rank: { kind: { case: 'integerValue', value: 7n } } },
        vectors: { vectorsOptions: { case: 'vector', value: { data: [0.05, 0.5] } } },
      },
    ],
  });
  test.same(await rest.scroll('over-grpc', { with_vector: true }), {
    points: [{ id: 'c0ffee00-0000-4000-8000-000000000001', payload: { rank: 7 }, vector: [0.05, 0.5] }],
    next_page_offset: null,
  });
});

t.test('ids up to 2^64-1 come back exactly on both protocols', async (test) => {
  const { fake, grpc } = await started(test);
  const ids = ['0', '9007199254740991', '9007199254740993', '18446744073709551615'];
  const points = ids.map((id) => `{"id":${id},"vector":[0,0,0,1],"payload":{"big":${id}}}`);
  const json = { 'content-type': 'application/json' };
  const put = await fetch(`${fake.restUrl}/collections/cities/points?wait=true`, {
    method: 'PUT',
    headers: json,
    body: `{"points":[${points.join(',')}]}`,
  });
  test.equal(put.status, 200);
  const got = await fetch(`${fake.restUrl}/collections/cities/points`, {
    method: 'POST',
    headers: json,
    body: `{"ids":[${ids.join(',')}],"with_payload":true}`,
  });
  test.match(await got.text(), `"result":[${ids.map((id) => `{"id":${id},"payload":{"big":${id}}}`).join(',')}]`);
  const one = await fetch(`${fake.restUrl}/collections/cities/points/18446744073709551615`);
  test.match(await one.text(), '"id":18446744073709551615');
  const over = await grpc.api('points').get({
    collectionName: 'cities',
    ids: ids.map((id) => ({ pointIdOptions: { case: 'num' as const, value: BigInt(id) } })),
  });
  test.same(
    over.result.map(({ id }) => String(id?.pointIdOptions.value)),
    ids,
  );
  const tooBig = await fetch(`${fake.restUrl}/collections/cities/points`, {
    method: 'POST',
    body: '{"ids":[18446744073709551616]}',
  });
  test.equal(tooBig.status, 400);
});

t.test('faults carry the texts and codes of upstream', async (test) => {
  const { fake, grpc } = await started(test);
  const ask = async (method: string, path: string, body: string): Promise<unknown> => {
    const response = await fetch(`${fake.restUrl}${path}`, { method, body });
    const answer = (await response.json()) as { status: { error: string } };
    return [response.status, answer.status.error];
  };
  const missing = "Not found: Collection `missing` doesn't exist!";
  const wrongSize = 'Wrong input: Vector dimension error: expected dim: 4, got 2';
  const exists = 'Wrong input: Collection `cities` already exists!';
  const upsert = '{"points":[{"id":9,"vector":[1,2]}]}';
  test.same(await ask('PUT', '/collections/missing/points', upsert), [404, missing]);
  test.same(await ask('PUT', '/collections/cities/points', upsert), [400, wrongSize]);
  test.same(await ask('PUT', '/collections/cities', '{"vectors":{"size":4,"distance":"Dot"}}'), [409, exists]);
  test.match(await ask('PUT', '/collections/cities/points', '{"points":'), [400, /^Format error in JSON body/]);
  test.match(await ask('POST', '/collections/cities/points/search', '{"vector":[1,1,1,1],"limit":0}'), [422]);
  const points = grpc.api('points');
  const vectors = { vectorsOptions: { case: 'vector' as const, value: { data: [1, 2] } } };
  const wrong = [{ id: { pointIdOptions: { case: 'num' as const, value: 9n } }, vectors }];
  await test.rejects(points.upsert({ collectionName: 'missing', points: wrong }), { code: 5, rawMessage: missing });
  await test.rejects(points.upsert({ collectionName: 'cities', points: wrong }), { code: 3, rawMessage: wrongSize });
  const again = grpc.api('collections').create({ collectionName: 'cities' });
  await test.rejects(again, { code: 6, rawMessage: exists });
});

t.test('an alias stands for its collection until it is deleted', async (test) => {
  const { rest } = await started(test);
  await rest.updateCollectionAliases({
    actions: [{ create_alias: { collection_name: 'cities', alias_name: 'towns' } }],
  });
  test.same(await rest.count('towns'), { count: 6 });
  const renamed = { rename_alias: { old_alias_name: 'towns', new_alias_name: 'places' } };
  await rest.updateCollectionAliases({ actions: [renamed] });
  test.same(await rest.getAliases(), { aliases: [{ alias_name: 'places', collection_name: 'cities' }] });
  test.same(await rest.getCollectionAliases('cities'), {
    aliases: [{ alias_name: 'places', collection_name: 'cities' }],
  });
  await rest.updateCollectionAliases({ actions: [{ delete_alias: { alias_name: 'places' } }] });
  await test.rejects(rest.count('places'), { message: 'Not Found' });
});
