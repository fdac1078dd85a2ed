import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import t from 'tap';
import type { TenantContext } from '../../../src/grpc/tenants/context.ts';
import { rewriteMessage } from '../../../src/grpc/tenants/rewrite.ts';
import { NO_FEATURES } from '../../../src/policy/tenants/rewriting.ts';
import type { TenantCondition, TenantValue } from '../../../src/policy/tenants/tenancy.ts';

/** Messages made anew for a tenant, read with the official messages of Qdrant v1.19.0. */

const condition = (field: readonly string[], ...values: TenantValue[]): TenantCondition => ({
  ...{ id: 'shop', field, values, hides: false, sharedStatistics: false },
});
const ACME = condition(['tenant'], 'acme');
const NESTED = condition(['meta', 'tenant'], 'acme');
const EITHER = condition(['tenant'], 'acme', 'umbrella');
const SEVEN = condition(['tenant'], 7n);

const scope = (name: string, holds: TenantCondition | 'free') => ({ names: new Set([name]), prefixes: [], holds });

const contextOf = (holds: TenantCondition, more: Partial<TenantContext> = {}): TenantContext => ({
  tenancy: { scopes: [scope('docs', holds), scope('other', { ...holds, id: 'other' }), scope('open', 'free')] },
  ...{ collection: 'docs', conditions: [holds], idfVectors: new Set(['words']), mostBytes: 1 << 25 },
  features: { updateFilter: true, idfCorpus: true },
  ...more,
});

/** What becomes of a request: its new form as JSON, or the code of its refusal. */
function rewritten<D extends DescMessage>(
  method: string,
  schema: D,
  fields: MessageInitShape<D>,
  context: TenantContext,
  answered: DescMessage = schema,
) {
  const bytes = Buffer.from(toBinary(schema, create(schema, fields)));
  const found = rewriteMessage(`qdrant.Points/${method}`, bytes, context);
  if (found === 'needs-facts') return found;
  if ('kind' in found) return `${found.code}: ${found.message}`;
  return {
    path: found.request.path,
    json: toJson(answered, fromBinary(answered, found.request.message)) as Record<string, unknown>,
    checks: found.checks.map(({ collection, ids }) => ({ collection, ids: ids.map(String) })),
    answer: found.answer,
  };
}

const MINE = { field: { key: 'tenant', match: { keyword: 'acme' } } };
const text = (value: string) => ({ kind: { case: 'stringValue', value } }) as const;
const int = (value: bigint) => ({ kind: { case: 'integerValue', value } }) as const;
const num = (value: bigint) => ({ pointIdOptions: { case: 'num', value } }) as const;
const red = {
  conditionOneOf: { case: 'field', value: { key: 'colour', match: { matchValue: { case: 'keyword', value: 'red' } } } },
} as const;
const RED = { field: { key: 'colour', match: { keyword: 'red' } } };
const VECTOR = { data: [1, 0, 0.5] };

/** `json` of a result, or the refusal. */
function json(result: ReturnType<typeof rewritten>): unknown {
  return typeof result === 'string' ? result : result.json;
}

