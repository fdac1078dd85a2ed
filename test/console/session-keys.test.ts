import t from 'tap';
import { NO_POLICY, type PolicySettings } from '../../src/config/policy/file.ts';
import { newKeyText } from '../../src/identity/key-text.ts';
import type { NamedKeySettings } from '../../src/policy/named-key.ts';
import { startSupervised } from '../support/admin-gateway.ts';
import { consoleClient } from '../support/console.ts';
import { KEYS } from '../support/gateway.ts';
import { namedKey } from '../support/named-keys.ts';
import { makeToken, nowSeconds } from '../support/tokens.ts';

/* Sessions of named keys, tokens and keys under rules: the role of each, and their end. */

const ON = { 'gateway.console.enabled': true };
const TEXT = newKeyText('team');
const withKey = (more: Partial<NamedKeySettings>): PolicySettings => ({
  ...NO_POLICY,
  namedKeys: [namedKey('team', TEXT, { access: 'm', ...more })],
});

const DAY_MS = 86_400_000;

t.test('a named key gives the role of its access, from its networks, in its time', async (t) => {
  for (const { name, key, status, role } of [
    { name: 'manage', key: {}, status: 200, role: 'full' },
    { name: 'read', key: { access: 'r' }, status: 200, role: 'read' },
    { name: 'one collection', key: { access: [{ collection: 'docs', access: 'rw' }] }, status: 403 },
    { name: 'disabled', key: { disabled: true }, status: 401 },
    { name: 'ended', key: { expiresAt: Date.now() - DAY_MS }, status: 401 },
    { name: 'not begun', key: { notBefore: Date.now() + DAY_MS }, status: 401 },
    { name: 'of this network', key: { networks: ['127.0.0.0/8'] }, status: 200, role: 'full' },
    { name: 'of another network', key: { networks: ['192.0.2.0/24'] }, status: 401 },
    { name: 'break-glass', key: { breakGlass: true, expiresAt: Date.now() + DAY_MS / 24 }, status: 403 },
  ] as const) {
    const gateway = await startSupervised({ settings: ON, policy: withKey(key as Partial<NamedKeySettings>) });
    const client = consoleClient(gateway.admin);
    t.equal(await client.login(TEXT), status, name);
    t.match(
      (await client.get('api/session')).json,
      role ? { signed_in: true, role, name: 'key team' } : { signed_in: false },
      name,
    );
    t.equal((await client.get('qdrant/collections')).status, role ? 200 : 401, `${name}: the Web UI`);
    await gateway.close();
  }
});

t.test('a session ends with a change of its named key', async (t) => {
  const gateway = await startSupervised({ settings: ON, policy: withKey({}) });
  t.teardown(() => gateway.close());
  const apply = async (key: Partial<NamedKeySettings>): Promise<void> => {
    gateway.next = () => ({ ...gateway.stateWith({}), policy: withKey(key) });
    t.match(await gateway.supervisor.reload('admin'), { ok: true });
  };
  const other = namedKey('team', newKeyText('team'));
  for (const [name, change] of [
    ['disabled', { disabled: true }],
    ['rotated', { hash: other.hash }],
    ['another network', { networks: ['192.0.2.0/24'] }],
    ['of one collection', { access: [] }],
  ] as const) {
    await apply({});
    const client = consoleClient(gateway.admin);
    t.equal(await client.login(TEXT), 200, name);
    t.equal((await client.get('qdrant/collections')).status, 200, `${name}: before`);
    await apply(change);
    t.equal((await client.get('qdrant/collections')).status, 401, `${name}: the Web UI ends at once`);
    t.equal((await client.get('api/status')).status, 401, name);
    await apply({});
    t.equal((await client.get('api/status')).status, 401, `${name}: it does not come back`);
  }
});

t.test('rules count, and tokens are as good as what they say', async (t) => {
  const gateway = await startSupervised({
    settings: ON,
    policy: {
      ...NO_POLICY,
      rules: [{ id: 'no-drops', mode: 'enforce', keys: ['api_key'], deny_operations: ['delete_collection'] }],
    },
  });
  t.teardown(() => gateway.close());
  const exp = nowSeconds() + 600;
  for (const { name, key, status, role } of [
    { name: 'the admin key, without the right to delete', key: KEYS.admin, status: 200, role: 'read' },
    { name: 'a token that reads', key: makeToken({ access: 'r', exp }, KEYS.admin), status: 200, role: 'read' },
    { name: 'a token of one collection', key: makeToken({ access: [], exp }, KEYS.admin), status: 403 },
    { name: 'an expired token', key: makeToken({ access: 'r', exp: exp - 7200 }, KEYS.admin), status: 401 },
  ]) {
    const client = consoleClient(gateway.admin);
    t.equal(await client.login(key), status, name);
    t.match((await client.get('api/session')).json, role ? { role } : { signed_in: false }, name);
  }
});

t.test('without any key there is no login', async (t) => {
  const gateway = await startSupervised({
    settings: {
      ...ON,
      'service.api_key': null,
      'service.read_only_api_key': null,
      'gateway.insecure_allow_no_key': true,
    },
  });
  t.teardown(() => gateway.close());
  const client = consoleClient(gateway.admin);
  t.equal(await client.login('anything'), 403);
  t.equal((await client.get('api/status')).status, 401);
});
