import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ConfigError } from '../../../src/config/problem.ts';
import { loadState } from '../../../src/config/state.ts';
import { describeChanges } from '../../../src/gateway/live-options.ts';
import { checkUsable } from '../../../src/gateway/usable.ts';

/** The section `token_exchange` of a policy file and the keys for it: what is read, and what is an error at which place. */

const ADMIN = 'a'.repeat(32);
const ENV: Readonly<Record<string, string>> = {
  QDRANT__SERVICE__API_KEY: ADMIN,
  QDRANT__SERVICE__JWT_RBAC: 'true',
  QDRANT__SERVICE__GRPC_PORT: '',
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://q:1',
  QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml',
};
const SECRET = 's'.repeat(40);
const KEY = `signing_keys: [{ id: m, secret: ${SECRET}, exchange: true }]\n`;
const ON = 'token_exchange: { rest_port: true }\n';

function load(policy: string, env = ENV) {
  return loadState({ env, argv: {}, cwd: '/etc', readFile: () => Buffer.from(policy) });
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

t.test('the section is read as plain data, with defaults', async (t) => {
  const { policy } = load(`${KEY}${ON}`);
  t.strictSame(policy.tokenExchange, { lifetime: 300, perMinute: 60, restPort: true, keys: [] });
  t.strictSame(policy.signingKeys, [{ id: 'm', secret: SECRET, exchange: true }]);
  const full = load(`${KEY}token_exchange: { lifetime: 10, per_minute: 5, rest_port: true, keys: [api_key] }\n`);
  t.strictSame(full.policy.tokenExchange, { lifetime: 10, perMinute: 5, restPort: true, keys: ['api_key'] });
  t.equal(load('rules: []').policy.tokenExchange, undefined);
  t.equal(load(KEY).policy.tokenExchange, undefined, 'a key without the section goes on verifying');
  t.strictSame(load(`${KEY}token_exchange: {}\n`, { ...ENV, QDRANT_GATEWAY__ADMIN__PORT: '0' }).policy.tokenExchange, {
    ...{ lifetime: 300, perMinute: 60, restPort: false, keys: [] },
  });
});

t.test('the example loads', async (t) => {
  const file = join(import.meta.dirname, '../../../config/token-exchange.yaml');
  const state = load(readFileSync(file, 'utf8').replace(/secret_file: .*/, `secret: ${SECRET}`));
  t.strictSame(state.warnings, []);
  t.match(state.policy.tokenExchange, { restPort: true, keys: ['read_only_api_key'] });
  checkUsable(state);
});

t.test('a change of it is told by a reload', async (t) => {
  const before = load(`${KEY}${ON}`);
  const changed = (policy: string) => describeChanges(before, load(policy));
  t.strictSame(changed(`${KEY}${ON}`), []);
  t.strictSame(changed(KEY), ['token exchange']);
  t.strictSame(changed(KEY.replace(', exchange: true', '')), ['signing key m changed', 'token exchange']);
});

const REFUSED: readonly [name: string, policy: string, problem: RegExp, env?: Readonly<Record<string, string>>][] = [
  ['no key for it', ON, /1:1?7?.*needs a key in `signing_keys` with `exchange: true`/],
  ['no key with the mark', KEY.replace(', exchange: true', '') + ON, /needs a key in `signing_keys`/],
  ['tokens that are off', KEY + ON, /needs `service.jwt_rbac`/, { ...ENV, QDRANT__SERVICE__JWT_RBAC: 'false' }],
  ['no port', `${KEY}token_exchange: {}\n`, /no port answers: set `rest_port`, or `gateway.admin.port`/],
  ['a short secret', KEY.replace(SECRET, 'short') + ON, /1:16: a key with `exchange` needs a secret of 32 bytes/],
  ['a secret under the rule', `${KEY}${ON}tokens: { min_secret_bytes: 41 }\n`, /needs a secret of 41 bytes/],
  ['the secret of the admin', KEY.replace(SECRET, ADMIN) + ON, /the same secret as `service.api_key`/],
  ['a long life', `${KEY}token_exchange: { lifetime: 3601 }\n`, /`lifetime` must be a whole number from 10 to 3600/],
  ['no life', `${KEY}token_exchange: { lifetime: 0 }\n`, /`lifetime` must be a whole number from 10 to 3600/],
  ['no rate', `${KEY}token_exchange: { per_minute: 0 }\n`, /`per_minute` must be a whole number from 1/],
  ['another key', `${KEY}token_exchange: { keys: [m] }\n`, /must be one of api_key, alt_api_key, read_only_api_key/],
  ['an unknown member', `${KEY}token_exchange: { lifetim: 5 }\n`, /unknown field `lifetim`, did you mean `lifetime`/],
  ['a switch of another type', `${KEY}token_exchange: { rest_port: 1 }\n`, /`rest_port` must be true or false/],
  ['no section', `${KEY}token_exchange: 5\n`, /`token_exchange` must be a section with settings/],
  ['a mark of another type', KEY.replace('exchange: true', 'exchange: 1'), /`exchange` must be true or false/],
];

t.test('what is wrong is told with its place, and without a secret', async (t) => {
  for (const [name, policy, problem, env] of REFUSED) {
    const told = problemsOf(policy, env).join('\n');
    t.match(told, problem, name);
    t.match(told, /^policy\.yaml:\d+:\d+: /, name);
    t.notMatch(told, new RegExp(`${SECRET}|${ADMIN}`), name);
  }
});
