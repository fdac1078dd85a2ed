import { listOf, objectOf, writeJson } from '../fake-qdrant/json.ts';
import { type RunningGateway, startGateway } from '../gateway.ts';
import { realQdrant, settingsBefore } from '../real-qdrant.ts';
import { makeToken } from '../tokens.ts';
import { type Behind, behindFake, behindReal } from './behind.ts';
import { directWay } from './in-process.ts';
import { runSequence, type Tenant } from './model.ts';
import { type TenantOperation, WRITE_NAMES } from './operations.ts';
import { type Reply, type Way, wayTo } from './ways.ts';

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

/**
 * Starts a gateway before a stand-in, or before a real Qdrant: its collections `shared`, `own-one` and `own-two` are made anew for each
 * sequence.
 *
 * @param relay REST passes as bytes where it can
 */
export async function openTenantModel(relay = true, there = realQdrant()): Promise<TenantModel> {
  const gateway = await startGateway({
    tls: false,
    settings: {
      'gateway.rest.relay': relay,
      ...settingsBefore(there),
    },
    tenants: [
      { id: 'shared', keys: ['api_key'], credentials: 'tokens', collections: [SHARED], field: FIELD, from: FIELD },
    ],
  });
  // Before the stand-in the own collections need no sockets.
  const own = (collection: string): Way =>
    there ? wayTo({ ...there, collection, headers: {} }) : directWay(gateway.upstream.store, collection);
  const behind = there ? behindReal(there.restUrl) : behindFake(gateway.upstream.store);
  return {
    async run(seed, colliding) {
      for (const collection of [SHARED, ...NAMES.map(ownOf)]) await behind.make(collection, FIELD);
      const options = {
        field: FIELD,
        missing: 'fault' as const,
        operations: OPERATIONS,
        colliding,
        real: there !== undefined,
      };
      await runSequence(tenantsOf(gateway, own, behind, colliding), seed, options);
    },
    close: gateway.close,
  };
}

const NAMES = ['one', 'two'] as const;
const ownOf = (name: string): string => `own-${name}`;

function tenantsOf(
  { rest, grpc }: RunningGateway,
  wayToOwn: (collection: string) => Way,
  collections: Behind,
  colliding: boolean,
): readonly Tenant[] {
  return NAMES.map((name) => {
    const own = ownOf(name);
    const token = makeToken({ access: [{ collection: SHARED, access: 'rw' }], [FIELD]: name });
    const behind = { restUrl: rest.url, grpcUrl: grpc.url, collection: SHARED, headers: { 'api-key': token } };
    return { name, ...comparedAsOnce(wayTo(behind), wayToOwn(own), () => collections.keep(own), colliding) };
  });
}

/**
 * Both ways of a tenant, without what the gateway refuses earlier than upstream.
 *
 * @param keep keeps the points of the own collection; its result puts them back
 */
export function comparedAsOnce(
  shared: Way,
  own: Way,
  keep: () => Promise<() => Promise<void>>,
  colliding: boolean,
): { readonly shared: Way; readonly own: Way } {
  const ends = endsOf(colliding);
  return { shared: untilOpen(shared, ends), own: untilOpen(wholly(own, keep), ends) };
}

/**
 * A write that names a missing point is refused before any of it is carried out (`docs/reference/differences.md`); upstream changes the
 * other points, and what stands before it in a batch.
 */
function wholly(way: Way, keep: () => Promise<() => Promise<void>>): Way {
  return async (operation) => {
    if (!mayMissPoints(operation)) return way(operation);
    const putBack = await keep();
    const reply = await way(operation);
    if (missesPoint(reply)) await putBack();
    return reply;
  };
}

/** Whether it is a write that names points, and is refused where one of them is missing. */
function mayMissPoints({ op, body }: TenantOperation): boolean {
  if (op === 'batch') return true;
  return WRITE_NAMES.has(op) && op !== 'upsert' && op !== 'delete' && body.points !== undefined;
}

function missesPoint({ code, answer }: Reply): boolean {
  return code !== 0 && code !== 200 && writeJson(answer).includes('No point with id');
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
    return missesPoint(reply) ? { ...reply, answer: 'a point is missing' } : reply;
  };
}

/** Where ids meet, an upsert may write a point or not. */
function endsOf(colliding: boolean): ReadonlySet<string> {
  return new Set(['delete', ...(colliding ? ['upsert'] : [])]);
}
