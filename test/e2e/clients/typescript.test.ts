import { QdrantClient as GrpcClient } from '@qdrant/js-client-grpc';
import { QdrantClient as RestClient } from '@qdrant/js-client-rest';
import t from 'tap';
import { clientMethods } from '../../operations/client-surface.ts';
import { startFakeQdrant } from '../../support/fake-qdrant/main.ts';

/** What the official TypeScript clients make of the stand-in's answers: everything they offer, over REST and over gRPC. */
const fake = await startFakeQdrant({ record: false });
t.teardown(() => fake.close());

const DOCS = 'docs';
const vectors = { '': { size: 2, distance: 'Dot' }, image: { size: 2, distance: 'Cosine' } } as const;
const points = [
  { id: 1, vector: { '': [1, 0], image: [0, 1] }, payload: { kind: 'a' } },
  { id: 2, vector: { '': [0, 1] }, payload: { kind: 'b' } },
];
const query = [1, 0];
const location = 'http://127.0.0.1/x.snapshot';

/** One call after the other, in this order; a snapshot's name is put in where `made` stands. */
const REST: readonly (readonly [method: string, ...args: unknown[]])[] = [
  ['getCollections'],
  ['createCollection', DOCS, { vectors, sparse_vectors: { words: {} } }],
  ['recreateCollection', DOCS, { vectors, sparse_vectors: { words: {} } }],
  ['collectionExists', DOCS],
  ['updateCollection', DOCS, { optimizers_config: { indexing_threshold: 1 } }],
  ['updateCollectionAliases', { actions: [{ create_alias: { collection_name: DOCS, alias_name: 'live' } }] }],
  ['getAliases'],
  ['getCollectionAliases', DOCS],
  ['upsert', DOCS, { points }],
  ['createPayloadIndex', DOCS, { field_name: 'kind', field_schema: 'keyword', wait: true }],
  ['getCollection', DOCS],
  ['deletePayloadIndex', DOCS, 'other'],
  ['setPayload', DOCS, { payload: { x: 1 }, points: [1] }],
  ['overwritePayload', DOCS, { payload: { kind: 'b' }, points: [2] }],
  ['deletePayload', DOCS, { keys: ['x'], points: [1] }],
  ['updateVectors', DOCS, { points: [{ id: 2, vector: { image: [1, 0] } }] }],
  ['deleteVectors', DOCS, { vector: ['image'], points: [2] }],
  ['createVectorName', DOCS, 'more', { dense: { size: 2, distance: 'Dot' } }],
  ['deleteVectorName', DOCS, 'more'],
  ['batchUpdate', DOCS, { operations: [{ upsert: { points: [{ id: 9, vector: { '': [1, 1] } }] } }] }],
  ['clearPayload', DOCS, { points: [9] }],
  ['delete', DOCS, { points: [9], wait: true }],
  ['retrieve', DOCS, { ids: [1], with_vector: true }],
  ['scroll', DOCS, { filter: { must: [{ key: 'kind', match: { value: 'a' } }] } }],
  ['count', DOCS],
  ['query', DOCS, { query, with_payload: true }],
  ['queryBatch', DOCS, { searches: [{ query, limit: 1 }] }],
  ['queryGroups', DOCS, { query, group_by: 'kind' }],
  ['facet', DOCS, { key: 'kind' }],
  ['searchMatrixPairs', DOCS, {}],
  ['searchMatrixOffsets', DOCS, {}],
  ['createSnapshot', DOCS],
  ['listSnapshots', DOCS],
  ['deleteSnapshot', DOCS, 'made'],
  ['createFullSnapshot'],
  ['listFullSnapshots'],
  ['deleteFullSnapshot', 'made'],
  ['createShardSnapshot', DOCS, 0, {}],
  ['listShardSnapshots', DOCS, 0],
  ['deleteShardSnapshot', DOCS, 0, 'made', {}],
  ['recoverSnapshot', DOCS, { location }],
  ['recoverShardFromSnapshot', DOCS, 0, { location }],
  ['collectionClusterInfo', DOCS],
  ['updateCollectionCluster', DOCS, { drop_replica: { shard_id: 0, peer_id: 1 } }],
  ['createShardKey', DOCS, { shard_key: 'k' }],
  ['listShardKeys', DOCS],
  ['deleteShardKey', DOCS, { shard_key: 'k' }],
  ['clusterTelemetry'],
  ['getOptimizations', DOCS],
  ['getQuotas'],
  ['updateQuotas', { max_disk_usage_percent: 90 }],
  ['versionInfo'],
  ['deleteCollection', DOCS],
];

