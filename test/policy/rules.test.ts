import fc from 'fast-check';
import t, { type Test } from 'tap';
import { GRPC_OPERATIONS, INTERNAL_GRPC, UNLISTED_GRPC } from '../../src/operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../src/operations/rest.ts';
import { type Access, type CollectionMode, GLOBAL_MANAGE, GLOBAL_READ } from '../../src/policy/access.ts';
import { type Decision, decide, type References, settle } from '../../src/policy/decide.ts';
import { narrow } from '../../src/policy/narrow.ts';
import { IN_MESSAGE, NO_TARGET, type Operation, type Target } from '../../src/policy/operation.ts';
import { applyRules, decideWithin, firstRefusal, type Rule } from '../../src/policy/rules.ts';
import { policyOf, type RuleSettings } from '../../src/policy/settings.ts';
import { runs } from '../support/generators/runs.ts';

function list(modes: Readonly<Record<string, CollectionMode>>): Access {
  return { kind: 'list', modes: new Map(Object.entries(modes)) };
}

function ruleOf(settings: Partial<RuleSettings>): Rule {
  const [rule] = policyOf('enforce', [{ id: 'rule', mode: 'enforce', ...settings }]).rules;
  if (!rule) throw new TypeError('no rule');
  return rule;
}

/** Each operation with its target; the name in a gRPC message is told by the references. */
interface Asked {
  readonly operation: Operation;
  readonly target: Target;
}

const REST: readonly Asked[] = [...REST_OPERATIONS, UNLISTED_REST].map((operation) => ({
  operation,
  target: operation.requires.scope === 'collection' ? { kind: 'collection', name: 'docs' } : NO_TARGET,
}));
const GRPC: readonly Asked[] = [...GRPC_OPERATIONS, UNLISTED_GRPC, INTERNAL_GRPC].map((operation) => ({
  operation,
  target: operation.requires.scope === 'collection' ? IN_MESSAGE : NO_TARGET,
}));
const ALL = [...REST, ...GRPC].filter(({ operation }) => operation.requires.scope !== 'public');

/** `denied`, or the collections the answer may show (`all` = unfiltered). */
function verdict(decision: Decision, found: References): string {
  const settled = decision.kind === 'conditional' ? (decision.sure ?? settle(decision, found)) : decision;
  if (settled.kind === 'denial') return 'denied';
  return settled.visible?.kind === 'list' ? `shows ${[...settled.visible.modes.keys()].sort()}` : 'all';
}

/** What one who holds `access` under `rules` gets. */
function under(access: Access, rules: readonly Rule[], { operation, target }: Asked, found: References): string {
  const left = applyRules(rules, { access, keyId: 'api_key', subject: undefined });
  const decision = left.bounds
    ? decideWithin(left.access, left.bounds, operation, target)
    : decide(left.access, operation, target);
  return verdict(decision, found);
}

