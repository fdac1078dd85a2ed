import t from 'tap';
import { tenantRows } from '../../../src/policy/tenants/operations.ts';
import { READS } from '../../../src/rest/tenants/reads.ts';
import { WRITES } from '../../../src/rest/tenants/writes.ts';
import { condition, FILTER, made, T, tenancyOf } from './made.ts';

/* Requests of a tenant with a shard key of its own: each goes to that shard, with the condition as well. */

const KEYED = tenancyOf(condition({ shard: { key: 'acme', fallback: undefined } }));
const NUMBERED = tenancyOf(
  condition({ values: [18446744073709551615n], shard: { key: 18446744073709551615n, fallback: undefined } }),
);
const WITH_FALLBACK = tenancyOf(condition({ shard: { key: 'acme', fallback: 'shared' } }));

/** A body of each operation, as short as it can be. */
const BODIES: Readonly<Record<string, object>> = {
  get: { ids: [1] },
  scroll: {},
  count: {},
  facet: { key: 'colour' },
  search: { vector: [1], limit: 1 },
  search_batch: {
    searches: [
      { vector: [1], limit: 1 },
      { vector: [2], limit: 1 },
    ],
  },
  search_groups: { vector: [1], group_by: 'colour', limit: 1, group_size: 1 },
  search_matrix_pairs: {},
  search_matrix_offsets: {},
  recommend: { positive: [[1]], limit: 1 },
  recommend_batch: { searches: [{ positive: [[1]], limit: 1 }] },
  recommend_groups: { positive: [[1]], group_by: 'colour', limit: 1, group_size: 1 },
  discover: { target: [1], limit: 1 },
  discover_batch: { searches: [{ target: [1], limit: 1 }] },
  query: {},
  query_batch: { searches: [{}, {}] },
  query_groups: { group_by: 'colour' },
  upsert: { points: [{ id: 1, vector: [1] }] },
  delete: { points: [1] },
  update_vectors: { points: [{ id: 1, vector: [1] }] },
  delete_vectors: { points: [1], vector: ['a'] },
  set_payload: { payload: {}, points: [1] },
  overwrite_payload: { payload: {}, points: [1] },
  delete_payload: { keys: ['a'], points: [1] },
  clear_payload: { points: [1] },
  batch: {
    operations: [
      { upsert: { points: [{ id: 1, vector: [1] }] } },
      { delete: { points: [1] } },
      { update_vectors: { points: [{ id: 1, vector: [1] }] } },
      { delete_vectors: { filter: {}, vector: ['a'] } },
      { set_payload: { payload: {}, points: [1] } },
      { overwrite_payload: { payload: {}, points: [1] } },
      { delete_payload: { keys: ['a'], filter: {} } },
      { clear_payload: { points: [1] } },
    ],
  },
};

/** The requests in a body: those of a batch, or itself. */
function requestsIn(body: Record<string, unknown>): readonly Record<string, unknown>[] {
  const { searches, operations } = body as { searches?: Record<string, unknown>[]; operations?: object[] };
  return searches ?? operations?.flatMap((one) => Object.values(one)) ?? [body];
}

/** @param given of the client, in every request of the body; none = it gives none */
function sent(operation: string, tenancy: typeof KEYED, given?: unknown): unknown[] | string {
  const body = structuredClone(BODIES[operation] ?? {}) as Record<string, unknown>;
  if (given !== undefined) for (const one of requestsIn(body)) one.shard_key = given;
  const result = made(`points.${operation}`, JSON.stringify(body), { tenancy });
  if (typeof result === 'string') return result;
  return requestsIn(JSON.parse(result.body ?? '{}')).map(({ shard_key }) => shard_key);
}

const REFUSED = '403 tenant_shard_key: Forbidden: The request names another shard key than that of the tenant';

