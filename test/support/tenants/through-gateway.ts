import { COLLECTION, INDEXES } from '../engine/points.ts';
import { createCollection } from '../fake-qdrant/collections.ts';
import { listOf, objectOf, writeJson } from '../fake-qdrant/json.ts';
import { createIndex } from '../fake-qdrant/points.ts';
import { type RunningGateway, startGateway } from '../gateway.ts';
import { makeToken } from '../tokens.ts';
import { runSequence, type Tenant } from './model.ts';
import { type Way, wayTo } from './ways.ts';

/* The model of tenants through a running gateway: the shared collection is behind it, those of their own are not. */

const SHARED = 'shared';
const FIELD = 'tenant';
const OPERATIONS = 24;

/** Runs sequences of two tenants, each on fresh collections. */
export interface TenantModel {
  /** One random sequence. Throws the first difference. @param colliding the tenants draw their ids from the same few */
  readonly run: (seed: number, colliding: boolean) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Starts a gateway before a stand-in. @param relay REST passes as bytes where it can */
export async function openTenantModel(relay = true): Promise<TenantModel> {
  const gateway = await startGateway({
    tls: false,
    settings: { 'gateway.rest.relay': relay },
    tenants: [
      { id: 'shared', keys: ['api_key'], credentials: 'tokens', collections: [SHARED], field: FIELD, from: FIELD },
    ],
  });
  return {
    async run(seed, colliding) {
      const options = { field: FIELD, missing: 'fault', operations: OPERATIONS, colliding } as const;
      await runSequence(tenantsOf(gateway, colliding), seed, options);
    },
    close: gateway.close,
  };
}

function tenantsOf({ rest, grpc, upstream }: RunningGateway, colliding: boolean): readonly Tenant[] {
  const { store, restUrl, grpcUrl } = upstream;
  store.clear();
  const make = (collection: string): void => {
    createCollection(store, collection, COLLECTION);
    for (const index of [...INDEXES, { field_name: FIELD, field_schema: 'keyword' }])
      createIndex(store, collection, index);
  };
  make(SHARED);
  return ['one', 'two'].map((name) => {
    const own = `own-${name}`;
    make(own);
    const token = makeToken({ access: [{ collection: SHARED, access: 'rw' }], [FIELD]: name });
    const behind = { restUrl: rest.url, grpcUrl: grpc.url, collection: SHARED, headers: { 'api-key': token } };
    const direct = wayTo({ restUrl, grpcUrl, collection: own, headers: {} });
    return { name, ...comparedAsOnce(wayTo(behind), direct, () => store.find(own).points, colliding) };
  });
}

/** Both ways of a tenant, without what the gateway refuses earlier than upstream. @param pointsOf those of the own collection */
export function comparedAsOnce<K, V>(
  shared: Way,
  own: Way,
  pointsOf: () => Map<K, V>,
  colliding: boolean,
): { readonly shared: Way; readonly own: Way } {
  const ends = endsOf(colliding);
  return { shared: untilOpen(shared, ends), own: untilOpen(wholly(own, pointsOf), ends) };
}

/**
 * A write that names a missing point is refused before any of it is carried out (`docs/reference/differences.md`); upstream changes the
 * other points, and what stands before it in a batch.
 */
function wholly<K, V>(way: Way, pointsOf: () => Map<K, V>): Way {
  return async (operation) => {
    const points = pointsOf();
    const before = structuredClone(points);
    const reply = await way(operation);
    if (!writeJson(reply.answer).includes('No point with id')) return reply;
    points.clear();
    for (const [id, point] of before) points.set(id, point);
    return reply;
  };
}

/**
 * A batch up to the first operation after which a point is there, or is not: the gateway looks for named points once, before the batch.
 * Which of several missing ones is named depends on what stands before it.
 */
function untilOpen(way: Way, ends: ReadonlySet<string>): Way {
  return async (operation) => {
    if (operation.op !== 'batch') return way(operation);
    const operations = listOf(operation.body.operations);
    const last = operations.findIndex((inner) => Object.keys(objectOf(inner)).some((op) => ends.has(op)));
    const kept = last < 0 ? operations : operations.slice(0, last + 1);
    const reply = await way({ ...operation, body: { ...operation.body, operations: kept } });
    return writeJson(reply.answer).includes('No point with id') ? { ...reply, answer: 'a point is missing' } : reply;
  };
}

/** Where ids meet, an upsert may write a point or not. */
function endsOf(colliding: boolean): ReadonlySet<string> {
  return new Set(['delete', ...(colliding ? ['upsert'] : [])]);
}
