import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { stringify } from 'yaml';
import { keysSchemaText } from '../../../src/config/document.ts';
import { hashText, readKeyEntries } from '../../../src/config/keys/file.ts';
import { lostProtection } from '../../../src/config/lost-protection.ts';
import { ConfigError } from '../../../src/config/problem.ts';
import { type LoadedState, loadState } from '../../../src/config/state.ts';
import { describeChanges } from '../../../src/gateway/live-options.ts';
import { checkUsable } from '../../../src/gateway/usable.ts';
import { OPERATION_NAMES } from '../../../src/operations/names.ts';

const ROOT = join(import.meta.dirname, '../../..');
const ENV = {
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1',
  QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'http://127.0.0.1:2',
  QDRANT_GATEWAY__KEYS_FILE: 'keys.yaml',
};
const HASH = `sha256:${'a'.repeat(64)}`;
const good = (more = '') => `  - { id: team, name: Team, hash: '${HASH}', access: r, expires_at: never${more} }\n`;

function load(files: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = ENV): LoadedState {
  const readFile = (path: string): Buffer => {
    const text = files[path.slice('/etc/'.length)];
    if (text === undefined) throw Object.assign(new Error('gone'), { code: 'ENOENT' });
    return Buffer.from(text);
  };
  return loadState({ env, argv: {}, cwd: '/etc', readFile, operations: OPERATION_NAMES });
}

function problemsOf(files: Readonly<Record<string, string>>, env = ENV): readonly string[] {
  try {
    load(files, env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place}: ${message}`);
  }
}

t.test('the examples load, and a gateway can be made of them', async (t) => {
  const text = readFileSync(join(ROOT, 'config/keys.yaml'), 'utf8');
  const state = load({ 'keys.yaml': text });
  t.same(state.warnings, []);
  t.same(
    state.policy.namedKeys?.map(({ id, networks }) => [id, networks?.length ?? 0]),
    [
      ['teamsearch', 0],
      ['nightlyfeed', 2],
      ['acmeshop', 0],
      ['rebuild', 0],
      ['scraper', 0],
    ],
  );
  checkUsable(state);
  t.equal(readFileSync(join(ROOT, 'config/keys.schema.json'), 'utf8'), keysSchemaText(), 'run `schema --keys`');
});

t.test('an entry is read as plain data', async (t) => {
  const more = ", owner: A, state: disabled, not_before: '2026-01-01T00:00:00Z', networks: [10.0.0.0/8]";
  const state = load({ 'keys.yaml': `keys:\n${good(more)}` });
  t.same(state.policy.namedKeys, [
    {
      ...{ id: 'team', name: 'Team', owner: 'A', postfix: undefined, access: 'r', networks: ['10.0.0.0/8'] },
      hash: { kind: 'sha256', digest: 'a'.repeat(64) },
      ...{ previous: undefined, expiresAt: undefined, notBefore: Date.UTC(2026, 0), disabled: true },
    },
  ]);
  t.same(load({ 'keys.yaml': 'keys: []' }).policy.namedKeys, [], 'none is a file, too');
});

const at = (text: string): string => `keys.yaml:${text}`;
const glass = (end: string, more: string): string =>
  `${good().trimEnd().replace('never', `'${end}'`).slice(0, -2)}, break_glass: true, ${more} }\n`;
const entry = (fields: string): string => `keys:\n  - { ${fields} }\n`;
const REFUSED: readonly (readonly [name: string, text: string, problems: readonly string[]])[] = [
  [
    'no access is no key',
    entry(`id: team, name: Team, hash: '${HASH}', expires_at: never`),
    [at('2:5: `access` must be r, m, or a list of entries with `collection` or `collections`')],
  ],
  [
    'no end has to be said',
    entry(`id: team, name: Team, hash: '${HASH}', access: r`),
    [at('2:5: `expires_at` must be a time such as 2027-01-31T12:00:00Z, or never')],
  ],
  [
    'a key in the place of its hash is not shown',
    entry('id: team, name: Team, hash: qgw_team_secret, access: r, expires_at: never'),
    [at('2:35: `hash` must be sha256:HEX or scrypt:COST:BLOCK:PARALLEL:SALT:HASH, as `qdrant-gateway key` writes it')],
  ],
  [
    'wrong values',
    `keys:\n${good(', networks: [10.0.0.0/33, all]')}${good().replace('team', 'none')}${good()}`,
    [
      at(`2:${good(', networks: [').length - 2}: \`10.0.0.0/33\`: the range must be a whole number from 0 to 32`),
      at(
        `2:${good(', networks: [10.0.0.0/33, ').length - 2}: \`all\` must be an address, a range as \`10.0.0.0/8\`, or \`unix:\` for peers on a unix socket`,
      ),
      at('3:11: `none` is reserved: choose another id'),
      at('4:11: the id `team` is given twice'),
    ],
  ],
  [
    'the id of people whom an identity provider signs in',
    `keys:\n${good().replace('team', 'oidc')}`,
    [at('2:11: `oidc` is reserved: choose another id')],
  ],
  [
    'an access as in rules is checked as there',
    `keys:\n${good().replace('access: r', 'access: [{ collections: [a], operations: [serach] }]')}`,
    [at('2:152: unknown operation `serach`, did you mean `search`?')],
  ],
  [
    'a hash that would take all memory',
    `keys:\n${good().replace(HASH, `scrypt:1048576:8:1:${'a'.repeat(22)}:${'a'.repeat(43)}`)}`,
    [at('2:35: `hash` takes too much memory, or its cost is no power of two')],
  ],
  [
    'an owner that would write lines of its own in a list',
    `keys:\n${good(', owner: "a\\x1b[2K\\nb"')}`,
    [
      at(
        `2:${good(', owner: ').length - 2}: \`owner\` must be text of one line, at most 255 characters, not \`a\x1b[2K\nb\``,
      ),
    ],
  ],
  [
    'a break-glass key without an end, with a late one, and without a begin',
    `keys:\n${[
      glass('never', 'created_at: 2026-12-01T00:00:00Z'),
      glass('2026-12-02T00:00:01Z', 'created_at: 2026-12-01T00:00:00Z').replace('team', 'tea2'),
      glass('2026-12-04T00:00:00Z', 'created_at: 2026-12-01T00:00:00Z, not_before: 2026-12-02T00:00:00Z').replace(
        'team',
        'tea3',
      ),
      glass('2026-12-02T00:00:00Z', 'owner: A').replace('team', 'tea4'),
    ].join('')}`,
    [
      at('2:133: `expires_at` of a break-glass key must be at most 24 hours after its `created_at`'),
      at('3:133: `expires_at` of a break-glass key must be at most 24 hours after its `created_at`'),
      at('4:133: `expires_at` of a break-glass key must be at most 24 hours after its `not_before`'),
      at('5:170: `break_glass` needs `created_at` or `not_before`'),
    ],
  ],
  ['no list', 'keys: {}', [at('1:7: `keys` must be a list')]],
  ['another member', 'keys: []\nrules: []\n', [at('2:1: unknown field, allowed here: `keys`')]],
  ['an empty file', '', [at('1:1: the file must have `keys`: write `keys: []` for none')]],
];