t.test('the condition stands before those of the client, in every form of a filter', (t) => {
  const filters: [string, MessageInitShape<typeof q.FilterSchema> | undefined, object][] = [
    ['without a filter', undefined, { must: [MINE] }],
    ['an empty filter', {}, { must: [MINE] }],
    ['must', { must: [red] }, { must: [MINE, RED] }],
    ['should alone', { should: [red] }, { should: [RED], must: [MINE] }],
    ['must not', { mustNot: [red] }, { must: [MINE], mustNot: [RED] }],
    [
      'min should',
      { minShould: { conditions: [red], minCount: 1n } },
      { must: [MINE], minShould: { conditions: [RED], minCount: '1' } },
    ],
  ];
  for (const [name, filter, expected] of filters) {
    for (const [method, schema] of [
      ['Scroll', q.ScrollPointsSchema],
      ['Search', q.SearchPointsSchema],
      ['Query', q.QueryPointsSchema],
      ['Count', q.CountPointsSchema],
      ['Facet', q.FacetCountsSchema],
      ['SearchMatrixPairs', q.SearchMatrixPointsSchema],
      ['SearchGroups', q.SearchPointGroupsSchema],
      ['QueryGroups', q.QueryPointGroupsSchema],
    ] as const) {
      const found = rewritten(
        method,
        schema,
        { collectionName: 'docs', ...(filter && { filter }) } as MessageInitShape<typeof schema>,
        contextOf(ACME),
      );
      t.match(json(found), { collectionName: 'docs', filter: expected }, `${method}: ${name}`);
      t.strictSame((json(found) as { filter: object }).filter, expected, `${method}: ${name}, and nothing else`);
    }
  }
  t.end();
});

t.test('values of every type', (t) => {
  const cases: [string, TenantCondition, object][] = [
    ['a text', ACME, MINE],
    ['an integer', SEVEN, { field: { key: 'tenant', match: { integer: '7' } } }],
    ['true', condition(['tenant'], true), { field: { key: 'tenant', match: { boolean: true } } }],
    ['several texts', EITHER, { field: { key: 'tenant', match: { keywords: { strings: ['acme', 'umbrella'] } } } }],
    [
      'several integers',
      condition(['tenant'], 1n, -2n),
      { field: { key: 'tenant', match: { integers: { integers: ['1', '-2'] } } } },
    ],
    [
      'an integer and a text',
      condition(['tenant'], 1n, '1'),
      {
        filter: {
          should: [
            { field: { key: 'tenant', match: { keyword: '1' } } },
            { field: { key: 'tenant', match: { integer: '1' } } },
          ],
        },
      },
    ],
    ['a nested field', NESTED, { field: { key: 'meta.tenant', match: { keyword: 'acme' } } }],
    [
      'a field that needs quotes',
      condition(['tenant id', 'x'], 'acme'),
      { field: { key: '"tenant id".x', match: { keyword: 'acme' } } },
    ],
  ];
  for (const [name, holds, expected] of cases) {
    const found = rewritten('Scroll', q.ScrollPointsSchema, { collectionName: 'docs' }, contextOf(holds));
    t.strictSame((json(found) as { filter: object }).filter, { must: [expected] }, name);
  }
  t.end();
});

t.test('every level of a query has the condition, and ids anywhere in it are checked', (t) => {
  const input = (id: bigint) => ({ variant: { case: 'id', value: num(id) } }) as const;
  const nearest = (id: bigint) => ({ variant: { case: 'nearest', value: input(id) } }) as const;
  const found = rewritten(
    'Query',
    q.QueryPointsSchema,
    {
      collectionName: 'docs',
      query: { variant: { case: 'recommend', value: { positive: [input(1n)], negative: [input(2n)] } } },
      prefetch: [
        {
          query: nearest(3n),
          prefetch: [
            {
              query: { variant: { case: 'context', value: { pairs: [{ positive: input(4n), negative: input(5n) }] } } },
            },
          ],
        },
        {
          query: {
            variant: {
              case: 'discover',
              value: { target: input(6n), context: { pairs: [{ positive: input(7n), negative: input(8n) }] } },
            },
          },
          lookupFrom: { collectionName: 'other' },
        },
        { query: nearest(9n), lookupFrom: { collectionName: 'open' } },
      ],
    },
    contextOf(ACME),
  );
  t.match(json(found), {
    filter: { must: [MINE] },
    prefetch: [
      { filter: { must: [MINE] }, prefetch: [{ filter: { must: [MINE] } }] },
      { filter: { must: [MINE] } },
      { filter: { must: [MINE] } },
    ],
  });
  t.match(found, {
    checks: [
      { collection: 'docs', ids: ['1', '2', '3', '4', '5'] },
      { collection: 'other', ids: ['6', '7', '8'] },
    ],
  });
  const elsewhere = rewritten(
    'Query',
    q.QueryPointsSchema,
    { collectionName: 'docs', query: nearest(1n), lookupFrom: { collectionName: 'secret' } },
    contextOf(ACME),
  );
  t.match(elsewhere, /not_listed|secret/, 'a collection outside of the tenancy is refused');
  t.end();
});

