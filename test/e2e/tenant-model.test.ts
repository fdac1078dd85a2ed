import t from 'tap';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { runs } from '../support/generators/runs.ts';
import { FILE_MS } from '../support/patience.ts';
import { openTenantModel } from '../support/tenants/through-gateway.ts';

/** Random operations of two tenants on one collection behind the gateway equal those on a collection of their own. */

t.setTimeout(FILE_MS);

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

t.test('a Qdrant that `QDRANT_URL` names is asked the same', async (t) => {
  const there = await startFakeQdrant({ record: false });
  const model = await openTenantModel(true, there);
  t.teardown(async () => {
    await model.close();
    await there.close();
  });
  const first = Math.floor(Math.random() * 1_000_000);
  for (const colliding of [false, true]) await model.run(first, colliding);
  t.pass(`from seed ${first}`);
});
