import fc from 'fast-check';
import t from 'tap';
import { loadState } from '../../src/config/state.ts';
import { renderLearned } from '../../src/learning/render.ts';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { OPERATION_NAMES } from '../../src/operations/names.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { type Caller, type Learned, Learner, NOTHING_LEARNED, ruleFrom, type Seen } from '../../src/policy/learn.ts';
import type { RuleSettings } from '../../src/policy/settings.ts';

const OPERATIONS = [...REST_OPERATIONS, ...GRPC_OPERATIONS].filter(({ requires }) => requires.scope !== 'public');

/** The rules of a text, as a gateway that is given it as its policy reads them. */
function rulesOf(text: string): readonly RuleSettings[] {
  const env = {
    QDRANT__SERVICE__API_KEY: 'k'.repeat(32),
    QDRANT__SERVICE__GRPC_PORT: '',
    QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://q:1',
    QDRANT_GATEWAY__POLICY_FILE: 'learned.yaml',
  };
  const readFile = () => Buffer.from(text);
  return loadState({ env, argv: {}, cwd: '/etc', readFile, operations: OPERATION_NAMES }).policy.rules;
}

function learn(all: readonly Partial<Seen>[]): Learned {
  const learner = new Learner();
  for (const one of all) {
    const operation = OPERATIONS.find(({ name }) => name === 'points.scroll');
    if (!operation) throw new TypeError('no such operation');
    learner.see({
      caller: { kind: 'stranger', code: 'missing_credential' },
      operation,
      target: 'docs',
      others: [],
      at: 0,
      ...one,
    });
  }
  return learner.snapshot();
}

const key: Caller = { kind: 'principal', keyId: 'api_key', subject: '' };
const alice: Caller = { kind: 'principal', keyId: 'api_key', subject: 'alice' };

t.test('what was learned, as a person reads it', async (test) => {
  const list = OPERATIONS.find(({ name }) => name === 'collections.list');
  const text = renderLearned(
    learn([
      { caller: key },
      { caller: key, at: 1000 },
      { caller: alice, ...(list && { operation: list }) },
      { caller: { kind: 'stranger', code: 'missing_credential' } },
      { caller: { kind: 'stranger', code: 'token_expired' } },
    ]),
  );
  test.equal(
    text,
    `# A policy that qdrant-gateway learned: what callers were seen to do, and nothing else. Read it before you use it.
# A rule only takes away. Callers that are not named here are under no rule: what their key or token carries holds.
# Operations that list collections show the ones named here.

rules:
  # api_key, without a subject: 2 requests, 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:01.000Z
  - id: "learned-1"
    keys: [ "api_key" ]
    subjects: [ "" ]
    access:
      - { collection: "docs", access: "r" } # 2 requests
    operations:
      - "points.scroll" # 2 requests
  # api_key, subject "alice": 1 request, 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:00.000Z
  - id: "learned-2"
    keys: [ "api_key" ]
    subjects: [ "alice" ]
    access: []
    operations:
      - "collections.list" # 1 request

# Callers without a credential (missing_credential): 1 request, 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:00.000Z. They are refused once the policy is enforced. They would need a token with
#   access: [{"collection":"docs","access":"r"}]
#   for points.scroll (1)
# Callers whose credential is not accepted (token_expired): 1 request, 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:00.000Z. They are refused once the policy is enforced. They would need a token with
#   access: [{"collection":"docs","access":"r"}]
#   for points.scroll (1)
`,
  );
  test.same(rulesOf(renderLearned(NOTHING_LEARNED)), [], 'nothing yet');
  test.match(renderLearned({ callers: [], missed: 7 }), /\n# 7 requests of further callers are not covered/);
});

const text = (rules: readonly RuleSettings[]): string =>
  JSON.stringify(
    rules.map(({ id, mode, keys, subjects, access, operations }) => [id, mode, keys, subjects, access, operations]),
  );

t.test('whatever the names, it loads as a policy with exactly these rules', async (test) => {
  const name = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom('no', '~', '# a', "'", '"\n- b: c', '\u2028', '\u0085x'),
  );
  const caller: fc.Arbitrary<Caller> = fc.oneof(
    fc.constantFrom<Caller>(
      { kind: 'stranger', code: 'missing_credential' },
      { kind: 'stranger', code: 'token_expired' },
    ),
    fc.record({ kind: fc.constant('principal' as const), keyId: fc.constantFrom('api_key', 'none'), subject: name }),
  );
  const seen = fc.record({
    caller,
    operation: fc.constantFrom(...OPERATIONS),
    target: name,
    others: fc.constant([]),
    at: fc.nat(),
  });
  const property = fc.property(fc.array(seen, { maxLength: 8 }), (all) => {
    const learned = learn(all);
    const rules = learned.callers.flatMap((one, at) => ruleFrom(one, `learned-${at + 1}`) ?? []);
    return text(rulesOf(renderLearned(learned))) === text(rules);
  });
  test.doesNotThrow(() => fc.assert(property, { numRuns: 300 }));
});
