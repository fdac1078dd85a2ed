import t from 'tap';
import type { TenantCondition } from '../../../src/policy/tenants/tenancy.ts';
import { condition, FILTER, made, sends, T, type TaskChanges, tenancyOf } from './made.ts';

const UPDATE = `"update_filter":{"must":[${T}]}`;
sends('points.upsert', [
  [
    'a payload gets the field',
    '{"points":[{"id":1,"vector":[1],"payload":{"a":[1.50]}}]}',
    `{"points":[{"id":1,"vector":[1],"payload":{"a":[1.50],"tenant":"acme"}}],${UPDATE}}`,
  ],
  [
    'no payload',
    '{"points":[{"id":1,"vectors":{"v":[1]}}]}',
    `{"points":[{"id":1,"vector":{"v":[1]},"payload":{"tenant":"acme"}}],${UPDATE}}`,
  ],
  [
    'a null payload',
    '{"points":[{"id":1,"vector":[1],"payload":null}]}',
    `{"points":[{"id":1,"vector":[1],"payload":{"tenant":"acme"}}],${UPDATE}}`,
  ],
  [
    'the same value',
    '{"points":[{"id":1,"vector":[1],"payload":{"t\\u0065nant":"acm\\u0065"}}]}',
    `{"points":[{"id":1,"vector":[1],"payload":{"tenant":"acm\\u0065"}}],${UPDATE}}`,
  ],
  [
    'a filter of the client’s',
    '{"update_filter":{"must":{"has_id":[1]}},"update_mode":"insert_only","points":[]}',
    `{"update_filter":{"must":[${T},{"has_id":[1]}]},"update_mode":"insert_only","points":[]}`,
  ],
  [
    'a batch without payloads',
    '{"batch":{"ids":[1,2],"vectors":[[1],[2]]},"shard_key":"k"}',
    `{"batch":{"ids":[1,2],"vectors":[[1],[2]],"payloads":[{"tenant":"acme"},{"tenant":"acme"}]},"shard_key":"k",${UPDATE}}`,
  ],
  [
    'a batch with payloads',
    '{"batch":{"ids":[1,2],"vectors":[[1],[2]],"payloads":[null,{"a":1}]}}',
    `{"batch":{"ids":[1,2],"vectors":[[1],[2]],"payloads":[{"tenant":"acme"},{"a":1,"tenant":"acme"}]},${UPDATE}}`,
  ],
  [
    'documents',
    '{"points":[{"id":1,"vector":{"text":"x","model":"m"}}]}',
    `{"points":[{"id":1,"vector":{"text":"x","model":"m"},"payload":{"tenant":"acme"}}],${UPDATE}}`,
  ],
]);
const deep = { tenancy: tenancyOf(condition({ field: ['metadata', 'in', 'tenant'] })) };
const DEEP = '"in":{"tenant":"acme"}';
const DEEP_UPDATE = UPDATE.replace('"tenant"', '"metadata.in.tenant"');
sends(
  'points.upsert',
  [
    [
      'null above the field',
      '{"points":[{"id":1,"vector":[1],"payload":{"metadata":null,"a":1}},{"id":2,"vector":[1],"payload":{"metadata":{"b":null,"in":null}}}]}',
      `{"points":[{"id":1,"vector":[1],"payload":{"metadata":{${DEEP}},"a":1}},{"id":2,"vector":[1],"payload":{"metadata":{"b":null,${DEEP}}}}],${DEEP_UPDATE}}`,
    ],
  ],
  deep,
);
t.test('null is not the field itself, and other values above it stay refused', async (t) => {
  for (const metadata of ['{"in":{"tenant":null}}', '[null]', '"null"', '0']) {
    const body = `{"points":[{"id":1,"vector":[1],"payload":{"metadata":${metadata}}}]}`;
    t.match(made('points.upsert', body, deep), /^403 tenant_field/, metadata);
  }
});
sends('points.update_vectors', [
  [
    'ids that are waited for',
    '{"points":[{"id":1,"vector":[1]},{"id":2,"vector":{}}]}',
    `{"points":[{"id":1,"vector":[1]},{"id":2,"vector":{}}],${UPDATE}}`,
    ['shop: 1 2'],
  ],
]);

