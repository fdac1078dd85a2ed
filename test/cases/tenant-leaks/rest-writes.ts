import { type RestLeak, rest } from './leak.ts';

/** Writes of one tenant over REST; see `rest-reads.ts` for whose the points are. */

const OTHERS = 'b2000000-0000-4000-8000-000000000001';
const wait = '?wait=true';
const put = (body: object | string, path = '') => ['PUT', `/points${path}${wait}`, body] as const;
const post = (path: string, body: object | string) => ['POST', `/points${path}${wait}`, body] as const;
const point = (id: number | string, payload?: unknown) => ({
  id,
  vector: [5, 5],
  ...(payload !== undefined && { payload }),
});
const all = { filter: {} };
const others = { filter: { must: [{ key: 'tenant', match: { value: 'umbrella' } }] } };

/** Paths that lead to the field, or would. */
const REACHING = ['tenant', '"tenant"', 'tenant[]', 'tenant[0]', 'tenant.a', 'tenant[].b', '"tenant".a'];

export const REST_WRITES: readonly RestLeak[] = [
  rest('write', 'a new point', put({ points: [point(6, { colour: 'new' })] })),
  rest('write', 'a new point without a payload', put({ points: [point(6)] })),
  rest('write', 'a new point with null as the payload', put({ points: [point(6, null)] })),
  rest('write', 'a new point with the own value', put({ points: [point(6, { tenant: 'acme' })] })),
  rest('write', 'an own point again', put({ points: [point(1, { colour: 'again' })] })),
  rest(
    'write',
    'a batch of columns',
    put({
      batch: {
        ids: [6, 7],
        vectors: [
          [1, 2],
          [3, 4],
        ],
      },
    }),
  ),
  rest(
    'write',
    'a batch of columns with payloads',
    put({
      batch: {
        ids: [6, 7],
        vectors: [
          [1, 2],
          [3, 4],
        ],
        payloads: [null, { colour: 'x' }],
      },
    }),
  ),
  rest('steal', 'a point for the other tenant', put({ points: [point(6, { tenant: 'umbrella' })] }), 'tenant_field'),
  rest(
    'steal',
    'a point for both tenants',
    put({ points: [point(6, { tenant: ['acme', 'umbrella'] })] }),
    'tenant_field',
  ),
  rest('steal', 'a point without a tenant', put({ points: [point(6, { tenant: null })] }), 'tenant_field'),
  rest('steal', 'the value in another type', put({ points: [point(6, { tenant: { acme: true } })] }), 'tenant_field'),
  rest(
    'steal',
    'the field twice',
    put('{"points":[{"id":6,"vector":[1,1],"payload":{"tenant":"acme","tenant":"umbrella"}}]}'),
    'tenant_form',
  ),
  rest(
    'steal',
    'the field twice, once in escapes',
    put('{"points":[{"id":6,"vector":[1,1],"payload":{"tenant":"acme","t\\u0065nant":"umbrella"}}]}'),
    'tenant_form',
  ),
  rest(
    'steal',
    'the payload twice',
    put('{"points":[{"id":6,"vector":[1,1],"payload":{},"payload":{"tenant":"umbrella"}}]}'),
    'tenant_form',
  ),
  rest(
    'steal',
    'points and a batch',
    put({ points: [point(6)], batch: { ids: [7], vectors: [[1, 1]], payloads: [{ tenant: 'umbrella' }] } }),
    'tenant_field',
  ),
  rest(
    'steal',
    'more payloads than ids',
    put({ batch: { ids: [6], vectors: [[1, 1]], payloads: [{}, {}] } }),
    'tenant_form',
  ),
  rest(
    'overwrite',
    'with an empty condition of the client',
    put({ points: [point(1, { colour: 'again' })], update_filter: {} }),
  ),
  rest(
    'overwrite',
    'with a condition that holds for the other tenant',
    put({ points: [point(1, {})], update_filter: others.filter }),
  ),
  rest(
    'overwrite',
    'only new points',
    put({ points: [point(1, { colour: 'again' }), point(6)], update_mode: 'insert_only' }),
  ),
  rest(
    'overwrite',
    'only points that exist',
    put({ points: [point(1, { colour: 'again' }), point(6)], update_mode: 'update_only' }),
  ),
  rest(
    'overwrite',
    'only points that exist, of the other tenant',
    put({ points: [point(101)], update_mode: 'update_only' }),
  ),
  rest('vectors', 'of an own point', put({ points: [{ id: 1, vector: [7, 7] }] }, '/vectors')),
  rest('vectors', 'of the other tenant', put({ points: [{ id: 101, vector: [7, 7] }] }, '/vectors')),
  rest('vectors', 'of the other tenant, none at all', put({ points: [{ id: 101, vector: {} }] }, '/vectors')),
  rest('vectors', 'of the other tenant, as a fault', put({ points: [{ id: 101, vector: 'x' }] }, '/vectors')),
  rest('vectors', 'of the other tenant, of a wrong size', put({ points: [{ id: 101, vector: [7] }] }, '/vectors')),
  rest('vectors', 'of a point that does not exist', put({ points: [{ id: 101_000, vector: [7, 7] }] }, '/vectors')),
  rest(
    'vectors',
    'with a condition of the client',
    put({ points: [{ id: 2, vector: [7, 7] }], update_filter: others.filter }, '/vectors'),
  ),
  rest('vectors', 'delete those of the other tenant', post('/vectors/delete', { points: [101], vector: ['words'] })),
  rest('vectors', 'delete none of the other tenant', post('/vectors/delete', { points: [101], vector: [] })),
  rest('vectors', 'delete by a filter of everything', post('/vectors/delete', { ...all, vector: ['words'] })),
  rest(
    'vectors',
    'delete by ids and by filter',
    post('/vectors/delete', { points: [1], ...all, vector: ['words'] }),
    'tenant_form',
  ),
  rest('delete', 'own points', post('/delete', { points: [1, 2] })),
  rest('delete', 'points of the other tenant', post('/delete', { points: [101, OTHERS, 1] })),
  rest('delete', 'points without a tenant', post('/delete', { points: [201, 202] })),
  rest('delete', 'everything', post('/delete', all)),
  rest('delete', 'all of the other tenant', post('/delete', others)),
  rest(
    'delete',
    'all but the own',
    post('/delete', { filter: { must_not: [{ key: 'tenant', match: { value: 'acme' } }] } }),
  ),
  rest('delete', 'by ids and by filter', post('/delete', { points: [1], ...others })),
  rest('delete', 'by neither', post('/delete', {}), 'tenant_form'),
  rest('delete', 'no ids', post('/delete', { points: [] })),
  rest('payload', 'set for own points', post('/payload', { payload: { a: 1 }, points: [1, 2] })),
  rest('payload', 'set for the other tenant', post('/payload', { payload: { a: 1 }, points: [1, 101] })),
  rest('payload', 'set for everything', post('/payload', { payload: { a: 1 }, ...all })),
  rest('payload', 'set for all of the other tenant', post('/payload', { payload: { a: 1 }, ...others })),
  rest(
    'payload',
    'set the field to another value',
    post('/payload', { payload: { tenant: 'umbrella' }, points: [1] }),
    'tenant_field',
  ),
  rest(
    'payload',
    'remove the field by setting null',
    post('/payload', { payload: { tenant: null }, points: [1] }),
    'tenant_field',
  ),
  rest('payload', 'set the field to its value', post('/payload', { payload: { tenant: 'acme', a: 1 }, points: [1] })),
  rest('payload', 'set below a key', post('/payload', { payload: { b: 1 }, key: 'deep.er', points: [1] })),
  ...REACHING.map((key) =>
    rest('payload', `set below \`${key}\``, post('/payload', { payload: { a: 1 }, key, points: [1] }), 'tenant_field'),
  ),
  rest('payload', 'overwrite own points', put({ payload: { a: 1 }, points: [1] }, '/payload')),
  rest('payload', 'overwrite everything', put({ payload: { a: 1 }, ...all }, '/payload')),
  rest('payload', 'overwrite the other tenant', put({ payload: { a: 1 }, points: [101] }, '/payload')),
  rest(
    'payload',
    'overwrite with another value',
    put({ payload: { tenant: 'umbrella' }, points: [1] }, '/payload'),
    'tenant_field',
  ),
  rest('payload', 'overwrite below a key', put({ payload: { a: 1 }, key: 'tenant', points: [1] }, '/payload')),
  ...REACHING.map((key) =>
    rest('payload', `delete \`${key}\``, post('/payload/delete', { keys: ['a', key], points: [1] }), 'tenant_field'),
  ),
  rest('payload', 'delete a key', post('/payload/delete', { keys: ['colour'], ...all })),
  rest('payload', 'delete a key of the other tenant', post('/payload/delete', { keys: ['colour'], points: [101] })),
  rest('payload', 'delete what is no path', post('/payload/delete', { keys: ['a b'], points: [1] }), 'tenant_form'),
  rest('payload', 'clear own points', post('/payload/clear', { points: [1] })),
  rest('payload', 'clear everything', post('/payload/clear', all)),
  rest('payload', 'clear the other tenant', post('/payload/clear', { points: [101] })),
  rest(
    'batch',
    'own points only',
    post('/batch', {
      operations: [
        { upsert: { points: [point(6)] } },
        { set_payload: { payload: { a: 1 }, points: [6] } },
        { delete: { points: [1] } },
      ],
    }),
  ),
  rest(
    'batch',
    'the other tenant among them',
    post('/batch', {
      operations: [
        { delete: others },
        { clear_payload: { points: [1] } },
        { overwrite_payload: { payload: { b: 2 }, filter: {} } },
        { delete_payload: { keys: ['b'], points: [2] } },
      ],
    }),
  ),
  rest(
    'batch',
    'one that steals refuses all',
    post('/batch', {
      operations: [{ delete: { points: [1] } }, { upsert: { points: [point(6, { tenant: 'umbrella' })] } }],
    }),
    'tenant_field',
  ),
  rest(
    'batch',
    'two operations in one',
    post('/batch', { operations: [{ delete: { points: [1] }, upsert: { points: [] } }] }),
    'tenant_form',
  ),
  rest('batch', 'an operation that is not known', post('/batch', { operations: [{ truncate: {} }] }), 'tenant_form'),
  rest(
    'batch',
    'vectors',
    post('/batch', {
      operations: [
        { update_vectors: { points: [{ id: 1, vector: [7, 7] }] } },
        { delete_vectors: { points: [2], vector: ['words'] } },
      ],
    }),
  ),
  rest(
    'batch',
    'vectors of the other tenant',
    post('/batch', { operations: [{ update_vectors: { points: [{ id: 101, vector: [7, 7] }] } }] }),
  ),
  rest(
    'batch',
    'no vectors of the other tenant',
    post('/batch', { operations: [{ update_vectors: { points: [{ id: 101, vector: {} }] } }] }),
  ),
  rest('forms', 'an unknown field of a point', put({ points: [{ ...point(6), owner: 'umbrella' }] }), 'tenant_form'),
  rest('forms', 'an unknown field of a request', post('/delete', { points: [1], everywhere: true }), 'tenant_form'),
];
