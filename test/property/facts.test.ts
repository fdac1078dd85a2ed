import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { createInspector, inspectWhole } from '../../src/grpc/message/inspect.ts';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import type { ListAccess } from '../../src/policy/access.ts';
import { type Bound, boundRefusal } from '../../src/policy/search/bounds.ts';
import { costOf, type Facts, FactTally, newPart, type Part, type PartKind } from '../../src/policy/search/facts.ts';
import { policyOf } from '../../src/policy/settings.ts';
import { readFacts } from '../../src/rest/body/facts/read.ts';
import { framed } from '../support/clients/raw-grpc.ts';
import { type Field, fields } from '../support/fields.ts';
import { Draw, tapes } from '../support/generators/arbitraries.ts';
import { runs } from '../support/generators/runs.ts';

/* Numbers of requests made from one model: the same over both protocols, and never less for more. */

const RUNS = runs(2000);

interface Filter {
  readonly must: readonly Condition[];
  readonly should: readonly Condition[];
  readonly least: readonly Condition[];
}
type Condition = { readonly kind: 'leaf' } | { readonly kind: 'filter' | 'nested'; readonly filter: Filter };

interface Search {
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  readonly ef?: number | undefined;
  readonly exact?: boolean | undefined;
  readonly oversampling?: number | undefined;
  readonly filter?: Filter | undefined;
  readonly query: 'none' | 'id' | 'vector' | 'mmr' | 'recommend' | 'discover';
  /** Of the query: candidates, or examples. */
  readonly amount: number;
  readonly prefetch: readonly Search[];
  /** A single prefetch as an object. */
  readonly alone: boolean;
}

const whole = fc.oneof(fc.nat({ max: 40 }), fc.nat(), fc.constant(Number.MAX_SAFE_INTEGER));
const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });

function filterOf(draw: Draw, depth: number): Filter {
  const some = () => (depth > 3 ? [] : draw.some(2, () => conditionOf(draw, depth + 1)));
  return { must: some(), should: some(), least: some() };
}

function conditionOf(draw: Draw, depth: number): Condition {
  const kind = draw.of(['leaf', 'leaf', 'filter', 'nested'] as const);
  return kind === 'leaf' ? { kind } : { kind, filter: filterOf(draw, depth) };
}

const SIZES = [0, 1, 7, 10, 100, 129, 2 ** 32, Number.MAX_SAFE_INTEGER];

/** A prefetch, at a depth above 0, has no offset. */
function searchOf(draw: Draw, depth = 0): Search {
  const number = () => (draw.oneIn(3) ? undefined : draw.of(SIZES));
  return {
    ...{ limit: number(), offset: depth > 0 ? undefined : number(), ef: number() },
    exact: draw.of([undefined, false, true]),
    oversampling: draw.of([undefined, -1, 0.5, 1, 2.5, 1e9]),
    filter: draw.oneIn(2) ? filterOf(draw, 0) : undefined,
    query: draw.of(['none', 'id', 'vector', 'mmr', 'recommend', 'discover'] as const),
    amount: draw.below(9),
    prefetch: depth > 3 ? [] : draw.some(2, () => searchOf(draw, depth + 1)),
    alone: draw.oneIn(2),
  };
}

/* The model as a JSON body. */

function jsonCondition(condition: Condition): object {
  if (condition.kind === 'leaf') return { key: 'a', match: { value: 1 } };
  const inner = jsonFilter(condition.filter);
  return condition.kind === 'nested' ? { nested: { key: 'a', filter: inner } } : inner;
}

function jsonFilter({ must, should, least }: Filter): object {
  const [only] = must;
  return {
    must: only && must.length === 1 ? jsonCondition(only) : must.map(jsonCondition),
    should: should.map(jsonCondition),
    ...(least.length > 0 && { min_should: { min_count: 1, conditions: least.map(jsonCondition) } }),
  };
}

function jsonQuery({ query, amount }: Search): unknown {
  const examples = Array.from({ length: amount }, (_, at) => at);
  switch (query) {
    case 'id':
      return 'f47ac10b-58cc-4372-a567-0e02b2c3d479';
    case 'vector':
      return [0.5, 0.5];
    case 'mmr':
      return { nearest: [0.5], mmr: { candidates_limit: amount } };
    case 'recommend':
      return { recommend: { positive: examples, negative: [1] } };
    case 'discover':
      return { discover: { target: [0.5, 0.5], context: examples.map(() => ({ positive: 1, negative: 2 })) } };
    default:
      return null;
  }
}

function jsonSearch(one: Search): object {
  const prefetch = one.prefetch.map(jsonSearch);
  const quantization = one.oversampling === undefined ? null : { oversampling: one.oversampling };
  return {
    ...{ limit: one.limit, offset: one.offset, query: jsonQuery(one) },
    params: { hnsw_ef: one.ef, exact: one.exact, quantization },
    ...(one.filter && { filter: jsonFilter(one.filter) }),
    ...(prefetch.length > 0 && { prefetch: one.alone && prefetch.length === 1 ? prefetch[0] : prefetch }),
  };
}