const IDS = `"filter":{"must":[${T},{"has_id":[1,2]}]}`;
sends('points.delete', [
  ['ids, which need not exist', '{"points":[1,2]}', `{${IDS}}`],
  ['ids before a filter', '{"points":[1,2],"filter":{}}', `{${IDS}}`],
  [
    'a filter',
    '{"filter":{"should":[{"has_id":[1]}]},"shard_key":"k"}',
    `{"filter":{"should":[{"has_id":[1]}],"must":[${T}]},"shard_key":"k"}`,
  ],
  ['everything', '{"points":null,"filter":{}}', `{${FILTER}}`],
  ['no ids', '{"points":[]}', '{"points":[]}'],
]);
sends('points.delete_vectors', [['ids', '{"points":[1,2],"vectors":["v"]}', `{"vector":["v"],${IDS}}`, ['shop: 1 2']]]);
sends('points.set_payload', [
  ['ids', '{"payload":{"a":1},"points":[1,2]}', `{"payload":{"a":1},${IDS}}`, ['shop: 1 2']],
  ['the same value', '{"payload":{"tenant":"acme"},"filter":{}}', `{"payload":{"tenant":"acme"},${FILTER}}`],
  [
    'a place elsewhere',
    '{"payload":{"tenant":"x"},"key":"a.tenant","filter":{}}',
    `{"payload":{"tenant":"x"},"key":"a.tenant",${FILTER}}`,
  ],
]);
sends('points.overwrite_payload', [
  [
    'the field is added',
    '{"payload":{"a":1},"points":[1,2],"key":"a"}',
    `{"payload":{"a":1,"tenant":"acme"},${IDS}}`,
    ['shop: 1 2'],
  ],
]);
sends('points.delete_payload', [
  [
    'other keys',
    '{"keys":["a","b[].tenant","\\"ten ant\\""],"points":[1,2]}',
    `{"keys":["a","b[].tenant","\\"ten ant\\""],${IDS}}`,
    ['shop: 1 2'],
  ],
]);
sends('points.clear_payload', [
  ['the field stays', '{"points":[1,2]}', `{${IDS},"payload":{"tenant":"acme"}}`, ['shop: 1 2']],
]);
sends('points.batch', [
  [
    'each of them; an id of an upsert before is there',
    '{"operations":[{"upsert":{"points":[{"id":1,"vector":[1]}]}},{"set_payload":{"payload":{"a":1},"points":[1,3]}},{"delete":{"points":[9]}},{"clear_payload":{"filter":{}}},{"delete_vectors":{"filter":{},"vector":["v"]}}]}',
    `{"operations":[{"upsert":{"points":[{"id":1,"vector":[1],"payload":{"tenant":"acme"}}],${UPDATE}}},{"set_payload":{"payload":{"a":1},"filter":{"must":[${T},{"has_id":[1,3]}]}}},{"delete":{"filter":{"must":[${T},{"has_id":[9]}]}}},{"overwrite_payload":{${FILTER},"payload":{"tenant":"acme"}}},{"delete_vectors":{${FILTER},"vector":["v"]}}]}`,
    ['shop: 3'],
  ],
  [
    'an id that is only updated may be missing',
    '{"operations":[{"upsert":{"points":[{"id":1,"vector":[1]}],"update_mode":"update_only"}},{"set_payload":{"payload":{"a":1},"points":[1]}}]}',
    `{"operations":[{"upsert":{"points":[{"id":1,"vector":[1],"payload":{"tenant":"acme"}}],"update_mode":"update_only",${UPDATE}}},{"set_payload":{"payload":{"a":1},"filter":{"must":[${T},{"has_id":[1]}]}}}]}`,
    ['shop: 1'],
  ],
]);

