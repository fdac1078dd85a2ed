import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../../support/generators/runs.ts';
import { made, T } from './made.ts';

/*
 * Bodies of all forms, with parts exchanged, repeated and broken: each is refused, or whatever is sent is bound to the tenant. The
 * judge reads what is sent with `JSON.parse`, and shares nothing with the code under test.
 */

const BODIES: readonly (readonly [operation: string, body: string])[] = [
  [
    'points.query',
    '{"prefetch":[{"prefetch":{"query":3,"using":"sparse"},"query":{"recommend":{"positive":[1],"negative":[2]}},"filter":{"must":{"has_id":[9]}}}],"query":{"fusion":"rrf"},"filter":{"should":[{"key":"a","match":{"value":1}}]},"lookup_from":{"collection":"docs"}}',
  ],
  [
    'points.query',
    '{"query":{"discover":{"target":1,"context":[{"positive":2,"negative":[0.5]}]}},"params":{"idf":"global"},"using":"sparse","limit":3}',
  ],
  [
    'points.query',
    '{"query":{"relevance_feedback":{"target":1,"feedback":[{"example":2,"score":1}],"strategy":{"naive":{"a":1,"b":1,"c":1}}}},"lookup_from":{"collection":"docs"}}',
  ],
  [
    'points.query',
    '{"query":{"nearest":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"},"prefetch":{"query":[0.1,0.2],"limit":7}}',
  ],
  [
    'points.query_batch',
    '{"searches":[{"query":1,"filter":null},{"query":{"context":{"positive":1,"negative":2}},"filter":{"min_should":{"conditions":[{}],"min_count":1}}}]}',
  ],
  [
    'points.scroll',
    '{"filter":{"must":[{"nested":{"key":"a","filter":{"must":[{"key":"b","is_null":true}]}}}],"must_not":{"has_id":[1]}},"offset":7}',
  ],
  [
    'points.upsert',
    '{"points":[{"id":1,"vector":[1,2],"payload":{"tenant":"acme","a":[1]}},{"id":2,"vectors":{"v":[1]}}],"update_filter":{"must":[{"has_id":[1]}]}}',
  ],
  ['points.upsert', '{"batch":{"ids":[1,2],"vectors":[[1],[2]],"payloads":[null,{"tenant":"acme"}]}}'],
  ['points.update_vectors', '{"points":[{"id":1,"vector":[1]}],"update_filter":null}'],
  ['points.delete', '{"points":[1,2],"filter":{"should":[{"key":"a","match":{"any":["x"]}}]}}'],
  ['points.set_payload', '{"payload":{"a":1,"tenant":"acme"},"points":[1],"key":"b"}'],
  ['points.overwrite_payload', '{"payload":{"a":1,"tenant":"acme"},"filter":{"must":{}}}'],
  ['points.delete_payload', '{"keys":["a","b.c","tenant"],"filter":{"must":[{}]}}'],
  [
    'points.batch',
    '{"operations":[{"upsert":{"points":[{"id":1,"vector":[1]}]}},{"delete":{"filter":{}}},{"clear_payload":{"points":[1]}},{"set_payload":{"payload":{"tenant":"acme"},"points":[1]}}]}',
  ],
];

/** Values in the place of others. */
const PARTS = [
  ...['null', '7', '-1', '1.5', '[]', '{}', '[7,null]', '[[7],[8]]', '"tenant"', '"other"', '"acme"', '[1]', 'true'],
  ...[
    '{"tenant":"other"}',
    '{"must":[]}',
    '{"should":[{}]}',
    '{"nearest":7}',
    '"docs"',
    '"free"',
    '"lost"',
    '{"key":"tenant"}',
  ],
  ...['{"upsert":{"points":[{"id":5,"vector":[1],"payload":{"tenant":"other"}}]}}', '{"query":7}', '{"idf":"global"}'],
];
/** Keys in the place of others. */
const NAMES = [
  'filter',
  'must',
  'prefetch',
  'query',
  'payload',
  'tenant',
  't\\u0065nant',
  'points',
  'batch',
  'key',
  'odd',
  'update_filter',
];

/** A body in pieces: strings, numbers, words and single characters. */
const pieces = (body: string): string[] => body.match(/"[^"]*"|-?\d[\d.]*|[a-z]+|./g) ?? [];

/** Exchanges, repeats or drops pieces. */
const change = fc.record({
  at: fc.nat(),
  what: fc.oneof(
    fc.constantFrom(...PARTS),
    fc.constantFrom(...NAMES).map((name) => `"${name}"`),
    fc.constantFrom('drop', 'repeat', 'add a member', 'wrap'),
  ),
});

function changed(body: string, changes: readonly { at: number; what: string }[]): string {
  const list = pieces(body);
  for (const { at, what } of changes) {
    const place = at % list.length;
    const old = list[place] ?? '';
    if (what === 'drop') list[place] = '';
    else if (what === 'repeat') list[place] = `${old},${old}`;
    else if (what === 'add a member')
      list[place] = old === '{' ? `{"${NAMES[at % NAMES.length]}":${PARTS[at % PARTS.length]},` : old;
    else if (what === 'wrap') list[place] = `[${old}]`;
    else list[place] = what;
  }
  return list.join('');
}

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const many = (value: unknown): unknown[] =>
  Array.isArray(value) ? value : value === null || value === undefined ? [] : [value];
const RUNS = runs(16_000);
const CONDITION: unknown = JSON.parse(T);

/** Is this filter only true for points of the tenant? */
const isBound = (filter: unknown): boolean =>
  isObject(filter) && Array.isArray(filter.must) && filter.must.some((one) => isDeepStrictEqual(one, CONDITION));