const ROWS: readonly [name: string, rule: Partial<RuleSettings>, operation: string, access: Access, told: string][] = [
  ['a rule that reads lets the admin key read', { access: 'r' }, 'points.scroll', GLOBAL_MANAGE, 'all'],
  ['and not write', { access: 'r' }, 'points.upsert', GLOBAL_MANAGE, 'denied'],
  ['nor manage', { access: 'r' }, 'collections.create', GLOBAL_MANAGE, 'denied'],
  ['a rule that manages gives a reader nothing', { access: 'm' }, 'points.upsert', GLOBAL_READ, 'denied'],
  ['and takes nothing from it', { access: 'm' }, 'points.scroll', GLOBAL_READ, 'all'],
  [
    'a list opens what it names',
    { access: [{ collection: 'docs', access: 'rw' }] },
    'points.upsert',
    GLOBAL_MANAGE,
    'all',
  ],
  ['and nothing else', { access: [{ collection: 'notes', access: 'rw' }] }, 'points.upsert', GLOBAL_MANAGE, 'denied'],
  [
    'it has lists filtered',
    { access: [{ collection: 'docs', access: 'r' }] },
    'collections.list',
    GLOBAL_MANAGE,
    'shows docs',
  ],
  [
    'and global operations refused',
    { access: [{ collection: 'docs', access: 'rw' }] },
    'snapshots.full.list',
    GLOBAL_READ,
    'denied',
  ],
  [
    'what names a collection twice narrows it twice',
    { access: [{ collection: 'docs', access: 'r' }] },
    'points.upsert',
    list({ docs: 'prw' }),
    'denied',
  ],
  ['r of prw reads points', { access: 'r' }, 'points.scroll', list({ docs: 'prw' }), 'all'],
  ['and no more of the collection than prw does', { access: 'r' }, 'snapshots.list', list({ docs: 'prw' }), 'denied'],
  ['though r alone would', { access: 'r' }, 'snapshots.list', list({ docs: 'rw' }), 'all'],
  ['an empty list opens nothing', { access: [] }, 'points.scroll', GLOBAL_MANAGE, 'denied'],
  ['operations by the name of the row', { operations: ['points.upsert'] }, 'points.upsert', GLOBAL_MANAGE, 'all'],
  ['by the name the audit log has', { operations: ['upsert_points'] }, 'points.upsert', GLOBAL_MANAGE, 'all'],
  ['which means both protocols', { operations: ['upsert_points'] }, 'qdrant.Points/Upsert', GLOBAL_MANAGE, 'all'],
  ['the name of a row means one', { operations: ['points.upsert'] }, 'qdrant.Points/Upsert', GLOBAL_MANAGE, 'denied'],
  ['no other operation', { operations: ['points.upsert'] }, 'points.scroll', GLOBAL_MANAGE, 'denied'],
  ['none at all', { operations: [] }, 'collections.list', GLOBAL_MANAGE, 'denied'],
  ['operations give no access', { operations: ['points.upsert'] }, 'points.upsert', GLOBAL_READ, 'denied'],
  ['a denied operation is refused', { deny_operations: ['delete_points'] }, 'points.delete', GLOBAL_MANAGE, 'denied'],
  ['so is a batch that can hold it', { deny_operations: ['delete_points'] }, 'points.batch', GLOBAL_MANAGE, 'denied'],
  ['over gRPC, too', { deny_operations: ['delete_points'] }, 'qdrant.Points/UpdateBatch', GLOBAL_MANAGE, 'denied'],
  ['by the name of its row', { deny_operations: ['points.delete'] }, 'points.batch', GLOBAL_MANAGE, 'denied'],
  ['of that protocol', { deny_operations: ['points.delete'] }, 'qdrant.Points/UpdateBatch', GLOBAL_MANAGE, 'all'],
  ['by a group', { deny_operations: ['ingest'] }, 'points.batch', GLOBAL_MANAGE, 'denied'],
  ['and the former route', { deny_operations: ['delete_points'] }, 'legacy.points.change', GLOBAL_MANAGE, 'denied'],
  [
    'also of collections',
    { deny_operations: ['delete_collection'] },
    'legacy.collections.change',
    GLOBAL_MANAGE,
    'denied',
  ],
  ['a batch that cannot hold it passes', { deny_operations: ['scroll'] }, 'points.batch', GLOBAL_MANAGE, 'all'],
  [
    'a rule in shadow refuses nothing',
    { mode: 'shadow', access: [], operations: [] },
    'points.upsert',
    GLOBAL_MANAGE,
    'all',
  ],
];

t.test('a rule takes away what it says, and gives nothing', async (test) => {
  for (const [name, settings, operation, access, told] of ROWS) {
    const asked = ALL.find((one) => one.operation.name === operation);
    if (!asked) throw new TypeError(`no operation ${operation}`);
    const found = { target: 'docs', others: [] };
    test.equal(under(access, [ruleOf(settings)], asked, found), told, `${name}: ${operation}`);
  }
});

