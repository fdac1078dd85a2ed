import t from 'tap';
import { NO_FEATURES } from '../../../src/policy/tenants/rewriting.ts';
import { made, type TaskChanges } from './made.ts';

const [FIELD, FORM] = ['403 tenant_field: Forbidden: The request ', '400 tenant_form: Format error in JSON body: '];

t.test('what a tenant may not do', async (t) => {
  const cases: readonly (readonly [
    name: string,
    operation: string,
    body: string,
    refusal: string,
    changes?: TaskChanges,
  ])[] = [
    ['another value', 'points.upsert', '{"points":[{"id":1,"vector":[1],"payload":{"tenant":"other"}}]}', FIELD],
    [
      'another value in escapes',
      'points.upsert',
      '{"points":[{"id":1,"vector":[1],"payload":{"\\u0074enant":"other"}}]}',
      FIELD,
    ],
    [
      'the field twice',
      'points.upsert',
      '{"points":[{"id":1,"vector":[1],"payload":{"tenant":"acme","t\\u0065nant":"other"}}]}',
      FORM,
    ],
    ['a list', 'points.upsert', '{"points":[{"id":1,"vector":[1],"payload":{"tenant":["acme"]}}]}', FIELD],
    ['null', 'points.upsert', '{"points":[{"id":1,"vector":[1],"payload":{"tenant":null}}]}', FIELD],
    ['a null field is removed', 'points.set_payload', '{"payload":{"tenant":null},"filter":{}}', FIELD],
    [
      'the second payload of a batch',
      'points.upsert',
      '{"batch":{"ids":[1,2],"vectors":[[1],[2]],"payloads":[null,{"tenant":"b"}]}}',
      FIELD,
    ],
    ['fewer payloads than ids', 'points.upsert', '{"batch":{"ids":[1,2],"vectors":[[1],[2]],"payloads":[null]}}', FORM],
    ['both forms', 'points.upsert', '{"batch":{"ids":[],"vectors":[]},"points":[]}', FORM],
    ['an array for a point', 'points.upsert', '{"points":[[1,[1],{"tenant":"b"}]]}', FORM],
    ['the key itself', 'points.set_payload', '{"payload":{"x":1},"key":"tenant","filter":{}}', FIELD],
    ['a quoted key', 'points.set_payload', '{"payload":{"x":1},"key":"\\"tenant\\".a","filter":{}}', FIELD],
    ['an element of it', 'points.set_payload', '{"payload":{"x":1},"key":"tenant[]","filter":{}}', FIELD],
    ['a path that is none', 'points.set_payload', '{"payload":{"x":1},"key":"a b","filter":{}}', FORM],
    ['removing it', 'points.delete_payload', '{"keys":["a","tenant"],"filter":{}}', FIELD],
    ['removing it in quotes', 'points.delete_payload', '{"keys":["\\"tenant\\""],"filter":{}}', FIELD],
    ['removing its elements', 'points.delete_payload', '{"keys":["tenant[0]"],"filter":{}}', FIELD],
    [
      'a batch with one of them',
      'points.batch',
      '{"operations":[{"upsert":{"points":[]}},{"delete_payload":{"keys":["tenant"],"filter":{}}}]}',
      FIELD,
    ],
    ['two operations in one', 'points.batch', '{"operations":[{"upsert":{"points":[]},"delete":{"filter":{}}}]}', FORM],
    ['an operation of a later release', 'points.batch', '{"operations":[{"drop_all":{}}]}', FORM],
    ['no selector', 'points.delete', '{}', '400 tenant_form: Either list'],
    [
      'null selectors',
      'points.set_payload',
      '{"payload":{},"points":null,"filter":null}',
      '400 tenant_form: Either list',
    ],
    ['ids and a filter for vectors', 'points.delete_vectors', '{"points":[1],"filter":{},"vector":["v"]}', FORM],
    [
      'records of a bound collection',
      'points.query_groups',
      '{"group_by":"a","with_lookup":"docs"}',
      '403 tenant_lookup',
    ],
    [
      'records of the same collection',
      'points.search_groups',
      '{"vector":[1],"group_by":"a","with_lookup":{"collection":"shop"}}',
      '403 tenant_lookup',
    ],
    [
      'records of a foreign collection',
      'points.query_groups',
      '{"group_by":"a","with_lookup":"other"}',
      '403 collection_not_listed',
    ],
    [
      'vectors of a foreign collection',
      'points.query',
      '{"lookup_from":{"collection":"other"}}',
      '403 collection_not_listed',
    ],
    [
      'vectors of a collection without a value',
      'points.query',
      '{"prefetch":{"lookup_from":{"collection":"lost"}}}',
      '403 tenant_value',
    ],
    ['a collection without a value', 'points.query', '{}', '403 tenant_value', { params: ['lost'] }],
    [
      'an old release: upsert',
      'points.upsert',
      '{"points":[]}',
      '403 tenant_release',
      { features: { updateFilter: false, idfCorpus: true } },
    ],
    [
      'an old release: statistics',
      'points.query',
      '{"using":"sparse"}',
      '403 tenant_release',
      { features: { updateFilter: true, idfCorpus: false } },
    ],
    ['an unknown release: upsert', 'points.upsert', '{"points":[]}', '503 release_unknown', { features: NO_FEATURES }],
    [
      'an unknown release: vectors',
      'points.update_vectors',
      '{"points":[]}',
      '503 release_unknown',
      { features: NO_FEATURES },
    ],
    [
      'an unknown release: statistics',
      'points.query',
      '{"using":"sparse"}',
      '503 release_unknown',
      { features: NO_FEATURES },
    ],
    ['a matrix of a sparse vector', 'points.search_matrix_pairs', '{"using":"sparse"}', '403 tenant_operation'],
    [
      'vectors that are not known',
      'points.query',
      '{"query":1,"using":"v"}',
      '502 upstream_broken',
      { idfVectors: undefined },
    ],
    [
      'no id',
      'points.get_one',
      '',
      '400 tenant_form: Wrong input: Can not recognize "x" as point id',
      { params: ['shop', 'x'] },
    ],
    [
      'too long a request',
      'points.query_batch',
      `{"searches":[${'{},'.repeat(2000)}{}]}`,
      '413 body_too_large',
      { maxBytes: 10_000 },
    ],
    [
      'too many ids',
      'points.recommend',
      `{"positive":[${Array.from({ length: 10_001 }, (_, id) => id).join(',')}],"limit":1}`,
      '400 tenant_form: the request names more than 10000 points',
    ],
    [
      'a foreign id behind as many of the own',
      'points.recommend',
      `{"positive":[${'1,'.repeat(10_000)}7],"limit":1}`,
      '400 tenant_form: the request names more than 10000 points',
    ],
    [
      'the same in a write that is waited for',
      'points.set_payload',
      `{"payload":{},"points":[${'1,'.repeat(10_000)}7]}`,
      '400 tenant_form: the request names more than 10000 points',
    ],
    [
      'and in what is retrieved',
      'points.get',
      `{"ids":[${'1,'.repeat(10_000)}7]}`,
      '400 tenant_form: the request names more than 10000 points',
    ],
    ['prefetches nested too deep', 'points.query', `${'{"prefetch":'.repeat(33)}{}${'}'.repeat(33)}`, FORM],
    ['nothing', 'points.query', '', '400 malformed_body'],
    ['more than one value', 'points.query', '{}{}', '400 malformed_body'],
    ['no JSON', 'points.upsert', '{"points":[{"id":1,"vector":[NaN]}]}', '400 malformed_body'],
    [
      'no UTF-8 is sent on',
      'points.upsert',
      '{"points":[{"id":1,"vector":[1],"payload":{"a":"\\ud800"}}]}',
      '400 malformed_body',
    ],
  ];
  for (const [name, operation, body, refusal, changes] of cases) {
    const result = made(operation, body, changes);
    t.ok(typeof result === 'string' && result.startsWith(refusal), `${name}: ${JSON.stringify(result)}`);
  }
});