t.test('requests that change their kind', async (t) => {
  const heads = (operation: string, body: string, changes: TaskChanges = {}) => {
    const result = made(operation, body, changes);
    return typeof result === 'string' ? result : [result.head, result.body, result.answer];
  };
  t.strictSame(heads('points.get', '{"ids":[2,1,2],"with_vectors":true}'), [
    'POST /collections/shop/points/scroll?wait=true',
    `{"with_vector":true,"filter":{"must":[${T},{"has_id":[2,1]}]},"limit":2,"with_payload":false}`,
    { kind: 'retrieved', ids: [2n, 1n], one: false, fields: [] },
  ]);
  t.strictSame(heads('points.get', '{"ids":[],"with_payload":true,"with_vector":null}'), [
    'POST /collections/shop/points/scroll?wait=true',
    `{"with_payload":true,"filter":{"must":[${T},{"has_id":[]}]},"limit":1}`,
    { kind: 'retrieved', ids: [], one: false, fields: [] },
  ]);
  const one = { method: 'GET', pathToSend: '/collections/shop/points/007?timeout=3&x=1', params: ['shop', '007'] };
  t.strictSame(heads('points.get_one', 'whatever', one), [
    'POST /collections/shop/points/scroll?timeout=3',
    `{"with_payload":true,"with_vector":true,"filter":{"must":[${T},{"has_id":[7]}]},"limit":1}`,
    { kind: 'retrieved', ids: [7n], one: true, fields: [] },
  ]);
  const clear = { pathToSend: '/collections/shop/points/payload/clear?ordering=strong' };
  t.strictSame(heads('points.clear_payload', '{"filter":{}}', clear), [
    'PUT /collections/shop/points/payload?ordering=strong',
    `{${FILTER},"payload":{"tenant":"acme"}}`,
    undefined,
  ]);
  const info = { method: 'GET', pathToSend: '/collections/shop' };
  t.strictSame(heads('collections.get', '', info), [
    'GET /collections/shop',
    undefined,
    { kind: 'collection', collection: 'shop', conditions: [condition()] },
  ]);
});

t.test('parameters of the query', async (t) => {
  const head = (query: string) => {
    const result = made('points.delete', '{"points":[1]}', { pathToSend: `/collections/shop/points/delete${query}` });
    return typeof result === 'string' ? result : result.head;
  };
  const path = 'POST /collections/shop/points/delete';
  t.equal(head(''), path);
  t.equal(head('?'), path);
  t.equal(
    head('?ordering=strong&w%61it=true&timeout=3&consistency=all'),
    `${path}?ordering=strong&w%61it=true&timeout=3&consistency=all`,
  );
  t.equal(head('?shard_key=x&wait'), `${path}?wait`, 'what upstream does not know is left out');
  const checks = (query: string) => {
    const result = made('points.set_payload', '{"payload":{},"points":[1]}', {
      pathToSend: `/collections/shop/points/payload${query}`,
    });
    return typeof result === 'string' ? result : result.checks;
  };
  t.strictSame(checks('?w%61it=tr%75e'), ['shop: 1']);
  for (const query of ['', '?wait=false', '?wait=True', '?x=wait=true'])
    t.strictSame(checks(query), [], 'nobody hears of it');
});

t.test('conditions by type, several values, several conditions, nested fields', async (t) => {
  const body = (operation: string, sent: string, ...conditions: TenantCondition[]) => {
    const result = made(operation, sent, { tenancy: tenancyOf(...conditions) });
    return typeof result === 'string' ? result : result.body;
  };
  const upsert = (payload: string) => `{"points":[{"id":1,"vector":[1],"payload":${payload}}]}`;
  const one = condition({ values: [1n] });
  t.equal(body('points.scroll', '{}', one), '{"filter":{"must":[{"key":"tenant","match":{"value":1}}]}}');
  t.match(body('points.upsert', upsert('{"tenant":1}'), one), /"payload":\{"tenant":1\}/);
  for (const other of ['"1"', '1.0', '1e0', 'true', '-1', '{}']) {
    t.match(body('points.upsert', upsert(`{"tenant":${other}}`), one), /^403 tenant_field/, other);
  }
  const several = condition({ values: ['a', 'b', 2n, true] });
  t.equal(
    body('points.scroll', '{}', several),
    '{"filter":{"must":[{"should":[{"key":"tenant","match":{"any":["a","b"]}},{"key":"tenant","match":{"value":2}},{"key":"tenant","match":{"value":true}}]}]}}',
  );
  t.match(body('points.upsert', upsert('{"tenant":"b"}'), several), /"payload":\{"tenant":"b"\}/);
  t.match(body('points.upsert', upsert('{}'), several), /^403 tenant_field: .*one of its values/);
  t.match(body('points.clear_payload', '{"filter":{}}', several), /^403 tenant_field/);
  const deep = condition({ field: ['meta', 'a b'] });
  const both = [condition(), deep] as const;
  t.equal(
    body('points.scroll', '{}', ...both),
    `{"filter":{"must":[${T},{"key":"meta.\\"a b\\"","match":{"value":"acme"}}]}}`,
  );
  t.match(
    body('points.upsert', upsert('{"meta":{"x":1}}'), ...both),
    /"payload":\{"meta":\{"x":1,"a b":"acme"\},"tenant":"acme"\}/,
  );
  t.match(body('points.upsert', upsert('{"meta":[]}'), deep), /^403 tenant_field/);
  t.match(
    body('points.set_payload', '{"payload":{"meta":{"x":1}},"filter":{}}', deep),
    /"payload":\{"meta":\{"x":1,"a b":"acme"\}\}/,
  );
  t.match(body('points.set_payload', '{"payload":{"x":1},"key":"meta","filter":{}}', deep), /"key":"meta"/);
  t.match(body('points.set_payload', '{"payload":{"a b":"x"},"key":"meta","filter":{}}', deep), /^403 tenant_field/);
  t.match(body('points.set_payload', '{"payload":{"a b":"acme"},"key":"meta","filter":{}}', deep), /"a b":"acme"/);
  t.match(body('points.delete_payload', '{"keys":["meta"],"filter":{}}', deep), /^403 tenant_field/);
  t.match(body('points.delete_payload', '{"keys":["meta.x"],"filter":{}}', deep), /"keys":\["meta.x"\]/);
});