t.test('what is wrong is told with its place, and never with a hash', async (t) => {
  for (const [name, text, problems] of REFUSED) {
    t.strictSame(problemsOf({ 'keys.yaml': text }), problems, name);
    t.notMatch(problemsOf({ 'keys.yaml': text }).join(), /aaaa|qgw_team_secret/, `${name}: no hash`);
  }
  t.match(problemsOf({}), [/keys_file: cannot read the file of named keys `keys.yaml`/i]);
});

t.test('a break-glass key ends within 24 hours of its begin, which is that of its creation', async (t) => {
  const [key] = load({
    'keys.yaml': `keys:\n${glass('2026-12-02T00:00:00Z', 'created_at: 2026-12-01T00:00:00Z')}`,
  }).policy.namedKeys ?? [undefined];
  t.match(key, { breakGlass: true, notBefore: Date.UTC(2026, 11, 1), expiresAt: Date.UTC(2026, 11, 2) });
  const [other] = load({ 'keys.yaml': `keys:\n${good(', break_glass: false')}` }).policy.namedKeys ?? [];
  t.notHas(other, { breakGlass: true });
});

t.test('a member that is given twice is a fault, in JSON as in YAML', async (t) => {
  const key = `"id":"team","name":"Team","hash":"${HASH}","expires_at":"never"`;
  const read = 'access: [{ collection: a, access: r }]';
  for (const [sentence, text] of [
    ['a state', `{"keys":[{${key},"access":"r","state":"disabled","state":"active"}]}`],
    ['an access', `{"keys":[{${key},"access":[{"collection":"a","access":"r"}],"access":"m"}]}`],
    ['an access, once with an escape', `{"keys":[{${key},"access":"r","acc\\u0065ss":"m"}]}`],
    ['a member of an entry', `{"keys":[{${key},"access":[{"collection":"a","access":"r","access":"rw"}]}]}`],
    ['the list', `{"keys":[{${key},"access":"r"}],"keys":[]}`],
    ['in YAML', `keys:\n  - { id: team, ${read}, ${read} }\n`],
  ] as const) {
    const { problems } = readKeyEntries('k.json', text);
    t.match(problems, [{ message: /duplicate key|unique/i }], `${sentence}: ${JSON.stringify(problems)}`);
  }
  t.strictSame(readKeyEntries('k.json', `{"keys":[{${key},"access":"r"}]}`).problems, [], 'each given once');
});

