import t from 'tap';
import { REST_OPERATIONS } from '../../../src/operations/rest.ts';
import type { BodyNeeds } from '../../../src/policy/body-checks.ts';
import type { RestOperation } from '../../../src/policy/operation.ts';
import { takesChecks, takesRequest } from '../../../src/rest/relay/takes.ts';
import { createResolver, type RestResolution } from '../../../src/rest/resolve.ts';

/** What the relay carries itself, and that whatever it does not know goes to the lane which has every step. */

const resolve = createResolver({ staticContent: true });
const TARGET = '/collections/books/points/query';
const HEAD = { coded: false, target: TARGET };
const QUERY: RestResolution = resolve('POST', TARGET);

const withColumn = (column: string): RestResolution => {
  const operation: RestOperation = { ...QUERY.operation, [column]: true };
  return { ...QUERY, operation };
};

const CASES: readonly [sentence: string, head: typeof HEAD, resolution: RestResolution, taken: boolean][] = [
  ['a plain request is taken', HEAD, QUERY, true],
  ['a compressed body is not', { ...HEAD, coded: true }, QUERY, false],
  ...(
    [
      ['an escape that upstream would write the same way is', 'my%20books%3A1', true],
      ['an escape of a plain character is', 'b%6Foks', true],
      ['an escape in lower case is', 'my%3abooks', true],
      ['a mark that upstream is not sent escaped is', 'books%21', true],
      ['a raw character that is sent escaped is not', 'my:books', false],
      ['a second slash is not', '/books', false],
      ['a fragment is not', 'books#a', false],
      ['two escapes over each other are', '%2561', true],
      ['a malformed escape is not', 'my%zz', false],
      ['an escaped slash is not', '..%2Fbooks', false],
      ['an escaped dot segment is not', '%2E%2E', false],
      ['an escaped NUL is not', 'my%00', false],
    ] as const
  ).map(([sentence, name, taken]): (typeof CASES)[number] => {
    const target = `/collections/${name}/points/query`;
    return [sentence, { ...HEAD, target }, resolve('POST', target), taken];
  }),
  ['a refusal of the path is not', HEAD, { ...QUERY, refusal: undefined as never }, false],
  ['an open route is not', { ...HEAD, target: '/healthz' }, resolve('GET', '/healthz'), false],
  ['a route that is not in the table is not', { ...HEAD, target: '/nowhere' }, resolve('GET', '/nowhere'), false],
  ['a row with a column that the relay was not taught is not', HEAD, withColumn('tenant'), false],
  ['a resolution with a field that the relay was not taught is not', HEAD, { ...QUERY, ...{ rewrite: true } }, false],
];

for (const [sentence, head, resolution, taken] of CASES) {
  t.test(sentence, async (t) => t.equal(takesRequest(head, resolution), taken));
}

t.test('checks that the relay runs, and one that it does not know', async (t) => {
  t.equal(takesChecks({ names: true }), true);
  t.equal(takesChecks({ depth: true }), true);
  t.equal(takesChecks({ location: true }), false);
  const taught: BodyNeeds = { names: true };
  t.equal(takesChecks({ ...taught, tenant: true }), true);
  t.equal(takesChecks({ ...taught, ...{ other: true } }), false);
});

t.test('the rows that most requests are of are taken', async (t) => {
  const taken = REST_OPERATIONS.filter((operation) => {
    const target = operation.path.replaceAll(/\{[^}]*\}/g, 'x');
    const resolution = resolve(operation.method, target);
    return resolution.operation.name === operation.name && takesRequest({ coded: false, target }, resolution);
  });
  const names = new Set(taken.map(({ name }) => name));
  for (const name of ['points.query', 'points.upsert', 'points.scroll', 'collections.get', 'collections.list']) {
    t.ok(names.has(name), name);
  }
});
