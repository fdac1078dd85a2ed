import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { lostProtection } from '../../../src/config/lost-protection.ts';
import { ConfigError } from '../../../src/config/problem.ts';
import { loadState } from '../../../src/config/state.ts';
import { checkUsable } from '../../../src/gateway/usable.ts';
import { OPERATION_NAMES } from '../../../src/operations/names.ts';
import { providerKey } from '../../support/issuers/keys.ts';

/* The section `issuers` of a policy file: what is read, and what is an error at which place. */

const ENV: Readonly<Record<string, string>> = {
  QDRANT__SERVICE__GRPC_PORT: '',
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://q:1',
  QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml',
};
const { jwk } = providerKey('ES256', 'one');
const secret = providerKey('ES256', 'x').privateKey.export({ format: 'jwk' });
const FILES: Readonly<Record<string, string>> = {
  'keys.json': JSON.stringify({ keys: [jwk] }),
  'empty.json': '{"keys":[]}',
  'broken.json': '{',
  'secret.json': JSON.stringify({ keys: [jwk, secret] }),
  'one.json': JSON.stringify({ keys: [jwk, { kty: 'RSA', n: 'w'.repeat(342), e: 'AQ' }] }),
  'many.json': JSON.stringify({ keys: Array.from({ length: 1025 }, () => jwk) }),
};

function load(policy: string, env = ENV) {
  const readFile = (path: string) => {
    const name = path.split('/').at(-1) ?? '';
    const text = name === 'policy.yaml' ? policy : FILES[name];
    if (text === undefined) throw Object.assign(new Error('gone'), { code: 'ENOENT' });
    return Buffer.from(text);
  };
  const state = loadState({ ...{ env, argv: {}, cwd: '/etc', readFile, operations: OPERATION_NAMES } });
  checkUsable(state);
  return state;
}

