import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startSupervised } from '../support/admin-gateway.ts';
import { type ConsoleClient, consoleClient, cookieLines } from '../support/console.ts';
import { serveDashboard } from '../support/dashboard.ts';
import { KEYS } from '../support/gateway.ts';
import { startLoginProvider } from '../support/issuers/login-provider.ts';
import { until } from '../support/until.ts';

/* Sessions are listed and ended one by one: those of keys and of an identity provider, over both ports and two processes. */

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-console-sessions-'));
const gateway = await startSupervised({
  settings: { 'gateway.console.enabled': true, 'gateway.console.on_rest_port': true, 'gateway.workers': 2 },
  audit: true,
  upstream: { onRest: serveDashboard() },
});
const { admin: port } = gateway;
const origin = `http://localhost:${port}`;
const provider = await startLoginProvider(folder, `${origin}/-/console/oidc/callback`, (name) => [`${name}s`]);
gateway.next = () =>
  gateway.stateWith({
    'gateway.console.oidc.issuer': provider.issuer,
    'gateway.console.oidc.client_id': provider.clientId,
    'gateway.console.oidc.client_secret': provider.clientSecret,
    'gateway.console.oidc.public_url': origin,
    'gateway.console.oidc.ca': provider.ca,
    'gateway.console.oidc.full': 'adas',
    'gateway.console.oidc.read': 'bens',
  });
t.match(await gateway.supervisor.reload('admin'), { ok: true });
t.teardown(async () => {
  await gateway.close();
  await provider.close();
  rmSync(folder, { recursive: true });
});

async function signIn(person: string): Promise<ConsoleClient> {
  const client = consoleClient(port);
  const begun = await client.get('oidc/start', { 'sec-fetch-site': 'none' });
  const [cookie = ''] = cookieLines(begun).map((line) => line.split(';', 1)[0] ?? '');
  client.cookie = '';
  const back = await provider.signIn(String(begun.headers.location), person);
  const answer = await client.get(back.slice(`${origin}/-/console/`.length), {
    cookie,
    'sec-fetch-site': 'cross-site',
  });
  t.equal(answer.status, 303, `${person} is signed in`);
  return client;
}

/** Statuses of a session on the admin port, behind it, and on the REST port over connections of both processes. */
async function statuses({ cookie }: ConsoleClient): Promise<readonly number[]> {
  const admin = consoleClient(port);
  const found: number[] = [];
  for (const path of ['api/status', 'qdrant/collections']) {
    admin.cookie = cookie;
    found.push((await admin.get(path)).status);
  }
  for (let at = 0; at < 8; at += 1) {
    const rest = consoleClient(gateway.rest.port);
    rest.cookie = cookie;
    found.push((await rest.get('api/status')).status);
  }
  return [...new Set(found)];
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly key: string;
  readonly role: string;
  readonly own: boolean;
  readonly since: string;
  readonly expires_at: string;
}
const listed = async (client: ConsoleClient): Promise<readonly Row[]> =>
  ((await client.get('api/sessions')).json as { sessions: readonly Row[] }).sessions;

t.test('a session is ended alone, everywhere, and nothing brings it back', async (t) => {
  const [ada, ben, other] = [await signIn('ada'), await signIn('ben'), await signIn('ben')];
  const key = consoleClient(port);
  t.equal(await key.login(KEYS.admin), 200);
  for (const client of [ada, ben, other, key]) t.strictSame(await statuses(client), [200]);

  const rows = await listed(ben);
  t.strictSame(
    rows.map(({ name, key: by, role, own }) => [name, by, role, own]),
    [
      ['api_key', 'api_key', 'full', false],
      ['ben', 'oidc', 'read', false],
      ['ben', 'oidc', 'read', true],
      ['ada', 'oidc', 'full', false],
    ],
    'who, by what, role; the newest first',
  );
  for (const { since, expires_at: end } of rows) t.equal(Date.parse(end) - Date.parse(since), 3_600_000, 'until when');
  const id = rows.find(({ own }) => own)?.id ?? '';
  t.equal((await ben.post('api/sessions/end', { id })).status, 403, 'the role read ends none');
  t.equal((await ada.post('api/sessions/end', { id: 'another' })).status, 404);
  t.equal((await ada.post('api/sessions/end', { id, all: true })).status, 400);
  t.strictSame(await statuses(ben), [200], 'until here it holds');

  t.equal((await ada.post('api/sessions/end', { id })).status, 200);
  t.strictSame(await statuses(ben), [401], 'on both ports, in both processes, and behind the login');
  t.match(await gateway.supervisor.reload('admin'), { ok: true });
  t.strictSame(await statuses(ben), [401], 'a reload does not bring it back');
  t.equal((await ada.post('api/sessions/end', { id })).status, 404, 'it is ended once');
  for (const [name, client] of Object.entries({ ada, other, key })) t.strictSame(await statuses(client), [200], name);
  t.strictSame(await statuses(await signIn('ben')), [200], 'the person may come again');

  const rest = consoleClient(gateway.rest.port);
  rest.cookie = key.cookie;
  const own = (await listed(rest)).find((row) => row.own)?.id;
  t.equal((await rest.post('api/sessions/end', { id: own })).status, 200, 'also over the REST port, and the own one');
  t.strictSame(await statuses(key), [401]);

  const ended = () => gateway.events().filter(({ event }) => event === 'console_session_ended');
  await until(() => ended().length === 2, 'the audit is told');
  t.match(ended(), [
    { subject: 'ada', key: 'oidc', target_session: id, target_session_name: 'ben', via: 'console', result: 'ok' },
    { key: 'api_key', target_session: own, target_session_name: 'api_key' },
  ]);
  const logins = gateway.events().filter(({ event }) => event === 'console_login');
  t.ok(
    logins.some((one) => one.target_session === id && one.subject === 'ben'),
    'the login named it',
  );
  t.ok(
    gateway.events().some(({ token_id: one }) => one === `console ${id}`),
    'and so do requests behind the login',
  );
});
