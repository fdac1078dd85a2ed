import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ConfigError } from '../../../src/config/problem.ts';
import { loadState } from '../../../src/config/state.ts';
import { checkUsable } from '../../../src/gateway/usable.ts';
import { OPERATION_NAMES } from '../../../src/operations/names.ts';

/* The section `tenants` of a policy file: what is read, and what is an error at which place. */

const ENV: Readonly<Record<string, string>> = {
  QDRANT__SERVICE__API_KEY: 'a'.repeat(32),
  QDRANT__SERVICE__JWT_RBAC: 'true',
  QDRANT__SERVICE__GRPC_PORT: '',
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://q:1',
  QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml',
};
const WITH_KEYS = { ...ENV, QDRANT_GATEWAY__KEYS_FILE: 'keys.yaml' };
const WITHOUT_TOKENS = { ...ENV, QDRANT__SERVICE__JWT_RBAC: 'false' };
const NAMED = `keys:\n  - { id: team, name: Team, hash: 'sha256:${'0'.repeat(64)}', access: r, expires_at: never }\n`;

function load(policy: string, env = ENV, keys = NAMED) {
  const readFile = (path: string) => Buffer.from(path.endsWith('keys.yaml') ? keys : policy);
  return loadState({ ...{ env, argv: {}, cwd: '/etc', readFile, operations: OPERATION_NAMES } });
}

