import t from 'tap';
import { runs } from '../support/generators/runs.ts';
import { openTenantModel } from '../support/tenants/through-gateway.ts';

/** Random operations of two tenants on one collection behind the gateway equal those on a collection of their own. */

const model = await openTenantModel();
t.teardown(() => model.close());

for (const colliding of [false, true]) {
  t.test(`two tenants see a collection of their own, ${colliding ? 'with' : 'without'} ids that meet`, async (t) => {
    const first = Math.floor(Math.random() * 1_000_000);
    const most = runs(160);
    for (let seed = first; seed < first + most; seed += 1) await model.run(seed, colliding);
    t.pass(`${most} sequences from seed ${first}`);
  });
}
