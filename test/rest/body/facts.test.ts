import t from 'tap';
import { inspectWhole } from '../../../src/grpc/message/inspect.ts';
import { GRPC_OPERATIONS } from '../../../src/operations/grpc.ts';
import { readFacts } from '../../../src/rest/body/facts/read.ts';
import { framed } from '../../support/clients/raw-grpc.ts';
import { type Field, fields } from '../../support/fields.ts';
import { timesDearer } from '../../support/reference.ts';

/* Odd forms of numbers: read as upstream reads them, or refused. */

const LIMITS = { maxDepth: 64 };

/** A fact, or the text of the refusal without its place. */
function told(body: string, fact: 'cost' | 'limit' | 'ef' | 'points' | 'conditions', row = 'points.query'): unknown {
  const found = readFacts(row, Buffer.from(body), LIMITS);
  if (!found || !('kind' in found)) return found?.[fact];
  return found.message.replace(/^Format error in JSON body: | at line \d+ column \d+$/g, '');
}

const usize = (what: string): string => `invalid type: ${what}, expected usize`;
const NO_VECTOR = 'expected some form of vector, id, or a type of query';
const NO_EXPRESSION = 'invalid type: array, expected an expression as an object';
const twice = (name: string): string => `duplicate field \`${name}\``;

const LIMIT: readonly [name: string, limit: string, answer: unknown][] = [
  ['a whole number', '7', 7],
  ['null is as if it were absent', 'null', 10],
  ['nothing', '0', 0],
  ['a number beyond 2^53', '9007199254740993', 9_007_199_254_740_992],
  ['the largest', '18446744073709551615', 2 ** 64],
  ['one that is larger', '18446744073709551616', usize('floating point `18446744073709551616`')],
  ['with a fraction of nothing', '7.0', usize('floating point `7.0`')],
  ['with an exponent', '1e1', usize('floating point `1e1`')],
  ['below nothing', '-1', 'invalid value: integer `-1`, expected usize'],
  ['nothing with a sign', '-0', usize('floating point `-0`')],
  ['a text', '"7"', usize('string')],
  ['true', 'true', usize('true')],
  ['a list', '[7]', usize('array')],
  ['an object', '{"$numberLong":"7"}', usize('object')],
];

for (const [name, limit, answer] of LIMIT) {
  t.test(`a limit: ${name}`, async (test) => {
    test.equal(told(`{"limit":${limit}}`, 'limit'), answer);
    test.equal(told(`{"\\u006cimit":${limit}}`, 'limit'), answer, 'its name escaped');
    test.equal(told(`{"prefetch":{"limit":${limit}},"limit":0}`, 'limit'), answer, 'of a prefetch');
  });
}

