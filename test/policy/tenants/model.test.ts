import t from 'tap';
import { Store } from '../../support/fake-qdrant/store.ts';
import { runs } from '../../support/generators/runs.ts';
import { FILE_MS } from '../../support/patience.ts';
import { behindFake } from '../../support/tenants/behind.ts';
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

async function tenantsOf(colliding: boolean, bound: boolean): Promise<readonly Tenant[]> {
  const store = new Store();
  const behind = behindFake(store);
  await behind.make(SHARED, FIELD);
  const tenants: Tenant[] = [];
  for (const name of ['one', 'two']) {
    // In a store of its own it has the same name, so that the messages are the same.
    const alone = new Store();
    const own = behindFake(alone);
    await own.make(SHARED, FIELD);
    const condition = { id: SHARED, field: [FIELD], values: [name], hides: false, sharedStatistics: false };
    const shared = bound ? rewrittenWay(store, SHARED, condition) : directWay(store, SHARED);
    tenants.push({ name, ...comparedAsOnce(shared, directWay(alone, SHARED), () => own.keep(SHARED), colliding) });
  }
  return tenants;
}

for (const colliding of [false, true]) {
  t.test(`two tenants see a collection of their own, ${colliding ? 'with' : 'without'} ids that meet`, async (t) => {
    const first = Math.floor(Math.random() * 1_000_000);
    const most = runs(3920);
    const options = { field: FIELD, missing: 'fault', operations: 18, colliding } as const;
    for (let seed = first; seed < first + most; seed += 1)
      await runSequence(await tenantsOf(colliding, true), seed, options);
    t.pass(`${most} sequences from seed ${first}`);
  });
}

t.test('without conditions they do not', async (t) => {
  const options = { field: FIELD, missing: 'fault', operations: 18, colliding: false } as const;
  const found = await runSequence(await tenantsOf(false, false), 1, options).catch((error: unknown) => error);
  t.ok(found instanceof ModelDifference);
});
