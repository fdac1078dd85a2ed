import t from 'tap';
import type { TenantContext } from '../../../src/grpc/tenants/context.ts';
import { rewriteMessage } from '../../../src/grpc/tenants/rewrite.ts';
import { bytesField, writeVarint } from '../../../src/grpc/tenants/splice/edits.ts';
import { timesDearer } from '../../support/reference.ts';
import { condition } from './message-case.ts';

/*
 * The work on a message grows with its size and no faster, whatever its form. Forms that have two dimensions (levels and conditions, say)
 * grow in both: what is kept or copied for each level would show.
 */

function contextOf(more: Parameters<typeof condition>[0]): TenantContext {
  const conditions = [condition(more)];
  return {
    tenancy: { scopes: conditions.map((holds) => ({ names: new Set(['docs']), prefixes: [], holds })) },
    ...{ collection: 'docs', conditions, features: { updateFilter: true, idfCorpus: true }, idfVectors: new Set() },
    mostBytes: 1 << 25,
  };
}
const PLAIN = contextOf({});
const KEPT = contextOf({ hiddenFields: [['cost'], ['deep', 'er']], readOnlyFields: [['plan']] });

const number = (field: number, value: number): Buffer => {
  const bytes = Buffer.alloc(6);
  return Buffer.from(bytes.subarray(0, writeVarint(bytes, writeVarint(bytes, 0, field * 8), value)));
};
const text = (field: number, value: string): Buffer => bytesField(field, Buffer.from(value));
const many = (count: number, one: Buffer): Buffer => Buffer.concat(Array.from({ length: count }, () => one));
const NAME = text(1, 'docs');
const ID = bytesField(1, number(1, 1));
const POINT = bytesField(3, ID);
const ENTRY = (key: string): Buffer => bytesField(3, text(1, key), bytesField(2, text(4, 'acme')));
const KEY = bytesField(2, bytesField(1, text(1, 'b')));
const NESTED = (depth: number, inside: Buffer): Buffer =>
  depth === 0 ? inside : bytesField(2, bytesField(6, text(1, 'k'), bytesField(2, NESTED(depth - 1, inside))));
const BY_ID = bytesField(5, bytesField(1, ID));
const UPSERT = (points: Buffer): Buffer => bytesField(3, bytesField(1, points));
const BATCHED_POINT = bytesField(1, ID);

/** Its size grows with `scale`. */
type Form = readonly [name: string, method: string, message: (scale: number) => readonly Buffer[]];

const FORMS: readonly Form[] = [
  ['conditions', 'Scroll', (s) => [NAME, bytesField(2, many(1000 * s, KEY))]],
  ['conditions in nested filters', 'Scroll', (s) => [NAME, bytesField(2, NESTED(6 * s, many(1000 * s, KEY)))]],
  [
    'conditions under long paths',
    'Scroll',
    (s) => [
      NAME,
      bytesField(
        2,
        bytesField(2, bytesField(6, text(1, 'a.'.repeat(2000 * s).concat('a')), bytesField(2, many(500 * s, KEY)))),
      ),
    ],
  ],
  ['prefetches', 'Query', (s) => [NAME, many(1000 * s, bytesField(2))]],
  ['queries', 'QueryBatch', (s) => [NAME, many(1000 * s, bytesField(2, NAME))]],
  ['ids', 'Delete', (s) => [NAME, bytesField(3, bytesField(1, many(1500 * s, ID)))]],
  ['keys', 'DeletePayload', (s) => [NAME, many(1500 * s, text(3, 'b')), BY_ID]],
  ['a long key', 'SetPayload', (s) => [NAME, ENTRY('x'), BY_ID, text(8, 'a.'.repeat(5000 * s).concat('a'))]],
  [
    'keys of a payload',
    'SetPayload',
    (s) => [NAME, ...Array.from({ length: 1000 * s }, (_, at) => ENTRY(`k${at}`)), BY_ID],
  ],
  ['points', 'Upsert', (s) => [NAME, many(1000 * s, POINT)]],
  ['points with a field', 'Upsert', (s) => [NAME, many(500 * s, bytesField(3, ID, ENTRY('tenant')))]],
  ['points of vectors', 'UpdateVectors', (s) => [NAME, many(1000 * s, POINT)]],
  ['points of a batch', 'UpdateBatch', (s) => [NAME, UPSERT(many(1000 * s, BATCHED_POINT))]],
  ['operations', 'UpdateBatch', (s) => [NAME, many(500 * s, UPSERT(BATCHED_POINT))]],
  [
    'deletions',
    'UpdateBatch',
    (s) => [NAME, many(500 * s, bytesField(3, bytesField(9, bytesField(1, bytesField(1, ID)))))],
  ],
  ['operations that wait', 'UpdateBatch', (s) => [NAME, number(2, 1), many(500 * s, UPSERT(BATCHED_POINT))]],
];

/** The work at `scale`. */
function work([, method, message]: Form, scale: number): () => ReturnType<typeof rewriteMessage> {
  const bytes = Buffer.concat([...message(scale)]);
  return () => rewriteMessage(`qdrant.Points/${method}`, bytes, KEPT);
}

for (const form of FORMS) {
  t.test(`${form[1]} of ${form[0]}: four times the size takes less than eight times the work`, async (t) => {
    const found = work(form, 4)();
    t.ok(typeof found === 'object' && !('kind' in found), JSON.stringify(found).slice(0, 200));
    const times = timesDearer(work(form, 4), work(form, 1));
    t.ok(times < 8, `${times.toFixed(1)} times`);
  });
}

t.test('points take as much work in a batch, and beside fields that are kept, as in a plain upsert', async (t) => {
  const upsert = Buffer.concat([NAME, many(3000, POINT)]);
  const batch = Buffer.concat([NAME, UPSERT(many(3000, BATCHED_POINT))]);
  const make = (method: string, bytes: Buffer, context: TenantContext) => () =>
    rewriteMessage(`qdrant.Points/${method}`, bytes, context);
  const plain = make('Upsert', upsert, PLAIN);
  for (const [name, other] of [
    ['a batch', make('UpdateBatch', batch, PLAIN)],
    ['a batch beside kept fields', make('UpdateBatch', batch, KEPT)],
    ['an upsert beside kept fields', make('Upsert', upsert, KEPT)],
  ] as const) {
    const times = timesDearer(other, plain);
    t.ok(times < 4, `${name}: ${times.toFixed(1)} times`);
  }
});