const BODIES: readonly [name: string, body: string, fact: Parameters<typeof told>[1], answer: unknown, row?: string][] =
  [
    ['a limit twice', '{"limit":1,"limit":2}', 'limit', twice('limit')],
    ['once escaped', '{"limit":1,"\\u006cimit":2}', 'limit', twice('limit')],
    ['once null', '{"limit":null,"limit":2}', 'limit', twice('limit')],
    ['parameters twice', '{"params":{},"params":{}}', 'ef', twice('params')],
    ['hnsw_ef twice', '{"params":{"hnsw_ef":1,"hnsw_ef":2}}', 'ef', twice('hnsw_ef')],
    ['prefetches twice', '{"prefetch":[],"prefetch":{}}', 'cost', twice('prefetch')],
    ['queries twice', '{"query":[1],"query":null}', 'cost', twice('query')],
    ['clauses twice', '{"filter":{"must":[],"must":[]}}', 'conditions', twice('must')],
    ['what is unknown twice', '{"x":1,"x":2}', 'limit', 10],
    ['names of a prototype', '{"__proto__":{"limit":5},"constructor":1,"toString":2}', 'limit', 10],
    ['a limit inside something else', '{"x":{"limit":5},"query":[1]}', 'limit', 10],
    [
      'a body as the array of its fields',
      '[null,[1]]',
      'limit',
      'invalid type: array, expected a request as an object',
    ],
    ['parameters as one', '{"params":[16,true]}', 'ef', 'invalid type: array, expected a request as an object'],
    ['a prefetch as one', '{"prefetch":[[null]]}', 'limit', 'invalid type: array, expected a request as an object'],
    [
      'a condition as one',
      '{"filter":{"must":[[1]]}}',
      'conditions',
      'invalid type: array, expected a condition as an object',
    ],
    ['a filter as one', '{"filter":[[]]}', 'conditions', 'invalid type: array, expected a filter as an object'],
    ['parameters as a text', '{"params":"x"}', 'ef', 'invalid type: string, expected a request as an object'],
    ['exact as a text', '{"params":{"exact":"true"}}', 'cost', 'invalid type: string, expected a boolean'],
    ['exact as a number', '{"params":{"exact":1}}', 'cost', 'invalid type: number, expected a boolean'],
    ['too much oversampling', '{"params":{"quantization":{"oversampling":1e999}}}', 'cost', 'number out of range'],
    [
      'points as an object',
      '{"points":{"1":{}}}',
      'points',
      'invalid type: object, expected a sequence',
      'points.upsert',
    ],
    ['points in two forms', '{"points":[1],"batch":{"ids":[1,2]}}', 'points', 3, 'points.upsert'],
    ['points twice', '{"points":[1],"points":[]}', 'points', twice('points'), 'points.upsert'],
    ['points and a filter', '{"points":[1],"filter":{}}', 'cost', 10_001, 'points.delete'],
    ['a query that looks like a request', '{"query":{"limit":99,"prefetch":[{}]}}', 'limit', 10],
    ['a vector of numbers in a query', `{"query":[${Array(99).fill(1)}]}`, 'cost', 1000],
    ['several vectors', '{"query":[[1],[2]]}', 'cost', 1000],
    ['a sparse vector', '{"query":{"indices":[1],"values":[1]}}', 'cost', 1000],
    ['a document', '{"query":{"text":"x","model":"y","options":{"limit":5}}}', 'cost', 1000],
    ['a named vector', '{"vector":{"name":"a","vector":[1]},"limit":2}', 'cost', 200, 'points.search'],
    ['the other name of a limit', '{"vector":[1],"top":500}', 'limit', 500, 'points.search'],
    ['of a recommendation', '{"positive":[1],"top":500}', 'cost', 50_000, 'points.recommend'],
    ['of a discovery in a batch', '{"searches":[{"target":1,"top":500}]}', 'limit', 500, 'points.discover_batch'],
    ['both names of a limit', '{"limit":1,"top":500}', 'limit', twice('limit'), 'points.search'],
    ['a query has no other name', '{"query":1,"top":500}', 'limit', 10],
    ['a query as the array of its members', '{"query":[[1],{"candidates_limit":5}]}', 'limit', NO_VECTOR],
    ['of numbers alone', '{"query":[7,[0.5,16384]]}', 'limit', NO_VECTOR],
    ['of a recommendation', '{"query":[[[1,2,3],[4],null]]}', 'cost', NO_VECTOR],
    ['of arrays alone', '{"query":[[[1,2,3],[4]]]}', 'cost', NO_VECTOR],
    ['of a formula', '{"query":["x",{}]}', 'cost', NO_VECTOR],
    ['a vector and a number', '{"query":[[1],2]}', 'cost', NO_VECTOR],
    ['a vector of nothing', '{"query":[]}', 'cost', 1000],
    ['vectors with blanks', '{"query":[ [1e-3, -2] ,\n[ ] ]}', 'cost', 1000],
    ['a formula as an array', '{"query":{"formula":[{"must":[]}]}}', 'conditions', NO_EXPRESSION],
    ['an array in a formula', '{"query":{"formula":{"neg":[{"must":[]}]}}}', 'conditions', NO_EXPRESSION],
    ['an array in a sum', '{"query":{"formula":{"sum":[[{"must":[]}]]}}}', 'conditions', NO_EXPRESSION],
    ['a corpus by its name', '{"params":{"idf":"global"}}', 'conditions', 0],
    [
      'a corpus as an array',
      '{"params":{"idf":[{"must":[]}]}}',
      'conditions',
      'invalid type: array, expected a request as an object',
    ],
    ['a batch that is none, which upstream refuses', '{"searches":{}}', 'cost', 10, 'points.query_batch'],
    ['an empty batch', '{"searches":[]}', 'cost', 1, 'points.query_batch'],
    ['no body', '', 'cost', 'the text ends too early'],
    ['more behind it', '{} {}', 'cost', 'trailing characters'],
    ['a byte order mark', '\ufeff{}', 'cost', 'expected value'],
  ];

for (const [name, body, fact, answer, row] of BODIES) {
  t.test(name, async (test) => test.equal(told(body, fact, row), answer));
}

