import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { JsonFault } from '../../../src/json/fault.ts';
import { JsonReader } from '../../../src/json/reader.ts';
import { REST_OPERATIONS } from '../../../src/operations/rest.ts';
import type { Access } from '../../../src/policy/access.ts';
import { decide, type References, settle } from '../../../src/policy/decide.ts';
import { badRequest, type Denial } from '../../../src/policy/denial.ts';
import type { InspectorName, RestOperation } from '../../../src/policy/operation.ts';
import { decodeBody } from '../../../src/rest/body/content-coding.ts';
import { canNameNothing, inspectBody } from '../../../src/rest/body/inspect.ts';
import { TOO_DEEP } from '../../../src/rest/body/task.ts';
import { runs } from '../../support/generators/runs.ts';
import { timesDearer } from '../../support/reference.ts';
import { accessOf } from '../../support/verdicts/principals.ts';
import { restVerdicts } from '../../support/verdicts/rest.ts';
import { Deviations } from '../../support/verdicts/verdicts.ts';
import { bodyOf, wireRestVerdicts } from '../../support/verdicts/wire.ts';

const LIMITS = { maxDepth: 64, maxPrefetchDepth: 32 };
const NAMES: readonly InspectorName[] = [
  'recommend',
  'recommend-batch',
  'recommend-groups',
  'discover',
  'discover-batch',
  'query',
  'query-batch',
  'query-groups',
  'search-groups',
];

/** Decide, and where the body is needed, inspect and settle. A permit is told by its kind alone. */
function outcome(access: Access, operation: RestOperation, collection: string, body: Buffer): 'permit' | Denial {
  const decision = decide(access, operation, { kind: 'collection', name: collection });
  if (decision.kind === 'permit') return 'permit';
  if (decision.kind === 'denial') return decision;
  assert.ok(operation.inspect, 'only an operation with an inspector is conditional');
  const found = inspect(operation.inspect, body);
  const settled = 'kind' in found ? found : settle(decision, found);
  return settled.kind === 'permit' ? 'permit' : settled;
}

/** As the lane does it: the shortcut first. */
function inspect(name: InspectorName, body: Buffer): References | Denial {
  return canNameNothing(body) ? { others: [] } : inspectBody(name, body, LIMITS);
}

function summary(result: 'permit' | Denial): string {
  return result === 'permit' ? 'served' : `${result.status} ${result.message}`;
}

const crossDeviations = new Deviations('cross-rest.json');
const crossVerdicts = restVerdicts().filter(({ file }) => file === 'cross-rest.json');

for (const [name, verdicts] of Map.groupBy(crossVerdicts, (verdict) => verdict.case)) {
  t.test(`${name}: every principal gets the recorded verdict`, async (t) => {
    const found: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const verdict of verdicts) {
      const { principal, grant, request, recorded } = verdict;
      assert.ok(grant);
      const on = request.target.split('/')[2] ?? '';
      const operation = operationAt(request.method, request.target);
      const result = summary(outcome(accessOf(grant), operation, on, Buffer.from(request.body ?? '')));
      found[principal] = crossDeviations.settled(result, verdict);
      expected[principal] = recorded;
      // What upstream does not read must not be passed on by who has looked at it.
      if (operation.inspect && typeof grant === 'object' && recorded === 'served 400') t.not(result, 'served');
    }
    t.strictSame(found, expected);
  });
}
t.test('every listed deviation on other collections is one', async (t) => t.strictSame(crossDeviations.stale(), []));

function operationAt(method: string, target: string): RestOperation {
  const path = target.replace(/^\/collections\/[^/]+/, '/collections/{collection}');
  const row = REST_OPERATIONS.find((one) => one.path === path && one.method === method);
  assert.ok(row, `no row ${method} ${path}`);
  return row;
}

/** Upstream goes by the type of an uninspected member: left to it. */
const UPSTREAM_REFUSES = new Set(['limit 1.0', 'limit "1"', 'limit dup']);
const wireDeviations = new Deviations('wire-rest.json');

