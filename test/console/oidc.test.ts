import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startSupervised } from '../support/admin-gateway.ts';
import { type ConsoleClient, consoleClient, cookieLines } from '../support/console.ts';
import { serveDashboard } from '../support/dashboard.ts';
import { startLoginProvider } from '../support/issuers/login-provider.ts';

/* Login by an identity provider: code flow with PKCE, state and nonce, against a real provider. */

const GROUPS: Readonly<Record<string, unknown>> = {
  ada: ['staff', 'operators'],
  ben: 'auditors',
  cyd: ['staff'],
  dan: { operators: true },
};

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-console-oidc-'));
const gateway = await startSupervised({
  settings: { 'gateway.console.enabled': true },
  audit: true,
  upstream: { onRest: serveDashboard() },
});
const { admin: port } = gateway;
const origin = `http://localhost:${port}`;
const provider = await startLoginProvider(folder, `${origin}/-/console/oidc/callback`, (name) => GROUPS[name]);
const settings = {
  'gateway.console.oidc.issuer': provider.issuer,
  'gateway.console.oidc.client_id': provider.clientId,
  'gateway.console.oidc.client_secret': provider.clientSecret,
  'gateway.console.oidc.public_url': origin,
  'gateway.console.oidc.ca': provider.ca,
  'gateway.console.oidc.full': 'operators',
  'gateway.console.oidc.read': 'auditors',
};
/** The port is known now: a reload puts the login in force. */
const reloadWith = async (changed: Readonly<Record<string, unknown>>): Promise<void> => {
  gateway.next = () => gateway.stateWith({ ...settings, ...changed });
  const reload = await gateway.supervisor.reload('admin');
  t.match(reload, { ok: true, restartNeeded: [] });
};
await reloadWith({});
t.teardown(async () => {
  await gateway.close();
  await provider.close();
  rmSync(folder, { recursive: true });
});

interface Begun {
  readonly location: string;
  /** The cookie of the login that is under way. */
  readonly login: string;
}

async function begin(client: ConsoleClient): Promise<Begun> {
  const answer = await client.get('oidc/start', { 'sec-fetch-site': 'none' });
  const [login = ''] = cookieLines(answer).map((line) => line.split(';', 1)[0] ?? '');
  client.cookie = '';
  return { location: String(answer.headers.location), login };
}

/** The browser comes back: a navigation from the provider's site, without the strict cookie. */
const comeBack = (client: ConsoleClient, url: string, cookie: string) =>
  client.get(url.slice(`${origin}/-/console/`.length), { cookie, 'sec-fetch-site': 'cross-site' });

t.test('the values of the claim give the role, and others get none', async (t) => {
  for (const { person, status, role } of [
    { person: 'ada', status: 303, role: 'full' },
    { person: 'ben', status: 303, role: 'read' },
    { person: 'cyd', status: 403, role: undefined },
    { person: 'dan', status: 403, role: undefined },
  ]) {
    const client = consoleClient(port);
    const { location, login } = await begin(client);
    t.match(location, /code_challenge_method=S256/);
    t.match(location, /[?&]state=[\w-]{20,}.*|[?&]nonce=[\w-]{20,}/);
    t.match(login, /^qdrant-console-login=/, person);
    const back = await comeBack(client, await provider.signIn(location, person), login);
    t.equal(back.status, status, person);
    t.match(
      (await client.get('api/session')).json,
      role ? { signed_in: true, role, name: person } : { signed_in: false, oidc: true },
    );
    t.equal((await client.get('api/status')).status, role ? 200 : 401, `${person} reads`);
    t.equal(
      (await client.post('api/reload', {})).status,
      role === 'full' ? 200 : role ? 403 : 401,
      `${person} changes`,
    );
    if (!role) continue;
    t.equal((await client.get('qdrant/collections')).status, 200, `${person} has the Web UI`);
    t.equal((await client.post('api/logout', {})).status, 200);
    t.equal((await client.get('api/status')).status, 401, `${person} has signed out`);
  }
  const logins = gateway.events().filter(({ operation }) => operation === 'gateway.console_login');
  t.strictSame(
    logins.map(({ event, subject, auth_type }) => [event, subject, auth_type]),
    [
      ['console_login', 'ada', 'Jwt'],
      ['console_login', 'ben', 'Jwt'],
      ['console_login_failed', 'cyd', 'None'],
      ['console_login_failed', 'dan', 'None'],
    ],
  );
});

