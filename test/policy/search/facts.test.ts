import type { DescMessage } from '@bufbuild/protobuf';
import * as client from '@qdrant/js-client-grpc';
import t from 'tap';
import { NUMBERS } from '../../../src/grpc/message/fact-shapes.ts';
import { inspectWhole } from '../../../src/grpc/message/inspect.ts';
import { MESSAGES, type MessageName } from '../../../src/grpc/message/request-messages.ts';
import { GRPC_OPERATIONS } from '../../../src/operations/grpc.ts';
import { REST_OPERATIONS } from '../../../src/operations/rest.ts';
import type { Facts } from '../../../src/policy/search/facts.ts';
import { fixedFacts, hasFacts } from '../../../src/policy/search/operations.ts';
import { readFacts } from '../../../src/rest/body/facts/read.ts';
import { BODY_FORMS } from '../../../src/rest/body/facts/shapes.ts';
import { framed } from '../../support/clients/raw-grpc.ts';
import { type Field, fields } from '../../support/fields.ts';

/* The numbers of a request and its cost, as data: each row over both protocols. */

function overRest(row: string, body: unknown): Facts {
  const found = readFacts(row, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), { maxDepth: 64 });
  if (!found || 'kind' in found) throw new TypeError(`${row}: ${found?.message}`);
  return found;
}

function overGrpc(method: string, message: readonly Field[]): Facts {
  const row = GRPC_OPERATIONS.find(({ name }) => name === `qdrant.Points/${method}`);
  const stream = framed(Buffer.from(fields([1, 'docs'], ...message)));
  const found = row && inspectWhole(row, undefined, stream, 0, stream.length, { facts: true });
  if (!found || 'kind' in found || !found.facts) throw new TypeError(`${method}: ${JSON.stringify(found)}`);
  return found.facts;
}

const NONE: Omit<Facts, 'cost'> = {
  ...{ limit: 0, offset: 0, ef: 0, oversampling: 1, exact: false, searches: 0, points: 0 },
  ...{ conditions: 0, filterDepth: 0 },
};
const ONE = { ...NONE, searches: 1, limit: 10 };

const id = fields([1, 7]);
/** A vector by its id, and a query of it. */
const byId = fields([1, id]);
const near = fields([1, byId]);
const dense = fields([1, fields([2, fields([1, Buffer.alloc(16)])])]);
const leaf = fields([1, fields([1, 'city'])]);
const filter = (...conditions: Uint8Array[]) => fields(...conditions.map((one): Field => [2, one]));
const MATCH = { key: 'city', match: { value: 'x' } };
const VECTOR = [0.1, 0.2, 0.3, 0.4];

type Row = readonly [
  name: string,
  rest: readonly [row: string, body: unknown],
  grpc: readonly [method: string, ...message: Field[]],
  facts: Partial<Facts>,
];

