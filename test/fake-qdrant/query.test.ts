import { QdrantClient as GrpcClient } from '@qdrant/js-client-grpc';
import t from 'tap';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';

const fake = await startFakeQdrant();
t.teardown(() => fake.close());
const grpc = new GrpcClient({ url: fake.grpcUrl }).api('points');

type Ask = { status: number; result: unknown };

async function ask(method: string, path: string, body: unknown): Promise<Ask> {
  const response = await fetch(`${fake.restUrl}/collections/${path}`, { method, body: JSON.stringify(body) });
  const { result, status } = (await response.json()) as { result?: unknown; status: unknown };
  return { status: response.status, result: response.ok ? result : status };
}

function ids(result: unknown): unknown {
  const list = (Array.isArray(result) ? result : (result as { points: unknown[] }).points) as { id: unknown }[];
  return list.map(({ id }) => id);
}

await ask('PUT', 'docs', { vectors: { size: 2, distance: 'Dot' }, sparse_vectors: { words: {} } });
await ask('PUT', 'docs/points?wait=true', {
  points: [
    { id: 1, vector: { '': [1, 0], words: { indices: [1, 7], values: [1, 1] } }, payload: { kind: 'a', rank: 3 } },
    { id: 2, vector: { '': [0.9, 0.1], words: { indices: [7], values: [3] } }, payload: { kind: 'a', rank: 1 } },
    { id: 3, vector: { '': [0, 1] }, payload: { kind: 'b', rank: 2 } },
    { id: 4, vector: { '': [0.1, 0.9] }, payload: { kind: 'b', tags: ['x', 'y'] } },
  ],
});
await ask('PUT', 'docs/index', { field_name: 'kind', field_schema: 'keyword' });
await ask('PUT', 'docs/index', { field_name: 'rank', field_schema: 'integer' });
await ask('PUT', 'kinds', {
  vectors: { image: { size: 2, distance: 'Cosine' }, text: { size: 1, distance: 'Euclid' } },
});
await ask('PUT', 'kinds/points', {
  batch: {
    ids: [9, 10],
    vectors: {
      image: [
        [0, 2],
        [3, 4],
      ],
      text: [[1], [5]],
    },
    payloads: [{ name: 'nine' }, null],
  },
});

const cases: [string, string, unknown, unknown][] = [
  ['nearest by vector', 'docs/points/query', { query: [1, 0], limit: 2 }, [1, 2]],
  ['nearest by id leaves the point itself out', 'docs/points/query', { query: 1, limit: 2 }, [2, 4]],
  ['a threshold cuts', 'docs/points/query', { query: [1, 0], score_threshold: 0.5 }, [1, 2]],
  ['an offset skips', 'docs/points/query', { query: [1, 0], offset: 1, limit: 1 }, [2]],
  ['no query scrolls in id order', 'docs/points/query', { limit: 2 }, [1, 2]],
  ['order_by sorts by payload', 'docs/points/query', { query: { order_by: 'rank' } }, [2, 3, 1]],
  ['a prefetch narrows', 'docs/points/query', { prefetch: { query: [0, 1], limit: 2 }, query: [1, 0] }, [4, 3]],
  [
    'fusion joins the ranks of prefetches',
    'docs/points/query',
    {
      prefetch: [
        { query: [1, 0], limit: 2 },
        { query: [0.9, 0.2], limit: 1 },
      ],
      query: { fusion: 'rrf' },
    },
    [1, 2],
  ],
  [
    'sparse vectors score by what overlaps',
    'docs/points/query',
    { query: { indices: [7], values: [1] }, using: 'words' },
    [2, 1],
  ],
  [
    'recommend goes to the good and away from the bad',
    'docs/points/recommend',
    { positive: [1], negative: [3], limit: 1 },
    [2],
  ],
  ['recommend looks vectors up elsewhere', 'docs/points/recommend', lookup('kinds', 'image', 1), [3]],
  ['discover keeps to the side of the context', 'docs/points/discover', discover(), [2]],
  ['euclid puts the smallest distance first', 'kinds/points/query', { query: [2], using: 'text' }, [9, 10]],
  [
    'the older search by a named vector',
    'kinds/points/search',
    { vector: { name: 'image', vector: [1, 0] }, limit: 1 },
    [10],
  ],
];

function lookup(collection: string, vector: string, limit: number): unknown {
  return { positive: [9], lookup_from: { collection, vector }, limit };
}

function discover(): unknown {
  return { target: [1, 0], context: [{ positive: 1, negative: 3 }], limit: 1 };
}

for (const [name, path, body, expected] of cases) {
  t.test(name, async (test) => {
    const { status, result } = await ask('POST', path, body);
    test.equal(status, 200);
    test.same(ids(result), expected);
  });
}

t.test('collections named in a body must be there', async (test) => {
  const missing = { error: "Not found: Collection `missing` doesn't exist!" };
  const groups = { query: [1, 0], group_by: 'kind' };
  const bodies: [string, unknown][] = [
    ['recommend', lookup('missing', 'image', 1)],
    ['query', { query: 9, lookup_from: { collection: 'missing' } }],
    ['query', { prefetch: [{ prefetch: [{ query: 9, lookup_from: { collection: 'missing' } }] }], query: [1, 0] }],
    ['query/groups', { ...groups, with_lookup: 'missing' }],
    ['query/batch', { searches: [{}, { query: 9, lookup_from: { collection: 'missing' } }] }],
  ];
  for (const [path, body] of bodies) {
    test.same(await ask('POST', `docs/points/${path}`, body), { status: 404, result: missing }, path);
  }
  const point = { pointIdOptions: { case: 'num' as const, value: 9n } };
  const asked = grpc.recommend({
    collectionName: 'docs',
    positive: [point],
    limit: 1n,
    lookupFrom: { collectionName: 'missing' },
  });
  await test.rejects(asked, { code: 5, rawMessage: missing.error });
});

