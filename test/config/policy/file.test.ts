import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { NO_POLICY } from '../../../src/config/policy/file.ts';
import { ConfigError } from '../../../src/config/problem.ts';
import { loadState } from '../../../src/config/state.ts';
import { OPERATION_NAMES } from '../../../src/operations/names.ts';
import { NO_TOKEN_RULES } from '../../../src/policy/token-rules.ts';

const ADMIN = 'a'.repeat(32);
const SECRET = 's'.repeat(40);
const ENV = {
  QDRANT__SERVICE__API_KEY: ADMIN,
  QDRANT__SERVICE__READ_ONLY_API_KEY: 'r'.repeat(32),
  QDRANT__SERVICE__JWT_RBAC: 'true',
  QDRANT__SERVICE__GRPC_PORT: '',
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://q:1',
  QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml',
};

/** Files by name, as they would stand in the working folder. */
type Files = Readonly<Record<string, string>>;

function load(files: Files, env: Readonly<Record<string, string>> = ENV) {
  const readFile = (path: string): Buffer => {
    const text = files[path.slice('/etc/'.length)];
    if (text === undefined) throw Object.assign(new Error('gone'), { code: 'ENOENT' });
    return Buffer.from(text);
  };
  return loadState({ env, argv: {}, cwd: '/etc', readFile, operations: OPERATION_NAMES });
}