t.test('a field that is not known is refused at every level, and so is one that stands twice', async (t) => {
  const levels: readonly (readonly [operation: string, body: (odd: string) => string])[] = [
    ['points.query', (odd) => `{${odd}}`],
    ['points.query', (odd) => `{"prefetch":{${odd}}}`],
    ['points.query', (odd) => `{"prefetch":[{"prefetch":[{${odd}}]}]}`],
    ['points.query', (odd) => `{"query":{"nearest":1,${odd}}}`],
    ['points.query', (odd) => `{"query":{"recommend":{${odd}}}}`],
    ['points.query', (odd) => `{"query":{"indices":[1],"values":[1],${odd}}}`],
    ['points.query', (odd) => `{"query":{"formula":{"neg":1,${odd}}}}`],
    ['points.query', (odd) => `{"params":{${odd}}}`],
    ['points.query', (odd) => `{"params":{"idf":{"corpus":{${odd}}}}}`],
    ['points.query', (odd) => `{"lookup_from":{"collection":"docs",${odd}}}`],
    ['points.query', (odd) => `{"filter":{${odd}}}`],
    ['points.query', (odd) => `{"filter":{"must":{"key":"a",${odd}}}}`],
    ['points.query', (odd) => `{"filter":{"must":{"key":"a","match":{"value":1,${odd}}}}}`],
    ['points.query', (odd) => `{"filter":{"should":[{"nested":{"key":"a","filter":{},${odd}}}]}}`],
    ['points.query', (odd) => `{"filter":{"min_should":{"conditions":[],"min_count":1,${odd}}}}`],
    ['points.query_batch', (odd) => `{"searches":[],${odd}}`],
    ['points.query_batch', (odd) => `{"searches":[{${odd}}]}`],
    ['points.upsert', (odd) => `{"points":[],${odd}}`],
    ['points.upsert', (odd) => `{"points":[{"id":1,"vector":[1],${odd}}]}`],
    ['points.upsert', (odd) => `{"batch":{"ids":[],"vectors":[],${odd}}}`],
    ['points.delete', (odd) => `{"points":[1],${odd}}`],
    ['points.batch', (odd) => `{"operations":[],${odd}}`],
    ['points.batch', (odd) => `{"operations":[{"delete":{"filter":{},${odd}}}]}`],
    ['points.get', (odd) => `{"ids":[1],${odd}}`],
    ['points.scroll', (odd) => `{${odd}}`],
    ['points.count', (odd) => `{${odd}}`],
    ['points.facet', (odd) => `{"key":"a",${odd}}`],
  ];
  for (const [operation, body] of levels) {
    const [odd, twice] = [body('"odd":1'), body('"filter":{},"filt\\u0065r":{}')];
    t.match(made(operation, odd), /^400 tenant_form: .*(?:unknown field `odd`)/, odd);
    t.match(made(operation, twice), /^400 tenant_form: .*(?:duplicate|unknown) field/, twice);
  }
});

