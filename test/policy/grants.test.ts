import fc from 'fast-check';
import t, { type Test } from 'tap';
import { GRPC_OPERATIONS, UNLISTED_GRPC } from '../../src/operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../src/operations/rest.ts';
import { type Access, GLOBAL_MANAGE, GLOBAL_READ, lists, type ManageRight } from '../../src/policy/access.ts';
import { decide, type References, settle } from '../../src/policy/decide.ts';
import { narrow } from '../../src/policy/narrow.ts';
import { IN_MESSAGE, NO_TARGET, type Operation, type Target } from '../../src/policy/operation.ts';
import { OPERATION_GROUPS } from '../../src/policy/operation-groups.ts';
import { applyRules, decideWithin } from '../../src/policy/rules.ts';
import { type AccessEntry, type AccessSettings, accessOf, policyOf, withPatterns } from '../../src/policy/settings.ts';
import { runs } from '../support/generators/runs.ts';

const ROWS: readonly Operation[] = [...REST_OPERATIONS, UNLISTED_REST, ...GRPC_OPERATIONS, UNLISTED_GRPC];

function row(name: string): Operation {
  const found = ROWS.find((one) => one.name === name);
  if (!found) throw new TypeError(`no operation ${name}`);
  return found;
}

/** `ok`, or the text of the refusal; the target stands in the path, or with `inMessage` in the body. */
function heard(access: Access, operation: Operation, target: string, found: References, inMessage = false): string {
  const bound = operation.requires.scope === 'collection' || operation.manages?.right !== undefined;
  let at: Target = NO_TARGET;
  if (bound && operation.manages?.right !== 'aliases')
    at = inMessage ? IN_MESSAGE : { kind: 'collection', name: target };
  const decision = decide(access, operation, at);
  const settled = decision.kind === 'conditional' ? settle(decision, { target, ...found }) : decision;
  return settled.kind === 'permit' ? 'ok' : settled.message || 'unknown';
}

const NOTHING: References = { others: [] };
const needs = (name: string): string => `Forbidden: Access to collection ${name} is required`;
const operation = (name: string): string => `Forbidden: Operation ${name} is not allowed`;
const GLOBAL = 'Forbidden: Global access is required';