function problemsOf(policy: string): readonly string[] {
  try {
    load(policy, { ...ENV, QDRANT__SERVICE__API_KEY: 'a'.repeat(32) });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place}: ${message}`);
  }
}

const issuer = (
  more: string,
  own = 'issuer: https://a.example.com, audiences: [q], mappings: [{ id: m, access: r }]',
) => `issuers:\n  - { id: corp, ${own}${more} }\n`;

t.test('an issuer alone is enough to start, and its defaults are safe', async (t) => {
  const { policy, warnings } = load(issuer(''));
  t.strictSame(warnings, []);
  t.match(policy.issuers, [
    {
      ...{ id: 'corp', issuer: 'https://a.example.com', audiences: ['q'], clockSkew: 30, subject: 'sub' },
      types: ['at+jwt', 'jwt', 'none'],
      source: {
        ...{ from: 'discovery', url: 'https://a.example.com/.well-known/openid-configuration' },
        ...{ refreshMs: 300_000, coolDownMs: 30_000, maxStaleMs: 86_400_000 },
      },
    },
  ]);
  t.notOk(policy.issuers?.[0]?.algorithms.some((alg) => alg.startsWith('HS')));
});

t.test('keys of a file are part of the state', async (t) => {
  const { policy, files } = load(issuer(', jwks_file: keys.json'));
  t.match(policy.issuers?.[0]?.source, { from: 'file', keys: [{ kid: 'one', kty: 'EC' }] });
  t.ok(files.includes('/etc/keys.json'), 'and are watched');
});

t.test('the example of the guide loads, and its examples hold', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '../../../config/issuers.yaml'), 'utf8');
  const { policy, warnings } = load(text);
  t.strictSame(warnings, []);
  t.strictSame(
    policy.issuers?.map(({ id }) => id),
    ['corp', 'cluster'],
  );
  const wrong = text.replace('team: "*" }\n        refused: claim_unfit', 'team: "*" }\n        refused: no_mapping');
  t.match(problemsOf(wrong), [
    /^policy.yaml:32:9: the example expects `refused: no_mapping`, and the mappings give `refused: claim_unfit`$/,
  ]);
});

const mapping = (more: string) =>
  issuer('', `issuer: https://a.example.com, audiences: [q], mappings: [{ id: m, ${more} }]`);
const example = (more: string) => issuer(`, examples: [{ ${more} }]`);

const PROBLEMS: readonly (readonly [name: string, policy: string, said: RegExp])[] = [
  [
    'no audience',
    issuer('', 'issuer: https://a.example.com, mappings: [{ id: m, access: r }]'),
    /`audiences` must be a list/,
  ],
  [
    'an empty list of audiences',
    issuer('', 'issuer: https://a, audiences: [], mappings: [{ id: m, access: r }]'),
    /must name an audience/,
  ],
  ['no mapping', issuer('', 'issuer: https://a.example.com, audiences: [q], mappings: []'), /must have a mapping/],
  ['no issuer', issuer('', 'audiences: [q], mappings: [{ id: m, access: r }]'), /needs `issuer`/],
  [
    'an issuer that is no URL',
    issuer('', 'issuer: corp, audiences: [q], mappings: [{ id: m, access: r }]'),
    /`issuer` must be an https URL, or set/,
  ],
  ['http', issuer(', jwks_url: "http://a.example.com/keys"'), /2:.*`jwks_url` must begin with https/],
  ['a password in the URL', issuer(', jwks_url: "https://a:b@c.example.com/keys"'), /must not hold a password/],
  ['a symmetric algorithm', issuer(', algorithms: [HS256]'), /must be RS256, .*, not `HS256`/],
  ['no algorithm', issuer(', algorithms: [none]'), /must be RS256/],
  ['a file and a URL', issuer(', jwks_file: keys.json, jwks_url: "https://a"'), /`jwks_url` contradicts `jwks_file`/],
  ['a file that is missing', issuer(', jwks_file: gone.json'), /cannot read the key set `gone.json`/],
  ['a file without keys', issuer(', jwks_file: empty.json'), /no public key/],
  ['a file that is no JSON', issuer(', jwks_file: broken.json'), /it is not JSON/],
  ['a file with too many keys', issuer(', jwks_file: many.json'), /more than 1024 keys/],
  ['a file with a secret key', issuer(', jwks_file: secret.json'), /holds a secret key/],
  [
    'a file with a key under which signatures can be forged',
    issuer(', jwks_file: one.json'),
    /holds a key under which signatures can be forged/,
  ],
  ['a CA that is missing', issuer(', ca_file: gone.pem'), /cannot read the CA `gone.pem`/],
  ['a CA that is none', issuer(', ca_file: keys.json'), /the CA `keys.json` cannot be used: it is not PEM/],
  ['a token for discovery', issuer(', bearer_token_file: x'), /needs `jwks_url`/],
  [
    'a set that is stale before it is fetched again',
    issuer(', refresh: 300, max_stale: 300'),
    /must be longer than `refresh`/,
  ],
  ['an unknown preset', issuer(', preset: other'), /must be keycloak, auth0/],
  ['an unknown field', issuer(', audience: q'), /unknown field `audience`, did you mean `audiences`/],
  ['an unknown field of a mapping', mapping('access: r, group: x'), /unknown field `group`.*`claim`/],
  ['an unknown field of an example', example('claims: {}, acess: r'), /unknown field `acess`, did you mean `access`/],
  ['a path that is none', mapping('claim: "a b", access: r'), /`a b` is no path of a claim/],
  ['a subject that is no path', issuer(', subject: "a..b"'), /`a..b` is no path of a claim/],
  ['a value without claim', mapping('value: x, access: r'), /`value` needs `claim`/],
  ['a value and values', mapping('claim: a, value: x, values: [y], access: r'), /both set/],
  ['a tenant and its claim', mapping('access: r, tenant: x, tenant_from: y'), /both set/],
  ['no access', mapping('claim: a'), /`access` must be r, m, or a list/],
  [
    'a name that ends with a claim and a star',
    mapping("access: [{ collections: ['${a}*'], access: r }]"),
    /needs text behind it/,
  ],
  ['a claim without end', mapping("access: [{ collection: '${a', access: r }]"), /has no `}`/],
  ['an unknown operation', mapping('access: [{ collections: [a], operations: [serch] }]'), /did you mean `search`/],
  [
    'two mappings of one id',
    issuer('', 'issuer: https://a.example.com, audiences: [q], mappings: [{ id: m, access: r }, { id: m, access: m }]'),
    /given twice/,
  ],
  [
    'the id of a key',
    'issuers: [{ id: api_key, issuer: https://a.example.com, audiences: [q], mappings: [{ id: m, access: r }] }]',
    /`api_key` is reserved/,
  ],
  [
    'the id of a signing key',
    `${issuer('')}signing_keys: [{ id: corp, secret: "${'s'.repeat(32)}" }]`,
    /a signing key has the id `corp`/,
  ],
  [
    'one issuer twice',
    `${issuer('')}  - { id: more, issuer: https://a.example.com, audiences: [q], mappings: [{ id: m, access: r }] }`,
    /has the same `issuer`/,
  ],
  ['an example without result', example('claims: {}'), /needs `access` or `refused`/],
  ['an example with two results', example('claims: {}, access: r, refused: no_mapping'), /both set/],
  ['an example that is not met', example('claims: {}, access: m'), /2:.*expects `m`, and the mappings give `r` by `m`/],
  [
    'an example that should be refused',
    example('claims: {}, refused: no_mapping'),
    /expects `refused: no_mapping`, and the mappings give `r`/,
  ],
];
for (const [name, policy, said] of PROBLEMS) {
  t.test(`${name} is an error with its place`, async (t) => {
    const problems = problemsOf(policy);
    t.match(problems.find((one) => said.test(one)) ?? problems.join('\n'), said);
    t.ok(
      problems.every((one) => /^(policy\.yaml:\d+:\d+|gateway\.policy_file): /.test(one)),
      problems.join('\n'),
    );
  });
}

t.test('rules, limits and tenants may name an issuer, and tenants take claims of its tokens', async (t) => {
  const more = [
    'rules: [{ id: r, keys: [corp], access: r }]',
    'limits: [{ id: l, keys: [corp], concurrent: 1 }]',
    'tenants: [{ id: t, keys: [corp], credentials: tokens, collections: ["*"], field: t, from: tid }]',
  ];
  t.strictSame(problemsOf(issuer('') + more.join('\n')), []);
  t.match(problemsOf(issuer('') + more[0]?.replace('corp', 'crop')), [/no key has the id `crop`.*`corp`/]);
});

t.test('an issuer that lost a line may be the first part of a file that is being written', async (t) => {
  const whole = load(mapping('access: m, claim: groups, value: admins'));
  const cut = load(mapping('access: m'));
  t.strictSame(lostProtection(whole, cut), ['issuer corp changed']);
  t.strictSame(lostProtection(whole, whole), []);
});
