import t from 'tap';
import { MAX_PATH_LENGTH } from '../../../src/policy/tenants/payload-path.ts';
import type { AnswerChange } from '../../../src/policy/tenants/rewriting.ts';
import { changeForTenant } from '../../../src/rest/tenants/answers.ts';
import { condition, made, T, tenancyOf } from './made.ts';

/* Fields that a tenant does not read, and fields that it does not write. */

const HIDDEN = tenancyOf(condition({ hiddenFields: [['cost'], ['deep', 'er'], ['a b']] }));
const READ_ONLY = tenancyOf(condition({ readOnlyFields: [['plan'], ['deep', 'er']] }));
const GUARDS = '{"is_empty":{"key":"plan"}},{"is_empty":{"key":"deep.er"}}';

const refusedOr = (result: ReturnType<typeof made>): string => (typeof result === 'string' ? result : 'sent');
const reads = (field: string): string => `403 tenant_field: Forbidden: The request would read the field \`${field}\``;
const changes = (field: string): string =>
  `403 tenant_field: Forbidden: The request would change the field \`${field}\``;

/** A condition on a key, and the hidden field that it reads; `undefined` = none. */
const CONDITIONS: readonly [condition: object, field: string | undefined][] = [
  [{ key: 'cost', match: { value: 1 } }, 'cost'],
  [{ key: '"cost"', range: { gt: 1 } }, 'cost'],
  [{ key: 'cost[]', match: { value: 1 } }, 'cost'],
  [{ key: 'cost[0].eur', match: { value: 1 } }, 'cost'],
  [{ key: 'cost.eur', values_count: { gt: 1 } }, 'cost'],
  [{ key: 'costs', match: { value: 1 } }, undefined],
  [{ key: 'x.cost', match: { value: 1 } }, undefined],
  [{ key: 'deep', match: { value: 1 } }, 'deep.er'],
  [{ key: 'deep[].er', match: { value: 1 } }, 'deep.er'],
  [{ key: 'deep[3].er.x', match: { value: 1 } }, 'deep.er'],
  [{ key: 'deep[].other', match: { value: 1 } }, undefined],
  [{ key: 'deep.other.er', match: { value: 1 } }, undefined],
  [{ key: '"a b".c', match: { value: 1 } }, '"a b"'],
  [{ is_empty: { key: 'cost' } }, 'cost'],
  [{ is_null: { key: 'deep.er' } }, 'deep.er'],
  [{ key: 'cost', is_empty: false }, 'cost'],
  [{ nested: { key: 'deep', filter: { must: [{ key: 'other', match: { value: 1 } }] } } }, undefined],
  [{ nested: { key: 'deep', filter: { must: [{ key: 'er', match: { value: 1 } }] } } }, 'deep.er'],
  [{ nested: { key: 'deep.er', filter: {} } }, 'deep.er'],
  [{ nested: { key: 'cost', filter: { must: [{ has_id: [1] }] } } }, 'cost'],
  [{ nested: { key: 'x', filter: { must: [{ key: 'cost', match: { value: 1 } }] } } }, undefined],
  [{ nested: { filter: { must: { key: 'x', match: { value: 1 } } }, key: 'cost[]' } }, 'cost'],
  [{ nested: { filter: { must: { key: 'er', match: { value: 1 } } }, key: 'deep' } }, 'deep.er'],
  [
    {
      nested: {
        filter: { must: { nested: { filter: { must: { is_null: { key: 'er.x' } } }, key: 'deep[]' } } },
        key: 'x',
      },
    },
    undefined,
  ],
  [{ nested: { filter: { must: { nested: { filter: {}, key: 'er.x' } } }, key: 'deep' } }, 'deep.er'],
  [{ nested: { filter: { must: { key: 'er', match: { value: 1 } } }, key: 'deep..' } }, undefined],
  [{ should: [{ must_not: { key: 'cost', match: { value: 1 } } }] }, 'cost'],
  [{ min_should: { conditions: [{ key: 'cost', match: { value: 1 } }], min_count: 1 } }, 'cost'],
  [{ has_id: [1] }, undefined],
  [{ key: 'tenant', match: { value: 'acme' } }, undefined],
];