const ROWS: readonly Row[] = [
  [
    'a search with the defaults',
    ['points.search', { vector: VECTOR, limit: 10 }],
    ['Search', [2, Buffer.alloc(16)], [4, 10]],
    { ...ONE, cost: 10 * 100 },
  ],
  [
    'its offset is searched, too',
    ['points.search', { vector: VECTOR, limit: 10, offset: 90 }],
    ['Search', [4, 10], [9, 90]],
    { ...ONE, offset: 90, cost: 100 * 100 },
  ],
  [
    'hnsw_ef is the factor',
    ['points.search', { limit: 5, params: { hnsw_ef: 256 } }],
    ['Search', [4, 5], [7, fields([1, 256])]],
    { ...ONE, limit: 5, ef: 256, cost: 5 * 256 },
  ],
  [
    'an exact search is one of a whole collection',
    ['points.search', { limit: 5, params: { exact: true, hnsw_ef: 16 } }],
    ['Search', [4, 5], [7, fields([1, 16], [2, 1])]],
    { ...ONE, limit: 5, ef: 16, exact: true, cost: 5 * 10_000 },
  ],
  [
    'oversampling multiplies',
    ['points.search', { limit: 5, params: { quantization: { oversampling: 2.5 } } }],
    ['Search', [4, 5], [7, fields([3, fields([3, 2.5, 'double'])])]],
    { ...ONE, limit: 5, oversampling: 2.5, cost: 1250 },
  ],
  [
    'a batch is the sum of its searches',
    ['points.search_batch', { searches: [{ limit: 1 }, { limit: 2 }, { limit: 3 }] }],
    ['SearchBatch', [2, fields([4, 1])], [2, fields([4, 2])], [2, fields([4, 3])]],
    { ...ONE, limit: 3, searches: 3, cost: 600 },
  ],
  [
    'groups are a product',
    ['points.search_groups', { limit: 4, group_size: 5, group_by: 'x' }],
    ['SearchGroups', [4, 4], [11, 5]],
    { ...ONE, limit: 20, cost: 2000 },
  ],
  [
    'a matrix has defaults',
    ['points.search_matrix_pairs', {}],
    ['SearchMatrixPairs'],
    { ...ONE, limit: 30, cost: 3000 },
  ],
  [
    'a matrix is a product',
    ['points.search_matrix_offsets', { sample: 20, limit: 5 }],
    ['SearchMatrixOffsets', [3, 20], [4, 5]],
    { ...ONE, limit: 100, cost: 10_000 },
  ],
  [
    'each example of a recommendation is compared',
    ['points.recommend', { positive: [1, VECTOR], negative: [2], limit: 10 }],
    ['Recommend', [2, id], [17, dense], [3, id], [5, 10]],
    { ...ONE, cost: 3000 },
  ],
  [
    'recommendations by groups',
    ['points.recommend_groups', { positive: [1], limit: 2, group_size: 3 }],
    ['RecommendGroups', [2, id], [5, 2], [13, 3]],
    { ...ONE, limit: 6, cost: 600 },
  ],
  [
    'a batch of recommendations',
    ['points.recommend_batch', { searches: [{ positive: [1], limit: 2 }] }],
    ['RecommendBatch', [2, fields([2, id], [5, 2])]],
    { ...ONE, limit: 2, cost: 200 },
  ],
  [
    'a discovery with a target and pairs',
    ['points.discover', { target: VECTOR, context: [{ positive: 1, negative: 2 }], limit: 10 }],
    ['Discover', [2, fields()], [3, fields()], [5, 10]],
    { ...ONE, cost: 2000 },
  ],
  [
    'a batch of discoveries',
    ['points.discover_batch', { searches: [{ target: 1, limit: 1, offset: 4 }] }],
    ['DiscoverBatch', [2, fields([2, fields()], [5, 1], [8, 4])]],
    { ...ONE, limit: 1, offset: 4, cost: 500 },
  ],
  ['a query without a query scrolls', ['points.query', {}], ['Query'], { ...ONE, cost: 10 }],
  [
    'a query by a vector',
    ['points.query', { query: VECTOR }],
    ['Query', [3, fields([1, dense])]],
    { ...ONE, cost: 1000 },
  ],
  ['by an id', ['points.query', { query: 7 }], ['Query', [3, fields([1, fields([1, id])])]], { ...ONE, cost: 1000 }],
  ['by its text id', ['points.query', { query: 'a' }], ['Query', [3, fields([1, fields()])]], { ...ONE, cost: 1000 }],
  [
    'in its long form',
    ['points.query', { query: { nearest: VECTOR } }],
    ['Query', [3, fields([1, dense])]],
    { ...ONE, cost: 1000 },
  ],
  [
    'candidates of maximal marginal relevance are searched',
    ['points.query', { query: { nearest: VECTOR, mmr: { diversity: 0.5, candidates_limit: 500 } }, limit: 10 }],
    ['Query', [3, fields([9, fields([1, fields()], [2, fields([3, 500])])])], [8, 10]],
    { ...ONE, limit: 500, cost: 50_000 },
  ],
  [
    'a query by examples',
    ['points.query', { query: { recommend: { positive: [1, 2], negative: [3], strategy: 'best_score' } } }],
    ['Query', [3, fields([2, fields([1, byId], [1, byId], [2, byId])])]],
    { ...ONE, cost: 3000 },
  ],
  [
    'by a target and one pair',
    ['points.query', { query: { discover: { target: 1, context: { positive: 1, negative: 2 } } } }],
    ['Query', [3, fields([3, fields([1, byId], [2, fields([1, fields()])])])]],
    { ...ONE, cost: 2000 },
  ],
  [
    'by pairs',
    ['points.query', { query: { context: [{}, {}] } }],
    ['Query', [3, fields([4, fields([1, fields()], [1, fields()])])]],
    { ...ONE, cost: 2000 },
  ],
  [
    'a prefetch costs as a search does, and so does what is made of it',
    ['points.query', { prefetch: { query: VECTOR, limit: 100 }, query: VECTOR, limit: 10 }],
    ['Query', [2, fields([2, fields([1, dense])], [7, 100])], [3, fields([1, dense])], [8, 10]],
    { ...ONE, limit: 100, searches: 2, cost: 11_000 },
  ],
  [
    'at every depth, as an object or in an array',
    [
      'points.query',
      {
        prefetch: [
          { prefetch: { query: 1, limit: 7, params: { hnsw_ef: 10 } }, query: 1, limit: 5 },
          { query: 1, limit: 3 },
        ],
        query: { fusion: 'rrf' },
        limit: 1,
      },
    ],
    [
      'Query',
      [2, fields([1, fields([2, near], [7, 7], [5, fields([1, 10])])], [2, near], [7, 5])],
      [2, fields([2, near], [7, 3])],
      [3, fields([6, 0])],
      [8, 1],
    ],
    { ...ONE, limit: 7, ef: 10, searches: 4, cost: 70 + 500 + 300 + 100 },
  ],
  [
    'a batch of queries with prefetches',
    ['points.query_batch', { searches: [{ query: 1, prefetch: [{ query: 1 }] }, {}] }],
    ['QueryBatch', [2, fields([3, near], [2, fields([2, near])])], [2, fields()]],
    { ...ONE, searches: 3, cost: 2010 },
  ],
  [
    'a query by groups has both defaults',
    ['points.query_groups', { query: 1, group_by: 'x' }],
    ['QueryGroups', [3, near]],
    { ...ONE, limit: 30, cost: 3000 },
  ],
  [
    'a scroll',
    ['points.scroll', { limit: 1000, offset: 'a' }],
    ['Scroll', [4, 1000]],
    { ...NONE, limit: 1000, cost: 1000 },
  ],
  ['a scroll with its default', ['local_shard.scroll', {}], ['Scroll'], { ...NONE, limit: 10, cost: 10 }],
  ['a count is exact', ['points.count', {}], ['Count'], { ...NONE, exact: true, cost: 10_000 }],
  ['unless it is not', ['points.count', { exact: false }], ['Count', [3, 0]], { ...NONE, cost: 100 }],
  ['a facet', ['points.facet', { key: 'x' }], ['Facet', [2, 'x']], { ...NONE, limit: 10, cost: 1000 }],
  [
    'an exact facet',
    ['points.facet', { key: 'x', limit: 3, exact: true }],
    ['Facet', [4, 3], [5, 1]],
    { ...NONE, limit: 3, exact: true, cost: 30_000 },
  ],
  [
    'points by id',
    ['points.get', { ids: [1, 'a', 3] }],
    ['Get', [2, id], [2, id], [2, id]],
    { ...NONE, points: 3, cost: 3 },
  ],
  [
    'an upsert',
    ['points.upsert', { points: [{ id: 1, vector: VECTOR, payload: { limit: 5 } }, { id: 2 }] }],
    ['Upsert', [3, fields([1, id])], [3, fields([1, id], [3, fields([1, 'limit'])])]],
    { ...NONE, points: 2, cost: 2 },
  ],
  [
    'an upsert by columns',
    ['points.upsert', { batch: { ids: [1, 2], vectors: [VECTOR, VECTOR] } }],
    ['Upsert', [3, fields()], [3, fields()]],
    { ...NONE, points: 2, cost: 2 },
  ],
  [
    'an upsert on a condition',
    ['points.upsert', { points: [{ id: 1 }], update_filter: { must: MATCH } }],
    ['Upsert', [3, fields()], [6, filter(leaf)]],
    { ...NONE, points: 1, conditions: 1, filterDepth: 1, cost: 1 },
  ],
  [
    'vectors of points',
    ['points.update_vectors', { points: [{ id: 1, vector: VECTOR }] }],
    ['UpdateVectors', [3, fields()]],
    { ...NONE, points: 1, cost: 1 },
  ],
  [
    'a deletion by id',
    ['points.delete', { points: [1, 2] }],
    ['Delete', [3, fields([1, fields([1, id], [1, id])])]],
    { ...NONE, points: 2, cost: 2 },
  ],
  [
    'a deletion by filter may be of a whole collection',
    ['points.delete', { filter: { must: [MATCH] } }],
    ['Delete', [3, fields([2, filter(leaf)])]],
    { ...NONE, conditions: 1, filterDepth: 1, cost: 10_000 },
  ],
  [
    'vectors are deleted alike',
    ['points.delete_vectors', { points: [1], vector: ['a'] }],
    ['DeleteVectors', [3, fields([1, fields([1, id])])], [4, fields([1, 'a'])]],
    { ...NONE, points: 1, cost: 1 },
  ],
  ...(
    [
      ['points.set_payload', 'SetPayload', 5],
      ['points.overwrite_payload', 'OverwritePayload', 5],
      ['points.delete_payload', 'DeletePayload', 5],
      ['points.clear_payload', 'ClearPayload', 3],
    ] as const
  ).map(
    ([row, method, field]): Row => [
      `${method} of points`,
      [row, { points: [1, 2], payload: { points: [3] }, keys: [] }],
      [method, [field, fields([1, fields([1, id], [1, id])])]],
      { ...NONE, points: 2, cost: 2 },
    ],
  ),
  [
    'a batch of changes is the sum of them',
    [
      'points.batch',
      {
        operations: [
          { upsert: { points: [{ id: 1 }, { id: 2 }] } },
          { upsert: { batch: { ids: [3] } } },
          { delete: { points: [1] } },
          { delete: { filter: {} } },
          { set_payload: { points: [1], payload: {} } },
          { overwrite_payload: { points: [1], payload: {} } },
          { delete_payload: { points: [1], keys: [] } },
          { clear_payload: { points: [1] } },
          { update_vectors: { points: [{ id: 1 }] } },
          { delete_vectors: { points: [1], vector: [] } },
        ],
      },
    ],
    [
      'UpdateBatch',
      [3, fields([1, fields([1, fields()], [1, fields()])])],
      [3, fields([1, fields([1, fields()])])],
      [3, fields([9, fields([1, fields([1, fields([1, id])])])])],
      [3, fields([9, fields([1, fields([2, fields()])])])],
      [3, fields([3, fields([2, fields([1, fields([1, id])])])])],
      [3, fields([4, fields([2, fields([1, fields([1, id])])])])],
      [3, fields([5, fields([2, fields([1, fields([1, id])])])])],
      [3, fields([10, fields([1, fields([1, fields([1, id])])])])],
      [3, fields([7, fields([1, fields()])])],
      [3, fields([8, fields([1, fields([1, fields([1, id])])])])],
    ],
    { ...NONE, points: 10, filterDepth: 1, cost: 10_010 },
  ],
  [
    'conditions of a filter, of nested ones and of filters in it',
    [
      'points.scroll',
      {
        filter: {
          must: [MATCH, { nested: { key: 'a', filter: { should: MATCH, must_not: [MATCH] } } }],
          min_should: { conditions: [MATCH, { must: [{ must: MATCH }] }], min_count: 1 },
        },
      },
    ],
    [
      'Scroll',
      [
        2,
        fields(
          [2, leaf],
          [2, fields([6, fields([1, 'a'], [2, fields([1, leaf], [3, leaf])])])],
          [4, fields([1, leaf], [1, fields([4, filter(fields([4, filter(leaf)]))])])],
        ),
      ],
    ],
    { ...NONE, limit: 10, cost: 10, conditions: 5, filterDepth: 3 },
  ],
  [
    'conditions of a formula, and of the corpus of a sparse search',
    [
      'points.query',
      {
        query: {
          formula: { sum: [1, 'x', { mult: [2, MATCH] }, { div: { left: { must: [MATCH] }, right: { neg: MATCH } } }] },
        },
        params: { idf: { corpus: { must: [MATCH] } } },
      },
    ],
    [
      'Query',
      [
        3,
        fields([
          8,
          fields([
            1,
            fields([
              8,
              fields(
                [1, fields()],
                [1, fields([7, fields([1, fields([3, leaf])])])],
                [
                  1,
                  fields([
                    9,
                    fields([1, fields([3, fields([4, filter(leaf)])])], [2, fields([10, fields([3, leaf])])]),
                  ]),
                ],
              ),
            ]),
          ]),
        ]),
      ],
      [6, fields([6, fields([1, filter(leaf)])])],
    ],
    { ...ONE, cost: 1000, conditions: 4, filterDepth: 1 },
  ],
];

