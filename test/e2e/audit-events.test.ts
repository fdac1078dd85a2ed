import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { AUDIT_EVENTS, type AuditEventCode } from '../../src/audit/event-codes.ts';
import { createKey, deleteKey, expireKey, rotateKey, setState } from '../../src/cli/key/commands.ts';
import { newKeyText } from '../../src/identity/key-text.ts';
import type { RevocationSettings } from '../../src/revocation/settings.ts';
import { takeOut, writeEntry } from '../../src/revocation/write.ts';
import { ADMIN_TOKEN, askAdmin, eventsIn, startSupervised } from '../support/admin-gateway.ts';
import { auditEventsPage, PAGE } from '../support/audit-events-page.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { consoleClient } from '../support/console.ts';
import { KEYS } from '../support/gateway.ts';
import { formOf, MINTING_SECRET } from '../support/minting.ts';
import { listOf, StandInNode } from '../support/nodes.ts';
import { startOperated } from '../support/operated.ts';
import { quickClock } from '../support/quick-clock.ts';
import { replaceFile } from '../support/replace-file.ts';
import { makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { AGREEABLE } from '../support/verdicts/lanes.ts';

/* Every event of the audit log, produced on a running gateway: by the admin port, and by requests over REST and gRPC. */

const HOUR = 3_600_000;
const at = (milliseconds: number): string => new Date(milliseconds).toISOString();
const texts: Record<string, string> = {};
function entry(id: string, more: object): object {
  const text = newKeyText(id);
  texts[id] = text;
  const hash = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  return { id, name: `Key ${id}`, hash, access: 'm', expires_at: 'never', ...more };
}
const glass = { break_glass: true, not_before: at(Date.now() - HOUR), expires_at: at(Date.now() + HOUR) };
const keys = [
  ...[entry('disabled', { state: 'disabled' }), entry('elsewhere', { networks: ['10.0.0.0/8'] })],
  ...[entry('later', { not_before: at(Date.now() + HOUR) }), entry('ended', { expires_at: at(Date.now() - HOUR) })],
  ...[
    entry('glass', glass),
    entry('narrow', {}),
    entry('shadow', {}),
    entry('full', {}),
    entry('full2', {}),
    entry('spare', {}),
  ],
];
const policy = {
  signing_keys: [{ id: 'minting', secret: MINTING_SECRET, exchange: true }],
  token_exchange: {},
  rules: [
    { id: 'narrow-reads', keys: ['narrow'], access: 'r' },
    { id: 'shadow-reads', keys: ['shadow'], access: 'r', mode: 'shadow' },
  ],
  guards: [
    { id: 'ice', freeze: ['ice'] },
    { id: 'slush', freeze: ['slush'], mode: 'shadow' },
    { id: 'few', bounds: { collections: ['small'], max_query_limit: 10 } },
    { id: 'fewer', bounds: { collections: ['tiny'], max_query_limit: 10 }, mode: 'shadow' },
  ],
  limits: [
    { id: 'once', keys: ['full'], requests: { per: 'day', most: 1 } },
    { id: 'maybe', keys: ['full2'], requests: { per: 'day', most: 1 }, mode: 'shadow' },
  ],
};

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-events-'));
writeFileSync(join(folder, 'keys.json'), JSON.stringify({ keys }));
const revocationFile = join(folder, 'revocations.yaml');
writeFileSync(revocationFile, 'revocations: []\n');
const gateway = await startOperated({
  upstream: AGREEABLE,
  files: { 'policy.yaml': JSON.stringify(policy) },
  settings: {
    ...{ 'gateway.keys_file': join(folder, 'keys.json'), 'gateway.admin.port': 0, 'gateway.admin.token': ADMIN_TOKEN },
    ...{ 'audit.enabled': true, 'audit.dir': join(folder, 'log') },
    ...{ 'gateway.revocation.file': revocationFile, 'gateway.console.enabled': true },
  },
});
const client = rawClient(gateway);
t.teardown(async () => {
  client.close();
  await gateway.close();
  rmSync(folder, { recursive: true });
});

type Event = Readonly<Record<string, unknown>>;
const events = () => eventsIn(join(folder, 'log'));
const produced = new Set<unknown>();

const query = (key: string) => ask(gateway, 'GET', '/collections/docs/points/1', { 'api-key': key });
function write(key: string, name: string, more: Readonly<Record<string, string>> = {}) {
  return unary(client, '/qdrant.Points/Upsert', message({ 1: name }), { 'api-key': key, ...more });
}
function scroll(name: string) {
  const headers = { 'api-key': KEYS.admin, 'content-type': 'application/json' };
  return ask(gateway, 'POST', `/collections/${name}/points/scroll`, headers, '{"limit":100}');
}
const named = (id: string): string => texts[id] ?? '';
const REASON = { 'x-qdrant-gateway-reason': 'ticket 4711' };

async function admin(method: string, path: string, body?: object): Promise<number> {
  const sent = body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {};
  return (await askAdmin(gateway.admin, path, { method, token: ADMIN_TOKEN, ...sent })).status;
}
const key = (change: string, body?: object) => admin('POST', `/-/keys/team/${change}`, body);

type Case = readonly [event: AuditEventCode, cause: () => Promise<unknown>, members: Event];
const TEAM = { target_key: 'team', target_key_name: 'Team', key: 'admin_token', remote: '127.0.0.1' };

const file = join(folder, 'keys.json');
const context = {
  output: { out: () => undefined, err: () => undefined },
  now: Date.now(),
  readStdin: async () => '',
};
/** Of another network, as an editor would write it. */
async function editKey(id: string): Promise<void> {
  const { keys: all } = JSON.parse(readFileSync(file, 'utf8')) as { keys: { id: string }[] };
  const edited = all.map((one) => (one.id === id ? { ...one, networks: ['10.0.0.0/8'] } : one));
  replaceFile(file, JSON.stringify({ keys: edited }));
}
/** More keys at once, as a program would write them. */
async function addKeys(count: number): Promise<void> {
  const { keys: all } = JSON.parse(readFileSync(file, 'utf8')) as { keys: object[] };
  const added = Array.from({ length: count }, (_, at) => entry(`more${at}`, {}));
  replaceFile(file, JSON.stringify({ keys: [...all, ...added] }));
}
const ELSEWHERE = { key: 'keys_file', auth_type: 'None', target_key: 'spare', target_key_name: 'Key spare' };

function exchange(credential: string) {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const body = formOf({ subject_token: credential, scope: 'docs=r' });
  return askAdmin(gateway.admin, '/-/token', { method: 'POST', headers, body });
}
const DISABLED = { result: 'denied', key: 'disabled', key_name: 'Key disabled', code: 'key_disabled', status: 400 };

const CASES: readonly Case[] = [
  ['token_minted', () => exchange(named('spare')), { key: 'spare', minted: { lifetime: 300, scope: 'docs=r' } }],
  ['token_refused', () => exchange(named('disabled')), DISABLED],
  ['key_created', () => admin('POST', '/-/keys', { id: 'team', name: 'Team', access: 'r' }), TEAM],
  ['key_rotated', () => key('rotate'), TEAM],
  ['key_disabled', () => key('disable'), TEAM],
  ['key_enabled', () => key('enable'), TEAM],
  ['key_expiry_set', () => key('expire', { at: '1h' }), TEAM],
  ['key_expired', () => key('expire'), TEAM],
  ['key_deleted', () => admin('DELETE', '/-/keys/team'), TEAM],
  ['key_disabled', () => setState('spare', 'disabled', { file }, context), ELSEWHERE],
  ['key_enabled', () => setState('spare', 'active', { file }, context), ELSEWHERE],
  ['key_rotated', () => rotateKey('spare', { file, overlap: '1h' }, context), ELSEWHERE],
  ['key_expiry_set', () => expireKey('spare', { file, at: '1h' }, context), ELSEWHERE],
  ['key_changed', () => editKey('spare'), ELSEWHERE],
  ['key_deleted', () => deleteKey('spare', { file }, context), ELSEWHERE],
  [
    'key_created',
    () => createKey({ file, id: 'spare', name: 'Key spare', access: 'r' }, context),
    { ...ELSEWHERE, method: 'gateway_key_create' },
  ],
  ['keys_changed', () => addKeys(101), { key: 'keys_file', changed_keys: { key_created: 1 } }],
  ['reloaded', () => admin('POST', '/-/reload'), { method: 'gateway_reload' }],
  [
    'revoked',
    () => admin('POST', '/-/revoke', { kind: 'subject', value: 'ann' }),
    { revoked: { kind: 'subject', value: 'ann' } },
  ],
  [
    'revoked',
    () => admin('POST', '/-/revoke', { kind: 'before', value: 1_700_000_000, subject: 'ben' }),
    { revoked: { kind: 'before', value: '2023-11-14T22:13:20.000Z', subject: 'ben' } },
  ],
  [
    'revoked',
    () => writeEntry({ file: revocationFile } as RevocationSettings, { kind: 'subject', value: 'cid' }, quickClock()),
    { key: 'revocations', auth_type: 'None', revoked: { kind: 'subject', value: 'cid' } },
  ],
  [
    'revocation_lifted',
    () => admin('POST', '/-/revoke/lift', { kind: 'before', value: 1_700_000_000, subject: 'ben' }),
    { revoked: { kind: 'before', value: '2023-11-14T22:13:20.000Z', subject: 'ben' }, key: 'admin_token' },
  ],
  [
    'revocation_lifted',
    () => takeOut({ file: revocationFile } as RevocationSettings, [{ kind: 'subject', value: 'cid' }], quickClock()),
    { key: 'revocations', auth_type: 'None', revoked: { kind: 'subject', value: 'cid' } },
  ],
  [
    'revoked_token_used',
    () => query(makeToken({ access: 'm', subject: 'ann' })),
    { code: 'token_revoked', result: 'denied' },
  ],
  ['key_used_while_disabled', () => query(named('disabled')), { key: 'disabled', key_name: 'Key disabled' }],
  ['key_used_from_other_network', () => query(named('elsewhere')), { key: 'elsewhere', code: 'key_network' }],
  ['key_used_before_begin', () => write(named('later'), 'docs'), { key: 'later', protocol: 'grpc' }],
  ['key_used_after_expiry', () => write(named('ended'), 'docs'), { key: 'ended', result: 'denied' }],
  ['guard_hit', () => write(KEYS.admin, 'ice'), { rule: 'ice', code: 'writes_frozen' }],
  ['guard_hit', () => ask(gateway, 'DELETE', '/collections/ice', { 'api-key': KEYS.admin }), { rule: 'ice' }],
  [
    'guard_hit_in_shadow',
    () => write(KEYS.admin, 'slush'),
    { result: 'ok', would_deny: { rule: 'slush', code: 'writes_frozen' } },
  ],
  ['guard_hit', () => scroll('small'), { rule: 'few', code: 'bound_exceeded' }],
  ['guard_hit_in_shadow', () => scroll('tiny'), { result: 'ok', would_deny: { rule: 'fewer' } }],
  ['rule_hit', () => write(named('narrow'), 'docs'), { rule: 'narrow-reads', key: 'narrow' }],
  ['rule_hit_in_shadow', () => write(named('shadow'), 'docs'), { result: 'ok', would_deny: { rule: 'shadow-reads' } }],
  [
    'limit_hit',
    () => Promise.all([query(named('full')), query(named('full'))]),
    { rule: 'once', code: 'rate_limited' },
  ],
  [
    'limit_hit_in_shadow',
    () => Promise.all([query(named('full2')), query(named('full2'))]),
    { would_deny: { rule: 'maybe' } },
  ],
  [
    'break_glass_used',
    () => write(named('glass'), 'ice', REASON),
    { key: 'glass', rule: 'ice', reason: 'ticket 4711' },
  ],
  [
    'break_glass_used',
    () => ask(gateway, 'GET', '/collections', { 'api-key': named('glass'), ...REASON }),
    { key: 'glass', reason: 'ticket 4711' },
  ],
  ['break_glass_refused', () => write(named('glass'), 'ice'), { key: 'glass', code: 'reason_required' }],
];

for (const [event, cause, members] of CASES) {
  t.test(`${event}: ${JSON.stringify(members)}`, async (test) => {
    const before = new Set(events().map(({ id }) => id));
    await cause();
    const found = () => events().filter((one) => one.event === event && !before.has(one.id));
    await until(() => found().length > 0, 'the audit is told');
    test.equal(found().length, 1, 'once');
    test.match(found()[0], members);
    produced.add(event);
  });
}

t.test('a plain request, a plain refusal and a change that fails have no event', async (test) => {
  const before = new Set(events().map(({ id }) => id));
  await query(KEYS.admin);
  await query('wrong');
  await write(KEYS.readOnly, 'docs');
  test.equal(await key('disable'), 404, 'the key is gone');
  const found = () => events().filter(({ id }) => !before.has(id));
  await until(() => found().length === 4, 'the audit is told');
  test.same(
    found().map(({ event }) => event),
    [undefined, undefined, undefined, undefined],
  );
});

t.test('nodes are drained and taken in again', async (test) => {
  const nodes = await Promise.all([StandInNode.start({ version: '1.19.1' }), StandInNode.start({ version: '1.19.1' })]);
  const spread = await startSupervised({
    audit: true,
    settings: {
      ...{ 'gateway.admin.token': ADMIN_TOKEN, 'gateway.upstream.nodes': listOf(nodes) },
      ...{ 'gateway.upstream.rest_url': null, 'gateway.upstream.grpc_url': null },
    },
  });
  test.teardown(async () => {
    await spread.close();
    await Promise.all(nodes.map((node) => node.stop()));
  });
  for (const change of ['drain', 'undrain'] as const) {
    const sent = { method: 'POST', token: ADMIN_TOKEN, headers: { 'content-type': 'application/json' } };
    const body = JSON.stringify({ node: nodes[0]?.name });
    test.equal((await askAdmin(spread.admin, `/-/nodes/${change}`, { ...sent, body })).status, 200);
  }
  const told = () => spread.events().filter(({ event }) => String(event).startsWith('node_'));
  await until(() => told().length === 2, 'the audit is told');
  for (const { event } of told()) produced.add(event);
  test.match(told(), [{ target_node: nodes[0]?.name }, { target_node: nodes[0]?.name }]);
});

t.test('the console: each act names what it is about', async (test) => {
  const before = new Set(events().map(({ id }) => id));
  const [browser, other] = [consoleClient(gateway.admin), consoleClient(gateway.admin)];
  test.equal(await browser.login('wrong'), 401);
  test.equal(await browser.login(KEYS.admin), 200);
  test.equal(await other.login(KEYS.readOnly), 200);
  const post = async (path: string, body: object, status = 200): Promise<unknown> => {
    const answer = await browser.post(`api/${path}`, body);
    test.equal(answer.status, status, answer.text);
    return answer.json;
  };
  const { id } = (await post('tokens/mint', {
    ...{ signing_key: 'api_key', exp: '1h', subject: 'shop' },
    collections: [
      { collection: 'docs', access: 'r' },
      { collection: 'notes', access: 'rw' },
    ],
  })) as { id: string };
  await post('tokens/revoke', { kind: 'token', value: id });
  await post('tokens/lift', { kind: 'token', value: id });
  await post('keys/create', { name: 'Desk', id: 'desk', access: 'r', expires_at: '1d' });
  await post('keys/disable', { id: 'desk' });
  await post('keys/disable', { id: 'nobody' }, 404);
  await post('nodes/drain', { node: 'localhost:1' }, 404);
  const { text, revision } = (await browser.get('api/policy')).json as { text: string; revision: string };
  const { revision: next } = (await post('policy/write', { draft: `${text}\n`, revision })) as { revision: string };
  await post('policy/write', { draft: 'rules: [nonsense]', revision: next }, 422);
  const { sessions } = (await browser.get('api/sessions')).json as { sessions: { id: string; own: boolean }[] };
  const [own, foreign] = [true, false].map((mine) => sessions.find((one) => one.own === mine)?.id);
  await post('sessions/end', { id: foreign });
  await post('logout', {});
  const told = () => events().filter((one) => !before.has(one.id) && one.via === 'console');
  await until(() => told().some(({ event }) => event === 'console_logout'), 'the audit is told');
  const revoked = { kind: 'token', value: id };
  const minted = { token_id: id, scope: 'docs=r notes=rw', subject: 'shop', key: 'api_key' };
  const expected: readonly Event[] = [
    { event: 'console_login_failed', result: 'denied' },
    { event: 'console_login', key: 'api_key', target_session: own },
    { event: 'console_login', key: 'read_only_api_key', target_session: foreign },
    { event: 'token_made', minted },
    { event: 'revoked', revoked },
    { event: 'revocation_lifted', revoked },
    { event: 'key_created', target_key: 'desk', target_key_name: 'Desk' },
    { event: 'key_disabled', target_key: 'desk', target_key_name: 'Desk' },
    { event: undefined, method: 'gateway_key_disable', target_key: 'nobody', error: 'not carried out' },
    { event: undefined, method: 'gateway_node_drain', target_node: 'localhost:1', error: 'not carried out' },
    { event: 'policy_written', target_policy: next, former_policy: revision },
    { event: undefined, method: 'gateway_policy_write', former_policy: next, error: 'not carried out' },
    { event: 'console_session_ended', target_session: foreign, target_session_name: 'read_only_api_key' },
    { event: 'console_logout', target_session: own },
  ];
  test.match(told(), expected);
  test.equal(told().length, expected.length);
  for (const { event } of told()) produced.add(event);
});

t.test('no event is left that was not produced', async (test) => {
  test.same(
    Object.keys(AUDIT_EVENTS).filter((code) => !produced.has(code)),
    [],
  );
});

t.test('the reference page is what the table says', async (test) => {
  test.equal(readFileSync(PAGE, 'utf8'), auditEventsPage(), 'run `npm run docs:audit-events`');
});