t.test('groups bring the looked-up points of another collection', async (test) => {
  await ask('PUT', 'docs/points', { points: [{ id: 5, vector: [0.5, 0.5], payload: { of: 9 } }] });
  const body = { query: [1, 0], group_by: 'of', group_size: 1, limit: 1, with_lookup: { collection: 'kinds' } };
  const { result } = await ask('POST', 'docs/points/query/groups', body);
  const hit = { id: 5, version: 3, score: 0.5 };
  test.match(result, {
    groups: [{ id: 9, hits: [{ ...hit, version: Number }], lookup: { id: 9, payload: { name: 'nine' } } }],
  });
  const over = await grpc.queryGroups({
    collectionName: 'docs',
    query: { variant: { case: 'nearest', value: { variant: { case: 'dense', value: { data: [1, 0] } } } } },
    groupBy: 'of',
    withLookup: { collection: 'kinds' },
  });
  test.same(over.result?.groups[0]?.lookup?.payload.name?.kind, { case: 'stringValue', value: 'nine' });
  await ask('POST', 'docs/points/delete', { points: [5] });
});

t.test('batches, facets and matrices answer in their own shapes', async (test) => {
  const batch = await ask('POST', 'docs/points/query/batch', { searches: [{ query: [1, 0], limit: 1 }, { limit: 1 }] });
  test.same((batch.result as unknown[]).map(ids), [[1], [1]]);
  const older = await ask('POST', 'docs/points/search/batch', { searches: [{ vector: [0, 1], limit: 1 }] });
  test.same((older.result as unknown[]).map(ids), [[3]]);
  const facet = await ask('POST', 'docs/facet', { key: 'kind' });
  test.same(facet.result, {
    hits: [
      { value: 'a', count: 2 },
      { value: 'b', count: 2 },
    ],
  });
  const pairs = await ask('POST', 'docs/points/search/matrix/pairs', { sample: 2, limit: 1 });
  test.same(pairs.result, {
    pairs: [
      { a: 1, b: 2, score: 0.9 },
      { a: 2, b: 1, score: 0.9 },
    ],
  });
  const offsets = await ask('POST', 'docs/points/search/matrix/offsets', { sample: 2, limit: 1 });
  test.same(offsets.result, { offsets_row: [0, 1], offsets_col: [1, 0], scores: [0.9, 0.9], ids: [1, 2] });
  const rows = await grpc.searchMatrixPairs({ collectionName: 'docs', sample: 2n, limit: 1n });
  test.equal(rows.result?.pairs.length, 2);
});

t.test('pages follow one another by the offset', async (test) => {
  const first = await ask('POST', 'docs/points/scroll', { limit: 3, with_payload: ['rank'] });
  test.match(first.result, { points: [{ id: 1, payload: { rank: 3 } }, { id: 2 }, { id: 3 }], next_page_offset: 4 });
  const last = await ask('POST', 'docs/points/scroll', { limit: 3, offset: 4, with_payload: { exclude: ['tags'] } });
  test.same(last.result, { points: [{ id: 4, payload: { kind: 'b' } }], next_page_offset: null });
  const cosine = await ask('POST', 'kinds/points', { ids: [10], with_payload: true, with_vector: ['image'] });
  test.same(cosine.result, [{ id: 10, payload: {}, vector: { image: [0.6, 0.8] } }]);
});

t.test('payloads and vectors are changed one by one and in a batch', async (test) => {
  const one = async (): Promise<unknown> => {
    const { result } = await ask('POST', 'docs/points', { ids: [1], with_payload: true, with_vector: true });
    return (result as unknown[])[0];
  };
  await ask('POST', 'docs/points/payload', { payload: { x: 1 }, key: 'deep', points: [1] });
  await ask('POST', 'docs/points/vectors/delete', { points: [1], vector: ['words'] });
  test.same(await one(), { id: 1, payload: { kind: 'a', rank: 3, deep: { x: 1 } }, vector: [1, 0] });
  const { result } = await ask('POST', 'docs/points/batch?wait=true', {
    operations: [
      { overwrite_payload: { payload: { a: 1, b: 2 }, filter: { must: [{ has_id: [1] }] } } },
      { delete_payload: { keys: ['a'], points: [1] } },
      { update_vectors: { points: [{ id: 1, vector: [0, 2] }] } },
      { delete: { points: [2, 3] } },
    ],
  });
  test.match(result, Array(4).fill({ operation_id: Number, status: 'completed' }));
  test.same(await one(), { id: 1, payload: { b: 2 }, vector: [0, 2] });
  test.same((await ask('POST', 'docs/points/count', {})).result, { count: 2 });
  const info = await fetch(`${fake.restUrl}/collections/docs`);
  test.match(await info.json(), { result: { payload_schema: { kind: { data_type: 'keyword', points: 1 } } } });
});

t.test('an unreadable path is refused in the words of each protocol', async (test) => {
  const filter = { must: [{ key: 'a b', match: { value: 1 } }] };
  const text = "Invalid json path: 'a b'";
  const refused = await ask('POST', 'docs/points/scroll', { filter });
  test.same(refused, { status: 400, result: { error: `Format error in JSON body: ${text}` } });
  const match = { matchValue: { case: 'integer' as const, value: 1n } };
  const condition = { conditionOneOf: { case: 'field' as const, value: { key: 'a b', match } } };
  const asked = grpc.scroll({ collectionName: 'docs', filter: { must: [condition] } });
  await test.rejects(asked, { code: 3, rawMessage: text });
});
