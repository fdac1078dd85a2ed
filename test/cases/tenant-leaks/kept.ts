import { type GrpcLeak, grpc, type RestLeak, rest } from './leak.ts';

/*
 * Attacks on fields that are kept from the tenant, and on its shard key. `secret` is hidden: its values differ between the two collections, so
 * any answer that depends on them tells the collections apart. `plan` is read-only: point 9 has one. The shard key is forced.
 */

const get = (path: string, body: object) => ['POST', `/points${path}`, body] as const;
const post = (path: string, body: object) => ['POST', `/points${path}?wait=true`, body] as const;
const put = (path: string, body: object) => ['PUT', `/points${path}?wait=true`, body] as const;
const inner = { query: [9, 8], limit: 20 };
const near = { ...inner, with_payload: true };
const secret = { key: 'secret', match: { value: 's1' } };
const point = (id: number, payload: object) => ({ id, vector: [5, 5], payload });
const FIELD = 'tenant_field';
const SHARD = 'tenant_shard_key';

const conditions: readonly (readonly [string, object])[] = [
  ['a value', secret],
  ['a value, in quotes', { ...secret, key: '"secret"' }],
  ['its absence', { is_empty: { key: 'secret' } }],
  ['null', { is_null: { key: 'secret' } }],
  ['the number of its values', { key: 'secret', values_count: { gte: 1 } }],
  ['a range', { key: 'secret', range: { gte: 0 } }],
  ['in a filter in a filter', { should: [{ must_not: [secret] }] }],
  ['by objects in an array', { nested: { key: 'parts', filter: { must: [{ key: 'code', match: { value: 7 } }] } } }],
];

const update = (body: object) => post('/batch', { operations: [body] });