t.test('no condition on a hidden field, wherever a filter stands', async (t) => {
  const places: readonly [operation: string, body: (filter: object) => object][] = [
    ['scroll', (filter) => ({ filter })],
    ['count', (filter) => ({ filter })],
    ['facet', (filter) => ({ key: 'x', filter })],
    ['search', (filter) => ({ vector: [1], filter, limit: 1 })],
    [
      'search_batch',
      (filter) => ({
        searches: [
          { vector: [1], limit: 1 },
          { vector: [1], filter, limit: 1 },
        ],
      }),
    ],
    ['query', (filter) => ({ prefetch: [{ prefetch: { query: [1], filter } }] })],
    ['query', (filter) => ({ query: [1], params: { idf: { corpus: filter } } })],
    ['search_matrix_pairs', (filter) => ({ filter })],
    ['delete', (filter) => ({ filter })],
    ['clear_payload', (filter) => ({ filter })],
    ['upsert', (filter) => ({ points: [], update_filter: filter })],
    ['batch', (filter) => ({ operations: [{ delete_vectors: { filter, vector: ['a'] } }] })],
  ];
  for (const [operation, body] of places) {
    for (const [one, field] of CONDITIONS) {
      const text = JSON.stringify(body({ must: [one] }));
      const result = refusedOr(made(`points.${operation}`, text, { tenancy: HIDDEN }));
      t.equal(result, field === undefined ? 'sent' : reads(field), `${operation}: ${text}`);
      t.equal(refusedOr(made(`points.${operation}`, text)), 'sent', `${operation}: ${text}, where nothing is hidden`);
    }
  }
});

t.test('conditions on objects in arrays of arrays are judged by their whole path', async (t) => {
  const inner = { nested: { filter: { must: [{ key: 'er.x', match: { value: 1 } }] }, key: 'more' } };
  const nested = (key: string) => ({ filter: { must: [{ nested: { filter: { must: [inner] }, key } }] } });
  const deeper = tenancyOf(condition({ hiddenFields: [['deep', 'more', 'er']] }));
  const ask = (key: string) => refusedOr(made('points.scroll', JSON.stringify(nested(key)), { tenancy: deeper }));
  t.equal(ask('deep'), reads('deep.more.er'));
  t.equal(ask('deep[0]'), reads('deep.more.er'));
  t.equal(ask('x'), 'sent');
});

t.test('nothing is ordered, grouped, counted or scored by a hidden field', async (t) => {
  const cases: readonly [operation: string, body: object, field: string | undefined][] = [
    ['scroll', { order_by: 'cost' }, 'cost'],
    ['scroll', { order_by: { key: 'deep[].er' } }, 'deep.er'],
    ['scroll', { order_by: 'price' }, undefined],
    ['facet', { key: 'cost' }, 'cost'],
    ['query_groups', { query: [1], group_by: 'deep.er' }, 'deep.er'],
    ['search_groups', { vector: [1], group_by: 'cost', limit: 1, group_size: 1 }, 'cost'],
    ['query', { query: { order_by: 'cost' } }, 'cost'],
    ['query', { query: { formula: { sum: ['$score', 'cost'] } }, prefetch: { query: [1] } }, 'cost'],
    ['query', { query: { formula: 'x', defaults: { cost: 1 } }, prefetch: { query: [1] } }, 'cost'],
    ['query', { query: { formula: { sum: [1, { key: 'cost', match: { value: 1 } }] } } }, 'cost'],
    ['query', { query: { text: 'word' }, using: 'cost' }, 'cost'],
    ['query', { query: { text: { query: 'word' } }, using: 'text' }, undefined],
    ['query', { query: { text: 'word', model: 'm' }, using: 'cost' }, undefined],
  ];
  for (const [operation, body, field] of cases) {
    const result = refusedOr(made(`points.${operation}`, JSON.stringify(body), { tenancy: HIDDEN }));
    t.equal(result, field === undefined ? 'sent' : reads(field), `${operation}: ${JSON.stringify(body)}`);
  }
});

