import { type GrpcLeak, grpc } from './leak.ts';

/** The attacks over gRPC; see `rest-reads.ts` for whose the points are. */

const OTHERS = 'b2000000-0000-4000-8000-000000000001';
const num = (id: number) => ({ num: String(id) });
const uuid = { uuid: OTHERS };
const ids = (...points: number[]) => ({ points: { ids: points.map(num) } });
const match = (key: string, keyword: string) => ({ field: { key, match: { keyword } } });
const others = { must: [match('tenant', 'umbrella')] };
const red = match('colour', 'red');
const dense = { nearest: { dense: { data: [9, 8] } } };
const sparse = { nearest: { sparse: { values: [1, 1], indices: [1, 9] } } };
const byId = (id: object) => ({ nearest: { id } });
const withPayload = { enable: true };
const near = { query: dense, limit: '20', withPayload };
const vectors = { vector: { data: [5, 5] } };
const twice = { sparse: { indices: [1, 1], values: [1, 2] } };
const value = (text: string) => ({ stringValue: text });
const wait = true;

const filters: readonly (readonly [string, object | undefined])[] = [
  ['no filter at all', undefined],
  ['an empty filter', {}],
  ['the field of the other tenant', others],
  ['the other tenant among several', { should: [match('tenant', 'umbrella'), red] }],
  ['everything but the own field', { mustNot: [match('tenant', 'acme')] }],
  ['should alone', { should: [red, { hasId: { hasId: [num(101)] } }] }],
  ['at least one of the conditions', { minShould: { conditions: others.must, minCount: '1' }, must: [red] }],
  ['at least none of the conditions', { minShould: { conditions: others.must, minCount: '0' } }],
  ['ids of the other tenant', { must: [{ hasId: { hasId: [num(101), uuid] } }] }],
  [
    'a filter in a filter in a filter',
    { must: [{ filter: { should: [{ filter: { mustNot: [{ hasId: { hasId: [num(1)] } }] } }] } }] },
  ],
  [
    'a nested condition',
    { must: [{ nested: { key: 'parts', filter: { must: [{ field: { key: 'size', range: { gte: 0 } } }] } } }] },
  ],
  ['points without the field', { must: [{ isEmpty: { key: 'tenant' } }] }],
  ['points with null in the field', { must: [{ isNull: { key: 'tenant' } }] }],
  ['the number of values of the field', { must: [{ field: { key: 'tenant', valuesCount: { gte: '1' } } }] }],
  ['the field with quotes', { must: [match('"tenant"', 'umbrella')] }],
  ['any value but the own', { must: [{ field: { key: 'tenant', match: { exceptKeywords: { strings: ['acme'] } } } }] }],
  ['part of the field', { must: [{ field: { key: 'tenant', match: { text: 'umb' } } }] }],
  ['a vector that others have', { must: [{ hasVector: { hasVector: 'words' } }] }],
];

const filtered = filters.flatMap(([name, filter]) => {
  const own = filter === undefined ? {} : { filter };
  return [
    grpc('filters', `scroll: ${name}`, ['Scroll', { limit: 20, withPayload, ...own }]),
    grpc('filters', `query: ${name}`, ['Query', { ...near, ...own }]),
    grpc('counts', `count: ${name}`, ['Count', { exact: false, ...own }]),
    grpc('delete', `everything within: ${name}`, ['Delete', { wait, points: { filter: filter ?? {} } }]),
  ];
});

/** Paths that lead to the field, or would. */
const REACHING = ['tenant', '"tenant"', 'tenant[]', 'tenant[0]', 'tenant.a', 'tenant[].b', '"tenant".a'];

