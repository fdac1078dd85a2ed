import t from 'tap';
import { rewriteRequest, rewriteSoon, type TenantTask } from '../../../src/rest/tenants/rewrite.ts';
import { timesDearer } from '../../support/reference.ts';
import { condition, tenancyOf } from './made.ts';

/*
 * The work on a body grows with its size and no faster, whatever its form. Forms that have two dimensions (levels and conditions, say)
 * grow in both: what is kept or copied for each level would show.
 */

const TENANCY = tenancyOf(condition({ hiddenFields: [['cost'], ['deep', 'er']], readOnlyFields: [['plan']] }));

const many = (count: number, one: string): string => Array.from({ length: count }, () => one).join(',');
const nested = (depth: number, inside: string): string =>
  depth === 0 ? inside : `{"must":{"nested":{"filter":${nested(depth - 1, inside)},"key":"k"}}}`;
const prefetches = (depth: number, inside: string): string =>
  depth === 0 ? inside : `{"prefetch":[${prefetches(depth - 1, inside)}]}`;
const path = (steps: number): string => 'a.'.repeat(steps).concat('a');

/** Its size grows with `scale`. */
type Form = readonly [name: string, operation: string, body: (scale: number) => string];

const FORMS: readonly Form[] = [
  ['conditions', 'scroll', (s) => `{"filter":{"must":[${many(1000 * s, '{"key":"b"}')}]}}`],
  [
    'conditions in nested filters',
    'scroll',
    (s) => `{"filter":${nested(4 * s, `{"must":[${many(1000 * s, '{"key":"b"}')}]}`)}}`,
  ],
  [
    'conditions under long paths',
    'scroll',
    (s) =>
      `{"filter":{"must":{"nested":{"key":"${path(2000 * s)}","filter":{"must":[${many(500 * s, '{"key":"b"}')}]}}}}}`,
  ],
  ['filters', 'scroll', (s) => `{"filter":{"must":[${many(1000 * s, '{}')}]}}`],
  ['a long path', 'scroll', (s) => `{"filter":{"must":[{"key":"${path(5000 * s)}","match":{"value":1}}]}}`],
  ['steps into arrays', 'scroll', (s) => `{"filter":{"must":[{"key":"a${'[]'.repeat(5000 * s)}"}]}}`],
  ['a long string', 'scroll', (s) => `{"filter":{"must":[{"key":"b","match":{"value":"${'x'.repeat(20_000 * s)}"}}]}}`],
  ['escapes', 'scroll', (s) => `{"filter":{"must":[{"key":"${'\\u0061'.repeat(5000 * s)}"}]}}`],
  ['prefetches', 'query', (s) => `{"prefetch":[${many(1000 * s, '{"query":[1]}')}],"query":[1]}`],
  ['prefetches in prefetches', 'query', (s) => prefetches(4 * s, many(500 * s, '{"query":[1]}'))],
  ['terms of a formula', 'query', (s) => `{"prefetch":{},"query":{"formula":{"sum":[${many(1000 * s, '"a"')}]}}}`],
  ['queries', 'query_batch', (s) => `{"searches":[${many(1000 * s, '{}')}]}`],
  ['ids', 'delete', (s) => `{"points":[${many(2000 * s, '1')}]}`],
  ['a long key', 'set_payload', (s) => `{"key":"${path(5000 * s)}","payload":{},"points":[1]}`],
  ['keys', 'delete_payload', (s) => `{"keys":[${many(2000 * s, '"b"')}],"points":[1]}`],
  ['points', 'upsert', (s) => `{"points":[${many(1000 * s, '{"id":1,"vector":{}}')}]}`],
  ['ids of a batch', 'upsert', (s) => `{"batch":{"ids":[${many(2000 * s, '1')}],"vectors":{}}}`],
  [
    'keys of a payload',
    'upsert',
    (s) =>
      `{"points":[{"id":1,"vector":{},"payload":{${Array.from({ length: 1000 * s }, (_, at) => `"k${at}":1`).join(',')}}}]}`,
  ],
  ['operations', 'batch', (s) => `{"operations":[${many(1000 * s, '{"delete":{"points":[1]}}')}]}`],
  [
    'upserts of a batch',
    'batch',
    (s) => `{"operations":[${many(500 * s, '{"upsert":{"points":[{"id":1,"vector":{}}]}}')}]}`,
  ],
];

const TASK: Omit<TenantTask, 'operation'> = {
  tenancy: TENANCY,
  ...{ method: 'POST', pathToSend: '/collections/shop/points/x?wait=true', params: ['shop'], maxDepth: 64 },
  ...{
    features: { updateFilter: true, idfCorpus: true },
    idfVectors: new Set(),
    hasShardKeys: false,
    maxBytes: 1 << 25,
  },
};

/** The work at `scale`. */
function work([, operation, body]: Form, scale: number): () => ReturnType<typeof rewriteRequest> {
  const bytes = Buffer.from(body(scale));
  return () => rewriteRequest({ ...TASK, operation: `points.${operation}` }, bytes);
}

for (const form of FORMS) {
  t.test(`${form[1]} of ${form[0]}: four times the size takes less than eight times the work`, async (t) => {
    const found = work(form, 4)();
    t.notOk('kind' in found, 'kind' in found ? found.message : 'it is made');
    const times = timesDearer(work(form, 4), work(form, 1));
    t.ok(times < 8, `${times.toFixed(1)} times`);
  });
}

t.test('what takes little time is told apart from what takes more', async (t) => {
  const upsert = (points: number): string =>
    `{"points":[${many(points, `{"id":1,"vector":[${many(96, '0.12345')}],"payload":{"tenant":"acme","colour":"red"}}`)}]}`;
  const bodies: readonly [name: string, operation: string, body: string, isSoon: boolean][] = [
    ['100 points with vectors', 'upsert', upsert(100), true],
    ['100 points of a batch', 'batch', `{"operations":[{"upsert":${upsert(100)}}]}`, true],
    ['1000 ids', 'delete', `{"points":[${many(1000, '1')}]}`, true],
    ['many ids', 'delete', `{"points":[${many(40_000, '1')}]}`, false],
    ['many points', 'upsert', `{"points":[${many(4000, '{"id":1,"vector":{}}')}]}`, false],
    ['many points of a batch', 'upsert', `{"batch":{"ids":[${many(40_000, '1')}],"vectors":{}}}`, false],
    ['many prefetches', 'query', `{"prefetch":[${many(5000, '{"query":[1]}')}]}`, false],
    ['many operations', 'batch', `{"operations":[${many(3000, '{"delete":{"points":[1]}}')}]}`, false],
    ['many conditions', 'scroll', `{"filter":{"must":[${many(8000, '{"key":"b"}')}]}}`, false],
    ['many keys', 'delete_payload', `{"keys":[${many(20_000, '"b"')}],"points":[1]}`, false],
    ['many terms', 'query', `{"prefetch":{},"query":{"formula":{"sum":[${many(20_000, '"a"')}]}}}`, false],
  ];
  for (const [name, operation, body, isSoon] of bodies) {
    const task = { ...TASK, operation: `points.${operation}` };
    const made = rewriteSoon(task, Buffer.from(body));
    t.equal(made !== undefined, isSoon, name);
    if (made) t.strictSame(made, rewriteRequest(task, Buffer.from(body)), `${name}: the same`);
  }
});
