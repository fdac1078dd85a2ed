import { Distance, type QdrantClient as GrpcClient } from '@qdrant/js-client-grpc';
import type { QdrantClient as RestClient } from '@qdrant/js-client-rest';

/** What a step of the tutorial asks of its caller. */
export type Needs = 'nothing' | 'read' | 'read with extras' | 'write' | 'write with extras' | 'foreign' | 'manage';

/** One step, told to both official clients. */
export interface Step {
  readonly name: string;
  readonly needs: Needs;
  readonly rest: (client: RestClient) => Promise<unknown>;
  readonly grpc: (client: GrpcClient) => Promise<unknown>;
}

/** The points of the documentation's quick start. */
export const CITIES = [
  { id: 1, vector: [0.05, 0.61, 0.76, 0.74], payload: { city: 'Berlin' } },
  { id: 2, vector: [0.19, 0.81, 0.75, 0.11], payload: { city: 'London' } },
  { id: 3, vector: [0.36, 0.55, 0.47, 0.94], payload: { city: 'Moscow' } },
  { id: 4, vector: [0.18, 0.01, 0.85, 0.8], payload: { city: 'New York' } },
  { id: 5, vector: [0.24, 0.18, 0.22, 0.44], payload: { city: 'Beijing' } },
  { id: 6, vector: [0.35, 0.08, 0.11, 0.44], payload: { city: 'Mumbai' } },
];

const query = [0.2, 0.1, 0.9, 0.7];
const collectionName = 'cities';

/** A number as a point id of gRPC. */
export function idOf(value: bigint): { pointIdOptions: { case: 'num'; value: bigint } } {
  return { pointIdOptions: { case: 'num', value } };
}

/** A dense vector of gRPC. */
export function vectorOf(data: number[]): { vectorsOptions: { case: 'vector'; value: { data: number[] } } } {
  return { vectorsOptions: { case: 'vector', value: { data } } };
}

const points = CITIES.map(({ id, vector, payload }) => ({
  id: idOf(BigInt(id)),
  vectors: vectorOf(vector),
  payload: { city: { kind: { case: 'stringValue' as const, value: payload.city } } },
}));
const vectorsConfig = { config: { case: 'params' as const, value: { size: 4n, distance: Distance.Dot } } };
const selected = (value: bigint) => ({
  pointsSelectorOneOf: { case: 'points' as const, value: { ids: [idOf(value)] } },
});
const nearest = {
  variant: {
    case: 'nearest' as const,
    value: { variant: { case: 'dense' as const, value: { data: query } } },
  },
};
const population = { population: { kind: { case: 'integerValue' as const, value: 9n } } };

/**
 * The tutorial of the documentation. It needs `cities` with the points, `private`, and no `fresh`; the steps that need
 * nothing but a collection's name stand beside the ones on a collection that no token lists.
 */
export const TUTORIAL: readonly Step[] = [
  {
    name: 'create a collection',
    needs: 'manage',
    rest: (client) => client.createCollection('fresh', { vectors: { size: 4, distance: 'Dot' } }),
    grpc: (client) => client.api('collections').create({ collectionName: 'fresh', vectorsConfig }),
  },
  {
    name: 'list the collections',
    needs: 'nothing',
    rest: (client) => client.getCollections(),
    grpc: (client) => client.api('collections').list({}),
  },
  {
    name: 'get the collection',
    needs: 'read',
    rest: (client) => client.getCollection(collectionName),
    grpc: (client) => client.api('collections').get({ collectionName }),
  },
  {
    name: 'ask whether the collection exists',
    needs: 'read',
    rest: (client) => client.collectionExists(collectionName),
    grpc: (client) => client.api('collections').collectionExists({ collectionName }),
  },
  {
    name: 'upsert points',
    needs: 'write',
    rest: (client) => client.upsert(collectionName, { wait: true, points: CITIES }),
    grpc: (client) => client.api('points').upsert({ collectionName, wait: true, points }),
  },
  {
    name: 'query',
    needs: 'read',
    rest: (client) => client.query(collectionName, { query, limit: 3 }),
    grpc: (client) => client.api('points').query({ collectionName, query: nearest, limit: 3n }),
  },
  {
    // The REST client has no plain search any more.
    name: 'search (over REST: query in a batch)',
    needs: 'read',
    rest: (client) => client.queryBatch(collectionName, { searches: [{ query, limit: 3 }] }),
    grpc: (client) => client.api('points').search({ collectionName, vector: query, limit: 3n }),
  },
  {
    name: 'scroll',
    needs: 'read',
    rest: (client) => client.scroll(collectionName, { limit: 2 }),
    grpc: (client) => client.api('points').scroll({ collectionName, limit: 2 }),
  },
  {
    name: 'count',
    needs: 'read',
    rest: (client) => client.count(collectionName),
    grpc: (client) => client.api('points').count({ collectionName }),
  },
  {
    name: 'retrieve',
    needs: 'read',
    rest: (client) => client.retrieve(collectionName, { ids: [1, 2] }),
    grpc: (client) => client.api('points').get({ collectionName, ids: [idOf(1n), idOf(2n)] }),
  },
  {
    name: 'set payload',
    needs: 'write',
    rest: (client) => client.setPayload(collectionName, { payload: { population: 9 }, points: [1] }),
    grpc: (client) =>
      client.api('points').setPayload({ collectionName, payload: population, pointsSelector: selected(1n) }),
  },
  {
    name: 'create a payload index',
    needs: 'write with extras',
    rest: (client) => client.createPayloadIndex(collectionName, { field_name: 'city', field_schema: 'keyword' }),
    grpc: (client) => client.api('points').createFieldIndex({ collectionName, fieldName: 'city', fieldType: 0 }),
  },
  {
    name: 'list the snapshots',
    needs: 'read with extras',
    rest: (client) => client.listSnapshots(collectionName),
    grpc: (client) => client.api('snapshots').list({ collectionName }),
  },
  {
    name: 'create an alias',
    needs: 'manage',
    rest: (client) =>
      client.updateCollectionAliases({
        actions: [{ create_alias: { collection_name: collectionName, alias_name: 'towns' } }],
      }),
    grpc: (client) =>
      client.api('collections').updateAliases({
        actions: [{ action: { case: 'createAlias', value: { collectionName, aliasName: 'towns' } } }],
      }),
  },
  {
    name: 'list the aliases',
    needs: 'nothing',
    rest: (client) => client.getAliases(),
    grpc: (client) => client.api('collections').listAliases({}),
  },
  {
    name: 'read another collection',
    needs: 'foreign',
    rest: (client) => client.scroll('private', { limit: 1 }),
    grpc: (client) => client.api('points').scroll({ collectionName: 'private', limit: 1 }),
  },
  {
    name: 'delete points',
    needs: 'write',
    rest: (client) => client.delete(collectionName, { wait: true, points: [6] }),
    grpc: (client) => client.api('points').delete({ collectionName, wait: true, points: selected(6n) }),
  },
  {
    name: 'delete the collection',
    needs: 'manage',
    rest: (client) => client.deleteCollection(collectionName),
    grpc: (client) => client.api('collections').delete({ collectionName }),
  },
];

/** Puts upstream into the state the tutorial starts from, past the gateway. */
export async function prepare(upstream: RestClient): Promise<void> {
  const { collections } = await upstream.getCollections();
  for (const { name } of collections) await upstream.deleteCollection(name);
  for (const name of [collectionName, 'private']) {
    await upstream.createCollection(name, { vectors: { size: 4, distance: 'Dot' } });
    await upstream.upsert(name, { wait: true, points: CITIES });
  }
}