t.test('an array or a scalar where upstream could read a struct is refused', async (t) => {
  const queries = [
    ...['[]x', '[7,null]', '[7,[0.5,10]]', '["6ba7b8109dad11d180b400c04fd430c8",null]', '[[[1],[2],null]]', '[[7,[]]]'],
    ...['[[[1,2]]]', '[{"nearest":7}]', '{"nearest":[7,null]}', '{"recommend":[[7],[8],null]}', '{"context":[[7,8]]}'],
    ...['7.0', '7e0', '-7', '18446744073709551616', '"7"', 'true', '""', '{"nearest":7,"recommend":{}}', '{}'],
  ];
  for (const query of queries)
    t.match(made('points.query', `{"query":${query}}`), /^400 (?:tenant_form|malformed)/, query);
  const bodies: readonly (readonly [operation: string, body: string])[] = [
    ['points.query', '[]'],
    ['points.query', '{"filter":[[]]}'],
    ['points.query', '{"filter":{"must":"x"}}'],
    ['points.query', '{"prefetch":[[]]}'],
    ['points.query', '{"params":[]}'],
    ['points.query', '{"params":{"idf":["x"]}}'],
    ['points.query', '{"params":{"idf":{}}}'],
    ['points.query', '{"params":{"idf":"x"}}'],
    ['points.query', '{"lookup_from":["docs"]}'],
    ['points.query_batch', '{"searches":{}}'],
    ['points.query_groups', '{"with_lookup":["docs"]}'],
    ['points.search', '{"vector":["sparse",[1]],"limit":1}'],
    ['points.delete', '{"points":7}'],
    ['points.upsert', '[]'],
    ['points.batch', '{"operations":[["x"]]}'],
  ];
  for (const [operation, body] of bodies) t.match(made(operation, body), /^400 /, `${operation} ${body}`);
});

t.test('the parts of one request are bounded', async (t) => {
  const many = (part: string, count: number) => Array(count).fill(part).join(',');
  const [operations, queries] = [
    /^400 tenant_form: the batch has more than 10000 operations/,
    /^400 tenant_form: the request has more than 10000 queries/,
  ];
  const cases: readonly (readonly [operation: string, body: (count: number) => string, refused: RegExp])[] = [
    ['points.batch', (count) => `{"operations":[${many('{"update_vectors":{"points":[]}}', count)}]}`, operations],
    ['points.query_batch', (count) => `{"searches":[${many('{}', count)}]}`, queries],
    ['points.search_batch', (count) => `{"searches":[${many('{"vector":[1],"limit":1}', count)}]}`, queries],
    ['points.query', (count) => `{"prefetch":[${many('{}', count - 1)}]}`, queries],
  ];
  for (const [operation, body, refused] of cases) {
    t.type(made(operation, body(10_000), { maxBytes: 8_000_000 }), 'object', operation);
    t.match(made(operation, body(10_001), { maxBytes: 8_000_000 }), refused, operation);
  }
});

t.test('a batch of many small operations takes memory for each by its own length', async (t) => {
  const taken: number[] = [];
  const allocate = Buffer.allocUnsafe;
  Buffer.allocUnsafe = (size) => {
    taken.push(size);
    return allocate(size);
  };
  t.teardown(() => {
    Buffer.allocUnsafe = allocate;
  });
  const body = `{"operations":[${Array(1000).fill('{"update_vectors":{"points":[]}}').join(',')}]}`;
  t.type(made('points.batch', body), 'object');
  t.ok(taken.length > 1000);
  t.equal(taken.filter((size) => size > 4096).length, 1, 'only the list of operations');
});