t.test('hidden fields are not in answers, nor in objects of arrays', async (t) => {
  const result = made('points.scroll', '{}', { tenancy: HIDDEN });
  const { answer } = result as { answer: AnswerChange };
  t.strictSame(answer, { kind: 'hide', fields: [['cost'], ['deep', 'er'], ['a b']] });
  const shown = (payload: object): unknown => {
    const body = JSON.stringify({ result: { points: [{ id: 1, payload }] }, status: 'ok', time: 0 });
    const changed = changeForTenant(answer as Exclude<AnswerChange, { kind: 'collection' }>, Buffer.from(body));
    return JSON.parse(changed.toString()).result.points[0].payload;
  };
  const cases: readonly [payload: object, shown: object][] = [
    [{ cost: 1, x: { cost: 2 } }, { x: { cost: 2 } }],
    [{ deep: { er: [1], other: 2 }, 'a b': null }, { deep: { other: 2 } }],
    [{ deep: [{ er: 1, other: 2 }, [{ er: 3 }], 'er'] }, { deep: [{ other: 2 }, [{}], 'er'] }],
    [{ deep: 'er' }, { deep: 'er' }],
  ];
  for (const [payload, left] of cases) t.strictSame(shown(payload), left, JSON.stringify(payload));
  const one = made('points.get_one', '', { tenancy: HIDDEN, method: 'GET', params: ['shop', '7'] });
  t.match(one, { answer: { fields: [['cost'], ['deep', 'er'], ['a b']] } });
});

t.test('no write names a read-only field', async (t) => {
  const cases: readonly [operation: string, body: object, field: string | undefined][] = [
    ['upsert', { points: [{ id: 1, vector: [1], payload: { plan: 'gold' } }] }, 'plan'],
    ['upsert', { points: [{ id: 1, vector: [1], payload: { plan: null } }] }, 'plan'],
    ['upsert', { points: [{ id: 1, vector: [1], payload: { deep: { er: 1 } } }] }, 'deep.er'],
    ['upsert', { points: [{ id: 1, vector: [1], payload: { deep: { other: 1 }, er: 2 } }] }, undefined],
    ['upsert', { batch: { ids: [1, 2], vectors: [[1], [2]], payloads: [null, { plan: 1 }] } }, 'plan'],
    ['overwrite_payload', { payload: { plan: 1 }, points: [1] }, 'plan'],
    ['set_payload', { payload: { plan: 1 }, points: [1] }, 'plan'],
    ['set_payload', { payload: { a: 1 }, key: 'plan', points: [1] }, 'plan'],
    ['set_payload', { payload: { a: 1 }, key: 'plan[0].x', points: [1] }, 'plan'],
    ['set_payload', { payload: { other: 1 }, points: [1] }, undefined],
    ['set_payload', { payload: { deep: { other: 1 } }, points: [1] }, 'deep.er'],
    ['set_payload', { payload: { other: 1 }, key: 'deep', points: [1] }, undefined],
    ['set_payload', { payload: { er: 1 }, key: 'deep', points: [1] }, 'deep.er'],
    ['set_payload', { payload: { er: 1 }, key: '"deep"[]', points: [1] }, 'deep.er'],
    ['delete_payload', { keys: ['a', 'plan'], points: [1] }, 'plan'],
    ['delete_payload', { keys: ['deep'], points: [1] }, 'deep.er'],
    ['delete_payload', { keys: ['"plan"[]'], points: [1] }, 'plan'],
    ['delete_payload', { keys: ['plans'], points: [1] }, undefined],
    [
      'batch',
      {
        operations: [
          { delete_payload: { keys: ['a'], filter: {} } },
          { set_payload: { payload: { plan: 1 }, filter: {} } },
        ],
      },
      'plan',
    ],
    ['delete', { points: [1] }, undefined],
  ];
  for (const [operation, body, field] of cases) {
    const text = JSON.stringify(body);
    const result = refusedOr(made(`points.${operation}`, text, { tenancy: READ_ONLY }));
    t.equal(result, field === undefined ? 'sent' : changes(field), `${operation}: ${text}`);
    t.equal(refusedOr(made(`points.${operation}`, text)), 'sent', `${operation}: ${text}, where nothing is read-only`);
  }
});