type Methods = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;

t.test('everything the REST client offers', async (t) => {
  const warned: unknown[] = [];
  const warn = t.capture(console, 'warn', (...args: unknown[]) => void warned.push(args));
  const client = new RestClient({ url: fake.restUrl, checkCompatibility: true }) as unknown as Methods;
  let made = '';
  for (const [method, ...args] of REST) {
    const given = args.map((arg) => (arg === 'made' ? made : arg));
    const result = await client[method]?.(...given).catch((error: { data?: unknown }) => ({
      failed: error.data ?? error,
    }));
    t.notMatch(result, { failed: Object }, method);
    t.not(result, undefined, `${method} answers`);
    if (/^create.*Snapshot$/.test(method)) made = (result as { name: string }).name;
  }
  warn.restore();
  t.strictSame(warned, [], 'no warning, such as one of releases that do not fit');
  const offered = Object.getOwnPropertyNames(RestClient.prototype).filter(
    (name) => !['constructor', 'api'].includes(name),
  );
  t.strictSame(
    offered.filter((name) => !REST.some(([method]) => method === name)),
    [],
    'every method is called',
  );
});

const num = (value: bigint) => ({ pointIdOptions: { case: 'num', value } });
const of = { collectionName: DOCS, limit: 1n };
const nearest = { variant: { case: 'nearest', value: { variant: { case: 'dense', value: { data: query } } } } };
const target = { target: { case: 'single', value: { example: { case: 'id', value: num(1n) } } } };
const some = { pointsSelectorOneOf: { case: 'points', value: { ids: [num(9n)] } } };

/** What a method wants beside the name of the collection. */
const GRPC: Readonly<Record<string, object>> = {
  'Collections/UpdateAliases': { actions: [] },
  'Points/Upsert': {
    points: [{ id: num(1n), vectors: { vectorsOptions: { case: 'vector', value: { data: query } } } }],
  },
  'Points/UpdateBatch': { operations: [{ operation: { case: 'deletePoints', value: { points: some } } }] },
  'Points/Delete': { points: some },
  'Points/SetPayload': { pointsSelector: some },
  'Points/OverwritePayload': { pointsSelector: some },
  'Points/DeletePayload': { pointsSelector: some },
  'Points/ClearPayload': { points: some },
  'Points/UpdateVectors': {
    points: [{ id: num(1n), vectors: { vectorsOptions: { case: 'vector', value: { data: query } } } }],
  },
  'Points/DeleteVectors': { pointsSelector: some, vectors: { names: ['image'] } },
  'Points/CreateFieldIndex': { fieldName: 'kind', fieldType: 0 },
  'Points/CreateVectorName': {
    vectorName: 'v',
    vectorConfig: { case: 'denseConfig', value: { size: 2n, distance: 3 } },
  },
  'Points/Get': { ids: [num(1n)] },
  'Points/Scroll': { limit: 1 },
  'Points/Search': { ...of, vector: query },
  'Points/SearchBatch': { searchPoints: [{ ...of, vector: query }] },
  'Points/SearchGroups': { limit: 1, groupSize: 1, groupBy: 'kind', vector: query },
  'Points/Recommend': { ...of, positive: [num(1n)] },
  'Points/RecommendBatch': { recommendPoints: [{ ...of, positive: [num(1n)] }] },
  'Points/RecommendGroups': { limit: 1, groupSize: 1, groupBy: 'kind', positive: [num(1n)] },
  'Points/Discover': { ...of, target },
  'Points/DiscoverBatch': { discoverPoints: [{ ...of, target }] },
  'Points/Query': { query: nearest },
  'Points/QueryBatch': { queryPoints: [{ collectionName: DOCS, query: nearest }] },
  'Points/QueryGroups': { query: nearest, groupBy: 'kind' },
  'Points/Facet': { key: 'kind' },
};