t.test('a hidden field, shared statistics, and a free collection', async (t) => {
  const hidden = { tenancy: tenancyOf(condition({ hides: true })) };
  t.match(made('points.query', '{}', hidden), { answer: { kind: 'hide', fields: [['tenant']] } });
  t.match(made('points.count', '{}', hidden), { answer: { kind: 'hide', fields: [['tenant']] } });
  t.match(made('points.get', '{"ids":[1]}', hidden), { answer: { kind: 'retrieved', fields: [['tenant']] } });
  const reading: readonly (readonly [operation: string, body: string])[] = [
    ['points.facet', '{"key":"tenant"}'],
    ['points.facet', '{"key":"\\"tenant\\"[]"}'],
    ['points.query_groups', '{"group_by":"tenant"}'],
    ['points.scroll', '{"order_by":{"key":"tenant"}}'],
    ['points.query', '{"query":{"order_by":"tenant"}}'],
    ['points.query', '{"query":{"formula":"tenant"}}'],
    ['points.query', '{"prefetch":{"query":{"formula":{"sum":["$score",{"mult":[2,"\\"tenant\\"[0]"]}]}}}}'],
    ['points.query', '{"query":{"formula":{"geo_distance":{"origin":{"lon":1,"lat":2},"to":"tenant"}}}}'],
    ['points.query', '{"query":{"formula":{"neg":{"datetime_key":"t\\u0065nant"}}}}'],
    ['points.query', '{"query":{"formula":{"exp_decay":{"x":"tenant.a","scale":1}}}}'],
    ['points.query', '{"query":{"formula":{"lin_decay":{"x":"$score","target":"tenant"}}}}'],
    ['points.query', '{"query":{"formula":{"div":{"left":1,"right":"tenant"}}}}'],
    ['points.query', '{"query":{"formula":"a","defaults":{"tenant":1}}}'],
  ];
  for (const [operation, body] of reading) {
    t.match(made(operation, body, hidden), /^403 tenant_field: .*would read/, `${operation} ${body}`);
    t.type(made(operation, body), 'object', `${operation} ${body}`);
  }
  const formula = '{"query":{"formula":{"sum":["$score[0]","a.tenant","b"]},"defaults":{"b":1.50,"$score":0}}';
  t.match(made('points.query', `${formula}}`, hidden), { body: `${formula},${FILTER}}` });
  const old = { features: { updateFilter: true, idfCorpus: false } };
  const shared = { tenancy: tenancyOf(condition({ sharedStatistics: true })) };
  const free = made('points.query', '{"using":"sparse"}', { ...old, ...shared });
  t.match(free, { body: `{"using":"sparse",${FILTER}}` });
  t.match(made('points.search_matrix_pairs', '{"using":"sparse"}', shared), { checks: [] });
  const onFree = { params: ['free'], pathToSend: '/collections/free/points/query' };
  t.match(made('points.query', '{"query":1,"filter":null}', onFree), { body: '{"query":1,"filter":null}', checks: [] });
  const other = made('points.query', '{"query":1,"lookup_from":{"collection":"docs"}}', onFree);
  t.match(other, { body: '{"query":1,"lookup_from":{"collection":"docs"}}', checks: ['docs: 1'] });
  t.match(made('points.query', '{"lookup_from":{"collection":"other"}}', onFree), /^403 collection_not_listed/);
});