function problemsOf(files: Files, env: Readonly<Record<string, string>> = ENV): readonly string[] {
  try {
    load(files, env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place}: ${message}`);
  }
}

t.test('a policy is read as plain data, secrets from files without their newline', async (t) => {
  const policy = [
    'signing_keys:',
    `  - { id: web, secret: ${SECRET} }`,
    '  - { id: batch, secret_file: batch.key }',
    'rules:',
    '  - id: one',
    '    keys: [web, api_key]',
    "    subjects: ['', alice]",
    '    access: [{ collection: docs, access: prw }]',
    '    operations: [upsert_points, points.query, qdrant.Points/Query]',
    '  - { id: two, mode: shadow, access: r }',
    '  - { id: three, operations: [] }',
  ].join('\n');
  const state = load({ 'policy.yaml': policy, 'batch.key': `${SECRET}2\r\n` });
  t.same(state.policy, {
    signingKeys: [
      { id: 'web', secret: SECRET },
      { id: 'batch', secret: `${SECRET}2` },
    ],
    rules: [
      {
        id: 'one',
        mode: 'enforce',
        keys: ['web', 'api_key'],
        subjects: ['', 'alice'],
        access: [{ collection: 'docs', access: 'prw' }],
        operations: ['upsert_points', 'points.query', 'qdrant.Points/Query'],
      },
      { id: 'two', mode: 'shadow', access: 'r' },
      { id: 'three', mode: 'enforce', operations: [] },
    ],
    tokenRules: NO_TOKEN_RULES,
  });
  t.same([state.warnings, state.files], [[], ['/etc/policy.yaml', '/etc/batch.key']]);
  const { QDRANT_GATEWAY__POLICY_FILE: _, ...none } = ENV;
  t.equal(load({}, none).policy, NO_POLICY, 'without a file there is none');
  t.same(load({ 'policy.yaml': 'rules: []' }).policy, NO_POLICY, 'a file may say that there is none');
});

const at = (text: string): string => `policy.yaml:${text}`;
const NAME = 'must be 1 to 64 letters, digits, dots, dashes or underscores';

/** The members of `bounds` that bound something, as texts have them. */
const BOUNDS = [
  ...['max_query_limit', 'max_offset', 'search_max_hnsw_ef', 'search_max_oversampling', 'search_max_batchsize'],
  ...['max_points', 'filter_max_conditions', 'filter_max_depth', 'search_allow_exact'],
]
  .map((name) => `\`${name}\``)
  .join(', ');

const REFUSED: readonly [name: string, policy: string, problems: readonly string[]][] = [
  ['no YAML', 'rules: [', [at('1:9: not valid yaml (bad indent)')]],
  ['an empty file', '', [at('1:1: the file is empty: write `rules: []` for a policy without rules')]],
  ['only a comment', '# rules\n', [at('1:1: the file is empty: write `rules: []` for a policy without rules')]],
  ['a list', '- a\n', [at('1:1: the file must have `signing_keys` or `rules`')]],
  ['a section cut off', 'rules:\n', [at('1:7: `rules` must be a list')]],
  [
    'unknown sections',
    'rule: []\nkeys: []\n',
    [
      at(
        '1:1: unknown field `rule`, did you mean `rules`? allowed here: `signing_keys`, `rules`, `guards`, `limits`, `tenants`, `issuers`, `client_certificates`, `token_patterns`, `tokens`, `token_exchange`',
      ),
      at(
        '2:1: unknown field `keys`, allowed here: `signing_keys`, `rules`, `guards`, `limits`, `tenants`, `issuers`, `client_certificates`, `token_patterns`, `tokens`, `token_exchange`',
      ),
    ],
  ],
  [
    'unknown fields',
    'rules:\n  - id: a\n    acces: r\n    access: [{ collection: a, access: r, mode: x }]\n',
    [
      at(
        '3:5: unknown field `acces`, did you mean `access`? allowed here: `id`, `mode`, `keys`, `subjects`, `access`, `operations`, `deny_operations`, `ready`',
      ),
      at(
        '4:42: unknown field `mode`, allowed here: `collection`, `collections`, `access`, `operations`, `manage`, `max_collections`',
      ),
    ],
  ],
  [
    'wrong values',
    'rules:\n  - id: a b\n    mode: off\n    keys: api_key\n    subjects: [1]\n    operations: {}\n    access: rw\n  - 7\n',
    [
      at(`2:9: \`id\` ${NAME}, not \`a b\``),
      at('3:11: `mode` must be enforce or shadow, not `off`'),
      at('4:11: `keys` must be a list of key ids, not `api_key`'),
      at('5:16: `subjects` must be a list of texts, not `1`'),
      at('6:17: `operations` must be a list of operation names'),
      at('7:13: `access` must be r, m, or a list of entries with `collection` or `collections`, not `rw`'),
      at('8:5: an entry of `rules` must have `id`, and `access`, `operations`, `deny_operations` or `ready`, not `7`'),
    ],
  ],
  [
    'an access that no token could carry',
    'rules:\n  - id: a\n    access: [{ collection: a, access: pr }, { collection: "" , access: r }, { access: rw }]\n',
    [
      at('3:39: `access` must be r, rw or prw, not `pr`'),
      at('3:59: `collection` must be the name of a collection, not ``'),
    ],
  ],
  [
    'a null that would widen a rule',
    'rules:\n  - id: a\n    access: r\n    keys:\n',
    [at('4:10: `keys` must be a list of key ids')],
  ],
  [
    'lists that are empty or repeat themselves',
    'rules:\n  - id: a\n    keys: []\n    subjects: []\n    access: [{collection: x, access: r}, {collection: x, access: rw}]\n  - {id: a, access: r}\n  - id: policy\n',
    [
      at('3:11: `keys` is empty, so the rule applies to no caller: add one or remove the list'),
      at('4:15: `subjects` is empty, so the rule applies to no caller: add one or remove the list'),
      at('5:55: the collection `x` is given twice'),
      at('6:10: the id `a` is given twice'),
      at('7:5: the rule `policy` restricts nothing: set `access`, `operations`, `deny_operations` or `ready`'),
      at('7:9: `policy` is reserved: choose another id'),
    ],
  ],
  [
    'guards that forbid nothing, or cannot be told',
    'rules:\n  - { id: a, access: r }\nguards:\n  - { id: a, freeze: true }\n  - id: b\n  - { id: c, protected: [], freeze: ["x*y"] }\n  - { id: d, freeze: yes please }\n  - { id: policy, freeze: true, keys: [api_key] }\n',
    [
      at('4:11: a rule has the id `a`'),
      at('5:5: the guard `b` forbids nothing: set `protected`, `freeze` or `bounds`'),
      at('6:25: `protected` is empty, so it forbids nothing: add one or remove the list'),
      at('6:38: `x*y`: a `*` is allowed at the end only'),
      at('7:22: `freeze` must be true, false, or a list of collections, not `yes please`'),
      at('8:11: `policy` is reserved: choose another id'),
      at('8:33: unknown field `keys`, allowed here: `id`, `mode`, `protected`, `freeze`, `bounds`'),
    ],
  ],
  [
    'bounds of nothing, for nothing, or in other forms',
    'guards:\n  - { id: a, bounds: {} }\n  - { id: b, bounds: { search_allow_exact: true } }\n  - { id: c, bounds: { keys: [], collections: ["x*y"], max_offset: 1 } }\n  - { id: d, bounds: { keys: [nobody], max_query_limit: -1 } }\n  - { id: e, bounds: { max_limit: 1 } }\n  - { id: f, bounds: { max_points: "5" } }\n',
    [
      at(`2:22: \`bounds\` has no bound: set one of ${BOUNDS}`),
      at(`3:22: \`bounds\` has no bound: set one of ${BOUNDS}`),
      at('4:30: `keys` is empty, so the bounds hold for nothing: add one or remove the list'),
      at('4:48: `x*y`: a `*` is allowed at the end only'),
      at('5:57: `max_query_limit` must be a whole number from 0, not `-1`'),
      at(`6:24: unknown field \`max_limit\`, allowed here: \`keys\`, \`subjects\`, \`collections\`, ${BOUNDS}`),
      at('7:36: `max_points` must be a whole number from 0, not `5`'),
    ],
  ],
  [
    'names of nothing',
    'rules:\n  - id: a\n    keys: [api_kye, someone]\n    operations: [upsert_point, 刪除]\n',
    [
      at('3:12: no key has the id `api_kye`, did you mean `api_key`?'),
      at('3:21: no key has the id `someone`, there are `api_key`, `alt_api_key`, `read_only_api_key`, `none`'),
      at('4:18: unknown operation `upsert_point`, did you mean `upsert_points`?'),
      at('4:32: unknown operation `刪除`'),
    ],
  ],
  [
    'entries of grants',
    [
      'rules:',
      '  - id: a',
      '    deny_operations: []',
      '    ready: snapshots',
      '  - id: b',
      '    deny_operations: [serach]',
      '    access:',
      '      - { collections: [a*b], access: r }',
      '      - { collections: [a] }',
      '      - { collections: [], manage: [create] }',
      '      - { access: rw }',
      '      - { operations: [search, metrics] }',
      '      - { collections: ["*"], operations: [metrics, create_collection, list_collections] }',
      '      - { collections: [a], access: r, max_collections: 2 }',
      '      - { collection: a, access: r, operations: [search] }',
      '  - id: c',
      '    access: [{ collections: [a], manage: [drop], max_collections: 0 }]',
    ].join('\n'),
    [
      at('4:12: `ready` must be no-snapshots, not `snapshots`'),
      at('6:23: unknown operation `serach`, did you mean `search`?'),
      at('8:25: `a*b`: a `*` is allowed at the end only'),
      at('9:9: the entry permits nothing: set `access`, `operations` or `manage`'),
      at('10:24: `collections` is empty, so the entry permits nothing: add one'),
      at('11:19: `access` needs `collections`; `*` stands for all of them'),
      at('12:24: `search` needs `collections`; `*` stands for all of them'),
      at('13:44: `metrics` belongs to no collection: name it in an entry without `collections`'),
      at(
        '13:53: `create_collection` needs global manage: `manage` gives create, update, delete and aliases on collections',
      ),
      at('14:57: `max_collections` needs `create` in `manage`'),
      at('15:49: `operations` needs `collections` in the place of `collection`'),
      at('17:43: `manage` must be create, update, delete or aliases, not `drop`'),
      at('17:67: `max_collections` must be a whole number from 1, not `0`'),
    ],
  ],
  [
    'requirements on tokens',
    'tokens: { require_exp: 1, max_lifetime: 0, refuse_mange: true }\ntoken_patterns: maybe\n',
    [
      at('1:24: `require_exp` must be true or false, not `1`'),
      at('1:41: `max_lifetime` must be a whole number from 1, not `0`'),
      at(
        '1:44: unknown field `refuse_mange`, did you mean `refuse_manage`? allowed here: `require_exp`, `max_lifetime`, `require_access`, `refuse_manage`, `min_secret_bytes`',
      ),
      at('2:17: `token_patterns` must be true or false'),
    ],
  ],
  [
    'signing keys',
    [
      'signing_keys:',
      '  - { id: api_key, secret: long-enough-to-pass-as-a-secret-here }',
      '  - { id: none, secret: "" }',
      '  - { id: a }',
      '  - { id: b, secret: x, secret_file: y }',
      '  - { id: c, secret_file: gone.key }',
      '  - { id: d, secret_file: empty.key }',
      '  - { id: e, secret: " padded-with-blanks-around-the-secret " }',
      `  - { id: f, secret: ${'r'.repeat(32)} }`,
      '  - { id: f, secret: long-enough-to-pass-as-a-secret-here }',
      '  - { secret: 12 }',
      '  - { id: g, secret:long-enough }',
      '  - long-enough-to-pass-as-a-secret-here',
    ].join('\n'),
    [
      at('2:11: `api_key` is reserved: choose another id'),
      at('3:11: `none` is reserved: choose another id'),
      at('3:25: `secret` must be text that is not empty'),
      at('4:5: the key needs `secret` or `secret_file`'),
      at('5:38: both `secret` and `secret_file` are set: keep one'),
      at('6:27: cannot read the secret file `gone.key`: no such file'),
      at('7:27: the secret file `empty.key` is empty'),
      at('8:22: the secret has leading or trailing whitespace (one newline at the end of a file is allowed)'),
      at('9:22: the same as `service.read_only_api_key`: a reader could sign tokens with more access'),
      at('10:11: the id `f` is given twice'),
      at('10:22: the same secret as the key `api_key`'),
      at(`11:5: \`id\` ${NAME}`),
      at('11:15: `secret` must be text that is not empty'),
      at('12:14: unknown field, did you mean `secret`? allowed here: `id`, `secret`, `secret_file`, `exchange`'),
      at('13:5: an entry of `signing_keys` must have `id`, and `secret` or `secret_file`'),
    ],
  ],
];

t.test('what is wrong is told all at once, with its place and never with a secret', async (t) => {
  for (const [name, policy, problems] of REFUSED) {
    const told = problemsOf({ 'policy.yaml': policy, 'empty.key': '\n' });
    t.strictSame(told, problems, name);
    t.notMatch(told.join(), /long-enough|padded-with|r{32}/, `${name}: no secret`);
  }
  t.strictSame(problemsOf({}), [
    'QDRANT_GATEWAY__POLICY_FILE: cannot read the policy file `policy.yaml`: no such file',
  ]);
});

t.test('problems of options, keys and policy are told together', async (t) => {
  const env = {
    ...ENV,
    QDRANT__SERVICE__ALT_API_KEY_FILE: 'alt.key',
    QDRANT_GATEWAY__ADMIN__TOKEN_FILE: 'admin.token',
  };
  t.strictSame(problemsOf({ 'policy.yaml': 'rules: {}', 'admin.token': ' x \n' }, env), [
    'QDRANT__SERVICE__ALT_API_KEY_FILE: cannot read the key file `alt.key`: no such file',
    'policy.yaml:1:8: `rules` must be a list',
    'gateway.admin.token_file: the token has leading or trailing whitespace (one newline at the end of a file is allowed)',
  ]);
});

t.test('a signing key counts as a key only while tokens are accepted', async (t) => {
  const { QDRANT__SERVICE__API_KEY: _, QDRANT__SERVICE__READ_ONLY_API_KEY: __, ...env } = ENV;
  const files = { 'policy.yaml': `signing_keys: [{ id: web, secret: ${SECRET} }]` };
  t.same(load(files, env).warnings, []);
  const { QDRANT__SERVICE__JWT_RBAC: ___, ...off } = env;
  t.match(problemsOf(files, off), [/^service\.api_key: no key is configured/]);
  t.same(
    load({ 'policy.yaml': 'signing_keys: [{ id: web, secret: short }]' }, { ...ENV, QDRANT__SERVICE__JWT_RBAC: '0' })
      .warnings,
    [
      'policy.yaml:1:35: the secret is shorter than 32 bytes: too short to sign tokens (RFC 7518, section 3.2)',
      'policy.yaml:1:15: signing keys need `service.jwt_rbac`, tokens stay off',
    ],
  );
});

t.test('what is learned is never written over the policy in force', async (t) => {
  const env = { ...ENV, QDRANT_GATEWAY__MODE: 'learn', QDRANT_GATEWAY__LEARN_FILE: './policy.yaml' };
  t.strictSame(problemsOf({ 'policy.yaml': 'rules: []' }, env), [
    'gateway.learn_file: must differ from `gateway.policy_file`: review learned rules before using them',
  ]);
  t.strictSame(problemsOf({ 'policy.yaml': 'rules: []' }, { ...env, QDRANT_GATEWAY__LEARN_FILE: 'learned.yaml' }), []);
});

t.test('the example loads', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '../../../config/policy.yaml'), 'utf8');
  const secrets: Record<string, string> = { 'policy.yaml': text };
  const readFile = (path: string): Buffer => Buffer.from(secrets[path.slice(5)] ?? path.padEnd(32, '-'));
  const state = loadState({ env: ENV, argv: {}, cwd: '/etc', readFile, operations: OPERATION_NAMES });
  t.same(state.warnings, []);
  t.same(
    state.policy.rules.map(({ id }) => id),
    [
      'web-reads-articles',
      'admin-key-reads',
      'batch-only-upserts',
      'team-a-inside-its-prefix',
      'reader-without-snapshots',
    ],
  );
  t.match(state.policy.tokenRules, { patterns: false, requireExp: true, maxLifetime: 7_776_000, minSecretBytes: 32 });
});