t.test('JSON is read as YAML is, and its faults have places', async (t) => {
  const key = { id: 'team', name: 'Team', hash: HASH, access: 'r', expires_at: 'never' };
  t.match(readKeyEntries('k.json', JSON.stringify({ keys: [key] })), { entries: [{ id: 'team' }], problems: [] });
  t.match(readKeyEntries('k.json', JSON.stringify({ keys: [key, key] })).problems, [{ message: /given twice/ }]);
  const many = Array.from({ length: 10_000 }, (_, id) => ({ ...key, id: `k${id}000` }));
  t.equal(readKeyEntries('k.json', JSON.stringify({ keys: many })).entries.length, 10_000);
  t.equal(hashText({ kind: 'sha256', digest: 'a'.repeat(64) }), HASH);
});

t.test('rules may name a named key, and still load when it is gone', async (t) => {
  const env = { ...ENV, QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml' };
  const policy = 'rules: [{ id: a, keys: [team], access: r }]';
  t.same(problemsOf({ 'keys.yaml': `keys:\n${good()}`, 'policy.yaml': policy }, env), []);
  t.same(problemsOf({ 'keys.yaml': 'keys: []', 'policy.yaml': policy }, env), []);
  const signing = `signing_keys: [{ id: team, secret: ${'s'.repeat(32)} }]`;
  t.same(problemsOf({ 'keys.yaml': `keys:\n${good()}`, 'policy.yaml': signing }, env), [
    'policy.yaml:1:22: a named key has the id `team`',
  ]);
});

t.test('a file that is cut off anywhere never widens a key without a sign of it', async (t) => {
  const keys = [
    { id: 'team', name: 'Team', hash: HASH, access: 'r', expires_at: '2027-01-01T00:00:00Z', networks: ['10.0.0.0/8'] },
    { id: 'off1', name: 'Off1', hash: HASH, access: 'm', expires_at: 'never', state: 'disabled' },
    {
      ...{ id: 'glas', name: 'Glas', hash: HASH, access: 'm', created_at: '2026-12-01T00:00:00Z' },
      ...{ expires_at: '2026-12-01T02:00:00Z', break_glass: true },
    },
    { id: 'last', name: 'Last', hash: HASH, access: [{ collections: ['a-*'], access: 'r' }], expires_at: 'never' },
  ];
  for (const whole of [stringify({ keys }), JSON.stringify({ keys }, undefined, 2)]) {
    const before = load({ 'keys.yaml': whole });
    const known = new Map(before.policy.namedKeys?.map((key) => [key.id, JSON.stringify(key)]));
    let read = 0;
    for (let length = 0; length < whole.length; length += 1) {
      const text = whole.slice(0, length);
      if (problemsOf({ 'keys.yaml': text }).length > 0) continue;
      read += 1;
      const after = load({ 'keys.yaml': text });
      const changed = (after.policy.namedKeys ?? []).filter((key) => known.get(key.id) !== JSON.stringify(key));
      if (changed.length > 0 && lostProtection(before, after).length === 0)
        t.fail(`cut at ${length}: ${changed[0]?.id}`);
    }
    t.ok(whole.startsWith('{') ? read <= 1 : read > 10, `${read} cuts can be read`);
  }
});

t.test('a change that may be half a file is noticed, and told by id', async (t) => {
  const [one, two] = [good(), good(", networks: ['10.0.0.1']")].map((text) => load({ 'keys.yaml': `keys:\n${text}` }));
  const none = load({ 'keys.yaml': 'keys: []' });
  if (!one || !two) throw new TypeError('no state');
  t.same(lostProtection(two, one), ['named key team changed']);
  t.same(lostProtection(one, none), ['every named key removed']);
  t.same(lostProtection(none, one), []);
  t.same(describeChanges(one, two), ['named key team changed']);
  t.same(describeChanges(one, none), ['named key team removed']);
});

t.test('a key carries only limits that the policy has', async (t) => {
  const env = { ...ENV, QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml' };
  const policy = 'limits: [{ id: gold, carried: true, concurrent: 2 }]';
  const files = (limits: string) => ({ 'keys.yaml': `keys:\n${good(`, limits: ${limits}`)}`, 'policy.yaml': policy });
  t.match(load(files('[gold]'), env).policy.namedKeys, [{ limits: ['gold'] }]);
  t.same(problemsOf(files('[golf]'), env), [
    'keys.yaml: the key `team`: the policy has no limit `golf`, did you mean `gold`?',
  ]);
  t.same(problemsOf({ 'keys.yaml': files('[gold]')['keys.yaml'] }), [
    'keys.yaml: the key `team`: the policy has no limit `gold`',
  ]);
  t.match(problemsOf(files('[]'), env), [/must name a limit; leave it out for none/]);
});