t.test('entries of a batch name the collection of the batch, or none', (t) => {
  const searchPoints = [
    { collectionName: 'secret', vector: [1], limit: 1n },
    { vector: [1], limit: 1n },
  ];
  const found = rewritten(
    'SearchBatch',
    q.SearchBatchPointsSchema,
    { collectionName: 'docs', searchPoints },
    contextOf(ACME),
  );
  const [named, unnamed] = (json(found) as { searchPoints: Record<string, unknown>[] }).searchPoints;
  t.equal(named?.collectionName, 'docs');
  t.equal(unnamed?.collectionName, undefined, 'upstream refuses it');
  t.end();
});

t.test('estimates are made exact', (t) => {
  t.match(json(rewritten('Count', q.CountPointsSchema, { collectionName: 'docs', exact: false }, contextOf(ACME))), {
    exact: true,
  });
  t.match(json(rewritten('Facet', q.FacetCountsSchema, { collectionName: 'docs', key: 'colour' }, contextOf(ACME))), {
    exact: true,
  });
  t.end();
});

t.test("statistics of terms are the tenant's", (t) => {
  const sparse = create(q.QuerySchema, {
    variant: {
      case: 'nearest',
      value: { variant: { case: 'sparse', value: { values: [1], indices: [7] } } },
    },
  });
  const query = (using: string, context: TenantContext) =>
    rewritten('Query', q.QueryPointsSchema, { collectionName: 'docs', query: sparse, using }, context);
  t.match(
    json(query('words', contextOf(ACME))),
    { params: { idf: { corpus: { must: [MINE] } } } },
    'a vector with idf',
  );
  t.notOk((json(query('plain', contextOf(ACME))) as { params?: object }).params, 'a vector without');
  t.equal(query('words', contextOf(ACME, { idfVectors: 'unasked' })), 'needs-facts');
  t.match(query('words', contextOf(ACME, { idfVectors: 'unknown' })), /^collections_unknown/, 'not known: refused');
  const old = { features: { updateFilter: true, idfCorpus: false } };
  t.match(query('words', contextOf(ACME, old)), /^tenant_release/, 'a release without a corpus');
  t.match(query('words', contextOf(ACME, { features: NO_FEATURES })), /^release_unknown/, 'an unknown release');
  t.type(json(query('words', contextOf({ ...ACME, sharedStatistics: true }, old))), 'object', 'allowed by the policy');
  const own = rewritten(
    'Query',
    q.QueryPointsSchema,
    {
      collectionName: 'docs',
      query: sparse,
      using: 'words',
      params: { exact: true, idf: { corpus: { must: [red] } } },
    },
    contextOf(ACME),
  );
  t.match(json(own), { params: { exact: true, idf: { corpus: { must: [MINE, RED] } } } }, "the client's own corpus");
  t.end();
});