function problemsOf(policy: string, env = ENV): readonly string[] {
  try {
    load(policy, env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place}: ${message}`);
  }
}

t.test('tenants are read as plain data', async (test) => {
  const { policy } = load(
    [
      'tenants:',
      '  - { id: a, collections: [products, shop-*], field: tenant_id, value: acme, hide_field: true }',
      '  - { id: b, keys: [api_key], subjects: [""], credentials: tokens, collections: [a], field: t, values: [a, 7, true] }',
      '  - { id: c, collections: [b], field: "owner.\\"the id\\"", from: tenant, shared_statistics: true }',
      '  - { id: d, collections: ["*"], free: true }',
      '  - { id: e, collections: [e], field: t, from: tenant, shard_key: true, shard_key_fallback: 0,',
      '      hidden_fields: [cost, internal.notes], read_only_fields: [plan] }',
    ].join('\n'),
  );
  test.same(policy.tenants, [
    { id: 'a', collections: ['products', 'shop-*'], field: 'tenant_id', value: 'acme', hide_field: true },
    {
      ...{ id: 'b', keys: ['api_key'], subjects: [''], credentials: 'tokens', collections: ['a'] },
      ...{ field: 't', values: ['a', 7, true] },
    },
    { id: 'c', collections: ['b'], field: 'owner."the id"', from: 'tenant', shared_statistics: true },
    { id: 'd', collections: ['*'], free: true },
    {
      ...{ id: 'e', collections: ['e'], field: 't', from: 'tenant', shard_key: true, shard_key_fallback: 0 },
      ...{ hidden_fields: ['cost', 'internal.notes'], read_only_fields: ['plan'] },
    },
  ]);
  test.equal(load('rules: []').policy.tenants, undefined);
});

t.test('named keys without a tenant are told where an entry asks for one', async (test) => {
  t.test('the example loads, with the example of named keys', async (test) => {
    const example = (file: string) => readFileSync(join(import.meta.dirname, '../../../config', file), 'utf8');
    const env = { ...ENV, QDRANT__SERVICE__ALT_API_KEY: 'b'.repeat(32) };
    const policy = example('tenants.yaml').replace(/secret_file: .*/, `secret: ${'s'.repeat(40)}`);
    const state = load(policy, { ...env, QDRANT_GATEWAY__KEYS_FILE: 'keys.yaml' }, example('keys.yaml'));
    test.same(state.warnings, []);
    test.same(
      state.policy.tenants?.map(({ id }) => id),
      ['products-by-tenant', 'shared-articles', 'partner-reads-public'],
    );
    checkUsable(state);
  });

  const entry = (more: string) => `tenants: [{ id: a, collections: [b], field: t, ${more} }]`;
  const told = (policy: string, keys = NAMED) =>
    load(policy, WITH_KEYS, keys).warnings.filter((warning) => warning.includes('tenant'));
  test.same(told(entry('from: tenant')), [
    'gateway.keys_file: the tenant entry `a` refuses named keys without `tenant`: `team`',
  ]);
  test.same(told(entry('from: tenant'), NAMED.replace('access: r', 'access: r, tenant: acme')), []);
  test.same(told(entry('value: acme')), []);
  test.same(told(entry('from: tenant, credentials: tokens')), []);
  test.same(told(entry('from: tenant, keys: [api_key]')), []);
});

t.test('a field is no longer than a path of a request may be', async (test) => {
  const refused = /the path has more than 65536 characters, and no request may have such a one/;
  const entry = (more: string) => `tenants: [{ id: a, collections: [b], value: x, ${more} }]`;
  const path = (length: number) => 'x'.repeat(length);
  test.ok(load(entry(`field: ${path(65_536)}, hidden_fields: [${'y'.repeat(65_536)}]`)).policy.tenants);
  test.throws(() => load(entry(`field: ${path(65_537)}`)), refused);
  test.throws(() => load(entry(`field: t, hidden_fields: [${path(65_537)}]`)), refused);
  test.throws(() => load(entry(`field: t, read_only_fields: [${path(65_537)}]`)), refused);
});

t.test('a key that signs tokens which no entry binds is told beside one whose tokens are bound', async (test) => {
  const signing = ['app-2027', 'app-2026']
    .map((id, at) => `{ id: ${id}, secret: ${'st'.charAt(at).repeat(40)} }`)
    .join(', ');
  const told = (tenants: string, more: Readonly<Record<string, string>> = {}) =>
    load(`signing_keys: [${signing}]\ntenants: [${tenants}]`, { ...ENV, ...more }).warnings.filter((one) =>
      one.includes('binds tokens'),
    );
  const one = (keys: string, more = '') =>
    `{ id: a${keys.length}, collections: [b], field: t, from: org, ${keys} ${more} }`;
  const warning = (id: string, bound: string) =>
    `gateway.policy_file: no entry of \`tenants\` binds tokens of the key \`${id}\`, while one binds those of \`${bound}\`: add it to \`keys\`, or to an entry with \`free: true\``;
  test.same(told(one('keys: [app-2026]')), [warning('app-2027', 'app-2026')]);
  test.same(told(one('keys: [app-2027, app-2026]')), []);
  test.same(told(one('')), [], 'an entry for all');
  test.same(told(`${one('keys: [app-2026]')}, { id: f, collections: [b], keys: [app-2027], free: true }`), []);
  test.same(
    told(
      `${one('keys: [app-2026]')}, { id: k, collections: [b], field: t, value: x, keys: [app-2027], credentials: keys }`,
    ),
    [warning('app-2027', 'app-2026')],
  );
  const both = { QDRANT__SERVICE__ALT_API_KEY: 'b'.repeat(32) };
  test.same(told(one('keys: [api_key],', 'credentials: tokens')), []);
  test.same(told(one('keys: [api_key],', 'credentials: tokens'), both), [warning('alt_api_key', 'api_key')]);
  test.same(
    told(one('keys: [alt_api_key],', 'credentials: tokens'), both),
    [],
    'the first one is that of the operator',
  );
  test.same(told(one('keys: [api_key, alt_api_key],', 'credentials: tokens'), both), []);
});

const entry = (more: string) => `tenants: [{ id: a, collections: [b], ${more} }]`;
const two = (one: string, other: string) => `tenants: [{ id: a, ${one} }, { id: b, ${other} }]`;