t.test('a known number of the wrong type in a message is refused, and of two the last one counts', async (test) => {
  const read = (...message: readonly Field[]) => {
    const row = GRPC_OPERATIONS.find(({ name }) => name === 'qdrant.Points/Query');
    const stream = framed(Buffer.from(fields([1, 'docs'], ...message)));
    const found = row && inspectWhole(row, undefined, stream, 0, stream.length, { facts: true });
    return found && 'kind' in found ? found.code : found?.facts;
  };
  test.equal(read([8, 'text']), 'malformed_message');
  test.equal(read([8, 5, 'double']), 'malformed_message');
  test.equal(read([6, fields([3, fields([3, 7])])]), 'malformed_message', 'oversampling as a whole number');
  test.match(read([8, 5], [8, 7]), { limit: 7 });
  test.match(read([6, fields([1, 500])], [6, fields([1, 7])]), { ef: 7 }, 'two messages are merged');
  test.match(read([6, fields([1, 500])], [6, fields([2, 1])]), { ef: 500, exact: true });
  test.match(read([6, fields([2, 1])], [6, fields([2, 0])]), { exact: false });
  test.match(read([8, 2n ** 64n - 1n]), { limit: 2 ** 64 });
  test.match(read([6, fields([3, fields([3, Number.NaN, 'double'])])]), { oversampling: 1 });
  test.match(read([6, fields([3, fields([3, Infinity, 'double'])])]), { oversampling: Infinity });
  const infinite = fields([3, fields([3, Infinity, 'double'])]);
  test.match(read([3, fields()], [6, infinite], [8, 0]), { cost: 1 }, 'nothing, however often');
  test.match(read([3, fields()], [6, infinite], [8, 1]), { cost: Number.MAX_SAFE_INTEGER });
  test.match(read([5, fields([2, fields()], [2, fields()])], [5, fields([2, fields()])]), { conditions: 3 });
});

t.test('reading takes time in proportion to the body', async (test) => {
  const nested = (levels: number): string => `${'{"prefetch":'.repeat(levels)}{}${'}'.repeat(levels)}`;
  const fill = (one: string, open: string, close: string) => (bytes: number) =>
    Buffer.from(
      open +
        Array(Math.floor(bytes / (one.length + 1)))
          .fill(one)
          .join(',') +
        close,
    );
  const bodies: readonly [string, string, (bytes: number) => Buffer][] = [
    ['prefetches in each other', 'points.query', fill(nested(30), '{"prefetch":[', ']}')],
    [
      'filters in each other',
      'points.scroll',
      fill(`${'{"must":'.repeat(30)}{}${'}'.repeat(30)}`, '{"filter":{"must":[', ']}}'),
    ],
    ['points', 'points.upsert', fill('{"id":1,"vector":[0.1,0.2]}', '{"points":[', ']}')],
    [
      'unknown members',
      'points.query',
      (bytes) => Buffer.from(`{${Array.from({ length: bytes / 12 }, (_, at) => `"k${at}":1`)}}`),
    ],
  ];
  for (const [name, row, bodyOf] of bodies) {
    const [large, small] = [bodyOf(1 << 18), bodyOf(1 << 14)];
    test.notHas(readFacts(row, large, LIMITS), { kind: 'denial' }, name);
    const dearer = timesDearer(
      () => readFacts(row, large, LIMITS),
      () => readFacts(row, small, LIMITS),
    );
    test.ok(dearer < 96, `${name}: 16 times the bytes cost ${dearer.toFixed(1)} times as much`);
  }
});

t.test('a message is read in time in proportion to its size', async (test) => {
  const row = GRPC_OPERATIONS.find(({ name }) => name === 'qdrant.Points/Query');
  if (!row) throw new TypeError('no row');
  let deep = fields([7, 1]);
  for (let level = 0; level < 80; level += 1) deep = fields([1, deep]);
  const streamOf = (bytes: number): Buffer =>
    framed(Buffer.from(fields([1, 'docs'], ...Array.from({ length: bytes / deep.length }, (): Field => [2, deep]))));
  const [large, small] = [streamOf(1 << 19), streamOf(1 << 15)];
  const read = (stream: Buffer) => inspectWhole(row, undefined, stream, 0, stream.length, { facts: true });
  test.match(read(large), { facts: { limit: 10 } });
  const dearer = timesDearer(
    () => read(large),
    () => read(small),
  );
  test.ok(dearer < 96, `16 times the bytes cost ${dearer.toFixed(1)} times as much`);
});