const reads: readonly GrpcLeak[] = [
  grpc('hits', 'search', ['Search', { vector: [9, 8], limit: '20', withPayload }]),
  grpc('hits', 'several searches', [
    'SearchBatch',
    {
      searchPoints: [
        { collectionName: 'secret', vector: [9, 8], limit: '20' },
        { vector: [1, 0], limit: '2', filter: others },
      ],
    },
  ]),
  grpc('hits', 'several queries', ['QueryBatch', { queryPoints: [near, { ...near, filter: others }] }]),
  grpc('hits', 'vectors of all hits', ['Query', { ...near, withVectors: { enable: true } }]),
  grpc('hits', 'a query without a query', ['Query', { limit: '20' }]),
  grpc('hits', 'far beyond the own points', ['Query', { ...near, offset: '4' }]),
  grpc('scores', 'a threshold', ['Query', { ...near, scoreThreshold: 0.5 }]),
  grpc('scores', 'a formula over scores and conditions', [
    'Query',
    {
      prefetch: [{ query: dense, limit: '20' }],
      query: {
        formula: {
          expression: {
            sum: {
              sum: [
                { variable: '$score' },
                { mult: { mult: [{ constant: 5 }, { condition: match('tenant', 'umbrella') }] } },
              ],
            },
          },
        },
      },
      limit: '20',
    },
  ]),
  grpc('statistics', 'a rare term of the other tenant', ['Query', { query: sparse, using: 'words', limit: '20' }]),
  grpc('statistics', 'a rare term in a search', [
    'Search',
    { vector: [1, 1], sparseIndices: { data: [1, 9] }, vectorName: 'words', limit: '20' },
  ]),
  grpc('statistics', 'a corpus of all points', [
    'Query',
    { query: sparse, using: 'words', limit: '20', params: { idf: { corpus: {} } } },
  ]),
  grpc('statistics', 'no corpus', ['Query', { query: sparse, using: 'words', limit: '20', params: { idf: {} } }]),
  grpc('statistics', 'the corpus of the other tenant', [
    'Query',
    { query: sparse, using: 'words', limit: '20', params: { idf: { corpus: others } } },
  ]),
  grpc('statistics', 'a rare term in a prefetch', [
    'Query',
    { prefetch: [{ query: sparse, using: 'words', limit: '20' }], query: { fusion: 'RRF' }, limit: '20' },
  ]),
  grpc('statistics', 'by the id of an own point', ['Query', { query: byId(num(1)), using: 'words', limit: '20' }]),
  grpc(
    'statistics',
    'distances of sparse points',
    ['SearchMatrixPairs', { using: 'words', sample: '20' }],
    'tenant_operation',
  ),
  grpc('prefetch', 'three levels', [
    'Query',
    {
      prefetch: [
        {
          prefetch: [{ prefetch: [{ query: dense, limit: '20' }], query: dense, limit: '20' }],
          query: dense,
          limit: '20',
          filter: others,
        },
      ],
      query: dense,
      limit: '20',
    },
  ]),
  grpc('prefetch', 'fusion', [
    'Query',
    {
      prefetch: [
        { query: dense, limit: '20' },
        { query: dense, limit: '20', filter: others },
      ],
      query: { fusion: 'RRF' },
      limit: '20',
    },
  ]),
  grpc('prefetch', 'should at both levels', [
    'Query',
    {
      prefetch: [{ query: dense, limit: '20', filter: { should: [red] } }],
      query: dense,
      filter: { should: [{ hasId: { hasId: [num(101)] } }] },
      limit: '20',
    },
  ]),
  grpc('ids', 'nearest to a point of the other tenant', ['Query', { query: byId(num(101)), limit: '20' }]),
  grpc('ids', 'nearest to a point of the other tenant, without a hit', [
    'Query',
    { query: byId(num(101)), limit: '0' },
  ]),
  grpc('ids', 'nearest to a point that does not exist', ['Query', { query: byId(num(101_000)), limit: '20' }]),
  grpc('ids', 'nearest to a UUID of the other tenant', ['Query', { query: byId(uuid), limit: '20' }]),
  grpc('ids', 'the same UUID in braces', ['Query', { query: byId({ uuid: `{${OTHERS}}` }), limit: '20' }]),
  grpc('ids', 'recommend', [
    'Query',
    { query: { recommend: { positive: [{ id: num(1) }, { id: num(101) }] } }, limit: '20' },
  ]),
  grpc('ids', 'recommend away from it', [
    'Query',
    { query: { recommend: { positive: [{ id: num(1) }], negative: [{ id: num(102) }] } }, limit: '20' },
  ]),
  grpc('ids', 'discover', [
    'Query',
    {
      query: {
        discover: {
          target: { id: num(101) },
          context: { pairs: [{ positive: { id: num(1) }, negative: { id: num(2) } }] },
        },
      },
      limit: '20',
    },
  ]),
  grpc('ids', 'context', [
    'Query',
    { query: { context: { pairs: [{ positive: { id: num(101) }, negative: { id: num(2) } }] } }, limit: '20' },
  ]),
  grpc('ids', 'in a prefetch of a prefetch', [
    'Query',
    {
      prefetch: [{ prefetch: [{ query: byId(num(105)), limit: '5' }], query: dense, limit: '5' }],
      query: dense,
      limit: '20',
    },
  ]),
  grpc('ids', 'with diversity', [
    'Query',
    { query: { nearestWithMmr: { nearest: { id: num(101) }, mmr: { diversity: 0.5 } } }, limit: '20' },
  ]),
  grpc('ids', 'relevance feedback', [
    'Query',
    {
      query: {
        relevanceFeedback: {
          target: { dense: { data: [1, 1] } },
          feedback: [{ example: { id: num(104) }, score: 0.5 }],
          strategy: { naive: { a: 1, b: 1, c: 1 } },
        },
      },
      limit: '20',
    },
  ]),
  grpc('ids', 'recommend of old', ['Recommend', { positive: [num(1), num(101)], limit: '20' }]),
  grpc('ids', 'several recommendations of old', [
    'RecommendBatch',
    {
      recommendPoints: [
        { positive: [num(1)], limit: '5' },
        { positive: [num(101)], limit: '5' },
      ],
    },
  ]),
  grpc('ids', 'discover of old', ['Discover', { target: { single: { id: num(101) } }, limit: '20' }]),
  grpc('ids', 'several of old', [
    'DiscoverBatch',
    {
      discoverPoints: [
        {
          target: { single: { id: num(1) } },
          context: [{ positive: { id: num(2) }, negative: { id: num(101) } }],
          limit: '5',
        },
      ],
    },
  ]),
  grpc(
    'ids',
    'a vector from another collection',
    ['Query', { query: byId(num(101)), limit: '5', lookupFrom: { collectionName: 'secret' } }],
    'collection_not_listed',
  ),
  grpc('ids', 'a vector from a free collection', [
    'Query',
    { query: byId(num(7)), limit: '5', lookupFrom: { collectionName: 'open' } },
  ]),
  grpc('retrieve', 'points of the other tenant', [
    'Get',
    { ids: [num(101), num(1), uuid, num(2), num(101)], withPayload },
  ]),
  grpc('retrieve', 'in an order, one twice', [
    'Get',
    { ids: [num(3), num(1), num(3), num(2)], withPayload, withVectors: { enable: true } },
  ]),
  grpc('retrieve', 'no ids', ['Get', { ids: [] }]),
  grpc('retrieve', 'without asking for payloads', ['Get', { ids: [num(1), num(101)] }]),
  grpc('counts', 'of points beside the own', ['Count', { exact: true, filter: others }]),
  grpc('facets', 'a field', ['Facet', { key: 'colour', limit: '20' }]),
  grpc('facets', 'the field of the tenant', ['Facet', { key: 'tenant', limit: '20', exact: false }]),
  grpc('facets', 'of the other tenant', ['Facet', { key: 'colour', filter: others, exact: true }]),
  grpc('groups', 'by a field', [
    'QueryGroups',
    { query: dense, groupBy: 'colour', groupSize: '5', limit: '20', withPayload },
  ]),
  grpc('groups', 'by the field of the tenant', [
    'QueryGroups',
    { query: dense, groupBy: 'tenant', groupSize: '5', limit: '20' },
  ]),
  grpc('groups', 'of old', ['SearchGroups', { vector: [9, 8], groupBy: 'colour', groupSize: 5, limit: 20 }]),
  grpc('groups', 'by examples of old', [
    'RecommendGroups',
    { positive: [num(1)], negative: [num(101)], groupBy: 'colour', groupSize: 5, limit: 20 },
  ]),
  grpc(
    'groups',
    'looked up in the collection itself',
    ['QueryGroups', { query: dense, groupBy: 'partner', withLookup: { collection: 'docs' }, limit: '20' }],
    'tenant_lookup',
  ),
  grpc(
    'groups',
    'looked up elsewhere',
    [
      'SearchGroups',
      { vector: [9, 8], groupBy: 'partner', groupSize: 5, limit: 20, withLookup: { collection: 'secret' } },
    ],
    'collection_not_listed',
  ),
  grpc('groups', 'looked up in a free collection', [
    'QueryGroups',
    { query: dense, groupBy: 'partner', withLookup: { collection: 'open' }, limit: '20' },
  ]),
  grpc('order', 'by a number', ['Scroll', { orderBy: { key: 'price' }, limit: 20, withPayload }]),
  grpc('order', 'downwards from a value', [
    'Scroll',
    { orderBy: { key: 'price', direction: 'Desc', startFrom: { integer: '1000' } }, limit: 20 },
  ]),
  grpc('order', 'a query by a number', ['Query', { query: { orderBy: { key: 'price' } }, limit: '20' }]),
  grpc('offsets', 'the next page', ['Scroll', { limit: 2 }]),
  grpc('offsets', 'from a point of the other tenant', ['Scroll', { offset: num(101), limit: 20 }]),
  grpc('offsets', 'one beyond the own points', ['Scroll', { limit: 3, offset: num(5) }]),
  grpc('distances', 'pairs', ['SearchMatrixPairs', { sample: '20', limit: '20' }]),
  grpc('distances', 'offsets', ['SearchMatrixOffsets', { sample: '20', limit: '20' }]),
  grpc(
    'routes',
    'a new index',
    ['CreateFieldIndex', { wait, fieldName: 'tenant', fieldType: 'FieldTypeKeyword' }],
    'tenant_operation',
  ),
  grpc('routes', 'an index of the field goes', ['DeleteFieldIndex', { wait, fieldName: 'tenant' }], 'tenant_operation'),
];