t.test('points are written with the field', (t) => {
  const upsert = (payload: Record<string, MessageInitShape<typeof q.ValueSchema>>, context: TenantContext) =>
    rewritten(
      'Upsert',
      q.UpsertPointsSchema,
      {
        collectionName: 'docs',
        points: [{ id: num(1n), payload, vectors: { vectorsOptions: { case: 'vector', value: VECTOR } } }],
      },
      context,
    );
  t.match(json(upsert({ colour: text('red') }, contextOf(ACME))), {
    points: [
      {
        id: { num: '1' },
        payload: { colour: { stringValue: 'red' }, tenant: { stringValue: 'acme' } },
        vectors: { vector: { data: [1, 0, 0.5] } },
      },
    ],
    updateFilter: { must: [MINE] },
  });
  t.match(
    json(upsert({ tenant: text('acme') }, contextOf(ACME))),
    { points: [{ payload: { tenant: { stringValue: 'acme' } } }] },
    'the same value',
  );
  t.match(upsert({ tenant: text('umbrella') }, contextOf(ACME)), /^tenant_field/, 'another value');
  t.match(upsert({ tenant: int(7n) }, contextOf(condition(['tenant'], '7'))), /^tenant_field/, 'another type');
  t.match(
    json(upsert({}, contextOf(SEVEN))),
    { points: [{ payload: { tenant: { integerValue: '7' } } }] },
    'an integer',
  );
  t.match(
    json(upsert({}, contextOf(NESTED))),
    { points: [{ payload: { meta: { structValue: { fields: { tenant: { stringValue: 'acme' } } } } } }] },
    'a nested field',
  );
  for (const meta of [{ kind: { case: 'nullValue', value: 0 } } as const, {}]) {
    t.strictSame(
      (json(upsert({ meta, a: text('b') }, contextOf(NESTED))) as { points: { payload: unknown }[] }).points[0]
        ?.payload,
      { a: { stringValue: 'b' }, meta: { structValue: { fields: { tenant: { stringValue: 'acme' } } } } },
      'null above the field',
    );
  }
  t.match(upsert({ meta: text('x') }, contextOf(NESTED)), /^tenant_field/, 'no object above the field');
  t.match(upsert({}, contextOf(EITHER)), /^tenant_field/, 'several values and none given');
  t.match(
    json(upsert({ tenant: text('umbrella') }, contextOf(EITHER))),
    { points: [{ payload: { tenant: { stringValue: 'umbrella' } } }] },
    'one of several',
  );
  t.match(
    upsert({}, contextOf(ACME, { features: { updateFilter: false, idfCorpus: true } })),
    /^tenant_release/,
    'an old release',
  );
  t.match(upsert({}, contextOf(ACME, { features: NO_FEATURES })), /^release_unknown/, 'an unknown release');
  t.end();
});

t.test('writes by ids become writes by filter, and missing points are told as ever', (t) => {
  const ids = create(q.PointsSelectorSchema, {
    pointsSelectorOneOf: { case: 'points', value: { ids: [num(1n), num(2n)] } },
  });
  const byIds = { filter: { must: [MINE, { hasId: { hasId: [{ num: '1' }, { num: '2' }] } }] } };
  const checks = [{ collection: 'docs', ids: ['1', '2'] }];
  const set = rewritten(
    'SetPayload',
    q.SetPayloadPointsSchema,
    { collectionName: 'docs', wait: true, payload: { a: text('b') }, pointsSelector: ids },
    contextOf(ACME),
  );
  t.match(json(set), { payload: { a: { stringValue: 'b' } }, pointsSelector: byIds });
  t.match(set, { checks });
  const removed = rewritten(
    'Delete',
    q.DeletePointsSchema,
    { collectionName: 'docs', wait: true, points: ids },
    contextOf(ACME),
  );
  t.match(json(removed), { points: byIds });
  t.match(removed, { checks: [] }, 'deleting what is missing is no fault');
  const vectors = rewritten(
    'DeleteVectors',
    q.DeletePointVectorsSchema,
    { collectionName: 'docs', pointsSelector: ids, vectors: { names: ['a'] } },
    contextOf(ACME),
  );
  t.match(vectors, { checks: [] }, 'nobody waits: nobody hears of a missing point');
  t.match(json(vectors), { pointsSelector: byIds, vectors: { names: ['a'] } });
  const cleared = rewritten(
    'ClearPayload',
    q.ClearPayloadPointsSchema,
    { collectionName: 'docs', wait: true, points: ids },
    contextOf(ACME),
    q.SetPayloadPointsSchema,
  );
  t.match(cleared, { path: '/qdrant.Points/OverwritePayload', checks });
  t.strictSame((json(cleared) as { payload: object }).payload, { tenant: { stringValue: 'acme' } });
  t.end();
});

