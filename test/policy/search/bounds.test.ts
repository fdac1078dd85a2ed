import t from 'tap';
import { GRPC_OPERATIONS, UNLISTED_GRPC } from '../../../src/operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../../src/operations/rest.ts';
import { type BoundSettings, boundRefusal, boundsFor } from '../../../src/policy/search/bounds.ts';
import { FactTally, newPart } from '../../../src/policy/search/facts.ts';
import { policyOf } from '../../../src/policy/settings.ts';

/* Which bounds hold for a request, and what they refuse, as data. */

const ROWS = [...REST_OPERATIONS, UNLISTED_REST, ...GRPC_OPERATIONS, UNLISTED_GRPC];

interface Asked {
  readonly operation?: string;
  readonly keyId?: string;
  readonly subject?: string;
  readonly collection?: string | undefined;
}

function hold(scope: BoundSettings, { operation = 'points.query', keyId = 'web', subject, ...asked }: Asked): boolean {
  const row = ROWS.find(({ name }) => name === operation);
  if (!row) throw new TypeError(`no row ${operation}`);
  const guards = [{ id: 'a', mode: 'enforce' as const, bounds: { max_query_limit: 1, ...scope } }];
  const { bounds = [] } = policyOf('enforce', [], guards);
  const collection = 'collection' in asked ? asked.collection : 'docs';
  return boundsFor(bounds, { keyId, subject }, row, collection).length > 0;
}

const CASES: readonly [name: string, scope: BoundSettings, asked: Asked, holds: boolean][] = [
  ['bounds for all', {}, {}, true],
  ['its key', { keys: ['web'] }, {}, true],
  ['another key', { keys: ['batch'] }, {}, false],
  ['its subject', { subjects: ['a'] }, { subject: 'a' }, true],
  ['another subject', { subjects: ['a'] }, { subject: 'b' }, false],
  ['no subject', { subjects: [''] }, {}, true],
  ['its key with another subject', { keys: ['web'], subjects: ['a'] }, { subject: 'b' }, false],
  ['a named collection', { collections: ['docs'] }, {}, true],
  ['a longer name', { collections: ['docs'] }, { collection: 'docs2' }, false],
  ['a name with the prefix', { collections: ['team-*'] }, { collection: 'team-a' }, true],
  ['a name without it', { collections: ['team-*'] }, { collection: 'tea' }, false],
  ['a collection that is not known yet', { collections: ['docs'] }, { collection: undefined }, true],
  ['a call', {}, { operation: 'qdrant.Points/Upsert' }, true],
  ['what has no numbers', {}, { operation: 'collections.get' }, false],
  ['one point by its path', {}, { operation: 'points.get_one' }, false],
  ['an unknown route', { collections: ['docs'] }, { operation: 'unlisted', collection: undefined }, true],
  ['a form of an old release', { collections: ['docs'] }, { operation: 'legacy.points.change' }, true],
  ['of another collection', { collections: ['x'] }, { operation: 'legacy.points.change' }, false],
];

for (const [name, scope, asked, holds] of CASES) {
  t.test(`${name}: the bounds ${holds ? 'hold' : 'do not hold'}`, async (test) => {
    test.equal(hold(scope, asked), holds);
  });
}

t.test('the first guard by its id is told, and its text is that of a strict mode', async (test) => {
  const tally = new FactTally();
  tally.add({ ...newPart('search'), limit: 500 });
  const guard = (id: string, most: number) => ({ id, mode: 'enforce' as const, bounds: { max_query_limit: most } });
  const told = (...guards: ReturnType<typeof guard>[]) =>
    boundRefusal(policyOf('enforce', [], guards).bounds ?? [], 'enforce', tally.facts);
  for (const order of [[guard('b', 20), guard('a', 10)] as const, [guard('a', 10), guard('b', 20)] as const]) {
    test.match(told(...order), {
      rule: 'a',
      denial: {
        ...{ code: 'bound_exceeded', why: 'access', status: 400, grpc: 3 },
        message: 'Bad request: Limit exceeded 500 > 10 for "limit". Help: Reduce the "limit" parameter to or below 10.',
      },
    });
  }
  test.equal(told(guard('a', 500)), undefined);
});