t.test('an answer is taken once, by the browser that began the login', async (t) => {
  const client = consoleClient(port);
  const other = await begin(consoleClient(port));
  const none = `${origin}/-/console/oidc/callback`;
  for (const [name, change] of [
    ['without its cookie', ({ back }) => [back, '']],
    ['with the cookie of another login', ({ back }) => [back, other.login]],
    ['with a changed cookie', ({ back, login }) => [back, `${login.slice(0, -2)}AA`]],
    ['with another state', ({ back, login }) => [back.replace(/state=[^&]+/, 'state=another'), login]],
    ['with the state twice', ({ back, login }) => [`${back}&state=another`, login]],
    ['with another code', ({ back, login }) => [back.replace(/code=[^&]+/, 'code=another'), login]],
    ['from another issuer', ({ back, login }) => [back.replace(/iss=[^&]+/, 'iss=https%3A%2F%2Fevil.example'), login]],
    ['with an error', ({ login }) => [`${none}?error=access_denied&state=x`, login]],
    ['with nothing', ({ login }) => [none, login]],
  ] as readonly (readonly [
    string,
    (answer: { readonly back: string; readonly login: string }) => [string, string],
  ])[]) {
    const { location, login } = await begin(client);
    const back = await provider.signIn(location, 'ada');
    const answer = await comeBack(consoleClient(port), ...change({ back, login }));
    t.equal(answer.status, 400, name);
    t.notOk(
      cookieLines(answer).some((line) => /^(__Host-)?qdrant-console=\w/.test(line)),
      `${name}: no session`,
    );
  }
  const fresh = await begin(client);
  const right = await provider.signIn(fresh.location, 'ada');
  t.equal((await comeBack(client, right, fresh.login)).status, 303, 'the right answer');
  t.equal((await comeBack(consoleClient(port), right, fresh.login)).status, 400, 'the same once more');
});

t.test('a login begins where its answer comes to', async (t) => {
  const elsewhere = await consoleClient(port).get('oidc/start', { host: `127.0.0.1:${port}` });
  t.strictSame([elsewhere.status, elsewhere.headers.location], [303, `${origin}/-/console/oidc/start`]);
});

t.test('a session ends when its values give no role any more, or another provider is configured', async (t) => {
  for (const [name, changed] of [
    ['another value', { 'gateway.console.oidc.full': 'others' }],
    ['no provider', { 'gateway.console.oidc.issuer': null }],
  ] as const) {
    await reloadWith({});
    const client = consoleClient(port);
    const { location, login } = await begin(client);
    await comeBack(client, await provider.signIn(location, 'ada'), login);
    t.equal((await client.get('api/status')).status, 200, name);
    await reloadWith(changed);
    t.equal((await client.get('api/status')).status, 401, name);
    t.equal((await client.get('qdrant/collections')).status, 401, `${name}: the Web UI`);
  }
});

t.test('a login that was begun is good for one answer, right or wrong', async (t) => {
  await reloadWith({});
  const client = consoleClient(port);
  const { location, login } = await begin(client);
  const back = await provider.signIn(location, 'ada');
  const wrong = (url: string): string => url.replace(/code=[^&]+/, 'code=another');
  t.match((await comeBack(consoleClient(port), wrong(back), login)).text, /was not accepted/);
  const again = await comeBack(consoleClient(port), back, login);
  t.match([again.status, again.text], [400, /has not begun this login/], 'no second answer reaches the provider');
});