/* The model as a message. */

const given = (number: number, value: number | undefined): Field[] => (value === undefined ? [] : [[number, value]]);
const ID = fields([1, fields([1, 7])]);

function wireCondition(condition: Condition): Uint8Array {
  if (condition.kind === 'leaf') return fields([1, fields([1, 'a'])]);
  const inner = wireFilter(condition.filter);
  return condition.kind === 'nested' ? fields([6, fields([1, 'a'], [2, inner])]) : fields([4, inner]);
}

function wireFilter({ must, should, least }: Filter): Uint8Array {
  const all = (field: number, of: readonly Condition[]) => of.map((one): Field => [field, wireCondition(one)]);
  const min: Field[] = least.length > 0 ? [[4, fields(...all(1, least), [2, 1])]] : [];
  return fields(...all(1, should), ...all(2, must), ...min);
}

function wireQuery({ query, amount }: Search): Uint8Array | undefined {
  const examples = (field: number, one: Uint8Array) => Array.from({ length: amount }, (): Field => [field, one]);
  switch (query) {
    case 'id':
    case 'vector':
      return fields([1, ID]);
    case 'mmr':
      return fields([9, fields([1, ID], [2, fields([3, amount])])]);
    case 'recommend':
      return fields([2, fields(...examples(1, ID), [2, ID])]);
    case 'discover':
      return fields([3, fields([1, ID], [2, fields(...examples(1, fields([1, ID], [2, ID])))])]);
    default:
      return undefined;
  }
}

interface Numbers {
  readonly prefetch: number;
  readonly query: number;
  readonly filter: number;
  readonly params: number;
  readonly limit: number;
  readonly offset: number | undefined;
}
const QUERY: Numbers = { prefetch: 2, query: 3, filter: 5, params: 6, limit: 8, offset: 9 };
const PREFETCH: Numbers = { prefetch: 1, query: 2, filter: 4, params: 5, limit: 7, offset: undefined };

/** @param split the parameters in two messages, which prost merges */
function wireSearch(one: Search, at: Numbers, split: boolean): Field[] {
  const query = wireQuery(one);
  const oversampling: Field[] = one.oversampling === undefined ? [] : [[3, fields([3, one.oversampling, 'double'])]];
  const exact = one.exact === undefined ? undefined : Number(one.exact);
  const params = [...given(1, one.ef), ...given(2, exact), ...oversampling];
  const parts: Field[] = split
    ? params.map((param): Field => [at.params, fields(param)])
    : [[at.params, fields(...params)]];
  return [
    ...given(at.limit, one.limit),
    ...(at.offset === undefined ? [] : given(at.offset, one.offset)),
    ...(query ? ([[at.query, query]] as Field[]) : []),
    ...(one.filter ? ([[at.filter, wireFilter(one.filter)]] as Field[]) : []),
    ...parts,
    ...one.prefetch.map((inner): Field => [at.prefetch, fields(...wireSearch(inner, PREFETCH, split))]),
    // Unknown here, and passed over.
    ...([
      [99, 'later'],
      [98, 5],
    ] as Field[]),
  ];
}

const ROW = GRPC_OPERATIONS.find(({ name }) => name === 'qdrant.Points/Query');
const BATCH = GRPC_OPERATIONS.find(({ name }) => name === 'qdrant.Points/QueryBatch');
const EVERYTHING: ListAccess = { kind: 'list', modes: Object.assign(new Map(), { has: () => true }) };

function overRest(row: string, body: object): Facts {
  const found = readFacts(row, Buffer.from(JSON.stringify(body)), { maxDepth: 1000 });
  assert.ok(found && !('kind' in found), JSON.stringify(found));
  return found;
}

function overGrpc(row: (typeof GRPC_OPERATIONS)[number] | undefined, message: Uint8Array, cut: number): Facts {
  assert.ok(row);
  const stream = framed(Buffer.from(message));
  const found = inspectWhole(row, undefined, stream, 0, stream.length, { facts: true });
  assert.ok(found && !('kind' in found) && found.facts, JSON.stringify(found));
  const coded = gzipSync(message);
  const prefix = Buffer.alloc(5);
  prefix[0] = 1;
  prefix.writeUInt32BE(coded.length, 1);
  for (const [encoding, bytes] of [
    [undefined, stream],
    ['gzip', Buffer.concat([prefix, coded])],
  ] as const) {
    const inspector = createInspector(row, { encoding, facts: true });
    for (let at = 0; at < bytes.length; at += cut) inspector.push(bytes.subarray(at, at + cut));
    inspector.end();
    const named = inspector.found(EVERYTHING);
    assert.ok(named && !('kind' in named));
    assert.deepEqual(named.facts, found.facts, `${encoding} in pieces of ${cut}`);
  }
  return found.facts;
}