t.test('the field cannot be reached', (t) => {
  const all = { pointsSelectorOneOf: { case: 'filter', value: {} } } as const;
  const remove = (key: string, holds = ACME) =>
    rewritten(
      'DeletePayload',
      q.DeletePayloadPointsSchema,
      { collectionName: 'docs', keys: [key], pointsSelector: all },
      contextOf(holds),
    );
  for (const key of ['tenant', 'tenant[]', 'tenant[0]', 'tenant.a', '"tenant"', 'tenant[].b'])
    t.match(remove(key), /^tenant_field/, key);
  for (const key of ['meta', 'meta.tenant', '"meta"', 'meta[].tenant', 'meta.tenant.x'])
    t.match(remove(key, NESTED), /^tenant_field/, key);
  for (const key of ['', 'a b', 'a.', '[0]']) t.match(remove(key), /^tenant_form/, `no path: ${key}`);
  t.type(json(remove('colour')), 'object');
  t.type(json(remove('meta.colour', NESTED)), 'object');
  const set = (key: string | undefined, payload: Record<string, ReturnType<typeof text>>, holds = ACME) =>
    rewritten(
      'SetPayload',
      q.SetPayloadPointsSchema,
      { collectionName: 'docs', payload, pointsSelector: all, ...(key !== undefined && { key }) },
      contextOf(holds),
    );
  t.match(set(undefined, { tenant: text('umbrella') }), /^tenant_field/);
  t.match(set('tenant', { x: text('y') }), /^tenant_field/);
  t.match(set('"tenant"', { x: text('y') }), /^tenant_field/);
  t.match(set('meta', { tenant: text('umbrella') }, NESTED), /^tenant_field/);
  t.match(json(set('meta', { x: text('y') }, NESTED)), { key: 'meta', payload: { x: { stringValue: 'y' } } });
  t.match(json(set(undefined, { tenant: text('acme') })), { payload: { tenant: { stringValue: 'acme' } } });
  t.end();
});

t.test('one refused operation refuses a whole batch', (t) => {
  const upsert = (value: string) =>
    create(q.PointsUpdateOperationSchema, {
      operation: { case: 'upsert', value: { points: [{ id: num(1n), payload: { tenant: text(value) } }] } },
    });
  const clear = create(q.PointsUpdateOperationSchema, {
    operation: {
      case: 'clearPayload',
      value: { points: { pointsSelectorOneOf: { case: 'filter', value: {} } } },
    },
  });
  const old = create(q.PointsUpdateOperationSchema, {
    operation: {
      case: 'deleteDeprecated',
      value: { pointsSelectorOneOf: { case: 'points', value: { ids: [num(3n)] } } },
    },
  });
  const good = rewritten(
    'UpdateBatch',
    q.UpdateBatchPointsSchema,
    { collectionName: 'docs', operations: [upsert('acme'), clear, old] },
    contextOf(ACME),
  );
  t.match(json(good), {
    operations: [
      { upsert: { updateFilter: { must: [MINE] } } },
      {
        overwritePayload: {
          payload: { tenant: { stringValue: 'acme' } },
          pointsSelector: { filter: { must: [MINE] } },
        },
      },
      { deletePoints: { points: { filter: { must: [MINE, { hasId: { hasId: [{ num: '3' }] } }] } } } },
    ],
  });
  t.match(
    rewritten(
      'UpdateBatch',
      q.UpdateBatchPointsSchema,
      { collectionName: 'docs', operations: [upsert('acme'), upsert('umbrella')] },
      contextOf(ACME),
    ),
    /^tenant_field/,
  );
  t.match(
    rewritten('UpdateBatch', q.UpdateBatchPointsSchema, { collectionName: 'docs', operations: [{}] }, contextOf(ACME)),
    /^tenant_form/,
  );
  t.end();
});