for (const verdict of wireRestVerdicts()) {
  t.test(`${verdict.case}: is judged as recorded, or stricter where listed`, async (t) => {
    const { grant, request, recorded } = verdict;
    assert.ok(grant);
    const decoded = await decodeBody(bodyOf(request) ?? Buffer.alloc(0), request.codings ?? [], 1 << 20);
    const operation = operationAt('POST', `/collections/${request.on}/${request.route}`);
    let found: 'permit' | Denial;
    if (!Buffer.isBuffer(decoded)) found = decoded;
    else if (operation.inspect) found = outcome(accessOf(grant), operation, request.on, decoded);
    else found = wellFormed(decoded);
    t.equal(wireDeviations.settled(summary(found), verdict), recorded);
    if (recorded === 'served 400') t.equal(found === 'permit', UPSTREAM_REFUSES.has(verdict.case), 'is not passed on');
  });
}
t.test('every listed deviation on bodies in odd forms is one', async (t) => t.strictSame(wireDeviations.stale(), []));

/** Bodies without an inspector: examples of JSON and of other text. */
function wellFormed(body: Buffer): 'permit' | Denial {
  try {
    const reader = new JsonReader(body, { maxDepth: 64 });
    reader.skipValue();
    reader.end();
    return 'permit';
  } catch (error) {
    assert.ok(error instanceof JsonFault);
    return error.reason === 'depth' ? TOO_DEEP : badRequest('malformed_body', error.message);
  }
}

const texts: readonly [what: string, name: InspectorName, body: string, message: string][] = [
  ['a literal that is none', 'query', '{"prefetch":nope}', 'expected ident at line 1 column 14'],
  ['a comment', 'query', '{"prefetch":null\n/*x*/}', 'expected `,` or `}` at line 2 column 1'],
  ['an open body', 'query', '{"prefetch":null', 'the text ends too early at line 1 column 17'],
  ['a repeated field', 'query', '{"prefetch":null,"prefetch":null}', 'duplicate field `prefetch` at line 1 column 29'],
  ['a batch without requests', 'query-batch', '{"lookup_from":null}', 'missing field `searches` at line 1 column 21'],
  [
    'a name that is no string',
    'query',
    '{"lookup_from":{"collection":1}}',
    'expected a value of kind string at line 1 column 30',
  ],
  ['no name', 'query', '{"lookup_from":{}}', 'missing field `collection` at line 1 column 18'],
];

for (const [what, name, body, message] of texts) {
  t.test(`${what} is refused with its place`, async (t) => {
    t.strictSame(
      inspectBody(name, Buffer.from(body), LIMITS),
      badRequest('malformed_body', `Format error in JSON body: ${message}`),
    );
  });
}

const forms: readonly [what: string, name: InspectorName, body: string, allowed: readonly string[] | 400][] = [
  ['null everywhere', 'query-groups', '{"lookup_from":null,"prefetch":null,"with_lookup":null}', []],
  [
    'all places, order of keys turned',
    'query-groups',
    '{"with_lookup":"w","prefetch":[{"prefetch":{"lookup_from":{"collection":"p2"}},"lookup_from":{"collection":"p1"}},{"lookup_from":{"collection":"p3"}}],"lookup_from":{"collection":"l"}}',
    ['l', 'p1', 'p2', 'p3', 'w'],
  ],
  [
    'batch elements in order',
    'query-batch',
    '{"searches":[{"prefetch":{"lookup_from":{"collection":"b"}}},{"lookup_from":{"collection":"a"}}]}',
    ['b', 'a'],
  ],
  ['with_lookup of a query that has no groups', 'query', '{"with_lookup":"x"}', []],
  ['prefetch of a recommendation', 'recommend', '{"prefetch":{"lookup_from":{"collection":"x"}}}', []],
  ['lookup_from of a search for groups', 'search-groups', '{"lookup_from":{"collection":"x"}}', []],
  ['an empty name', 'recommend', '{"lookup_from":{"collection":""}}', ['']],
  ['escaped keys and names', 'recommend', '{"lookup\\u005ffrom":{"coll\\u0065ction":"\\u0061"}}', ['a']],
  ['lookup_from as an array', 'recommend', '{"lookup_from":["x"]}', 400],
  ['lookup_from as a string', 'recommend', '{"lookup_from":"x"}', 400],
  ['lookup_from as a number', 'recommend', '{"lookup_from":1}', 400],
  ['with_lookup as an array', 'search-groups', '{"with_lookup":["x"]}', 400],
  ['a name twice', 'recommend', '{"lookup_from":{"collection":"a","collection":"x"}}', 400],
  ['lookup_from twice, first null', 'recommend', '{"lookup_from":null,"lookup_from":{"collection":"x"}}', 400],
  ['with_lookup twice', 'search-groups', '{"with_lookup":"a","with_lookup":"x"}', 400],
  ['searches twice', 'query-batch', '{"searches":[],"searches":[{"lookup_from":{"collection":"x"}}]}', 400],
  ['a request as an array', 'recommend', '[[1],[],null,null,null,1,null,null,null,null,null,{"collection":"x"}]', 400],
  ['a batch as an array', 'query-batch', '[[{"lookup_from":{"collection":"x"}}]]', 400],
  ['a batch of arrays', 'query-batch', '{"searches":[[null,1]]}', 400],
  ['a prefetch as an array', 'query', '{"prefetch":[[null,1,null,null,null,null,4,{"collection":"x"}]]}', 400],
  [
    'a nested prefetch as an array',
    'query',
    '{"prefetch":{"prefetch":[[null,1,null,null,null,null,4,{"collection":"x"}]]}}',
    400,
  ],
  ['a prefetch as a string', 'query', '{"prefetch":"x"}', 400],
  ['a byte order mark', 'query', '\ufeff{}', 400],
  ['an empty body', 'query', '', 400],
];