const point = (id: object, payload: object = {}) => ({ id, payload, vectors });

const writes: readonly GrpcLeak[] = [
  grpc('write', 'a new point', ['Upsert', { wait, points: [point(num(6), { colour: value('new') })] }]),
  grpc('write', 'a new point with the own value', [
    'Upsert',
    { wait, points: [point(num(6), { tenant: value('acme') })] },
  ]),
  grpc('write', 'an own point again', ['Upsert', { wait, points: [point(num(1), { colour: value('again') })] }]),
  grpc(
    'steal',
    'a point for the other tenant',
    ['Upsert', { wait, points: [point(num(6), { tenant: value('umbrella') })] }],
    'tenant_field',
  ),
  grpc(
    'steal',
    'a point for both tenants',
    [
      'Upsert',
      { wait, points: [point(num(6), { tenant: { listValue: { values: [value('acme'), value('umbrella')] } } })] },
    ],
    'tenant_field',
  ),
  grpc(
    'steal',
    'a point without a tenant',
    ['Upsert', { wait, points: [point(num(6), { tenant: { nullValue: 'NULL_VALUE' } })] }],
    'tenant_field',
  ),
  grpc(
    'steal',
    'the value in another type',
    ['Upsert', { wait, points: [point(num(6), { tenant: { structValue: { fields: {} } } })] }],
    'tenant_field',
  ),
  grpc('overwrite', 'with a condition that holds for the other tenant', [
    'Upsert',
    { wait, points: [point(num(1))], updateFilter: others },
  ]),
  grpc('overwrite', 'only new points', [
    'Upsert',
    { wait, points: [point(num(1)), point(num(6))], updateMode: 'InsertOnly' },
  ]),
  grpc('overwrite', 'only points that exist, of the other tenant', [
    'Upsert',
    { wait, points: [point(num(101))], updateMode: 'UpdateOnly' },
  ]),
  grpc('vectors', 'of an own point', ['UpdateVectors', { wait, points: [{ id: num(1), vectors }] }]),
  grpc('vectors', 'of the other tenant', ['UpdateVectors', { wait, points: [{ id: num(101), vectors }] }]),
  grpc('vectors', 'of the other tenant, none at all', ['UpdateVectors', { wait, points: [{ id: num(101) }] }]),
  grpc('vectors', 'of the other tenant, as a fault', [
    'UpdateVectors',
    { wait, points: [{ id: num(101), vectors: { vectors: { vectors: { words: twice } } } }] },
  ]),
  grpc('vectors', 'of a point that does not exist', [
    'UpdateVectors',
    { wait, points: [{ id: num(101_000), vectors }] },
  ]),
  grpc('vectors', 'delete those of the other tenant', [
    'DeleteVectors',
    { wait, pointsSelector: ids(101), vectors: { names: ['words'] } },
  ]),
  grpc('vectors', 'delete by a filter of everything', [
    'DeleteVectors',
    { wait, pointsSelector: { filter: {} }, vectors: { names: ['words'] } },
  ]),
  grpc('delete', 'own points', ['Delete', { wait, points: ids(1, 2) }]),
  grpc('delete', 'points of the other tenant', ['Delete', { wait, points: ids(101, 1) }]),
  grpc('delete', 'points without a tenant', ['Delete', { wait, points: ids(201, 202) }]),
  grpc('delete', 'by nothing', ['Delete', { wait }], 'tenant_form'),
  grpc('delete', 'by an empty selector', ['Delete', { wait, points: {} }], 'tenant_form'),
  grpc('delete', 'no ids', ['Delete', { wait, points: ids() }]),
  grpc('payload', 'set for own points', [
    'SetPayload',
    { wait, payload: { a: value('1') }, pointsSelector: ids(1, 2) },
  ]),
  grpc('payload', 'set for the other tenant', [
    'SetPayload',
    { wait, payload: { a: value('1') }, pointsSelector: ids(1, 101) },
  ]),
  grpc('payload', 'set for everything', [
    'SetPayload',
    { wait, payload: { a: value('1') }, pointsSelector: { filter: {} } },
  ]),
  grpc(
    'payload',
    'set the field to another value',
    ['SetPayload', { wait, payload: { tenant: value('umbrella') }, pointsSelector: ids(1) }],
    'tenant_field',
  ),
  grpc(
    'payload',
    'remove the field by setting null',
    ['SetPayload', { wait, payload: { tenant: { nullValue: 'NULL_VALUE' } }, pointsSelector: ids(1) }],
    'tenant_field',
  ),
  grpc('payload', 'set the field to its value', [
    'SetPayload',
    { wait, payload: { tenant: value('acme'), a: value('1') }, pointsSelector: ids(1) },
  ]),
  ...REACHING.map((key) =>
    grpc(
      'payload',
      `set below \`${key}\``,
      ['SetPayload', { wait, payload: { a: value('1') }, key, pointsSelector: ids(1) }],
      'tenant_field',
    ),
  ),
  grpc('payload', 'overwrite own points', [
    'OverwritePayload',
    { wait, payload: { a: value('1') }, pointsSelector: ids(1) },
  ]),
  grpc('payload', 'overwrite everything', [
    'OverwritePayload',
    { wait, payload: { a: value('1') }, pointsSelector: { filter: {} } },
  ]),
  grpc('payload', 'overwrite the other tenant', [
    'OverwritePayload',
    { wait, payload: { a: value('1') }, pointsSelector: ids(101) },
  ]),
  grpc(
    'payload',
    'overwrite with another value',
    ['OverwritePayload', { wait, payload: { tenant: value('umbrella') }, pointsSelector: ids(1) }],
    'tenant_field',
  ),
  ...REACHING.map((key) =>
    grpc(
      'payload',
      `delete \`${key}\``,
      ['DeletePayload', { wait, keys: ['a', key], pointsSelector: ids(1) }],
      'tenant_field',
    ),
  ),
  grpc('payload', 'delete a key of the other tenant', [
    'DeletePayload',
    { wait, keys: ['colour'], pointsSelector: ids(101) },
  ]),
  grpc('payload', 'delete a key everywhere', [
    'DeletePayload',
    { wait, keys: ['colour'], pointsSelector: { filter: {} } },
  ]),
  grpc('payload', 'clear own points', ['ClearPayload', { wait, points: ids(1) }]),
  grpc('payload', 'clear everything', ['ClearPayload', { wait, points: { filter: {} } }]),
  grpc('payload', 'clear the other tenant', ['ClearPayload', { wait, points: ids(101) }]),
  grpc('batch', 'own points only', [
    'UpdateBatch',
    {
      wait,
      operations: [
        { upsert: { points: [point(num(6))] } },
        { setPayload: { payload: { a: value('1') }, pointsSelector: ids(6) } },
        { deletePoints: { points: ids(1) } },
      ],
    },
  ]),
  grpc('batch', 'the other tenant among them', [
    'UpdateBatch',
    {
      wait,
      operations: [
        { deletePoints: { points: { filter: others } } },
        { clearPayload: { points: ids(1) } },
        { overwritePayload: { payload: { b: value('2') }, pointsSelector: { filter: {} } } },
      ],
    },
  ]),
  grpc('batch', 'the old forms of deleting and clearing', [
    'UpdateBatch',
    { wait, operations: [{ deleteDeprecated: { filter: others } }, { clearPayloadDeprecated: { filter: {} } }] },
  ]),
  grpc(
    'batch',
    'one that steals refuses all',
    [
      'UpdateBatch',
      {
        wait,
        operations: [
          { deletePoints: { points: ids(1) } },
          { upsert: { points: [point(num(6), { tenant: value('umbrella') })] } },
        ],
      },
    ],
    'tenant_field',
  ),
  grpc('batch', 'an empty operation', ['UpdateBatch', { wait, operations: [{}] }], 'tenant_form'),
  grpc('batch', 'vectors of the other tenant', [
    'UpdateBatch',
    { wait, operations: [{ updateVectors: { points: [{ id: num(101), vectors }] } }] },
  ]),
  grpc('batch', 'no vectors of the other tenant', [
    'UpdateBatch',
    { wait, operations: [{ updateVectors: { points: [{ id: num(101) }] } }] },
  ]),
];

export const GRPC_LEAKS: readonly GrpcLeak[] = [...filtered, ...reads, ...writes];