/** One access, and what it answers to operations on collections: allow beside deny. */
const TABLE: readonly (readonly [
  name: string,
  access: AccessSettings,
  rows: readonly (readonly [operation: string, target: string, answer: string, others?: readonly string[]])[],
])[] = [
  [
    'a prefix covers what starts with it, and the prefix itself',
    [{ collection: 'team-a-*', access: 'rw' }],
    [
      ['points.query', 'team-a-1', 'ok'],
      ['points.query', 'team-a-', 'ok'],
      ['points.query', 'team-a', needs('team-a')],
      ['points.query', 'Team-a-1', needs('Team-a-1')],
      ['points.query', 'xteam-a-1', needs('xteam-a-1')],
      ['points.query', 'team-a-..', 'ok'],
      ['points.query', ' team-a-1', needs(' team-a-1')],
      ['points.query', 'team-a-1 ', 'ok'],
      ['points.query', 'team-b-%2A', needs('team-b-%2A')],
      ['points.query', '', needs('')],
      ['points.upsert', 'team-a-1', 'ok'],
      ['shard_keys.create', 'team-a-1', 'Forbidden: Manage access for this operation is required'],
      ['collections.create', 'team-a-1', GLOBAL],
      ['service.metrics', '', GLOBAL],
    ],
  ],
  [
    'a star stands for every collection, and for nothing global',
    [{ collection: '*', access: 'r' }],
    [
      ['points.query', 'anything', 'ok'],
      ['points.query', '', 'ok'],
      ['points.query', '*', 'ok'],
      ['points.upsert', 'anything', 'Forbidden: Write access to collection anything is required'],
      ['snapshots.full.list', '', GLOBAL],
      ['unlisted', '', 'unknown'],
    ],
  ],
  [
    'names are compared byte for byte, without Unicode forms',
    [{ collections: ['caf\u00e9', 'caf\u00e9-*'], access: 'r' }],
    [
      ['points.query', 'caf\u00e9', 'ok'],
      ['points.query', 'cafe\u0301', needs('cafe\u0301')],
      ['points.query', 'caf\u00e9-1', 'ok'],
      ['points.query', 'cafe\u0301-1', needs('cafe\u0301-1')],
    ],
  ],
  [
    'two modes on one collection are not a third',
    [
      { collections: ['docs'], access: 'r' },
      { collections: ['docs'], access: 'prw' },
    ],
    [
      ['points.upsert', 'docs', 'ok'],
      ['snapshots.list', 'docs', 'ok'],
      ['index.create', 'docs', 'Forbidden: Write access to collection docs is required'],
    ],
  ],
  [
    'operations and mode of one entry bound each other',
    [{ collections: ['docs'], access: 'r', operations: ['upsert_points', 'scroll'] }],
    [
      ['points.scroll', 'docs', 'ok'],
      ['points.upsert', 'docs', 'Forbidden: Write access to collection docs is required'],
      ['points.query', 'docs', operation('points.query')],
      ['points.scroll', 'notes', needs('notes')],
    ],
  ],
  [
    'ingest upserts and deletes nothing',
    [{ collections: ['docs'], operations: ['ingest'] }],
    [
      ['points.upsert', 'docs', 'ok'],
      ['qdrant.Points/Upsert', 'docs', 'ok'],
      ['points.set_payload', 'docs', 'ok'],
      ['points.delete', 'docs', operation('points.delete')],
      ['points.delete_vectors', 'docs', operation('points.delete_vectors')],
      ['points.overwrite_payload', 'docs', operation('points.overwrite_payload')],
      ['points.batch', 'docs', operation('points.batch')],
      ['points.scroll', 'docs', operation('points.scroll')],
    ],
  ],
  [
    'search finds, and does not scroll, write or take snapshots',
    [{ collections: ['docs', 'more'], operations: ['search'] }],
    [
      ['points.query', 'docs', 'ok'],
      ['points.query', 'docs', 'ok', ['more']],
      ['points.query', 'docs', needs('notes'), ['more', 'notes']],
      ['qdrant.Points/SearchGroups', 'docs', 'ok'],
      ['points.scroll', 'docs', operation('points.scroll')],
      ['snapshots.download', 'docs', operation('snapshots.download')],
    ],
  ],
  [
    'a collection that may only be written to is not read from elsewhere',
    [
      { collections: ['docs'], access: 'r' },
      { collections: ['inbox'], operations: ['ingest'] },
      { collections: ['empty'], manage: ['delete'] },
    ],
    [
      ['points.query', 'docs', needs('inbox'), ['inbox']],
      ['points.query', 'docs', needs('empty'), ['empty']],
      ['points.query', 'docs', 'ok', ['docs']],
      ['points.query', 'empty', operation('points.query')],
    ],
  ],
  [
    'metrics belong to no collection',
    [{ operations: ['metrics'] }],
    [
      ['service.metrics', '', 'ok'],
      ['cluster.status', '', GLOBAL],
      ['points.query', 'docs', needs('docs')],
    ],
  ],
  [
    'global manage is never given by naming an operation',
    [{ operations: ['snapshots.full.create', 'unlisted', 'collections.create'] }],
    [
      ['snapshots.full.create', '', GLOBAL],
      ['collections.create', 'docs', GLOBAL],
      ['unlisted', '', 'unknown'],
    ],
  ],
  [
    'each right over collections is given apart',
    [
      { collections: ['a-*'], manage: ['create'] },
      { collections: ['b-*'], manage: ['delete', 'update'] },
      { collections: ['a-*', 'b-*'], access: 'r' },
    ],
    [
      ['collections.create', 'a-1', 'ok'],
      ['qdrant.Collections/Create', 'a-1', 'ok'],
      ['collections.create', 'a-1', 'ok', ['b-1']],
      ['collections.create', 'a-1', needs('c'), ['c']],
      ['collections.create', 'b-1', needs('b-1')],
      ['collections.delete', 'b-1', 'ok'],
      ['collections.delete', 'a-1', needs('a-1')],
      ['collections.update', 'b-1', 'ok'],
      ['qdrant.Collections/Update', 'a-1', needs('a-1')],
      ['aliases.update', '', GLOBAL, ['a-1', 'b-1']],
    ],
  ],
  [
    'an alias lies in one entry with its collection',
    [
      { collections: ['a-*'], manage: ['aliases'] },
      { collections: ['b-*'], manage: ['aliases'] },
      { collections: ['*'], access: 'r' },
    ],
    [
      ['aliases.update', '', 'ok', ['a-1', 'a-live']],
      ['aliases.update', '', 'ok', []],
      ['aliases.update', '', needs('b-live'), ['a-1', 'b-live']],
      ['qdrant.Collections/UpdateAliases', '', needs('c'), ['a-1', 'a-2', 'c']],
      ['aliases.update', '', needs('c'), ['c', 'a-1']],
    ],
  ],
];

