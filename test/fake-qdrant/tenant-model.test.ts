import t from 'tap';
import { COLLECTION, INDEXES } from '../support/engine/points.ts';
import { createCollection } from '../support/fake-qdrant/collections.ts';
import { isObject, type Json, listOf } from '../support/fake-qdrant/json.ts';
import { createIndex } from '../support/fake-qdrant/points.ts';
import { Store } from '../support/fake-qdrant/store.ts';
import { runs } from '../support/generators/runs.ts';
import { FILE_MS } from '../support/patience.ts';
import { divided } from '../support/tenants/divided.ts';
import { directWay } from '../support/tenants/in-process.ts';
import { ModelDifference, type ModelOptions, runSequence, type Tenant } from '../support/tenants/model.ts';
import type { Way } from '../support/tenants/ways.ts';

/*
 * The driver of the model of tenants, on the stand-in alone: where every tenant has a second collection of its own, it finds no
 * difference; where two write into one that nothing divides, it does.
 */

const store = new Store();
t.setTimeout(FILE_MS);

const OPTIONS: ModelOptions = { field: 'tenant', missing: 'fault', colliding: false, operations: 24 };

type Between = (way: Way, name: string) => Way;

function tenants(sharing: (name: string) => string, between: Between = (way) => way): readonly Tenant[] {
  store.clear();
  const way = (collection: string): Tenant['own'] => {
    if (!store.has(collection)) {
      createCollection(store, collection, COLLECTION);
      for (const index of INDEXES) createIndex(store, collection, index);
    }
    return directWay(store, collection);
  };
  return ['one', 'two'].map((name) => ({ name, shared: between(way(sharing(name)), name), own: way(`own-${name}`) }));
}

t.test('collections of their own are like collections of their own', { timeout: FILE_MS }, async (t) => {
  const first = Math.floor(Math.random() * 1_000_000);
  let refused = 0;
  for (let seed = first; seed < first + runs(60); seed += 1) {
    refused += await runSequence(
      tenants((name) => `shared-${name}`),
      seed,
      OPTIONS,
    );
  }
  t.ok(refused > 0, `some operations are refused: ${refused}`);
});

t.test('a collection that conditions divide is, too', { timeout: FILE_MS }, async (t) => {
  const first = Math.floor(Math.random() * 1_000_000);
  for (const colliding of [false, true]) {
    for (let seed = first; seed < first + runs(40); seed += 1) {
      const division = { field: 'tenant', store, collection: 'shared' };
      const between: Between = (way, name) => divided(way, { ...division, value: name });
      await runSequence(
        tenants(() => 'shared', between),
        seed,
        { ...OPTIONS, colliding },
      );
    }
  }
  t.pass(`from seed ${first}`);
});

t.test('a collection that nothing divides is not', async (t) => {
  for (const colliding of [false, true]) {
    for (let seed = 0; seed < 3; seed += 1) {
      const run = runSequence(
        tenants(() => 'shared'),
        seed,
        { ...OPTIONS, colliding },
      );
      const found = await run.catch((error: unknown) => error);
      t.ok(found instanceof ModelDifference, `ids meet: ${colliding}, seed ${seed}`);
    }
  }
});

t.test('on a real Qdrant matrices may differ in points of the tenant, and in no others', async (t) => {
  const REPLACED: readonly { readonly ids: string; readonly id: Json | undefined; readonly differs: boolean }[] = [
    { ids: 'of another tenant', id: 4_000_000_008, differs: true },
    { ids: 'of the tenant', id: undefined, differs: false },
  ];
  for (const { ids, id, differs } of REPLACED) {
    const between: Between = (way) => async (operation) => {
      const reply = await way(operation);
      if (operation.op !== 'matrix_offsets' || reply.code > 200 || !isObject(reply.answer)) return reply;
      const [first] = listOf(reply.answer.ids);
      return { ...reply, answer: { ...reply.answer, ids: first === undefined ? [] : [id ?? first] } };
    };
    const outcomes: boolean[] = [];
    for (let seed = 0; seed < 20; seed += 1) {
      const run = runSequence(
        tenants((name) => `shared-${name}`, between),
        seed,
        { ...OPTIONS, real: true },
      );
      outcomes.push((await run.catch((error: unknown) => error)) instanceof ModelDifference);
    }
    t.equal(outcomes.includes(true), differs, `ids ${ids}`);
  }
});