t.test('a write that replaces payloads passes over points with a value in a read-only field', async (t) => {
  const own = `{"must":[${GUARDS},${T}]}`;
  const some = `{"must":[${GUARDS},${T},{"has_id":[1]}]}`;
  const cases: readonly [operation: string, body: string, filter: string][] = [
    ['upsert', '{"points":[{"id":1,"vector":[1]}]}', `"update_filter":${own}`],
    ['upsert', '{"points":[],"update_filter":{"must":[{"has_id":[1]}]}}', `"update_filter":${some}`],
    ['upsert', '{"batch":{"ids":[],"vectors":[]}}', `"update_filter":${own}`],
    ['overwrite_payload', '{"payload":{},"points":[1]}', `"filter":${some}`],
    ['overwrite_payload', '{"payload":{},"filter":{}}', `"filter":${own}`],
    ['clear_payload', '{"points":[1]}', `"filter":${some}`],
    ['clear_payload', '{"filter":{"must":null}}', `"filter":${own}`],
  ];
  for (const [operation, body, filter] of cases) {
    const result = made(`points.${operation}`, body, { tenancy: READ_ONLY });
    t.ok(
      typeof result !== 'string' && result.body?.includes(filter),
      `${operation} ${body}: ${JSON.stringify(result)}`,
    );
  }
  for (const [operation, body] of [
    ['set_payload', '{"payload":{"a":1},"points":[1]}'],
    ['update_vectors', '{"points":[{"id":1,"vector":[1]}]}'],
    ['delete', '{"filter":{}}'],
    ['delete_payload', '{"keys":["a"],"filter":{}}'],
  ] as const) {
    const result = made(`points.${operation}`, body, { tenancy: READ_ONLY });
    t.notOk(typeof result === 'string' || result.body?.includes('is_empty'), `${operation} replaces nothing`);
  }
});

t.test('paths have a bound, wherever they are compared with a field', async (t) => {
  const path = (length: number): string => 'a.'.repeat(length / 2 - 1).concat('bb');
  const tenancy = tenancyOf(condition({ hiddenFields: [['cost']], readOnlyFields: [['plan']] }));
  const bodies: readonly [operation: string, body: (key: string) => object][] = [
    ['scroll', (key) => ({ filter: { must: [{ key, match: { value: 1 } }] } })],
    ['scroll', (key) => ({ filter: { must: [{ nested: { key, filter: { must: [{ key: 'x' }] } } }] } })],
    ['scroll', (key) => ({ order_by: key })],
    ['query_groups', (key) => ({ group_by: key })],
    ['query', (key) => ({ prefetch: {}, query: { formula: key } })],
    ['facet', (key) => ({ key })],
    ['set_payload', (key) => ({ payload: {}, points: [1], key })],
    ['delete_payload', (key) => ({ keys: ['x', key], points: [1] })],
  ];
  for (const [operation, body] of bodies) {
    const send = (length: number) =>
      refusedOr(made(`points.${operation}`, JSON.stringify(body(path(length))), { tenancy }));
    t.equal(send(MAX_PATH_LENGTH), 'sent', `${operation}: the longest`);
    const refused = '400 tenant_form: a path into the payload is longer than 65536 characters';
    t.equal(send(MAX_PATH_LENGTH + 2), refused, `${operation}: a longer one`);
  }
});

t.test('a condition in many nested filters is held once', async (t) => {
  const many = Array.from({ length: 40_000 }, () => '{"key":"b"}').join(',');
  const nested = (depth: number): string =>
    depth === 0 ? `{"must":[${many}]}` : `{"must":{"nested":{"filter":${nested(depth - 1)},"key":"k"}}}`;
  t.equal(refusedOr(made('points.scroll', `{"filter":${nested(14)}}`, { tenancy: HIDDEN })), 'sent');
});