t.test('what grants permit', async (test) => {
  for (const [name, access, rows] of TABLE) {
    for (const [asked, target, answer, others = []] of rows) {
      const found = { others };
      test.equal(heard(accessOf(access), row(asked), target, found), answer, `${name}: ${asked} ${target} ${others}`);
      const reversed = typeof access === 'string' ? access : access.toReversed();
      test.equal(heard(accessOf(reversed), row(asked), target, found), answer, `${name}: in another order`);
    }
  }
});

t.test('the number of collections', async (test) => {
  const two: AccessSettings = [{ collections: ['a-*'], manage: ['create'], max_collections: 2 }];
  const all: AccessSettings = [...two, { collections: ['a-x-*'], manage: ['create'] }];
  const over = 'Forbidden: No more than 2 collections are allowed';
  const cases: readonly (readonly [string, AccessSettings, string, readonly string[] | undefined, string])[] = [
    ['room for one', two, 'a-3', ['a-1', 'b'], 'ok'],
    ['no room', two, 'a-3', ['a-1', 'a-2', 'b'], over],
    ['one that is there', two, 'a-2', ['a-1', 'a-2'], 'ok'],
    ['others do not count', two, 'a-3', ['b-1', 'b-2', 'b-3'], 'ok'],
    ['an unknown number', two, 'a-3', undefined, 'the number of collections cannot be checked'],
    ['a grant without a limit', all, 'a-x-1', undefined, 'ok'],
    ['which does not cover others', all, 'a-3', ['a-1', 'a-2'], over],
  ];
  for (const [name, access, target, existing, answer] of cases) {
    const found = existing ? { others: [], existing } : NOTHING;
    for (const inMessage of [false, true]) {
      test.equal(heard(accessOf(access), row('collections.create'), target, found, inMessage), answer, name);
    }
  }
});

t.test('a plain list stays a list, and a token has patterns only by the switch', async (test) => {
  test.equal(accessOf([{ collection: 'a', access: 'r' }]).kind, 'list');
  test.equal(accessOf([]).kind, 'list');
  const literal = { kind: 'list', modes: new Map([['a*', 'r'] as const]) } as const;
  test.notOk(lists(literal, 'ab'), 'literal, as natively');
  test.ok(lists(literal, 'a*'));
  test.ok(lists(withPatterns(literal), 'ab'), 'a prefix');
  test.equal(withPatterns({ kind: 'list', modes: new Map([['a', 'rw']]) }).kind, 'list', 'nothing to do');
});

const NAMES = ['', 'a', 'a-1', 'a-2', 'ab', 'b', 'b-1', '*', 'A-1'];
const PATTERNS = ['a-*', 'a*', 'b-*', '*', 'a-1', 'b', 'ab*'];
const OPERATIONS = ['search', 'read', 'ingest', 'snapshot', 'upsert_points', 'scroll', 'points.query'];
const RIGHTS: readonly ManageRight[] = ['create', 'update', 'delete', 'aliases'];
const option = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const entry: fc.Arbitrary<AccessEntry> = fc.oneof(
  fc.record({
    collection: fc.constantFrom(...PATTERNS),
    access: fc.constantFrom('r' as const, 'rw' as const, 'prw' as const),
  }),
  fc.record({
    collections: fc.subarray(PATTERNS, { minLength: 1, maxLength: 3 }),
    access: option(fc.constantFrom('r' as const, 'rw' as const, 'prw' as const)),
    operations: option(fc.subarray(OPERATIONS, { minLength: 1 })),
    manage: option(fc.subarray([...RIGHTS], { minLength: 1 })),
    max_collections: option(fc.integer({ min: 1, max: 3 })),
  }),
  fc.record({ operations: fc.constantFrom(['metrics'], ['cluster.status']) }),
);
const entries = fc.array(entry, { maxLength: 4 });
const access: fc.Arbitrary<Access> = fc.oneof(
  { weight: 4, arbitrary: entries.map(accessOf) },
  { weight: 1, arbitrary: fc.constantFrom<Access>(GLOBAL_MANAGE, GLOBAL_READ) },
  { weight: 1, arbitrary: fc.tuple(entries, entries).map(([left, right]) => narrow(accessOf(left), accessOf(right))) },
);
const asked = fc.record({
  operation: fc.constantFrom(...ROWS.filter(({ requires }) => requires.scope !== 'public')),
  target: fc.constantFrom(...NAMES),
  inMessage: fc.boolean(),
  found: fc.record({
    others: fc.array(fc.constantFrom(...NAMES), { maxLength: 2 }),
    existing: fc.subarray(NAMES),
  }),
});
type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never;

