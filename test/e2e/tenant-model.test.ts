import t from 'tap';
import { runs } from '../support/generators/runs.ts';
import { openTenantModel } from '../support/tenants/through-gateway.ts';

/** Random operations of two tenants on one collection behind the gateway equal those on a collection of their own. */

for (const relay of [true, false]) {
  const model = await openTenantModel(relay);
  t.teardown(() => model.close());
  for (const colliding of [false, true]) {
    const name = `${colliding ? 'with' : 'without'} ids that meet, by the ${relay ? 'relay' : 'server'}`;
    t.test(`two tenants see a collection of their own, ${name}`, async (t) => {
      const first = Math.floor(Math.random() * 1_000_000);
      const most = runs(40);
      for (let seed = first; seed < first + most; seed += 1) await model.run(seed, colliding);
      t.pass(`${most} sequences from seed ${first}`);
    });
  }
}