for (const [what, name, body, allowed] of forms) {
  t.test(`${what}: ${allowed === 400 ? 'is refused' : `names ${JSON.stringify(allowed)}`}`, async (t) => {
    const found = inspectBody(name, Buffer.from(body), LIMITS);
    if (allowed === 400) t.equal('kind' in found && found.status, 400);
    else t.strictSame(found, { others: allowed });
  });
}

t.test('prefetches nest 32 deep, in both forms, and no deeper', async (t) => {
  const objects = (depth: number) =>
    `${'{"prefetch":'.repeat(depth)}{"lookup_from":{"collection":"x"}}${'}'.repeat(depth)}`;
  const limits = { maxDepth: 200, maxPrefetchDepth: 32 };
  t.strictSame(inspectBody('query', Buffer.from(objects(32)), limits), { others: ['x'] });
  t.match(inspectBody('query', Buffer.from(objects(33)), limits), { status: 400 });
  t.match(inspectBody('query', Buffer.from(objects(33)), { maxDepth: 200 }), { status: 400 }, '32 is the default');
  t.match(inspectBody('query', Buffer.from(`${'{"prefetch":['.repeat(40)}{}`), LIMITS), { status: 400 });
});

t.test('a deep or wide body is settled quickly', async (t) => {
  const deep = ['', '{"prefetch":', '{"lookup":'].map((begin) => Buffer.from(begin + '['.repeat(1 << 20)));
  for (const body of deep) t.match(inspectBody('query', body, LIMITS), { status: 400 });
  const refused = () => deep.map((body) => inspectBody('query', body, LIMITS));
  const whole = () => deep.map((body) => inspectBody('query', body, { maxDepth: 1 << 21, maxPrefetchDepth: 1 << 21 }));
  const dearer = timesDearer(refused, whole);
  t.ok(dearer < 0.5, `a deep one is refused at the limit: ${dearer.toFixed(3)} times what reading on would cost`);
  const wide = `{"searches":[${'{"lookup_from":{"collection":"x"}},'.repeat(199_999)}{}]}`;
  const found = inspectBody('query-batch', Buffer.from(wide), LIMITS);
  t.equal('others' in found && found.others.length, 199_999);
});

/** Values that are mostly made of what an inspector looks at. */
const { value: bodies } = fc.letrec<{ value: unknown; request: unknown }>((tie) => ({
  request: fc.oneof(
    { maxDepth: 5 },
    fc.record(
      {
        limit: fc.nat(9),
        lookup_from: tie('value'),
        prefetch: fc.oneof(
          { weight: 3, arbitrary: fc.array(tie('request'), { maxLength: 3 }) },
          { weight: 3, arbitrary: tie('request') },
          { weight: 1, arbitrary: tie('value') },
        ),
        with_lookup: tie('value'),
        searches: fc.oneof(fc.array(tie('request'), { maxLength: 3 }), tie('value')),
        other: tie('value'),
      },
      { requiredKeys: [] },
    ),
  ),
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom<unknown>(null, 'name', 1, true, [], {}),
    fc.record({ collection: fc.constantFrom('a', 'b', '') }),
    fc.array(tie('value'), { maxLength: 2 }),
    tie('request'),
  ),
}));