for (const [name, [row, body], [method, ...message], facts] of ROWS) {
  t.test(name, async (test) => {
    test.same(overRest(row, body), facts, 'REST');
    test.same(overGrpc(method, message), facts, 'gRPC');
  });
}

t.test('every operation on points has a cost', async (test) => {
  const rest = REST_OPERATIONS.filter(({ name }) => /^(points|local_shard)\./.test(name)).map(({ name }) => name);
  const covered = new Set(ROWS.flatMap(([, [row], [method]]) => [row, `qdrant.Points/${method}`]));
  for (const row of [...REST_OPERATIONS, ...GRPC_OPERATIONS].filter(hasFacts)) {
    test.ok(covered.has(row.name) || row.name.startsWith('local_shard.'), `${row.name} is in a row above`);
  }
  for (const name of rest) {
    if (name === 'local_shard.cleanup') continue;
    test.ok(name in BODY_FORMS || name === 'points.get_one', `${name} is read`);
  }
  const fixed = REST_OPERATIONS.flatMap((row) => (fixedFacts(row) ? [[row.name, fixedFacts(row)?.cost]] : []));
  test.same(fixed, [
    ['points.get_one', 1],
    ['staging.debug', 10_000],
    ['legacy.local_shard.delete', 10_000],
    ['legacy.staging.points', 10_000],
    ['legacy.points.change', 10_000],
  ]);
});

