import t from 'tap';
import { COLLECTION, INDEXES } from '../../support/engine/points.ts';
import { createCollection } from '../../support/fake-qdrant/collections.ts';
import { createIndex } from '../../support/fake-qdrant/points.ts';
import { Store } from '../../support/fake-qdrant/store.ts';
import { runs } from '../../support/generators/runs.ts';
import { FILE_MS } from '../../support/patience.ts';
import { directWay, rewrittenWay } from '../../support/tenants/in-process.ts';
import { ModelDifference, runSequence, type Tenant } from '../../support/tenants/model.ts';
import { comparedAsOnce } from '../../support/tenants/through-gateway.ts';

/*
 * Random operations of two tenants on one collection equal those on a collection of their own. Requests are made anew for the tenant, and carried
 * out by the stand-in in the same process.
 */

t.setTimeout(FILE_MS);
const SHARED = 'shared';
const FIELD = 'tenant';

function tenantsOf(colliding: boolean, bound: boolean): readonly Tenant[] {
  const store = new Store();
  const make = (collection: string): void => {
    createCollection(store, collection, COLLECTION);
    for (const index of [...INDEXES, { field_name: FIELD, field_schema: 'keyword' }])
      createIndex(store, collection, index);
  };
  make(SHARED);
  return ['one', 'two'].map((name) => {
    const own = `own-${name}`;
    make(own);
    const condition = { id: SHARED, field: [FIELD], values: [name], hides: false, sharedStatistics: false };
    const shared = bound ? rewrittenWay(store, SHARED, condition) : directWay(store, SHARED);
    return { name, ...comparedAsOnce(shared, directWay(store, own), () => store.find(own).points, colliding) };
  });
}

for (const colliding of [false, true]) {
  t.test(`two tenants see a collection of their own, ${colliding ? 'with' : 'without'} ids that meet`, async (t) => {
    const first = Math.floor(Math.random() * 1_000_000);
    const most = runs(1000);
    const options = { field: FIELD, missing: 'fault', operations: 24, colliding } as const;
    for (let seed = first; seed < first + most; seed += 1) await runSequence(tenantsOf(colliding, true), seed, options);
    t.pass(`${most} sequences from seed ${first}`);
  });
}

t.test('without conditions they do not', async (t) => {
  const options = { field: FIELD, missing: 'fault', operations: 24, colliding: false } as const;
  const found = await runSequence(tenantsOf(false, false), 1, options).catch((error: unknown) => error);
  t.ok(found instanceof ModelDifference);
});
