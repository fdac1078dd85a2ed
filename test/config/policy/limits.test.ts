import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ConfigError } from '../../../src/config/problem.ts';
import { loadState } from '../../../src/config/state.ts';
import { OPERATION_NAMES } from '../../../src/operations/names.ts';

/* The section `limits` of a policy file: what is read, and what is an error at which place. */

const ENV = {
  QDRANT__SERVICE__API_KEY: 'a'.repeat(32),
  QDRANT__SERVICE__GRPC_PORT: '',
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://q:1',
  QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml',
};

function load(policy: string) {
  return loadState({
    ...{ env: ENV, argv: {}, cwd: '/etc', readFile: () => Buffer.from(policy), operations: OPERATION_NAMES },
  });
}

function problemsOf(policy: string): readonly string[] {
  try {
    load(policy);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place}: ${message}`);
  }
}

t.test('every example of the guide is a policy that loads', async (test) => {
  const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/limits.md'), 'utf8');
  const examples = [...guide.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = '']) => text);
  test.ok(examples.length >= 2);
  for (const example of examples) test.same(problemsOf(example.replace(/^ *keys: .*\n/gm, '')), [], example);
});

t.test('limits are read as plain data, with their defaults', async (test) => {
  const { policy } = load(
    [
      'limits:',
      '  - { id: a, requests: { per: second, most: 5 } }',
      '  - { id: b, mode: shadow, each: network, keys: [api_key], subjects: [""], concurrent: 2 }',
      '  - { id: c, collections: [docs, team-*], operations: [search, upsert_points], bytes: { per: day, most: 1 } }',
    ].join('\n'),
  );
  test.same(policy.limits, [
    { id: 'a', mode: 'enforce', each: 'principal', requests: { per: 'second', most: 5 } },
    { id: 'b', mode: 'shadow', each: 'network', keys: ['api_key'], subjects: [''], concurrent: 2 },
    {
      ...{ id: 'c', mode: 'enforce', each: 'principal', collections: ['docs', 'team-*'] },
      ...{ operations: ['search', 'upsert_points'], bytes: { per: 'day', most: 1 } },
    },
  ]);
  test.equal(load('rules: []').policy.limits, undefined);
});

const AMOUNT = 'requests: { per: second, most: 1 }';
const REFUSED: readonly [name: string, limits: string, problems: readonly string[]][] = [
  [
    'one that limits nothing',
    '[{ id: a }]',
    ['1:10: the limit `a` limits nothing: set `requests`, `bytes`, `cost` or `concurrent`'],
  ],
  ['an amount of 0', '[{ id: a, concurrent: 0 }]', ['1:31: `concurrent` must be a whole number from 1, not `0`']],
  [
    'a period that is none',
    '[{ id: a, requests: { per: week, most: 1 } }]',
    ['1:36: `per` must be second, minute, hour or day, not `week`'],
  ],
  [
    'a misspelt member of a quota',
    '[{ id: a, requests: { per: day, mots: 1 } }]',
    ['1:41: unknown field `mots`, allowed here: `per`, `most`', '1:29: `most` must be a whole number from 1'],
  ],
  ['a null that would widen it', `[{ id: a, ${AMOUNT}, keys: }]`, ['`keys` must be a list of key ids']],
  [
    'an unknown key, operation and an inner star',
    `[{ id: a, ${AMOUNT}, keys: [api_kee], operations: [serch], collections: [a*b] }]`,
    [
      'no key has the id `api_kee`, did you mean `api_key`?',
      'unknown operation `serch`',
      '`a*b`: a `*` is allowed at the end only',
    ],
  ],
  [
    'empty lists',
    `[{ id: a, ${AMOUNT}, collections: [] }]`,
    ['`collections` is empty, so the limit applies to nothing: add one or remove the list'],
  ],
  [
    'one for keys that name it, and for others',
    `[{ id: a, ${AMOUNT}, carried: true, keys: [api_key] }]`,
    ['`carried` goes without `keys` and `subjects`: the keys name the limit'],
  ],
  ['an id given twice', `[{ id: a, ${AMOUNT} }, { id: a, ${AMOUNT} }]`, ['the id `a` is given twice']],
  ['the id of the whole policy', `[{ id: policy, ${AMOUNT} }]`, ['`policy` is reserved: choose another id']],
  ['no list', '7', ['1:9: `limits` must be a list']],
];

for (const [name, limits, problems] of REFUSED) {
  t.test(`${name} is an error`, async (test) => {
    const found = problemsOf(`limits: ${limits}`);
    for (const problem of problems) {
      test.ok(
        found.some((one) => one.includes(problem)),
        `${problem} in ${found.join(' | ')}`,
      );
    }
    test.ok(found.length > 0);
  });
}

t.test('a limit and a rule with one id could not be told apart in the audit log', async (test) => {
  test.match(problemsOf(`rules: [{ id: a, access: r }]\nlimits: [{ id: a, ${AMOUNT} }]`), [
    'policy.yaml:2:16: a rule or guard has the id `a`',
  ]);
});