t.test('a body and the message that says the same have the same numbers and cost', async (test) => {
  fc.assert(
    fc.property(tapes(300), fc.boolean(), fc.integer({ min: 1, max: 40 }), (tape, split, cut) => {
      const one = searchOf(new Draw(tape));
      const [rest, wire] = [jsonSearch(one), wireSearch(one, QUERY, split)];
      assert.deepEqual(overGrpc(ROW, fields([1, 'docs'], ...wire), cut), overRest('points.query', rest));
      const twice = { searches: [rest, rest] };
      const message = fields([1, 'docs'], [2, fields(...wire)], [2, fields(...wire)]);
      assert.deepEqual(overGrpc(BATCH, message, cut), overRest('points.query_batch', twice));
    }),
    { numRuns: RUNS },
  );
  test.pass(`${RUNS} models`);
});

const KINDS: readonly PartKind[] = [
  ...(['search', 'groups', 'query', 'query-groups', 'scroll', 'count', 'facet', 'matrix', 'points'] as const),
];
const NUMBERS = ['limit', 'offset', 'groupSize', 'sample', 'ef', 'candidates', 'oversampling'] as const;
const COUNTERS = ['points', 'examples', 'filters', 'conditions', 'filterDepth'] as const;

const parts = fc
  .record({
    kind: fc.constantFrom(...KINDS),
    numbers: fc.tuple(...NUMBERS.map(() => maybe(whole))),
    counters: fc.tuple(...COUNTERS.map(() => fc.nat({ max: 50 }))),
    exact: maybe(fc.boolean()),
    queried: fc.boolean(),
  })
  .map(({ kind, numbers, counters, exact, queried }): Part => {
    const part = { ...newPart(kind), exact, queried };
    for (const [at, name] of NUMBERS.entries()) part[name] = numbers[at];
    for (const [at, name] of COUNTERS.entries()) part[name] = counters[at] ?? 0;
    return part;
  });

function factsOf(all: readonly Part[]): Facts {
  const tally = new FactTally();
  for (const part of all) tally.add(part);
  return tally.facts;
}

t.test('no number that grows, and no part that is added, makes a request cheaper', async (test) => {
  fc.assert(
    fc.property(fc.array(parts, { minLength: 1, maxLength: 4 }), whole, parts, (all, more, another) => {
      const [first] = all;
      assert.ok(first);
      const before = factsOf(all);
      for (const name of [...NUMBERS, ...COUNTERS]) {
        const value = first[name];
        if (value === undefined) continue;
        const larger: Part = { ...first, [name]: value + more };
        assert.ok(costOf(larger) >= costOf(first), `${first.kind}: ${name}`);
        const after = factsOf([larger, ...all.slice(1)]);
        for (const fact of ['cost', 'limit', 'offset', 'ef', 'oversampling', 'points', 'conditions'] as const)
          assert.ok(after[fact] >= before[fact], `${name} on ${fact}`);
      }
      const after = factsOf([...all, another]);
      assert.ok(after.cost >= before.cost && after.searches >= before.searches && (after.exact || !before.exact));
      assert.ok(before.cost >= 1);
      const exact = { ...first, exact: true };
      assert.ok(costOf(exact) >= costOf({ ...first, exact: false }), 'exact');
    }),
    { numRuns: RUNS },
  );
  test.pass(`${RUNS} requests`);
});

const small = fc.nat({ max: 30 });
const bounds = fc
  .record(
    {
      ...{ max_query_limit: small, max_offset: small, search_max_hnsw_ef: small, search_max_batchsize: small },
      ...{ search_max_oversampling: small, max_points: small, filter_max_conditions: small, filter_max_depth: small },
      search_allow_exact: fc.boolean(),
    },
    { requiredKeys: [] },
  )
  .map((most) => policyOf('enforce', [], [{ id: 'a', mode: 'enforce', bounds: most }]).bounds?.[0] as Bound);

t.test('a bound that is added never allows anything, and their order does not matter', async (test) => {
  let [refused, passed] = [0, 0];
  fc.assert(
    fc.property(fc.array(bounds, { maxLength: 3 }), bounds, fc.array(parts, { maxLength: 2 }), (some, more, all) => {
      const facts = factsOf(all);
      const before = boundRefusal(some, 'enforce', facts);
      const after = boundRefusal([...some, more], 'enforce', facts);
      if (before) assert.ok(after);
      assert.equal(boundRefusal([more, ...some], 'enforce', facts) === undefined, after === undefined);
      assert.ok(boundRefusal([...some, more], 'enforce', undefined), 'what is not read is refused');
      assert.equal(boundRefusal([...some, more], 'shadow', facts), undefined);
      if (after) refused += 1;
      else passed += 1;
    }),
    { numRuns: RUNS },
  );
  test.ok(refused > RUNS / 20 && passed > RUNS / 100, `${refused} refused, ${passed} passed`);
});