t.test('numbers in messages have the fields of the official client, and none is left out', async (test) => {
  const named = fieldNames();
  /** Fields of requests that bound a search, and the slots they fill. */
  const slots: Readonly<Record<string, string>> = {
    ...{ limit: 'limit', offset: 'offset', group_size: 'groupSize', sample: 'sample', hnsw_ef: 'ef', exact: 'exact' },
    ...{ oversampling: 'oversampling', candidates_limit: 'candidates' },
  };
  for (const [name, numbers] of Object.entries(NUMBERS)) {
    for (const [field, rule] of Object.entries(numbers ?? {})) {
      const known = named.get(name)?.get(Number(field)) ?? '';
      test.equal('slot' in rule ? rule.slot : rule.kind, slots[known], `${name}.${known}`);
    }
  }
  for (const name of Object.keys(MESSAGES)) {
    for (const [number, field] of named.get(name) ?? []) {
      // The point that a scroll begins at, and what a query is drawn by.
      if (!(field in slots) || (name === 'ScrollPoints' && field === 'offset') || name === 'Query') continue;
      test.ok(NUMBERS[name as MessageName]?.[number], `${name}.${field} is read`);
    }
  }
});

/** The names of the fields of each message of the official client, by number. */
function fieldNames(): ReadonlyMap<string, ReadonlyMap<number, string>> {
  const all = new Map<string, ReadonlyMap<number, string>>();
  for (const schema of Object.values<unknown>(client)) {
    const { kind, name, fields: known } = (schema ?? {}) as Partial<DescMessage>;
    if (kind !== 'message' || name === undefined || !known) continue;
    all.set(name, new Map(known.map((field) => [field.number, field.name])));
  }
  return all;
}
