import { type RestLeak, rest } from './leak.ts';

/** Reads of one tenant over REST. Points 1 to 5 and `a1...` are its own, 101 to 105 and `b2...` another tenant's, 201 to 203 no tenant's. */

const OTHERS = 'b2000000-0000-4000-8000-000000000001';
const any = { must: [] };
const others = { must: [{ key: 'tenant', match: { value: 'umbrella' } }] };
const red = { key: 'colour', match: { value: 'red' } };
const post = (path: string, body: object | string) => ['POST', `/points${path}`, body] as const;
const near = { query: [9, 8], limit: 20, with_payload: true };
const words = { indices: [1, 9], values: [1, 1] };

const filters: readonly (readonly [string, unknown])[] = [
  ['no filter at all', undefined],
  ['null as the filter', null],
  ['an empty filter', {}],
  ['the field of the other tenant', others],
  ['the other tenant among several', { should: [...others.must, red] }],
  ['everything but the own field', { must_not: [{ key: 'tenant', match: { value: 'acme' } }] }],
  ['one condition in the place of a list', { must: red }],
  ['null for every list', { must: null, should: null, must_not: null }],
  ['empty lists', { must: [], should: [], must_not: [] }],
  ['should alone', { should: [red, { has_id: [101] }] }],
  ['at least none of the conditions', { min_should: { conditions: others.must, min_count: 1 }, must: [red] }],
  ['ids of the other tenant', { must: [{ has_id: [101, 102, OTHERS] }] }],
  ['a filter in a filter in a filter', { must: [{ should: [{ must_not: [{ has_id: [1] }] }] }] }],
  [
    'a nested condition',
    { must: [{ nested: { key: 'parts', filter: { must: [{ key: 'size', range: { gte: 0 } }] } } }] },
  ],
  ['points without the field', { must: [{ is_empty: { key: 'tenant' } }] }],
  ['points with null in the field', { must: [{ is_null: { key: 'tenant' } }] }],
  ['the number of values of the field', { must: [{ key: 'tenant', values_count: { gte: 1 } }] }],
  ['the field with quotes', { must: [{ key: '"tenant"', match: { value: 'umbrella' } }] }],
  ['any value of the field', { must: [{ key: 'tenant', match: { any: ['acme', 'umbrella'] } }] }],
  ['any value but the own', { must: [{ key: 'tenant', match: { except: ['acme'] } }] }],
  ['part of the field', { must: [{ key: 'tenant', match: { text: 'umb' } }] }],
  ['a vector that others have', { must: [{ has_vector: 'words' }] }],
];

const filtered = filters.flatMap(([name, filter]) => {
  const own = filter === undefined ? {} : { filter };
  return [
    rest('filters', `scroll: ${name}`, post('/scroll', { limit: 20, with_payload: true, ...own })),
    rest('filters', `query: ${name}`, post('/query', { ...near, ...own })),
    rest('counts', `count: ${name}`, post('/count', { exact: false, ...own })),
  ];
});

const inPrefetch = { prefetch: { query: [9, 8], limit: 20 }, query: [1, 1], limit: 20 };