t.test('points are retrieved by a scroll', (t) => {
  const found = rewritten(
    'Get',
    q.GetPointsSchema,
    { collectionName: 'docs', ids: [num(3n), num(1n), num(3n)] },
    contextOf(ACME),
    q.ScrollPointsSchema,
  );
  t.match(found, { path: '/qdrant.Points/Scroll', answer: { kind: 'retrieved', ids: [3n, 1n] } });
  t.match(json(found), {
    limit: 2,
    withPayload: { enable: false },
    filter: { must: [MINE, { hasId: { hasId: [{ num: '3' }, { num: '1' }] } }] },
  });
  t.end();
});

t.test('groups are not looked up in a collection of tenants', (t) => {
  const groups = (collection: string) =>
    rewritten(
      'SearchGroups',
      q.SearchPointGroupsSchema,
      { collectionName: 'docs', groupBy: 'a', withLookup: { collection } },
      contextOf(ACME),
    );
  t.match(groups('other'), /^tenant_lookup/);
  t.match(groups('secret'), /secret/);
  t.type(json(groups('open')), 'object');
  t.end();
});

t.test('a hidden field is neither counted, nor grouped or ordered by', (t) => {
  const hidden = contextOf({ ...ACME, hides: true });
  const facet = (key: string) => rewritten('Facet', q.FacetCountsSchema, { collectionName: 'docs', key }, hidden);
  t.match(facet('tenant'), /^tenant_field/);
  t.type(json(facet('colour')), 'object');
  const groups = { collectionName: 'docs', groupBy: '"tenant"' };
  t.match(rewritten('QueryGroups', q.QueryPointGroupsSchema, groups, hidden), /^tenant_field/);
  const ordered = { collectionName: 'docs', orderBy: { key: 'tenant' } };
  t.match(rewritten('Scroll', q.ScrollPointsSchema, ordered, hidden), /^tenant_field/);
  t.type(json(rewritten('Scroll', q.ScrollPointsSchema, ordered, contextOf(ACME))), 'object', 'a field that is shown');
  const asks = (query: MessageInitShape<typeof q.QuerySchema>) =>
    rewritten('Query', q.QueryPointsSchema, { collectionName: 'docs', query: create(q.QuerySchema, query) }, hidden);
  const variable = (value: string) => ({ variant: { case: 'variable', value } }) as const;
  const formula = (expression: MessageInitShape<typeof q.ExpressionSchema>) =>
    asks({ variant: { case: 'formula', value: { expression: create(q.ExpressionSchema, expression) } } });
  t.match(asks({ variant: { case: 'orderBy', value: { key: '"tenant"' } } }), /^tenant_field/);
  t.match(formula(variable('tenant')), /^tenant_field/);
  t.match(formula({ variant: { case: 'datetimeKey', value: 'tenant' } }), /^tenant_field/);
  t.match(formula({ variant: { case: 'geoDistance', value: { origin: {}, to: 'tenant' } } }), /^tenant_field/);
  const sum = { variant: { case: 'sum', value: { sum: [variable('$score'), variable('tenant[0]')] } } } as const;
  t.match(formula(sum as never), /^tenant_field/, 'in a sum');
  t.match(formula({ variant: { case: 'neg', value: variable('tenant') } }), /^tenant_field/, 'negated');
  t.match(
    formula({ variant: { case: 'div', value: { left: variable('a'), right: variable('tenant') } } }),
    /^tenant_field/,
  );
  t.match(formula({ variant: { case: 'expDecay', value: { x: variable('tenant') } } }), /^tenant_field/);
  t.type(json(formula(variable('colour'))), 'object');
  t.end();
});

