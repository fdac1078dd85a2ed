import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { NO_POLICY, type PolicySettings } from '../../src/config/policy/file.ts';
import type { Secrets } from '../../src/config/secrets.ts';
import type { State } from '../../src/config/state.ts';
import { describeChanges, restartNeeded } from '../../src/gateway/live-options.ts';
import { pairOf } from '../support/operated.ts';

const [first, second] = [await pairOf(0), await pairOf(1)];
const NEVER = 'never-to-be-seen';

interface Given {
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly secrets?: Partial<Secrets>;
  readonly policy?: Partial<PolicySettings>;
}

function stateOf({ settings = {}, secrets = {}, policy = {} }: Given): State {
  const defaults = {
    'service.api_key': 'k',
    'gateway.upstream.rest_url': 'http://q:1',
    'service.grpc_port': null,
    ...settings,
  };
  const none = {
    apiKey: null,
    altApiKey: null,
    readOnlyApiKey: null,
    adminToken: null,
    upstreamKey: null,
    tls: null,
    upstreamCa: null,
  };
  const { config } = loadConfig({ env: {}, defaults });
  return { config, secrets: { ...none, ...secrets }, policy: { ...NO_POLICY, ...policy } };
}

const rule = (id: string, access: 'r' | 'm' = 'r') => ({ id, mode: 'enforce' as const, access });
const key = (id: string, secret = NEVER) => ({ id, secret });
const tls = { cert: first.cert, key: first.key, clientCa: null };

const CASES: readonly [name: string, before: Given, after: Given, changes: readonly (string | RegExp)[]][] = [
  ['nothing', { secrets: { tls } }, { secrets: { tls: { ...tls, cert: Buffer.from(first.cert) } } }, []],
  [
    'options, by path',
    { settings: { log_level: 'info' } },
    { settings: { log_level: 'debug', 'gateway.admin.token': NEVER } },
    ['option log_level', 'option gateway.admin.token'],
  ],
  [
    'keys, by id',
    { secrets: { apiKey: NEVER, readOnlyApiKey: NEVER } },
    { secrets: { apiKey: `${NEVER}2`, altApiKey: NEVER } },
    ['key alt_api_key added', 'key read_only_api_key removed', 'key api_key changed'],
  ],
  [
    'signing keys, by id',
    { policy: { signingKeys: [key('a'), key('b')] } },
    { policy: { signingKeys: [key('b', `${NEVER}2`), key('c')] } },
    ['signing key c added', 'signing key a removed', 'signing key b changed'],
  ],
  [
    'rules, by id',
    { policy: { rules: [rule('a'), rule('b')] } },
    { policy: { rules: [rule('b', 'm'), rule('c')] } },
    ['rule c added', 'rule a removed', 'rule b changed'],
  ],
  [
    'guards, by id',
    { policy: { guards: [{ id: 'a', mode: 'enforce', freeze: false }] } },
    { policy: { guards: [{ id: 'a', mode: 'enforce', freeze: true }] } },
    ['guard a changed'],
  ],
  [
    'tenants, by id',
    { policy: { tenants: [{ id: 'a', collections: ['b'], field: 't', value: 'x' }] } },
    { policy: { tenants: [{ id: 'a', collections: ['b'], field: 't', value: 'y' }] } },
    ['tenant a changed'],
  ],
  [
    'the order of keys, which decides who signed',
    { policy: { signingKeys: [key('a'), key('b', 'x')] } },
    { policy: { signingKeys: [key('b', 'x'), key('a')] } },
    ['signing keys in another order'],
  ],
  [
    'certificates, by expiry',
    { secrets: { tls } },
    { secrets: { tls: { cert: second.cert, key: second.key, clientCa: second.ca }, upstreamCa: second.ca } },
    [/^certificate, expires 20\d\d-\d\d-\d\dT/, 'private key', 'client ca', 'upstream ca'],
  ],
];

t.test('what a reload changes is told in words, without a value', async (test) => {
  for (const [name, before, after, changes] of CASES) {
    const told = describeChanges(stateOf(before), stateOf(after));
    test.equal(told.length, changes.length, `${name}: ${told}`);
    test.match(told, changes, name);
    test.notMatch(told.join(), NEVER, `${name}: no value`);
  }
});

t.test('options that only a restart takes are named', async (test) => {
  const running = stateOf({}).config;
  const live = {
    log_level: 'debug',
    'gateway.mode': 'shadow',
    'service.jwt_rbac': true,
    'gateway.reload.watch': false,
  };
  test.same(restartNeeded(running, stateOf({ settings: live }).config), []);
  const settings = { ...live, 'service.http_port': 7000, 'gateway.limits.json_depth': 32 };
  test.same(restartNeeded(running, stateOf({ settings }).config), ['service.http_port', 'gateway.limits.json_depth']);
});
