import { create, fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import t from 'tap';
import { hideFields } from '../../../src/grpc/tenants/change-answer.ts';
import { MAX_PATH_LENGTH } from '../../../src/policy/tenants/payload-path.ts';
import { condition, made } from './message-case.ts';

/* Fields that a tenant does not read, and fields that it does not write, over gRPC. */

const HIDDEN = condition({ hiddenFields: [['cost'], ['deep', 'er']] });
const READ_ONLY = condition({ readOnlyFields: [['plan'], ['deep', 'er']] });
const GUARDS = [{ isEmpty: { key: 'plan' } }, { isEmpty: { key: 'deep.er' } }];
const MINE = { field: { key: 'tenant', match: { keyword: 'acme' } } };

const refusedOr = (result: ReturnType<typeof made>): string => (typeof result === 'string' ? result : 'sent');
const reads = (field: string): string => `tenant_field: Forbidden: The request would read the field \`${field}\``;
const changes = (field: string): string => `tenant_field: Forbidden: The request would change the field \`${field}\``;

const match = { keyword: 'x' };
/** A condition, and the hidden field that it reads; `undefined` = none. */
const CONDITIONS: readonly [one: object, field: string | undefined][] = [
  [{ field: { key: 'cost', match } }, 'cost'],
  [{ field: { key: '"cost"[].eur', range: { gt: 1 } } }, 'cost'],
  [{ field: { key: 'costs', match } }, undefined],
  [{ field: { key: 'deep[2].er', isEmpty: true } }, 'deep.er'],
  [{ field: { key: 'deep.other', match } }, undefined],
  [{ isEmpty: { key: 'cost' } }, 'cost'],
  [{ isNull: { key: 'deep' } }, 'deep.er'],
  [{ filter: { should: [{ filter: { mustNot: [{ isNull: { key: 'cost' } }] } }] } }, 'cost'],
  [{ filter: { minShould: { conditions: [{ isNull: { key: 'cost' } }], minCount: 1 } } }, 'cost'],
  [{ nested: { key: 'deep', filter: { must: [{ field: { key: 'er', match } }] } } }, 'deep.er'],
  [{ nested: { key: 'deep', filter: { must: [{ field: { key: 'other', match } }] } } }, undefined],
  [{ nested: { key: 'cost', filter: {} } }, 'cost'],
  [{ nested: { key: 'deep..', filter: { must: [{ isNull: { key: 'er' } }] } } }, undefined],
  [
    {
      nested: {
        key: 'x',
        filter: { must: [{ nested: { key: 'deep', filter: { must: [{ isNull: { key: 'er' } }] } } }] },
      },
    },
    undefined,
  ],
  [
    {
      nested: {
        key: 'deep',
        filter: { minShould: { conditions: [{ filter: { mustNot: [{ isEmpty: { key: 'er[]' } }] } }] } },
      },
    },
    'deep.er',
  ],
  [{ hasId: { hasId: [{ num: 1 }] } }, undefined],
  [MINE, undefined],
];

t.test('no condition on a hidden field, wherever a filter stands', async (t) => {
  const places: readonly [method: string, message: (filter: object) => object][] = [
    ['Scroll', (filter) => ({ filter })],
    ['Count', (filter) => ({ filter })],
    ['Facet', (filter) => ({ key: 'x', filter })],
    ['Search', (filter) => ({ vector: [1], filter, limit: 1 })],
    ['QueryBatch', (filter) => ({ queryPoints: [{}, { prefetch: [{ prefetch: [{ filter }] }] }] })],
    ['Query', (filter) => ({ params: { idf: { corpus: filter } } })],
    ['SearchMatrixPairs', (filter) => ({ filter })],
    ['Delete', (filter) => ({ points: { filter } })],
    ['ClearPayload', (filter) => ({ points: { filter } })],
    ['Upsert', (filter) => ({ updateFilter: filter })],
    ['UpdateBatch', (filter) => ({ operations: [{ deleteDeprecated: { filter } }] })],
  ];
  for (const [method, message] of places) {
    for (const [one, field] of CONDITIONS) {
      for (const filter of [{ must: [one] }, { should: [one] }, { mustNot: [one] }]) {
        const json = message(filter);
        const name = `${method}: ${JSON.stringify(json)}`;
        t.equal(refusedOr(made(method, json, HIDDEN)), field === undefined ? 'sent' : reads(field), name);
        t.equal(refusedOr(made(method, json)), 'sent', `${name}, where nothing is hidden`);
      }
    }
  }
});

t.test('nothing is ordered, grouped, counted or scored by a hidden field', async (t) => {
  const formula = (expression: object) => ({ query: { formula: { expression } } });
  const cases: readonly [method: string, json: object, field: string | undefined][] = [
    ['Scroll', { orderBy: { key: 'cost' } }, 'cost'],
    ['Scroll', { orderBy: { key: 'price' } }, undefined],
    ['Facet', { key: 'deep[].er' }, 'deep.er'],
    ['QueryGroups', { groupBy: 'cost' }, 'cost'],
    ['SearchGroups', { vector: [1], groupBy: 'cost', limit: 1, groupSize: 1 }, 'cost'],
    ['Query', { query: { orderBy: { key: 'cost' } } }, 'cost'],
    ['Query', formula({ sum: { sum: [{ constant: 1 }, { variable: 'cost' }] } }), 'cost'],
    ['Query', formula({ mult: { mult: [{ condition: { isNull: { key: 'cost' } } }] } }), 'cost'],
    ['Query', formula({ condition: { isNull: { key: 'x' } } }), undefined],
  ];
  for (const [method, json, field] of cases) {
    const name = `${method}: ${JSON.stringify(json)}`;
    t.equal(refusedOr(made(method, json, HIDDEN)), field === undefined ? 'sent' : reads(field), name);
  }
});

t.test('hidden fields are not in answers, nor in objects of arrays', async (t) => {
  const text = (value: string) => ({ stringValue: value });
  const object = (fields: object) => ({ structValue: { fields } });
  const list = (...values: object[]) => ({ listValue: { values } });
  const cases: readonly [payload: object, shown: object][] = [
    [{ cost: text('1'), x: text('2') }, { x: text('2') }],
    [{ deep: object({ er: text('1'), other: text('2') }) }, { deep: object({ other: text('2') }) }],
    [
      { deep: list(object({ er: text('1'), other: text('2') }), list(object({ er: text('3') })), text('er')) },
      { deep: list(object({ other: text('2') }), list(object({})), text('er')) },
    ],
  ];
  t.match(made('Scroll', {}, HIDDEN), { answer: { kind: 'hide', fields: [['cost'], ['deep', 'er']] } });
  for (const [payload, shown] of cases) {
    const answer = fromJson(q.ScrollResponseSchema, { result: [{ id: { num: 1 }, payload }] } as never);
    const bytes = Buffer.from(toBinary(q.ScrollResponseSchema, answer));
    const changed = hideFields('/qdrant.Points/Scroll', bytes, [['cost'], ['deep', 'er']]);
    const wanted = create(
      q.ScrollResponseSchema,
      fromJson(q.ScrollResponseSchema, { result: [{ id: { num: 1 }, payload: shown }] } as never),
    );
    t.strictSame(
      toJson(q.ScrollResponseSchema, fromBinary(q.ScrollResponseSchema, changed)),
      toJson(q.ScrollResponseSchema, wanted),
    );
  }
});

const ids = { points: { ids: [{ num: 1 }] } };
const point = (payload: object) => ({ points: [{ id: { num: 1 }, payload }] });
const deep = (key: string) => ({ deep: { structValue: { fields: { [key]: { integerValue: 1 } } } } });

t.test('no write names a read-only field', async (t) => {
  const cases: readonly [method: string, json: object, field: string | undefined][] = [
    ['Upsert', point({ plan: { stringValue: 'gold' } }), 'plan'],
    ['Upsert', point(deep('er')), 'deep.er'],
    ['Upsert', point(deep('other')), undefined],
    ['OverwritePayload', { payload: { plan: { nullValue: 0 } }, pointsSelector: ids }, 'plan'],
    ['SetPayload', { payload: { plan: { integerValue: 1 } }, pointsSelector: ids }, 'plan'],
    ['SetPayload', { payload: deep('other'), pointsSelector: ids }, 'deep.er'],
    ['SetPayload', { payload: { other: { integerValue: 1 } }, key: 'deep', pointsSelector: ids }, undefined],
    ['SetPayload', { payload: { er: { integerValue: 1 } }, key: 'deep[0]', pointsSelector: ids }, 'deep.er'],
    ['DeletePayload', { keys: ['a', 'deep'], pointsSelector: ids }, 'deep.er'],
    ['DeletePayload', { keys: ['plans'], pointsSelector: ids }, undefined],
    [
      'UpdateBatch',
      { operations: [{ setPayload: { payload: { plan: { integerValue: 1 } }, pointsSelector: ids } }] },
      'plan',
    ],
    ['UpdateBatch', { operations: [{ upsert: point({ plan: { integerValue: 1 } }) }] }, 'plan'],
    ['Delete', { points: ids }, undefined],
  ];
  for (const [method, json, field] of cases) {
    const name = `${method}: ${JSON.stringify(json)}`;
    t.equal(refusedOr(made(method, json, READ_ONLY)), field === undefined ? 'sent' : changes(field), name);
    t.equal(refusedOr(made(method, json)), 'sent', `${name}, where nothing is read-only`);
  }
});

t.test('a write that replaces payloads passes over points with a value in a read-only field', async (t) => {
  const own = { must: [MINE, ...GUARDS] };
  const some = { filter: { must: [MINE, ...GUARDS, { hasId: { hasId: [{ num: '1' }] } }] } };
  t.match(made('Upsert', point({}), READ_ONLY), { json: { updateFilter: own } });
  t.match(made('OverwritePayload', { pointsSelector: ids }, READ_ONLY), { json: { pointsSelector: some } });
  t.match(made('OverwritePayload', { pointsSelector: { filter: {} } }, READ_ONLY), {
    json: { pointsSelector: { filter: own } },
  });
  t.match(made('ClearPayload', { points: ids }, READ_ONLY), { json: { pointsSelector: some } });
  t.match(made('UpdateBatch', { operations: [{ clearPayloadDeprecated: ids }] }, READ_ONLY), {
    json: { operations: [{ overwritePayload: { pointsSelector: some } }] },
  });
  for (const [method, json] of [
    ['SetPayload', { pointsSelector: ids }],
    ['UpdateVectors', point({})],
    ['Delete', { points: { filter: {} } }],
    ['DeletePayload', { keys: ['a'], pointsSelector: { filter: {} } }],
  ] as const) {
    const result = made(method, method === 'UpdateVectors' ? { points: [{ id: { num: 1 } }] } : json, READ_ONLY);
    t.notMatch(JSON.stringify(result), /isEmpty/, `${method} replaces nothing`);
  }
});

t.test('paths have a bound, wherever they are compared with a field', async (t) => {
  const both = condition({ hiddenFields: [['cost']], readOnlyFields: [['plan']] });
  const pointsSelector = { points: { ids: [{ num: 1 }] } };
  const messages: readonly [method: string, message: (key: string) => object][] = [
    ['Scroll', (key) => ({ filter: { must: [{ field: { key, match } }] } })],
    ['Scroll', (key) => ({ filter: { must: [{ nested: { key, filter: {} } }] } })],
    ['Scroll', (key) => ({ orderBy: { key } })],
    ['Facet', (key) => ({ key })],
    ['Query', (key) => ({ query: { formula: { expression: { variable: key } } } })],
    ['SetPayload', (key) => ({ key, pointsSelector })],
    ['DeletePayload', (key) => ({ keys: ['x', key], pointsSelector })],
  ];
  for (const [method, message] of messages) {
    const send = (length: number) => refusedOr(made(method, message('x'.repeat(length)), both));
    t.equal(send(MAX_PATH_LENGTH), 'sent', `${method}: the longest`);
    const refused = 'tenant_form: a path into the payload is longer than 65536 characters';
    t.equal(send(MAX_PATH_LENGTH + 1), refused, `${method}: a longer one`);
  }
});