t.test('what a batch can hold are names of operations', async (test) => {
  const names = new Set(ALL.flatMap(({ operation: { name, audit } }) => [name, audit]));
  const batches = ALL.filter(({ operation }) => operation.holds);
  test.equal(batches.length, 5);
  for (const { operation } of batches) {
    for (const held of operation.holds ?? []) test.ok(names.has(held), `${operation.name}: ${held}`);
  }
});

t.test('whom a rule is for', async (test) => {
  const callers = {
    key: { access: GLOBAL_MANAGE, keyId: 'api_key', subject: undefined },
    alice: { access: GLOBAL_MANAGE, keyId: 'api_key', subject: 'alice' },
    bob: { access: GLOBAL_MANAGE, keyId: 'web', subject: 'bob' },
    nobody: { access: GLOBAL_MANAGE, keyId: 'web', subject: '' },
  };
  const cases: readonly [name: string, rule: Partial<RuleSettings>, meant: readonly string[]][] = [
    ['all', {}, ['key', 'alice', 'bob', 'nobody']],
    ['a key and its tokens', { keys: ['api_key'] }, ['key', 'alice']],
    ['two keys', { keys: ['api_key', 'web'] }, ['key', 'alice', 'bob', 'nobody']],
    ['a subject', { subjects: ['alice'] }, ['alice']],
    ['callers without a subject', { subjects: [''] }, ['key', 'nobody']],
    ['both must match', { keys: ['web'], subjects: ['alice', ''] }, ['nobody']],
    ['another case is another subject', { subjects: ['Alice'] }, []],
  ];
  for (const [name, settings, meant] of cases) {
    const rule = ruleOf({ ...settings, access: 'r' });
    const found = Object.entries(callers).filter(([, caller]) => applyRules([rule], caller).bounds);
    test.same(
      found.map(([who]) => who),
      meant,
      name,
    );
  }
});

t.test('a rule in shadow is asked for its refusal, names in the body included', async (test) => {
  const query = ALL.find(({ operation }) => operation.name === 'qdrant.Points/Query');
  if (!query) throw new TypeError('no query');
  const target: Target = { kind: 'collection', name: 'docs' };
  const docs = ruleOf({ id: 'docs', mode: 'shadow', access: [{ collection: 'docs', access: 'r' }] });
  const none = ruleOf({ id: 'none', mode: 'shadow', operations: [] });
  const refusal = (rules: readonly Rule[], others: readonly string[]) => {
    const shadowed = firstRefusal(rules, query.operation, target, { target: 'docs', others });
    return shadowed && [shadowed.rule, shadowed.denial.message];
  };
  test.equal(refusal([docs], []), undefined);
  test.same(refusal([docs], ['notes']), ['docs', 'Forbidden: Access to collection notes is required']);
  test.same(refusal([docs, none], []), ['none', 'Forbidden: Operation qdrant.Points/Query is not allowed']);
});

const NAMES = ['docs', 'notes', 'logs'];
const MODES: readonly CollectionMode[] = ['r', 'rw', 'prw', 'pr'];
const access = fc.oneof(
  fc.constantFrom<Access>(GLOBAL_MANAGE, GLOBAL_READ),
  fc.dictionary(fc.constantFrom(...NAMES), fc.constantFrom(...MODES), { noNullPrototype: true }).map(list),
);
const asked = fc.constantFrom(...ALL);
const found = fc.record({
  target: fc.constantFrom(...NAMES),
  others: fc.array(fc.constantFrom(...NAMES), { maxLength: 2 }),
});
const operations = fc.subarray([...new Set(ALL.map(({ operation }) => operation.name))], { minLength: 60 });
const rule: fc.Arbitrary<Rule> = fc.record({
  id: fc.constant('rule'),
  mode: fc.constantFrom('enforce', 'shadow'),
  keys: fc.constantFrom(undefined, new Set(['api_key']), new Set(['web'])),
  subjects: fc.constantFrom(undefined, new Set(['']), new Set(['alice'])),
  access: fc.option(access, { nil: undefined }),
  operations: fc.option(
    operations.map((names) => new Set(names)),
    { nil: undefined },
  ),
});