interface Fields {
  readonly [key: string]: unknown;
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The rules once more, on parsed values; `undefined` = to be refused. */
function walk(name: InspectorName, body: unknown): string[] | undefined {
  const groups = name.endsWith('groups');
  const prefetch = name.startsWith('query');
  const lookup = name !== 'search-groups';
  try {
    if (!isObject(body)) return undefined;
    if (!name.endsWith('batch')) return walkRequest(body, { groups, prefetch, lookup });
    if (!Array.isArray(body.searches)) return undefined;
    return body.searches.flatMap((one: unknown) => walkRequest(one, { groups, prefetch, lookup }));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function walkRequest(body: unknown, shape: { groups: boolean; prefetch: boolean; lookup: boolean }): string[] {
  if (!isObject(body)) throw new RangeError();
  const names: string[] = [];
  if (shape.lookup) names.push(...walkLookup(body.lookup_from));
  if (shape.prefetch && body.prefetch !== undefined && body.prefetch !== null) {
    const list: unknown[] = Array.isArray(body.prefetch) ? body.prefetch : [body.prefetch];
    for (const one of list) names.push(...walkRequest(one, { groups: false, prefetch: true, lookup: true }));
  }
  if (shape.groups)
    names.push(...(typeof body.with_lookup === 'string' ? [body.with_lookup] : walkLookup(body.with_lookup)));
  return names;
}

function walkLookup(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  if (!isObject(value) || typeof value.collection !== 'string') throw new RangeError();
  return [value.collection];
}

t.test('an inspector finds what a plain walk over the parsed body finds', async (t) => {
  const met = { refused: 0, named: 0, free: 0 };
  fc.assert(
    fc.property(fc.constantFrom(...NAMES), bodies, (name, body) => {
      const expected = walk(name, body);
      const found = inspectBody(name, Buffer.from(JSON.stringify(body)), { maxDepth: 1000 });
      assert.deepEqual('kind' in found ? undefined : [...found.others], expected);
      met[expected === undefined ? 'refused' : expected.length > 0 ? 'named' : 'free'] += 1;
    }),
    { numRuns: runs(4000) },
  );
  t.ok(met.refused > runs(50) && met.named > runs(50) && met.free > runs(50), JSON.stringify(met));
});

t.test('the shortcut never settles a body that names something or holds an array form', async (t) => {
  let taken = 0;
  const escaped = fc.tuple(bodies, fc.boolean(), fc.constantFrom('', ' ', '\n\t')).map(([body, inEscapes, blank]) => {
    const plain = JSON.stringify(body);
    return blank + (inEscapes ? plain.replaceAll('_', '\\u005f').replaceAll('prefetch', 'pre\\u0066etch') : plain);
  });
  fc.assert(
    fc.property(fc.constantFrom(...NAMES), escaped, (name, source) => {
      const body = Buffer.from(source);
      if (!canNameNothing(body)) return;
      taken += 1;
      const found = inspectBody(name, body, { maxDepth: 1000 });
      // A batch without `searches` is left to upstream, which refuses it.
      if ('kind' in found) assert.match(found.message, /missing field `searches`/);
      else assert.deepEqual(found, { others: [] });
    }),
    { numRuns: runs(6000) },
  );
  t.ok(taken > runs(100), `${taken} taken`);
});

const shortcuts: readonly [what: string, body: string, taken: boolean][] = [
  ['a plain query', '{"query":[0.1,0.2],"limit":10}', true],
  ['white space before it', ' \n\t{"query":1}', true],
  ['other escapes', '{"a":"\\n\\\\"}', true],
  ['an array', '[[1]]', false],
  ['an empty body', '', false],
  ['a byte order mark', '\ufeff{}', false],
  ['a lookup', '{"lookup_from":null}', false],
  ['the word inside a value', '{"a":"lookup"}', false],
  ['a prefetch', '{"prefetch":1}', false],
  ['a batch', '{"searches":[]}', false],
  ['a backslash-u escape', '{"a":"\\u0061"}', false],
];

for (const [what, body, taken] of shortcuts) {
  t.test(`the shortcut ${taken ? 'settles' : 'leaves to the inspector'}: ${what}`, async (t) => {
    t.equal(canNameNothing(Buffer.from(body)), taken);
  });
}