t.test('a batch may use the points that it has written, and selects nothing where ids are empty', (t) => {
  const upsert = create(q.PointsUpdateOperationSchema, {
    operation: { case: 'upsert', value: { points: [{ id: num(1n) }] } },
  });
  const set = (...values: bigint[]) =>
    create(q.PointsUpdateOperationSchema, {
      operation: {
        case: 'setPayload',
        value: {
          payload: { a: text('b') },
          pointsSelector: { pointsSelectorOneOf: { case: 'points', value: { ids: values.map(num) } } },
        },
      },
    });
  const batch = (...operations: q.PointsUpdateOperation[]) =>
    rewritten(
      'UpdateBatch',
      q.UpdateBatchPointsSchema,
      { collectionName: 'docs', wait: true, operations },
      contextOf(ACME),
    );
  t.match(batch(upsert, set(1n, 2n)), { checks: [{ collection: 'docs', ids: ['2'] }] });
  t.match(batch(set(1n), upsert), { checks: [{ collection: 'docs', ids: ['1'] }] }, 'in their order');
  const update = create(q.PointsUpdateOperationSchema, {
    operation: { case: 'upsert', value: { points: [{ id: num(1n) }], updateMode: q.UpdateMode.UpdateOnly } },
  });
  t.match(
    batch(update, set(1n)),
    { checks: [{ collection: 'docs', ids: ['1'] }] },
    'what is only updated may be missing',
  );
  t.strictSame(
    (json(batch(set())) as { operations: { setPayload: object }[] }).operations[0]?.setPayload,
    { payload: { a: { stringValue: 'b' } }, pointsSelector: { points: {} } },
    'upstream refuses an empty list',
  );
  t.end();
});

t.test('a matrix of sparse vectors has no place for a corpus', (t) => {
  const matrix = (using: string) =>
    rewritten('SearchMatrixPairs', q.SearchMatrixPointsSchema, { collectionName: 'docs', using }, contextOf(ACME));
  t.match(matrix('words'), /^tenant_operation/);
  t.type(json(matrix('plain')), 'object');
  t.end();
});

t.test('a message of too many parts is refused', (t) => {
  const many = { collectionName: 'docs', queryPoints: Array.from({ length: 10_001 }, () => ({})) };
  t.match(rewritten('QueryBatch', q.QueryBatchPointsSchema, many, contextOf(ACME)), /^tenant_form.*10000 queries/);
  const parts = Buffer.alloc(2 * 1_000_001);
  for (let i = 0; i < parts.length; i += 2) parts[i] = 0x12;
  const found = rewriteMessage('qdrant.Points/QueryBatch', parts, contextOf(ACME));
  t.match(typeof found === 'object' && 'kind' in found && found.message, /more than 1000000 parts/);
  t.end();
});

t.test('a message of another form is refused with its place', (t) => {
  const cases: [string, number[], RegExp][] = [
    ['an unknown field', [0xf8, 0x07, 1], /`127` is not a known field/],
    ['an unknown field of a filter', [0x12, 2, 0x78, 1], /`filter.15` is not a known field/],
    ['a filter twice', [0x12, 0, 0x12, 0], /`filter` is given more than once/],
    ['a wrong wire type', [0x10, 1], /`filter` has a wrong wire type/],
    ['cut off', [0x12, 9, 1], /`filter` is cut off/],
    [
      'a run of integers whose last is cut off',
      [0x12, 11, 0x12, 9, 0x0a, 7, 0x12, 5, 0x32, 3, 0x0a, 1, 0x80],
      /`filter.must.*cut off/,
    ],
    ['two kinds of one condition', [0x12, 8, 0x12, 6, 0x12, 0, 0x2a, 2, 0x0a, 0], /more than once/],
  ];
  for (const [name, bytes, expected] of cases) {
    const found = rewriteMessage('qdrant.Points/Scroll', Buffer.from(bytes), contextOf(ACME));
    t.match(typeof found === 'object' && 'kind' in found && found.message, expected, name);
  }
  t.end();
});