t.test('every operation that is made anew has the shard key of the tenant', async (t) => {
  const rows = tenantRows().filter((row) => row.startsWith('points.') && row !== 'points.get_one');
  t.strictSame(
    Object.keys(BODIES)
      .map((name) => `points.${name}`)
      .sort(),
    [...rows].sort(),
    'the bodies are of all rows',
  );
  t.strictSame([...Object.keys(READS), ...Object.keys(WRITES), 'points.get'].sort(), [...rows].sort());
  for (const operation of Object.keys(BODIES)) {
    const without = sent(operation, tenancyOf(condition()));
    const count = requestsIn(BODIES[operation] as Record<string, unknown>).length;
    const all = (value: unknown): unknown[] => Array.from({ length: count }, () => value);
    t.strictSame(without, all(undefined), `${operation}: none without one`);
    t.strictSame(
      sent(operation, tenancyOf(condition()), 'b'),
      all('b'),
      `${operation}: the client's own stays without one`,
    );
    t.strictSame(sent(operation, KEYED), all('acme'), operation);
    t.strictSame(sent(operation, KEYED, 'acme'), all('acme'), `${operation}: the same by the client`);
    t.strictSame(sent(operation, KEYED, null), all('acme'), `${operation}: null by the client`);
    t.equal(sent(operation, KEYED, 'umbrella'), REFUSED, `${operation}: another one`);
    t.equal(sent(operation, KEYED, ['acme', 'umbrella']), REFUSED, `${operation}: another one beside it`);
    t.strictSame(sent(operation, WITH_FALLBACK), all({ target: 'acme', fallback: 'shared' }), `${operation}: fallback`);
  }
});

t.test('one point by its path is asked for with the shard key', async (t) => {
  const result = made('points.get_one', '', { tenancy: KEYED, method: 'GET', params: ['shop', '7'] });
  t.match(result, { head: 'POST /collections/shop/points/scroll?wait=true', body: /"shard_key":"acme"/ });
});

t.test('what the client may say beside the shard key of the tenant', async (t) => {
  const cases: readonly [given: unknown, of: typeof KEYED, result: unknown][] = [
    [['acme'], KEYED, 'acme'],
    [['acme', 'acme'], KEYED, 'acme'],
    [[], KEYED, REFUSED],
    [7, KEYED, REFUSED],
    [true, KEYED, REFUSED],
    [['acme', null], KEYED, REFUSED],
    [[['acme']], KEYED, REFUSED],
    [{ target: 'acme', fallback: 'umbrella' }, KEYED, REFUSED],
    [{ target: 'acme', fallback: 'shared' }, WITH_FALLBACK, { target: 'acme', fallback: 'shared' }],
    [{ target: 'acme', fallback: 'umbrella' }, WITH_FALLBACK, REFUSED],
    [{ target: 'umbrella', fallback: 'shared' }, WITH_FALLBACK, REFUSED],
    [{ target: 'acme' }, WITH_FALLBACK, REFUSED],
    ['shared', WITH_FALLBACK, REFUSED],
    ['acme', WITH_FALLBACK, { target: 'acme', fallback: 'shared' }],
    ['18446744073709551615', NUMBERED, REFUSED],
  ];
  for (const [given, tenancy, result] of cases) {
    const found = sent('scroll', tenancy, given);
    t.strictSame(typeof found === 'string' ? found : found[0], result, JSON.stringify(given));
  }
  const raw = (shardKey: string) => made('points.scroll', `{"shard_key":${shardKey}}`, { tenancy: NUMBERED });
  t.match(raw('18446744073709551615'), { body: /"shard_key":18446744073709551615[,}]/ }, 'every digit counts');
  t.equal(raw('18446744073709551614'), REFUSED);
  t.equal(raw('18446744073709551615.0'), REFUSED);
  t.equal(raw('1e3'), REFUSED);
});

t.test('the condition stays', async (t) => {
  t.strictSame(made('points.scroll', '{}', { tenancy: KEYED }), {
    head: 'POST /collections/shop/points/x?wait=true',
    body: `{${FILTER},"shard_key":"acme"}`,
    checks: [],
    answer: undefined,
  });
});