const REFUSED: readonly [
  name: string,
  policy: string,
  problems: readonly string[],
  env?: Readonly<Record<string, string>>,
][] = [
  [
    'one without a condition',
    entry(''),
    ['1:11: the entry `a` sets no condition: set `field` with `value`, `values`, `from`, or `free: true`'],
  ],
  ['a field without a value', entry('field: t'), ['1:11: the entry `a` needs one of `value`, `values`, `from`']],
  ['two sources', entry('field: t, value: x, from: tenant'), ['1:64: `value` and `from` are both set: keep one']],
  [
    'a free one with a condition',
    entry('free: true, field: t, hide_field: true'),
    ['`field` contradicts `free`: remove one of them', '`hide_field` contradicts `free`: remove one of them'],
  ],
  ['a free one that is not', entry('free: false'), ['`free` must be true, not `false`']],
  [
    'a step into an array',
    entry('field: "t[]", value: x'),
    ['`t[]` is no path of keys with dots between, such as `tenant_id` or `owner.id`'],
  ],
  [
    'a free one with a shard key and hidden fields',
    entry('free: true, shard_key: true, hidden_fields: [a]'),
    ['`hidden_fields` contradicts `free`: remove one of them', '`shard_key` contradicts `free`: remove one of them'],
  ],
  [
    'a hidden field in an array',
    entry('field: t, value: x, hidden_fields: ["a[].b"]'),
    ['`a[].b` is no path of keys with dots between'],
  ],
  [
    'no hidden field, and one twice',
    entry('field: t, value: x, hidden_fields: [], read_only_fields: [a, b, a]'),
    ['`hidden_fields` is empty: add a field or remove the list', 'the field `a` is given twice'],
  ],
  [
    'a read-only field above that of the tenant',
    entry('field: t.u, value: x, read_only_fields: [t]'),
    ['`t` overlaps with `field`, which no caller of the entry changes anyway: remove it'],
  ],
  [
    'a shard key of two values',
    entry('field: t, values: [x, y], shard_key: true'),
    ['a shard key is one text or one whole number from 0 on'],
  ],
  [
    'a shard key that is no text and no number',
    entry('field: t, value: true, shard_key: true'),
    ['a shard key is one text or one whole number from 0 on'],
  ],
  [
    'a negative shard key',
    entry('field: t, value: -1, shard_key: true'),
    ['a shard key is one text or one whole number from 0 on'],
  ],
  [
    'a fallback without a shard key',
    entry('field: t, value: x, shard_key_fallback: default'),
    ['`shard_key_fallback` needs `shard_key: true`'],
  ],
  [
    'a fallback that is no key',
    entry('field: t, value: x, shard_key: true, shard_key_fallback: true'),
    ['`shard_key_fallback` must be a text or a whole number from 0 to 2^53 - 1'],
  ],
  [
    'two shard keys for one request',
    two(
      'collections: [c], field: t, value: x, shard_key: true',
      'collections: ["*"], field: u, value: y, shard_key: true',
    ),
    ['on `c` the entry `a` forces another shard key: no request can have both'],
  ],
  ['a field with a blank', entry('field: the tenant, value: x'), ['`the tenant` is no path of keys']],
  ['an empty field', entry('field: "", value: x'), ['`` is no path of keys']],
  [
    'an empty text',
    entry('field: t, value: ""'),
    ['`value` must be text that is not empty, a whole number up to 9007199254740991 in size, true or false'],
  ],
  [
    'a fraction',
    entry('field: t, value: 1.5'),
    ['`value` must be text that is not empty, a whole number up to 9007199254740991 in size, true or false, not `1.5`'],
  ],
  [
    'an integer that no file carries exactly',
    entry('field: t, value: 9007199254740993'),
    ['1:55: `value` must be text'],
  ],
  ['null', entry('field: t, value: null'), ['`value` must be text']],
  ['no values', entry('field: t, values: []'), ['`values` is empty, so no point could meet it: add one']],
  ['a value twice', entry('field: t, values: [x, y, x]'), ['the value `x` is given twice']],
  ['a list in a list', entry('field: t, values: [[x]]'), ['an entry of `values` must be text that is not empty']],
  [
    'no collections',
    'tenants: [{ id: a, collections: [], free: true }]',
    ['1:33: `collections` is empty: name one, or `*` for all'],
  ],
  [
    'an inner star',
    'tenants: [{ id: a, collections: [a*b], free: true }]',
    ['`a*b`: a `*` is allowed at the end only'],
  ],
  ['an unknown key', entry('keys: [api_kee], free: true'), ['no key has the id `api_kee`, did you mean `api_key`?']],
  [
    'no keys',
    entry('keys: [], free: true'),
    ['`keys` is empty, so the entry applies to no caller: add one or remove the list'],
  ],
  ['a misspelt member', entry('feld: t, value: x'), ['unknown field `feld`, did you mean `field`?']],
  [
    'a misspelt credential',
    entry('credentials: token, free: true'),
    ['`credentials` must be tokens or keys, not `token`'],
  ],
  [
    'an id given twice',
    two('collections: [a], free: true', 'collections: [b], free: true').replace('id: b', 'id: a'),
    ['the id `a` is given twice'],
  ],
  ['no list', 'tenants: 7', ['1:10: `tenants` must be a list']],
  [
    'tokens that are off',
    entry('credentials: tokens, field: t, value: x'),
    ['tokens are off, so the entry applies to no caller: set `service.jwt_rbac`'],
    WITHOUT_TOKENS,
  ],
  ['a claim without tokens', entry('field: t, from: tenant'), ['1:54: `from` has no source'], WITHOUT_TOKENS],
  [
    'a claim of keys without a record',
    entry('keys: [read_only_api_key], field: t, from: tenant'),
    ['`from` has no source'],
  ],
  [
    'a claim of the key alone',
    entry('keys: [api_key], credentials: keys, field: t, from: tenant'),
    ['`from` has no source'],
    WITH_KEYS,
  ],
  [
    'two values of one field',
    two('collections: [p], field: t, value: x', 'collections: [p], field: t, value: y'),
    ['on `p` it holds together with the entry `a`: no point can have both values'],
  ],
  [
    'two values under patterns',
    two('collections: ["p*"], field: t, value: x', 'collections: [pq, r], field: t, values: [y, z]'),
    ['on `pq` it holds together with the entry `a`: no point can have both values'],
  ],
  [
    'the same value in two types',
    two('collections: ["*"], field: t, value: "1"', 'collections: [p], field: t, value: 1'),
    ['no point can have both values'],
  ],
  [
    'a field above another',
    two('collections: [p], field: o.id, value: x', 'collections: [p], field: o, value: y'),
    ['on `p` it holds together with the entry `a`, whose field `o.id` is above or below it: no point can meet both'],
  ],
  [
    'a policy in shadow',
    entry('free: true'),
    ['1:10: `tenants` need `gateway.mode: enforce`'],
    { ...ENV, QDRANT_GATEWAY__MODE: 'shadow' },
  ],
];