t.test('everything the gRPC client offers', async (t) => {
  const client = new GrpcClient({ url: fake.grpcUrl });
  const services = { Collections: 'collections', Points: 'points', Snapshots: 'snapshots', Qdrant: 'service' } as const;
  const params = { size: 2n, distance: 3 };
  const fresh = async (): Promise<string> => {
    fake.store.clear();
    await client.api('collections').create({
      collectionName: DOCS,
      vectorsConfig: { config: { case: 'params', value: params } },
    });
    await client.api('points').upsert({
      collectionName: DOCS,
      points: [
        {
          id: { pointIdOptions: { case: 'num', value: 1n } },
          vectors: { vectorsOptions: { case: 'vector', value: { data: query } } },
        },
      ],
    });
    await client.api('points').createFieldIndex({ collectionName: DOCS, fieldName: 'kind', fieldType: 0 });
    const full = await client.api('snapshots').createFull({});
    const { snapshotDescription } = await client.api('snapshots').create({ collectionName: DOCS });
    return JSON.stringify([snapshotDescription?.name, full.snapshotDescription?.name]);
  };
  for (const path of await clientMethods()) {
    const [name, full] = JSON.parse(await fresh()) as string[];
    const [, service = '', method = ''] = /^\/qdrant\.(\w+)\/(\w+)$/.exec(path) ?? [];
    const api = Object.entries(services).find(([key]) => key === service)?.[1];
    if (api === undefined) {
      t.comment(`no client of ${path}`);
      continue;
    }
    const methods = client.api(api) as unknown as Methods;
    const call = methods[method.charAt(0).toLowerCase() + method.slice(1)];
    const collectionName = path.endsWith('Collections/Create') ? 'other' : DOCS;
    const snapshotName = method === 'DeleteFull' ? full : name;
    const creates = collectionName === 'other' ? { vectorsConfig: { config: { case: 'params', value: params } } } : {};
    const request = { collectionName, snapshotName, ...creates, ...GRPC[`${service}/${method}`] };
    const result = await call?.(request).catch((error: Error) => ({ failed: error.message }));
    t.match(result, { $typeName: /^qdrant\./ }, path);
  }
});

t.test('what is wrong in a request is a refusal with a text', async (t) => {
  const client = new RestClient({ url: fake.restUrl, checkCompatibility: false }) as unknown as Methods;
  fake.store.clear();
  await client.createCollection?.(DOCS, { vectors: { size: 2, distance: 'Dot' } });
  const cases: [name: string, method: string, args: unknown[], status: number, text: RegExp][] = [
    ['a vector too long', 'upsert', [{ points: [{ id: 1, vector: [1, 2, 3] }] }], 400, /expected dim: 2, got 3/],
    ['a vector of texts', 'upsert', [{ points: [{ id: 1, vector: ['a', 'b'] }] }], 400, /^Format error in JSON body: /],
    ['no id', 'upsert', [{ points: [{ vector: [1, 2] }] }], 400, /^Format error in JSON body: /],
    ['points that are no list', 'upsert', [{ points: 7 }], 400, /untagged enum PointInsertOperations/],
    ['a limit that is a text', 'scroll', [{ limit: 'many' }], 400, /invalid type: string "many", expected usize/],
    ['a limit below zero', 'query', [{ query, limit: -1 }], 400, /invalid value: integer `-1`, expected usize/],
    ['a flag that is a number', 'query', [{ query, with_payload: 3 }], 400, /^Format error in JSON body: /],
    ['a filter with a typing error', 'scroll', [{ filter: { most: [] } }], 400, /unknown field `most`/],
    ['a condition with a typing error', 'count', [{ filter: { must: [{ kee: 'a' }] } }], 400, /untagged enum/],
    ['a query of no kind', 'query', [{ query: { near: 1 } }], 400, /untagged enum QueryInterface/],
    [
      'an index without its field',
      'createPayloadIndex',
      [{ field_schema: 'keyword' }],
      400,
      /missing field `field_name`/,
    ],
    [
      'a distance there is not',
      'recreateCollection',
      [{ vectors: { size: 2, distance: 'Far' } }],
      400,
      /untagged enum/,
    ],
    ['a collection there is not', 'count', [], 404, /doesn't exist/],
  ];
  for (const [name, method, args, status, text] of cases) {
    const collection = status === 404 ? 'nowhere' : DOCS;
    const refusal = await client[method]?.(collection, ...args).catch(
      ({ status, data }: { status: number; data: unknown }) => ({ status, data }),
    );
    t.match(refusal, { status, data: { status: { error: text } } }, name);
  }
});