export const REST_READS: readonly RestLeak[] = [
  ...filtered,
  rest('hits', 'search', post('/search', { vector: [9, 8], limit: 20, with_payload: true })),
  rest('hits', 'search by the old name of the limit', post('/search', { vector: [9, 8], top: 20 })),
  rest(
    'hits',
    'several searches',
    post('/search/batch', {
      searches: [
        { vector: [9, 8], limit: 20 },
        { vector: [1, 0], limit: 2, filter: others },
      ],
    }),
  ),
  rest('hits', 'several queries', post('/query/batch', { searches: [near, { ...near, filter: others }] })),
  rest('hits', 'vectors of all hits', post('/query', { ...near, with_vector: true })),
  rest('hits', 'a query without a query', post('/query', { limit: 20 })),
  rest('hits', 'a sample', post('/query', { query: { sample: 'random' }, limit: 0 }), 'as alone'),
  rest('hits', 'far beyond the own points', post('/query', { ...near, offset: 4 })),
  rest('hits', 'exact search', post('/query', { ...near, params: { exact: true, hnsw_ef: 1000 } })),
  rest('scores', 'a threshold', post('/query', { ...near, score_threshold: 0.5 })),
  rest(
    'scores',
    'a formula over scores and conditions',
    post('/query', {
      prefetch: { query: [9, 8], limit: 20 },
      query: { formula: { sum: ['$score', { mult: [5, { key: 'tenant', match: { value: 'umbrella' } }] }] } },
      limit: 20,
    }),
  ),
  rest('statistics', 'a rare term of the other tenant', post('/query', { query: words, using: 'words', limit: 20 })),
  rest(
    'statistics',
    'a rare term in a search',
    post('/search', { vector: { name: 'words', vector: words }, limit: 20 }),
  ),
  rest(
    'statistics',
    'a corpus of all points',
    post('/query', { query: words, using: 'words', limit: 20, params: { idf: { corpus: {} } } }),
  ),
  rest(
    'statistics',
    'the corpus of the other tenant',
    post('/query', { query: words, using: 'words', limit: 20, params: { idf: { corpus: others } } }),
  ),
  rest(
    'statistics',
    'the statistics of the whole collection by name',
    post('/query', { query: words, using: 'words', limit: 20, params: { idf: 'global' } }),
  ),
  rest(
    'statistics',
    'a rare term in a prefetch',
    post('/query', { prefetch: { query: words, using: 'words', limit: 20 }, query: { fusion: 'rrf' }, limit: 20 }),
  ),
  rest('statistics', 'by the id of an own point', post('/query', { query: 1, using: 'words', limit: 20 })),
  rest(
    'statistics',
    'distances of sparse points',
    post('/search/matrix/pairs', { using: 'words', sample: 20 }),
    'tenant_operation',
  ),
  rest('prefetch', 'one', post('/query', inPrefetch)),
  rest(
    'prefetch',
    'a list',
    post('/query', {
      ...inPrefetch,
      prefetch: [
        { query: [9, 8], limit: 20 },
        { query: [0, 1], limit: 20, filter: others },
      ],
    }),
  ),
  rest(
    'prefetch',
    'three levels',
    post('/query', {
      prefetch: {
        prefetch: { prefetch: { query: [9, 8], limit: 20 }, query: [8, 8], limit: 20 },
        query: [7, 7],
        limit: 20,
        filter: others,
      },
      query: [1, 1],
      limit: 20,
    }),
  ),
  rest(
    'prefetch',
    'fusion',
    post('/query', {
      prefetch: [
        { query: [9, 8], limit: 20 },
        { query: [0, 9], limit: 20 },
      ],
      query: { rrf: { weights: [3, 1] } },
      limit: 20,
    }),
  ),
  rest(
    'prefetch',
    'should at both levels',
    post('/query', {
      prefetch: { query: [9, 8], limit: 20, filter: { should: [red] } },
      query: [1, 1],
      filter: { should: [{ has_id: [101, 102] }] },
      limit: 20,
    }),
  ),
  rest(
    'prefetch',
    'at least some at both levels',
    post('/query', {
      prefetch: { query: [9, 8], limit: 20, filter: { min_should: { conditions: [red], min_count: 1 } } },
      query: [1, 1],
      filter: { min_should: { conditions: others.must, min_count: 1 } },
      limit: 20,
    }),
  ),
  rest('ids', 'nearest to a point of the other tenant', post('/query', { query: 101, limit: 20 })),
  rest('ids', 'nearest to a point of the other tenant, without a hit', post('/query', { query: 101, limit: 0 })),
  rest('ids', 'nearest to a point that does not exist', post('/query', { query: 101_000, limit: 20 })),
  rest('ids', 'nearest to a UUID of the other tenant', post('/query', { query: OTHERS, limit: 20 })),
  rest('ids', 'the same UUID in another form', post('/query', { query: { nearest: `urn:uuid:${OTHERS}` }, limit: 20 })),
  rest('ids', 'recommend', post('/query', { query: { recommend: { positive: [1, 101] } }, limit: 20 })),
  rest(
    'ids',
    'recommend away from it',
    post('/query', { query: { recommend: { positive: [1], negative: [102] } }, limit: 20 }),
  ),
  rest(
    'ids',
    'discover',
    post('/query', { query: { discover: { target: 101, context: [{ positive: 1, negative: 2 }] } }, limit: 20 }),
  ),
  rest(
    'ids',
    'one context in the place of a list',
    post('/query', { query: { discover: { target: 1, context: { positive: 2, negative: 103 } } }, limit: 20 }),
  ),
  rest('ids', 'context', post('/query', { query: { context: [{ positive: 101, negative: 2 }] }, limit: 20 })),
  rest('ids', 'in a prefetch', post('/query', { prefetch: { query: 101, limit: 20 }, query: [1, 1], limit: 20 })),
  rest(
    'ids',
    'in a prefetch of a prefetch',
    post('/query', {
      prefetch: [{ prefetch: { query: { recommend: { positive: [105] } }, limit: 5 }, query: [1, 1], limit: 5 }],
      query: [1, 1],
      limit: 20,
    }),
  ),
  rest(
    'ids',
    'relevance feedback',
    post('/query', {
      query: {
        relevance_feedback: {
          target: [1, 1],
          feedback: [{ example: 104, score: 0.5 }],
          strategy: { naive: { a: 1, b: 1, c: 1 } },
        },
      },
      limit: 20,
    }),
  ),
  rest('ids', 'recommend of old', post('/recommend', { positive: [1, 101], limit: 20 })),
  rest(
    'ids',
    'several recommendations of old',
    post('/recommend/batch', {
      searches: [
        { positive: [1], limit: 5 },
        { positive: [101], limit: 5 },
      ],
    }),
  ),
  rest('ids', 'discover of old', post('/discover', { target: 101, limit: 20 })),
  rest(
    'ids',
    'several of old',
    post('/discover/batch', { searches: [{ target: 1, context: [{ positive: 2, negative: 101 }], limit: 5 }] }),
  ),
  rest(
    'ids',
    'a vector from another collection',
    post('/query', { query: 101, limit: 5, lookup_from: { collection: 'secret' } }),
    'collection_not_listed',
  ),
  rest(
    'ids',
    'a vector from a free collection',
    post('/query', { query: 7, limit: 5, lookup_from: { collection: 'open' } }),
  ),
  rest('retrieve', 'points of the other tenant', post('', { ids: [101, 1, OTHERS, 2, 101], with_payload: true })),
  rest('retrieve', 'in an order, one twice', post('', { ids: [3, 1, 3, 2], with_payload: true, with_vector: true })),
  rest('retrieve', 'no ids', post('', { ids: [] })),
  rest('retrieve', 'without asking for payloads', post('', { ids: [1, 101] })),
  rest('retrieve', 'one point of the other tenant', ['GET', '/points/101']),
  rest('retrieve', 'one own point', ['GET', '/points/1']),
  rest('retrieve', 'one point that does not exist', ['GET', '/points/101000']),
  rest('retrieve', 'one by UUID', ['GET', `/points/${OTHERS}`]),
  rest('retrieve', 'one by UUID in capital letters', ['GET', `/points/${OTHERS.toUpperCase()}`]),
  rest('counts', 'an estimate', post('/count', {})),
  rest('counts', 'of points beside the own', post('/count', { exact: true, filter: others })),
  rest('counts', 'the information on the collection', ['GET', '']),
  rest('facets', 'a field', ['POST', '/facet', { key: 'colour', limit: 20 }]),
  rest('facets', 'the field of the tenant', ['POST', '/facet', { key: 'tenant', limit: 20 }]),
  rest('facets', 'of the other tenant', ['POST', '/facet', { key: 'colour', filter: others, exact: true }]),
  rest(
    'groups',
    'by a field',
    post('/query/groups', { query: [9, 8], group_by: 'colour', group_size: 5, limit: 20, with_payload: true }),
  ),
  rest(
    'groups',
    'by the field of the tenant',
    post('/query/groups', { query: [9, 8], group_by: 'tenant', group_size: 5, limit: 20 }),
  ),
  rest('groups', 'of old', post('/search/groups', { vector: [9, 8], group_by: 'colour', group_size: 5, limit: 20 })),
  rest(
    'groups',
    'by examples of old',
    post('/recommend/groups', { positive: [1], negative: [101], group_by: 'colour', group_size: 5, limit: 20 }),
  ),
  rest(
    'groups',
    'looked up in the collection itself',
    post('/query/groups', { query: [9, 8], group_by: 'partner', with_lookup: 'docs', limit: 20 }),
    'tenant_lookup',
  ),
  rest(
    'groups',
    'looked up elsewhere, as an object',
    post('/query/groups', { query: [9, 8], group_by: 'partner', with_lookup: { collection: 'secret' }, limit: 20 }),
    'collection_not_listed',
  ),
  rest(
    'groups',
    'looked up in a free collection',
    post('/query/groups', { query: [9, 8], group_by: 'partner', with_lookup: { collection: 'open' }, limit: 20 }),
  ),
  rest('order', 'by a number', post('/scroll', { order_by: 'price', limit: 20, with_payload: true })),
  rest(
    'order',
    'downwards from a value',
    post('/scroll', { order_by: { key: 'price', direction: 'desc', start_from: 1000 }, limit: 20 }),
  ),
  rest('order', 'a query by a number', post('/query', { query: { order_by: 'price' }, limit: 20 })),
  rest('offsets', 'the next page', post('/scroll', { limit: 2 })),
  rest('offsets', 'from a point of the other tenant', post('/scroll', { offset: 101, limit: 20 })),
  rest('offsets', 'from a UUID', post('/scroll', { offset: OTHERS, limit: 20 })),
  rest('offsets', 'one beyond the own points', post('/scroll', { limit: 3, offset: 5 })),
  rest('distances', 'pairs', post('/search/matrix/pairs', { sample: 20, limit: 20 })),
  rest('distances', 'offsets', post('/search/matrix/offsets', { sample: 20, limit: 20, filter: any })),
  rest('forms', 'a filter given twice', post('/scroll', '{"filter":{"must":[]},"filter":{}}'), 'tenant_form'),
  rest(
    'forms',
    'a filter given twice, once in escapes',
    post('/scroll', '{"filter":{},"f\\u0069lter":{}}'),
    'tenant_form',
  ),
  rest('forms', 'a field that is not known', post('/scroll', { filter: {}, scope: 'all' }), 'tenant_form'),
  rest(
    'forms',
    'a field of a filter that is not known',
    post('/scroll', { filter: { must: [], or: [] } }),
    'tenant_form',
  ),
  rest(
    'forms',
    'a condition of two kinds',
    post('/scroll', { filter: { must: [{ has_id: [1], must: [] }] } }),
    'tenant_form',
  ),
  rest('forms', 'a request as the array of its fields', post('/scroll', '[null,20]'), 'tenant_form'),
  rest('forms', 'a query as the array of its fields', post('/query', { query: [7, null], limit: 5 }), 'tenant_form'),
  rest('forms', 'a limit as text', post('/scroll', { limit: '20' }), 'tenant_form'),
  rest('forms', 'an id as a fraction', post('/query', { query: 1.5, limit: 5 }), 'tenant_form'),
  rest('forms', 'no JSON', post('/scroll', '{"filter":'), 'malformed_body'),
  rest('forms', 'white space and a large exponent', post('/query', ' {\n"query" : [ 1e0 , 9.0E+0 ]\t, "limit":20 } ')),
  rest('routes', 'points of one shard', ['POST', '/shards/0/points/scroll', {}], 'tenant_operation'),
  rest('routes', 'snapshots', ['GET', '/snapshots'], 'tenant_operation'),
  rest('routes', 'a new snapshot', ['POST', '/snapshots'], 'tenant_operation'),
  rest('routes', 'the shards', ['GET', '/cluster'], 'tenant_operation'),
  rest(
    'routes',
    'a new index',
    ['PUT', '/index', { field_name: 'tenant', field_schema: 'keyword' }],
    'tenant_operation',
  ),
  rest('routes', 'an index of the field goes', ['DELETE', '/index/tenant'], 'tenant_operation'),
  rest('routes', 'optimizations', ['GET', '/optimizations'], 'tenant_operation'),
  rest('routes', 'does the collection exist', ['GET', '/exists']),
];