for (const [name, policy, problems, env] of REFUSED) {
  t.test(`${name} is an error`, async (test) => {
    const found = problemsOf(policy, env);
    for (const problem of problems) {
      test.ok(
        found.some((one) => one.includes(problem)),
        `${problem} in ${found.join(' | ')}`,
      );
    }
    test.ok(found.length > 0);
  });
}

const ALLOWED: readonly [name: string, policy: string, env?: Readonly<Record<string, string>>][] = [
  [
    'other values of one field in other collections',
    two('collections: [p], field: t, value: x', 'collections: [q], field: t, value: y'),
  ],
  [
    'other values of other callers',
    two(
      'collections: [p], keys: [api_key], field: t, value: x',
      'collections: [p], keys: [read_only_api_key], field: t, value: y',
    ),
  ],
  [
    'other values of tokens and keys',
    two(
      'collections: [p], credentials: tokens, field: t, value: x',
      'collections: [p], credentials: keys, field: t, value: y',
    ),
  ],
  [
    'other subjects',
    two('collections: [p], subjects: [s], field: t, value: x', 'collections: [p], subjects: [u], field: t, value: y'),
  ],
  ['values that share one', two('collections: [p], field: t, values: [x, y]', 'collections: [p], field: t, value: y')],
  ['two fields', two('collections: [p], field: t, value: x', 'collections: [p], field: u, value: y')],
  ['a value beside a claim', two('collections: [p], field: t, value: x', 'collections: [p], field: t, from: tenant')],
  ['a free one beside a condition', two('collections: ["*"], free: true', 'collections: [p], field: t, value: x')],
  ['a claim of named keys', entry('field: t, from: tenant'), { ...WITH_KEYS, QDRANT__SERVICE__JWT_RBAC: 'false' }],
  ['a claim of tokens of one key', entry('keys: [api_key], field: t, from: tenant')],
];
for (const [name, policy, env] of ALLOWED) {
  t.test(`allowed: ${name}`, async (test) => test.same(problemsOf(policy, env), []));
}

t.test('the tenant of a named key has an exact form', async (test) => {
  const key = (tenant: string) => NAMED.replace('access: r', `access: r, tenant: ${tenant}`);
  const tenantIn = (tenant: string) => load('rules: []', WITH_KEYS, key(tenant)).policy.namedKeys?.[0]?.tenant;
  test.same(tenantIn('acme'), ['acme']);
  test.same(tenantIn('7'), [7]);
  test.same(tenantIn('"7"'), ['7']);
  test.same(tenantIn('[acme, 7, true]'), ['acme', 7, true]);
  for (const bad of ['""', '[]', '1.5', 'null', '{ a: b }', '[[a]]', '9007199254740993']) {
    test.throws(() => tenantIn(bad), /tenant/, bad);
  }
});