t.test('points by id are taken from the shard of the tenant, in every prefetch', async (t) => {
  const place = '"lookup_from":{"collection":"shop","shard_key":"acme"}';
  const cases: readonly [operation: string, body: string, sent: string][] = [
    ['query', '{"query":1}', `{"query":1,${FILTER},${place},"shard_key":"acme"}`],
    ['query', '{"query":[1]}', `{"query":[1],${FILTER},"shard_key":"acme"}`],
    ['query', '{"query":1,"lookup_from":null}', `{"query":1,${place},${FILTER},"shard_key":"acme"}`],
    [
      'query',
      '{"prefetch":{"query":1},"query":[2]}',
      `{"prefetch":{"query":1,${FILTER},${place}},"query":[2],${FILTER},"shard_key":"acme"}`,
    ],
    ['recommend', '{"positive":[1,[2]]}', `{"positive":[1,[2]],${FILTER},${place},"shard_key":"acme"}`],
    ['discover', '{"target":1}', `{"target":1,${FILTER},${place},"shard_key":"acme"}`],
  ];
  for (const [operation, body, expected] of cases) {
    t.match(made(`points.${operation}`, body, { tenancy: KEYED }), { body: expected }, `${operation} ${body}`);
  }
  t.match(
    made('points.query', '{"query":1,"lookup_from":{"collection":"shop","vector":"v"}}', { tenancy: KEYED }),
    {
      body: `{"query":1,"lookup_from":{"collection":"shop","vector":"v","shard_key":"acme"},${FILTER},"shard_key":"acme"}`,
    },
    'a place that the client names',
  );
  t.equal(
    made('points.query', '{"query":1,"lookup_from":{"shard_key":"umbrella","collection":"shop"}}', { tenancy: KEYED }),
    REFUSED,
  );
  t.match(
    made('points.query', '{"query":1,"lookup_from":{"collection":"free","shard_key":"b"}}', { tenancy: KEYED }),
    { body: `{"query":1,"lookup_from":{"collection":"free","shard_key":"b"},${FILTER},"shard_key":"acme"}` },
    'a free collection has no shard key of the tenant',
  );
});

t.test('without one, a collection that has shard keys is not searched', async (t) => {
  const refusal =
    '403 tenant_operation: Forbidden: A collection with shard keys can not be searched by tenants that have no shard key of their own';
  const searching = Object.keys(BODIES).filter((name) => /^(?:query|search|recommend|discover)/.test(name));
  for (const operation of Object.keys(BODIES)) {
    const body = JSON.stringify(BODIES[operation]);
    const result = (hasShardKeys: boolean | undefined, tenancy = tenancyOf(condition())) =>
      made(`points.${operation}`, body, { hasShardKeys, tenancy });
    if (searching.includes(operation)) {
      t.equal(result(true), refusal, operation);
      t.match(result(undefined), /^502 upstream_broken/, `${operation}: where it is not known`);
      t.type(result(true, KEYED), 'object', `${operation}: with a shard key`);
    } else t.type(result(true), 'object', operation);
  }
  const free = made('points.query', '{"query":[1]}', { hasShardKeys: true, params: ['free'] });
  t.type(free, 'object', 'a free collection is searched');
});

t.test('an entry forces one shard key, or refuses', async (t) => {
  const twice = tenancyOf(
    condition({ shard: { key: 'acme', fallback: undefined } }),
    condition({ id: 'other', field: ['u'], values: ['umbrella'], shard: { key: 'umbrella', fallback: undefined } }),
  );
  t.match(made('points.scroll', '{}', { tenancy: twice }), /^403 tenant_value/, 'two that contradict each other');
  const once = tenancyOf(condition(), condition({ id: 'b', shard: { key: 'acme', fallback: undefined } }));
  t.match(made('points.scroll', '{}', { tenancy: once }), {
    body: `{"filter":{"must":[${T},${T}]},"shard_key":"acme"}`,
  });
});