export const REST_KEPT: readonly RestLeak[] = [
  rest('hidden', 'in all payloads', get('/scroll', { limit: 20, with_payload: true })),
  rest('hidden', 'asked for by its name', get('/scroll', { limit: 20, with_payload: ['secret', 'colour'] })),
  rest('hidden', 'everything but others', get('/scroll', { limit: 20, with_payload: { exclude: ['colour'] } })),
  rest('hidden', 'in hits', get('/query', near)),
  rest('hidden', 'in hits of a batch', get('/query/batch', { searches: [near, near] })),
  rest('hidden', 'in groups', get('/query/groups', { ...near, group_by: 'colour', group_size: 5 })),
  rest('hidden', 'in points by ids', get('', { ids: [1, 2, 9], with_payload: true })),
  rest('hidden', 'in one point', ['GET', '/points/1']),
  rest('hidden', 'in objects of an array', get('/scroll', { limit: 20, with_payload: ['parts[].code', 'parts'] })),
  ...conditions.flatMap(([name, condition]) => [
    rest('hidden', `scroll by ${name}`, get('/scroll', { filter: { must: [condition] }, limit: 20 }), FIELD),
    rest('hidden', `count by ${name}`, get('/count', { filter: { must: [condition] } }), FIELD),
    rest('hidden', `query by ${name}`, get('/query', { prefetch: { ...inner, filter: { must: condition } } }), FIELD),
    rest('hidden', `delete by ${name}`, post('/delete', { filter: { should: [condition] } }), FIELD),
  ]),
  rest('hidden', 'an order', get('/scroll', { order_by: 'secret', limit: 20 }), FIELD),
  rest('hidden', 'a query in order', get('/query', { query: { order_by: { key: 'secret' } } }), FIELD),
  rest('hidden', 'groups by it', get('/query/groups', { ...near, group_by: 'secret', group_size: 1 }), FIELD),
  rest('hidden', 'its facet', ['POST', '/facet', { key: 'secret' }], FIELD),
  rest(
    'hidden',
    'a score',
    get('/query', { prefetch: inner, query: { formula: { sum: ['$score', 'secret'] } } }),
    FIELD,
  ),
  rest(
    'hidden',
    'a score by a condition',
    get('/query', { prefetch: inner, query: { formula: { mult: [2, secret] } } }),
    FIELD,
  ),
  rest(
    'hidden',
    'a condition on what is changed',
    put('', { points: [point(1, {})], update_filter: { must: secret } }),
    FIELD,
  ),
  rest('read-only', 'in a new point', put('', { points: [point(6, { plan: 'gold' })] }), FIELD),
  rest('read-only', 'set', post('/payload', { payload: { plan: 'gold' }, points: [9] }), FIELD),
  rest('read-only', 'set by its path', post('/payload', { payload: { a: 1 }, key: 'plan', points: [9] }), FIELD),
  rest(
    'read-only',
    'set by its path in quotes',
    post('/payload', { payload: { a: 1 }, key: '"plan"', points: [9] }),
    FIELD,
  ),
  rest('read-only', 'deleted', post('/payload/delete', { keys: ['plan'], points: [9] }), FIELD),
  rest(
    'read-only',
    'deleted in a batch',
    update({ delete_payload: { keys: ['colour', 'plan[]'], points: [9] } }),
    FIELD,
  ),
  rest('read-only', 'overwritten', put('/payload', { payload: { plan: 'free' }, points: [9] }), FIELD),
  rest('read-only', 'lost by overwriting', put('/payload', { payload: { colour: 'x' }, points: [9] })),
  rest('read-only', 'lost by clearing', post('/payload/clear', { points: [9] })),
  rest('read-only', 'lost by clearing everything', post('/payload/clear', { filter: {} })),
  rest('read-only', 'lost by writing the point again', put('', { points: [point(9, { colour: 'x' })] })),
  rest('read-only', 'lost in a batch', update({ overwrite_payload: { payload: {}, filter: {} } })),
  rest('read-only', 'other fields of the point', post('/payload', { payload: { colour: 'x' }, points: [9] })),
  rest('shard keys', 'of the other tenant', get('/scroll', { shard_key: 'umbrella' }), SHARD),
  rest('shard keys', 'of both', get('/query', { ...near, shard_key: ['acme', 'umbrella'] }), SHARD),
  rest('shard keys', 'of none', get('/count', { shard_key: [] }), SHARD),
  rest(
    'shard keys',
    'another fallback',
    get('/scroll', { shard_key: { target: 'acme', fallback: 'umbrella' } }),
    SHARD,
  ),
  rest(
    'shard keys',
    'one of a batch',
    get('/query/batch', { searches: [near, { ...near, shard_key: 'umbrella' }] }),
    SHARD,
  ),
  rest(
    'shard keys',
    'where vectors are looked up',
    get('/query', { query: 1, lookup_from: { collection: 'docs', shard_key: 'umbrella' } }),
    SHARD,
  ),
  rest('shard keys', 'of a write', put('', { points: [point(6, {})], shard_key: 'umbrella' }), SHARD),
  rest(
    'shard keys',
    'of a write in a batch',
    update({ upsert: { points: [point(6, {})], shard_key: 'umbrella' } }),
    SHARD,
  ),
  rest('shard keys', 'the own one', get('/scroll', { shard_key: 'acme', limit: 20 })),
];

const num = (id: number) => ({ num: String(id) });
const ids = (...points: number[]) => ({ points: { ids: points.map(num) } });
const hidden = { field: { key: 'secret', match: { keyword: 's1' } } };
const dense = { nearest: { dense: { data: [9, 8] } } };
const query = { query: dense, limit: '20', withPayload: { enable: true } };
const value = (text: string) => ({ stringValue: text });
const wait = true;
const key = (...keywords: string[]) => ({ shardKeys: keywords.map((keyword) => ({ keyword })) });
const written = (id: number, payload: object) => ({
  points: [{ id: num(id), vectors: { vector: { data: [5, 5] } }, payload }],
});

const grpcConditions: readonly (readonly [string, object])[] = [
  ['a value', hidden],
  ['its absence', { isEmpty: { key: '"secret"' } }],
  ['null', { isNull: { key: 'secret' } }],
  ['the number of its values', { field: { key: 'secret', valuesCount: { gte: '1' } } }],
  ['in a filter in a filter', { filter: { should: [{ filter: { mustNot: [hidden] } }] } }],
  ['at least one', { filter: { minShould: { conditions: [hidden], minCount: '1' } } }],
  [
    'by objects in an array',
    { nested: { key: 'parts', filter: { must: [{ field: { key: 'code', match: { integer: '7' } } }] } } },
  ],
];

