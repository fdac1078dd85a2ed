import { listOf, objectOf, writeJson } from '../fake-qdrant/json.ts';
import { type RunningGateway, startGateway } from '../gateway.ts';
import { makeToken } from '../tokens.ts';
import { type Behind, behindFake, behindReal } from './behind.ts';
import { runSequence, type Tenant } from './model.ts';
import { WRITE_NAMES } from './operations.ts';
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

/** A real Qdrant in the place of the stand-in: its collections `shared`, `own-one` and `own-two` are made anew for each sequence. */
const { QDRANT_URL, QDRANT_GRPC_URL } = process.env;

/** Starts a gateway before a stand-in, or before the Qdrant that `QDRANT_URL` names. @param relay REST passes as bytes where it can */
export async function openTenantModel(
  relay = true,
  real = QDRANT_URL,
  realGrpc = QDRANT_GRPC_URL,
): Promise<TenantModel> {
  const there = real && { restUrl: real, grpcUrl: realGrpc ?? real.replace(/\d+$/, '6334') };
  const gateway = await startGateway({
    tls: false,
    settings: {
      'gateway.rest.relay': relay,
      ...(there && { 'gateway.upstream.rest_url': there.restUrl, 'gateway.upstream.grpc_url': there.grpcUrl }),
    },
    tenants: [
      { id: 'shared', keys: ['api_key'], credentials: 'tokens', collections: [SHARED], field: FIELD, from: FIELD },
    ],
  });
  const addresses = there || gateway.upstream;
  const behind = there ? behindReal(there.restUrl) : behindFake(gateway.upstream.store);
  return {
    async run(seed, colliding) {
      for (const collection of [SHARED, ...NAMES.map(ownOf)]) await behind.make(collection, FIELD);
      const real = typeof there === 'object';
      const options = { field: FIELD, missing: 'fault' as const, operations: OPERATIONS, colliding, real };
      await runSequence(tenantsOf(gateway, addresses, behind, colliding), seed, options);
    },
    close: gateway.close,
  };
}

const NAMES = ['one', 'two'] as const;
const ownOf = (name: string): string => `own-${name}`;

function tenantsOf(
  { rest, grpc }: RunningGateway,
  { restUrl, grpcUrl }: Pick<RunningGateway['upstream'], 'restUrl' | 'grpcUrl'>,
  collections: Behind,
  colliding: boolean,
): readonly Tenant[] {
  return NAMES.map((name) => {
    const own = ownOf(name);
    const token = makeToken({ access: [{ collection: SHARED, access: 'rw' }], [FIELD]: name });
    const behind = { restUrl: rest.url, grpcUrl: grpc.url, collection: SHARED, headers: { 'api-key': token } };
    const direct = wayTo({ restUrl, grpcUrl, collection: own, headers: {} });
    return { name, ...comparedAsOnce(wayTo(behind), direct, () => collections.keep(own), colliding) };
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
    if (!WRITE_NAMES.has(operation.op)) return way(operation);
    const putBack = await keep();
    const reply = await way(operation);
    if (writeJson(reply.answer).includes('No point with id')) await putBack();
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