function permits(held: Access, { operation: one, target, inMessage, found }: Asked): boolean {
  return heard(held, one, target, found, inMessage) === 'ok';
}

function holds<T>(test: Test, property: fc.IProperty<T>, numRuns = 20_000): void {
  test.doesNotThrow(() => fc.assert(property, { numRuns: runs(numRuns) }));
}

t.test('narrowing permits exactly what both permit, and shows exactly what both show', async (test) => {
  let both = 0;
  holds(
    test,
    fc.property(access, access, asked, fc.constantFrom(...NAMES), (left, right, one, name) => {
      const narrowed = narrow(left, right);
      const expected = permits(left, one) && permits(right, one);
      if (expected) both += 1;
      const shown = lists(narrowed, name) === (lists(left, name) && lists(right, name));
      return shown && permits(narrowed, one) === expected && permits(narrow(right, left), one) === expected;
    }),
  );
  test.ok(both > runs(500), `something is permitted: ${both} times`);
});

t.test('one grant more never takes away, and the order of grants changes nothing', async (test) => {
  holds(
    test,
    fc.property(entries, entry, asked, (own, more, one) => {
      const before = permits(accessOf(own), one);
      if (before !== permits(accessOf(own.toReversed()), one)) return false;
      return !before || permits(accessOf([...own, more]), one);
    }),
  );
});

t.test('a grant is never more than global manage, and never more than its prefixes', async (test) => {
  holds(
    test,
    fc.property(entries, asked, (own, one) => {
      if (!permits(accessOf(own), one)) return true;
      if (!permits(GLOBAL_MANAGE, one)) return false;
      if (one.operation.requires.scope !== 'collection') return true;
      const all = own.flatMap(({ collection = [], collections = [] }) => [collection, collections].flat());
      return all.some((pattern) =>
        pattern.endsWith('*') ? one.target.startsWith(pattern.slice(0, -1)) : one.target === pattern,
      );
    }),
  );
});

t.test('rules with grants only narrow, in any order', async (test) => {
  const rule = fc.record({
    id: fc.constant('rule'),
    mode: fc.constant('enforce' as const),
    access: option(entries),
    operations: option(fc.subarray(OPERATIONS, { minLength: 1 })),
    deny_operations: option(fc.subarray(OPERATIONS, { minLength: 1 })),
    ready: option(fc.constant('no-snapshots' as const)),
  });
  const under = (
    own: Access,
    rules: ReturnType<typeof policyOf>['rules'],
    { operation: one, target, found }: Asked,
  ) => {
    const left = applyRules(rules, { access: own, keyId: 'k', subject: undefined });
    const bound = one.requires.scope === 'collection' || one.manages !== undefined;
    const at: Target = bound && one.manages?.right !== 'aliases' ? { kind: 'collection', name: target } : NO_TARGET;
    const decision = left.bounds ? decideWithin(left.access, left.bounds, one, at) : decide(left.access, one, at);
    const settled = decision.kind === 'conditional' ? settle(decision, { target, ...found }) : decision;
    return settled.kind === 'permit';
  };
  holds(
    test,
    fc.property(access, fc.array(rule, { maxLength: 3 }), rule, asked, (own, settings, more, one) => {
      const rules = policyOf('enforce', settings).rules;
      const wider = under(own, rules, one);
      if (wider !== under(own, rules.toReversed(), one)) return false;
      return wider || !under(own, [...rules, ...policyOf('enforce', [more]).rules], one);
    }),
  );
});

t.test('ready groups name operations of the tables, and none that deletes but by its name', async (test) => {
  const known = new Set(ROWS.flatMap(({ name, audit }) => (audit === null ? [name] : [name, audit])));
  for (const [group, members] of Object.entries(OPERATION_GROUPS)) {
    test.notOk(known.has(group), `${group} is no operation`);
    test.same(
      members.filter((name) => !known.has(name)),
      [],
      group,
    );
    const deletes = members.filter((name) => /delete|clear|drop|overwrite/.test(name));
    if (group === 'ingest' || group === 'read' || group === 'search')
      test.same(deletes, [], `${group} deletes nothing`);
  }
  const [none] = policyOf('enforce', [{ id: 'x', mode: 'enforce', ready: 'no-snapshots' }]).rules;
  const carrying = ROWS.filter(({ name }) => /snapshot|StorageRead|shard_wal/i.test(name));
  test.ok(carrying.length > 30);
  test.same(
    carrying
      .filter(({ name, audit }) => !none?.denied?.has(name) && !none?.denied?.has(audit ?? ''))
      .map(({ name }) => name),
    [],
    'no-snapshots refuses all that carries collections',
  );
});