/** Is `left` no more than `right`? */
function isWithin(left: string, right: string): boolean {
  if (left === 'denied' || right === 'all') return true;
  if (left === 'all' || right === 'denied') return false;
  const shown = new Set(right.slice('shows '.length).split(','));
  return left
    .slice('shows '.length)
    .split(',')
    .every((name) => name === '' || shown.has(name));
}

/** A property holds for every run. */
function holds<T>(test: Test, property: fc.IProperty<T>, { numRuns }: { readonly numRuns: number }): void {
  test.doesNotThrow(() => fc.assert(property, { numRuns }));
}

t.test('under any rules no caller gets more than without them', async (test) => {
  let denied = 0;
  holds(
    test,
    fc.property(access, fc.array(rule, { maxLength: 4 }), asked, found, (own, rules, one, names) => {
      const [plain, bound] = [under(own, [], one, names), under(own, rules, one, names)];
      if (plain !== 'denied' && bound === 'denied') denied += 1;
      return isWithin(bound, plain);
    }),
    { numRuns: runs(5000) },
  );
  test.ok(denied > runs(100), `rules do refuse: ${denied} times`);
});

t.test('one rule more never gives more', async (test) => {
  holds(
    test,
    fc.property(access, fc.array(rule, { maxLength: 3 }), rule, asked, found, (own, rules, more, one, names) =>
      isWithin(under(own, [...rules, more], one, names), under(own, rules, one, names)),
    ),
    { numRuns: runs(5000) },
  );
});

t.test('a refusal is the same whether a path names the target or a message does', async (test) => {
  const inMessage = asked.filter(({ target }) => target.kind === 'in-message');
  let refused = 0;
  holds(
    test,
    fc.property(fc.array(rule, { maxLength: 3 }), inMessage, found, (rules, { operation, target }, names) => {
      // No body of the others can name a second one.
      const read = operation.inspect ? names : { ...names, others: [] };
      const byPath = firstRefusal(rules, operation, { kind: 'collection', name: names.target }, read);
      const byMessage = firstRefusal(rules, operation, target, read);
      if (byMessage) refused += 1;
      return byMessage?.rule === byPath?.rule && byMessage?.denial.message === byPath?.denial.message;
    }),
    { numRuns: runs(2000) },
  );
  test.ok(refused > runs(100), `rules do refuse: ${refused} times`);
});

t.test('rules in shadow change nothing', async (test) => {
  holds(
    test,
    fc.property(access, fc.array(rule, { maxLength: 4 }), asked, found, (own, rules, one, names) => {
      const shadows = rules.map((one) => ({ ...one, mode: 'shadow' as const }));
      return under(own, shadows, one, names) === under(own, [], one, names);
    }),
    { numRuns: runs(5000) },
  );
});

const text = (one: Access): string =>
  JSON.stringify(one.kind === 'list' ? [...one.modes].sort() : one.kind === 'global' && one.mode);

t.test('narrowing is the stricter of both decisions, whatever the order', async (test) => {
  const got = (own: Access, { operation, target }: Asked, names: References) =>
    verdict(decide(own, operation, target), names);
  holds(
    test,
    fc.property(access, access, access, asked, found, (left, right, third, one, names) => {
      const both = narrow(left, right);
      if (text(both) !== text(narrow(right, left)) || text(narrow(left, left)) !== text(left)) return false;
      if (text(narrow(both, third)) !== text(narrow(left, narrow(right, third)))) return false;
      const [a, b, ab] = [got(left, one, names), got(right, one, names), got(both, one, names)];
      if (a === 'denied' || b === 'denied') return ab === 'denied';
      return isWithin(ab, a) && isWithin(ab, b) && ab !== 'denied';
    }),
    { numRuns: runs(2000) },
  );
});