export const GRPC_KEPT: readonly GrpcLeak[] = [
  grpc('hidden', 'in all payloads', ['Scroll', { limit: 20, withPayload: { enable: true } }]),
  grpc('hidden', 'asked for by its name', ['Scroll', { limit: 20, withPayload: { include: { fields: ['secret'] } } }]),
  grpc('hidden', 'in hits', ['Query', query]),
  grpc('hidden', 'in hits of a batch', ['QueryBatch', { queryPoints: [query, query] }]),
  grpc('hidden', 'in groups', ['QueryGroups', { ...query, groupBy: 'colour', groupSize: '5' }]),
  grpc('hidden', 'in points by ids', ['Get', { ids: [num(1), num(9)], withPayload: { enable: true } }]),
  ...grpcConditions.flatMap(([name, condition]) => [
    grpc('hidden', `scroll by ${name}`, ['Scroll', { filter: { must: [condition] } }], FIELD),
    grpc('hidden', `count by ${name}`, ['Count', { filter: { mustNot: [condition] } }], FIELD),
    grpc(
      'hidden',
      `query by ${name}`,
      ['Query', { prefetch: [{ ...query, withPayload: undefined, filter: { should: [condition] } }] }],
      FIELD,
    ),
    grpc('hidden', `delete by ${name}`, ['Delete', { wait, points: { filter: { must: [condition] } } }], FIELD),
  ]),
  grpc('hidden', 'an order', ['Scroll', { orderBy: { key: 'secret' } }], FIELD),
  grpc('hidden', 'groups by it', ['QueryGroups', { ...query, groupBy: 'secret', groupSize: '1' }], FIELD),
  grpc('hidden', 'its facet', ['Facet', { key: 'secret' }], FIELD),
  grpc('hidden', 'a score', ['Query', { query: { formula: { expression: { variable: 'secret' } } } }], FIELD),
  grpc(
    'hidden',
    'a score by a condition',
    ['Query', { query: { formula: { expression: { condition: hidden } } } }],
    FIELD,
  ),
  grpc('read-only', 'in a new point', ['Upsert', { wait, ...written(6, { plan: value('gold') }) }], FIELD),
  grpc('read-only', 'set', ['SetPayload', { wait, payload: { plan: value('x') }, pointsSelector: ids(9) }], FIELD),
  grpc('read-only', 'deleted', ['DeletePayload', { wait, keys: ['plan'], pointsSelector: ids(9) }], FIELD),
  grpc(
    'read-only',
    'overwritten',
    ['OverwritePayload', { wait, payload: { plan: value('x') }, pointsSelector: ids(9) }],
    FIELD,
  ),
  grpc('read-only', 'lost by overwriting', [
    'OverwritePayload',
    { wait, payload: { colour: value('x') }, pointsSelector: ids(9) },
  ]),
  grpc('read-only', 'lost by clearing', ['ClearPayload', { wait, points: ids(9) }]),
  grpc('read-only', 'lost by writing the point again', ['Upsert', { wait, ...written(9, { colour: value('x') }) }]),
  grpc('read-only', 'lost in a batch', ['UpdateBatch', { wait, operations: [{ clearPayloadDeprecated: ids(9) }] }]),
  grpc('shard keys', 'of the other tenant', ['Scroll', { shardKeySelector: key('umbrella') }], SHARD),
  grpc('shard keys', 'of both', ['Query', { ...query, shardKeySelector: key('acme', 'umbrella') }], SHARD),
  grpc('shard keys', 'of none', ['Count', { shardKeySelector: {} }], SHARD),
  grpc(
    'shard keys',
    'one of a batch',
    ['QueryBatch', { queryPoints: [query, { ...query, shardKeySelector: key('umbrella') }] }],
    SHARD,
  ),
  grpc('shard keys', 'of a write', ['Upsert', { wait, ...written(6, {}), shardKeySelector: key('umbrella') }], SHARD),
  grpc('shard keys', 'the own one', ['Scroll', { limit: 20, shardKeySelector: key('acme') }]),
];
