import fc from 'fast-check';
import t from 'tap';
import { GRPC_OPERATIONS, UNLISTED_GRPC } from '../../src/operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../src/operations/rest.ts';
import { GLOBAL_MANAGE } from '../../src/policy/access.ts';
import { decide, settle } from '../../src/policy/decide.ts';
import { accessOf, type Caller, Learner, mergeLearned, ruleFrom, type Seen } from '../../src/policy/learn.ts';
import { NO_TARGET, type Operation } from '../../src/policy/operation.ts';
import { applyRules, decideWithin } from '../../src/policy/rules.ts';
import { type AccessSettings, policyOf, type RuleSettings } from '../../src/policy/settings.ts';
import { runs } from '../support/generators/runs.ts';

const KEY: Caller = { kind: 'principal', keyId: 'api_key', subject: '' };
const OPERATIONS: readonly Operation[] = [...REST_OPERATIONS, UNLISTED_REST, ...GRPC_OPERATIONS, UNLISTED_GRPC].filter(
  ({ requires }) => requires.scope !== 'public',
);

function seen(name: string, target?: string, others: readonly string[] = [], caller = KEY, at = 0): Seen {
  const operation = OPERATIONS.find((one) => one.name === name);
  if (!operation) throw new TypeError(`no operation ${name}`);
  return { caller, operation, target, others, at };
}

function learn(all: readonly Seen[]): Learner {
  const learner = new Learner();
  for (const one of all) learner.see(one);
  return learner;
}

const ACCESS: readonly [name: string, all: readonly Seen[], access: AccessSettings][] = [
  ['nothing of a collection', [seen('collections.list')], []],
  ['reading points', [seen('points.scroll', 'docs')], [{ collection: 'docs', access: 'r' }]],
  ['reading more', [seen('snapshots.list', 'docs')], [{ collection: 'docs', access: 'r' }]],
  ['writing points', [seen('points.upsert', 'docs')], [{ collection: 'docs', access: 'prw' }]],
  ['writing more', [seen('snapshots.create', 'docs')], [{ collection: 'docs', access: 'rw' }]],
  [
    'writing points and reading more',
    [seen('points.upsert', 'docs'), seen('snapshots.list', 'docs')],
    [{ collection: 'docs', access: 'rw' }],
  ],
  [
    'naming another in a body',
    [seen('points.query', 'docs', ['notes'])],
    [
      { collection: 'docs', access: 'r' },
      { collection: 'notes', access: 'r' },
    ],
  ],
  ['managing a collection', [seen('shard_keys.create', 'docs')], 'm'],
  ['reading globally', [seen('snapshots.full.list'), seen('points.scroll', 'docs')], 'r'],
  ['reading globally and writing', [seen('snapshots.full.list'), seen('points.upsert', 'docs')], 'm'],
  ['managing globally', [seen('collections.create')], 'm'],
  ['an unlisted operation', [seen('unlisted')], 'm'],
  ['a name that was not found out', [seen('qdrant.Points/Upsert')], 'm'],
];

t.test('the access is the smallest that covers what was seen', async (test) => {
  for (const [name, all, access] of ACCESS) {
    const [caller] = learn(all).snapshot().callers;
    test.same(caller && accessOf(caller), access, name);
  }
});

t.test('each caller gets a rule of its own, and who has no key gets none', async (test) => {
  const alice: Caller = { kind: 'principal', keyId: 'api_key', subject: 'alice' };
  const all = [
    seen('points.scroll', 'docs', [], KEY, 5),
    seen('points.scroll', 'docs', [], KEY, 9),
    seen('collections.list', undefined, [], alice, 7),
    seen('points.upsert', 'docs', [], { kind: 'stranger', code: 'missing_credential' }, 8),
    seen('points.upsert', 'docs', [], { kind: 'stranger', code: 'token_expired' }, 8),
  ];
  const { callers } = learn(all).snapshot();
  test.match(callers, [{ count: 2, first: 5, last: 9 }, { count: 1 }, { count: 1 }, { count: 1 }]);
  test.same(
    callers.map((caller, at) => ruleFrom(caller, `r${at}`)),
    [
      {
        id: 'r0',
        mode: 'enforce',
        keys: ['api_key'],
        subjects: [''],
        access: [{ collection: 'docs', access: 'r' }],
        operations: ['points.scroll'],
      },
      {
        id: 'r1',
        mode: 'enforce',
        keys: ['api_key'],
        subjects: ['alice'],
        access: [],
        operations: ['collections.list'],
      },
      undefined,
      undefined,
    ],
  );
});

t.test('it is bounded: what is beyond is counted, and covered', async (test) => {
  const learner = new Learner();
  for (let at = 0; at < 700; at += 1) learner.see(seen('points.scroll', `c${at}`));
  for (let at = 0; at < 700; at += 1) {
    learner.see(seen('collections.list', undefined, [], { kind: 'principal', keyId: 'web', subject: `s${at}` }));
  }
  const { callers, missed } = learner.snapshot();
  test.match([callers.length, callers[0]?.collections.length, callers[0]?.overflow, missed], [500, 500, true, 201]);
  test.equal(callers[0] && accessOf(callers[0]), 'r');
});

const seenArbitrary: fc.Arbitrary<Seen> = fc.record({
  caller: fc.constantFrom<Caller>(
    KEY,
    { kind: 'principal', keyId: 'web', subject: 'alice' },
    { kind: 'principal', keyId: 'web', subject: '' },
  ),
  operation: fc.constantFrom(...OPERATIONS),
  target: fc.constantFrom('docs', 'notes', 'logs', '__proto__'),
  others: fc.subarray(['docs', 'notes', 'logs'], { maxLength: 2 }),
  at: fc.nat(),
});

/** Is it permitted to a caller who may do anything, under these rules? */
function isPermitted(rules: readonly RuleSettings[], { caller, operation, target, others }: Seen): boolean {
  if (caller.kind !== 'principal') throw new TypeError('no principal');
  const subject = caller.subject === '' ? undefined : caller.subject;
  const left = applyRules(policyOf('enforce', rules).rules, { access: GLOBAL_MANAGE, keyId: caller.keyId, subject });
  const aim =
    operation.requires.scope === 'collection' && target !== undefined
      ? ({ kind: 'collection', name: target } as const)
      : NO_TARGET;
  const decision = left.bounds
    ? decideWithin(left.access, left.bounds, operation, aim)
    : decide(left.access, operation, aim);
  const settled = decision.kind === 'conditional' ? settle(decision, { others }) : decision;
  return settled.kind === 'permit';
}

t.test('what is learned covers everything that was seen, in one process or in several', async (test) => {
  let refused = 0;
  const property = fc.property(
    fc.array(seenArbitrary, { minLength: 1, maxLength: 12 }),
    seenArbitrary,
    (all, other) => {
      const whole = learn(all).snapshot();
      const half = Math.floor(all.length / 2);
      const merged = mergeLearned([learn(all.slice(0, half)).snapshot(), learn(all.slice(half)).snapshot()]);
      for (const learned of [whole, merged]) {
        const rules = learned.callers.flatMap((caller, at) => ruleFrom(caller, `r${at}`) ?? []);
        if (!all.every((one) => isPermitted(rules, one))) return false;
        if (!isPermitted(rules, other)) refused += 1;
      }
      return true;
    },
  );
  test.doesNotThrow(() => fc.assert(property, { numRuns: runs(1000) }));
  test.ok(refused > runs(100), `and refuses other things: ${refused} times`);
});