const isOwn = (payload: unknown): boolean => isObject(payload) && payload.tenant === 'acme';

/** Ids that a query takes vectors of. */
function idsOf(query: unknown): string[] {
  if (typeof query === 'number' || typeof query === 'string') return [String(query)];
  if (!isObject(query) || 'model' in query || 'indices' in query || 'formula' in query || 'order_by' in query)
    return [];
  const { nearest, recommend, discover, context, relevance_feedback: feedback } = query;
  if (nearest !== undefined) return idsOf(nearest);
  if (isObject(recommend)) return [...many(recommend.positive), ...many(recommend.negative)].flatMap(idsOf);
  const pairs = (value: unknown) =>
    many(value).flatMap((pair) => (isObject(pair) ? [pair.positive, pair.negative].flatMap(idsOf) : []));
  if (isObject(discover)) return [...idsOf(discover.target), ...pairs(discover.context)];
  if (context !== undefined) return pairs(context);
  if (!isObject(feedback)) return [];
  return [
    ...idsOf(feedback.target),
    ...many(feedback.feedback).flatMap((one) => (isObject(one) ? idsOf(one.example) : [])),
  ];
}

/** Faults of a query and its prefetches. */
function queryFaults(level: unknown, checks: ReadonlySet<string>): string[] {
  if (!isObject(level)) return ['a level is no object'];
  const faults = many(level.prefetch).flatMap((inner) => queryFaults(inner, checks));
  if (!isBound(level.filter)) faults.push('a filter is not bound');
  const other = isObject(level.lookup_from) ? level.lookup_from.collection : 'shop';
  if (!['shop', 'docs', 'free'].includes(String(other))) faults.push('a collection is not covered');
  for (const id of idsOf(level.query))
    if (other !== 'free' && !checks.has(`${other} ${id}`)) faults.push(`${id} is not checked`);
  const { idf } = isObject(level.params) ? level.params : {};
  const scores =
    level.using === 'sparse' || (isObject(level.query) && 'text' in level.query && !('model' in level.query));
  if ((scores || idf) && !(isObject(idf) && isBound(idf.corpus))) faults.push('statistics are not bound');
  return faults;
}

function writeFaults(operation: string, body: Json): string[] {
  switch (operation) {
    case 'upsert': {
      const payloads = isObject(body.batch)
        ? body.batch.payloads
        : many(body.points).map((point) => (isObject(point) ? point.payload : undefined));
      const count = isObject(body.batch) ? many(body.batch.ids).length : many(payloads).length;
      const own = many(payloads).every(isOwn) && many(payloads).length === count;
      return [
        ...(own ? [] : ['a payload is not the tenant’s']),
        ...(isBound(body.update_filter) ? [] : ['an upsert is not bound']),
      ];
    }
    case 'update_vectors':
      return isBound(body.update_filter) ? [] : ['vectors are not bound'];
    case 'batch':
      return many(body.operations).flatMap((one) =>
        isObject(one)
          ? Object.entries(one).flatMap(([name, inner]) => writeFaults(name, isObject(inner) ? inner : {}))
          : ['no operation'],
      );
    default:
      return selectedFaults(operation, body);
  }
}

function selectedFaults(operation: string, body: Json): string[] {
  const faults =
    isDeepStrictEqual(body.points, []) || (body.points === undefined && isBound(body.filter))
      ? []
      : ['points are not bound'];
  const at =
    body.key === undefined || body.key === null
      ? []
      : String(body.key)
          .replaceAll('"', '')
          .split(/[.[\]]+/);
  const sets = isObject(body.payload) && 'tenant' in body.payload;
  if (operation === 'set_payload' && (at[0] === 'tenant' || (at.length === 0 && sets && !isOwn(body.payload))))
    faults.push('the field is set');
  if (operation === 'overwrite_payload' && !isOwn(body.payload)) faults.push('the field is overwritten');
  if (operation === 'clear_payload') faults.push('the field is cleared');
  if (many(body.keys).some((key) => /^"?tenant/.test(String(key)))) faults.push('the field is removed');
  return faults;
}

/** Why what is sent is not bound; empty = it is. */
function faultsOf(operation: string, sent: string, checks: readonly string[]): string[] {
  let body: unknown;
  try {
    body = JSON.parse(sent);
  } catch {
    // Upstream refuses the numbers of a vector.
    return [];
  }
  if (!isObject(body)) return ['no object is sent'];
  const known = new Set(
    checks.flatMap(
      (check) =>
        check
          .split(': ')[1]
          ?.split(' ')
          .map((id) => `${check.split(':')[0]} ${id}`) ?? [],
    ),
  );
  const name = operation.replace('points.', '');
  if (operation === 'points.query_batch') return many(body.searches).flatMap((one) => queryFaults(one, known));
  if (operation === 'points.query' || operation === 'points.scroll') return queryFaults(body, known);
  return writeFaults(name, body);
}

t.test('whatever is sent is bound to the tenant', async (t) => {
  let [taken, refused] = [0, 0];
  await fc.assert(
    fc.property(fc.constantFrom(...BODIES), fc.array(change, { maxLength: 4 }), ([operation, body], changes) => {
      const result = made(operation, changed(body, changes));
      if (typeof result === 'string') {
        refused += 1;
        return /^(?:400|403) /.test(result);
      }
      taken += 1;
      const faults = faultsOf(operation, result.body ?? '', result.checks);
      if (faults.length > 0) throw new Error(`${faults.join(', ')}: ${result.body}`);
      return true;
    }),
    { numRuns: RUNS },
  );
  t.comment(`${taken} sent, ${refused} refused`);
  t.ok(taken > RUNS / 20 && refused > RUNS / 20, `${taken} sent, ${refused} refused`);
});
