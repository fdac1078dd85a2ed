import t from 'tap';
import { askAdmin, type Supervised, startSupervised } from '../support/admin-gateway.ts';
import { type ConsoleClient, consoleClient, cookieLines } from '../support/console.ts';
import { KEYS } from '../support/gateway.ts';

/* Attacks on the console: from other origins, with sessions that are not the attacker's, and with requests out of shape. */

const ON = { 'gateway.console.enabled': true };
const gateway = await startSupervised({ settings: ON, audit: true });
t.teardown(() => gateway.close());
const host = `localhost:${gateway.admin}`;
const json = { 'content-type': 'application/json' };

async function signedIn(at: Supervised = gateway, key: string = KEYS.admin): Promise<ConsoleClient> {
  const client = consoleClient(at.admin);
  t.equal(await client.login(key), 200);
  return client;
}

t.test('no request that a page of another origin can send reads or changes anything', async (t) => {
  const { cookie } = await signedIn();
  const right = { host, cookie, origin: `http://${host}`, 'x-qdrant-console': '1', 'sec-fetch-site': 'same-origin' };
  const without = (name: keyof typeof right) =>
    Object.fromEntries(Object.entries(right).filter(([one]) => one !== name));
  for (const [name, headers] of [
    ['a form: no header of its own', without('x-qdrant-console')],
    ['another value of the header', { ...right, 'x-qdrant-console': 'true' }],
    ['another origin', { ...right, origin: 'http://evil.example' }],
    ['another port of this host', { ...right, origin: 'http://localhost:1' }],
    ['an origin that begins alike', { ...right, origin: `http://${host}.evil.example` }],
    ['an opaque origin', { ...right, origin: 'null' }],
    ['an empty origin', { ...right, origin: '' }],
    ['fetch from another site', { ...right, 'sec-fetch-site': 'cross-site' }],
    ['fetch from another origin of this site', { ...right, 'sec-fetch-site': 'same-site' }],
    ['a navigation', { ...right, 'sec-fetch-site': 'none' }],
    ['an old browser that tells nothing', { host, cookie, 'x-qdrant-console': '1' }],
  ] as const) {
    for (const path of ['reload', 'logout', 'login']) {
      const sent = { method: 'POST', headers: { ...headers, ...json }, body: path === 'login' ? '{"key":"x"}' : '{}' };
      const answer = await askAdmin(gateway.admin, `/-/console/api/${path}`, sent);
      t.equal(answer.status, 403, `${name}: ${path}`);
      t.strictSame(cookieLines(answer), [], `${name}: ${path} sets no cookie`);
    }
    // Without `Origin` a GET of the same origin looks like this; the header of its own needs a preflight from elsewhere.
    if (name === 'an old browser that tells nothing') continue;
    t.equal((await askAdmin(gateway.admin, '/-/console/api/status', { headers })).status, 403, `${name}: data`);
  }
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    const sent = { method: 'POST', headers: { ...right, 'content-type': type }, body: '{}' };
    t.equal((await askAdmin(gateway.admin, '/-/console/api/reload', sent)).status, 400, `a body of ${type}`);
  }
  const allowed = { method: 'POST', headers: { ...right, ...json }, body: '{}' };
  t.equal((await askAdmin(gateway.admin, '/-/console/api/reload', allowed)).status, 200, 'the page itself may');
  for (const method of ['OPTIONS', 'PUT', 'DELETE', 'PATCH', 'TRACE']) {
    const asked = await askAdmin(gateway.admin, '/-/console/api/reload', { method, headers: right });
    t.ok([404, 405].includes(asked.status), `${method}: ${asked.status}`);
    t.notOk('access-control-allow-origin' in asked.headers, `${method}: no CORS`);
  }
});

t.test('no answer of the console is shown in a frame, sniffed, cached or sent as a referrer', async (t) => {
  const { cookie } = await signedIn();
  const own = { host, cookie, 'x-qdrant-console': '1' };
  for (const path of ['', 'api/session', 'api/status', 'api/none', 'none', 'qdrant/collections', 'oidc/callback']) {
    const { headers, status } = await askAdmin(gateway.admin, `/-/console/${path}`, { headers: own });
    t.match(headers['content-security-policy'], /frame-ancestors 'none'/, `${path}: ${status}`);
    t.match(headers, {
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    t.equal(headers['cross-origin-resource-policy'], 'same-origin', path);
    if (path !== '') t.match(headers['cache-control'], /no-store/, path);
    t.notMatch(headers['content-security-policy'], /script-src[^;]*unsafe/, path);
  }
});

t.test('nor is an answer below its path that is not of the console', async (t) => {
  const large = JSON.stringify({ key: 'a'.repeat(300_000) });
  for (const [status, method, path, headers, body] of [
    [404, 'GET', '/-/console/%zz', { host }, undefined],
    [404, 'GET', '/-/console/%ff', { host }, undefined],
    [404, 'PUT', '/-/console/api/login', { host }, '{}'],
    [404, 'DELETE', '/-/console/', { host }, undefined],
    [404, 'OPTIONS', '/-/console/', { host }, undefined],
    [404, 'TRACE', '/-/console/', { host }, undefined],
    [413, 'POST', '/-/console/api/login', { host, ...json }, large],
    [401, 'GET', '/-/console/qdrant/collections', { host }, undefined],
    [303, 'GET', '/-/console/qdrant/dashboard', { host, 'sec-fetch-site': 'none' }, undefined],
    [421, 'GET', '/-/console/', { host: 'evil.example' }, undefined],
    [421, 'GET', '/-/console/%zz', { host: 'evil.example' }, undefined],
    [421, 'GET', 'http://evil.example/-/console/', { host }, undefined],
    [200, 'GET', `http://${host}/-/console/`, { host }, undefined],
    [
      200,
      'GET',
      `HTTP://${host.toUpperCase()}/-/console/api/session`,
      { host, origin: `http://${host}`, 'x-qdrant-console': '1' },
      undefined,
    ],
  ] as const) {
    const answer = await askAdmin(gateway.admin, path, { method, headers, ...(body !== undefined && { body }) });
    const sentence = `${method} ${path} ${headers.host}`;
    t.equal(answer.status, status, sentence);
    t.match(answer.headers, { 'x-frame-options': 'DENY', 'x-content-type-options': 'nosniff' }, sentence);
    t.match(answer.headers['content-security-policy'], /frame-ancestors 'none'/, sentence);
    t.match(answer.headers['cache-control'], /no-(?:store|cache)/, sentence);
    t.notMatch(answer.text, /zz|%ff|evil/, `${sentence}: nothing of it is repeated`);
    if (status === 413) t.match(answer.text, /at most 262144 bytes/);
  }
});

t.test('a session is the browser that opened it, until it ends', async (t) => {
  await t.test('a login takes over no session that was there before', async (t) => {
    const attacker = await signedIn(gateway, KEYS.readOnly);
    const victim = consoleClient(gateway.admin);
    victim.cookie = attacker.cookie;
    t.equal(await victim.login(KEYS.admin), 200);
    t.not(victim.cookie, attacker.cookie, 'another session');
    t.equal((await attacker.get('api/status')).status, 401, 'the one before has ended');
    t.match((await victim.get('api/session')).json, { role: 'full' });
  });
  await t.test('a cookie of two values is none', async (t) => {
    const [one, two] = [await signedIn(), await signedIn()];
    const { status } = await one.get('api/status', { cookie: `${one.cookie}; ${two.cookie}` });
    t.equal(status, 401);
  });
  await t.test('a copy of the cookie ends with the logout', async (t) => {
    const client = await signedIn();
    const copy = client.cookie;
    t.equal((await client.post('api/logout', {})).status, 200);
    t.equal((await client.get('api/status', { cookie: copy })).status, 401);
    t.match((await client.get('api/session', { cookie: copy })).json, { signed_in: false });
  });
  await t.test('changed, cut, foreign and oversize cookies open nothing', async (t) => {
    const { cookie } = await signedIn();
    const [name = '', value = ''] = cookie.split('=');
    const parts = value.split('.');
    const other = await startSupervised({ settings: ON });
    t.teardown(() => other.close());
    const foreign = (await signedIn(other)).cookie;
    const flipped = (at: number) => {
      const part = parts[at] ?? '';
      return [
        ...parts.slice(0, at),
        `${part.startsWith('A') ? 'B' : 'A'}${part.slice(1)}`,
        ...parts.slice(at + 1),
      ].join('.');
    };
    const header = Buffer.from('{"alg":"none","typ":"qdrant-gateway-console"}').toString('base64url');
    for (const [what, changed] of [
      ['of another gateway', foreign],
      ['changed ciphertext', `${name}=${flipped(3)}`],
      ['changed tag', `${name}=${flipped(4)}`],
      ['changed vector', `${name}=${flipped(2)}`],
      ['another header', `${name}=${header}.${parts.slice(1).join('.')}`],
      ['cut', cookie.slice(0, -8)],
      ['longer', `${cookie}AA`],
      ['oversize', `${name}=${'A'.repeat(9000)}`],
      ['empty', `${name}=`],
      ['quoted', `${name}="${value}"`],
      ['another name', `__Host-x=${value}`],
    ] as const) {
      const client = consoleClient(gateway.admin);
      t.equal((await client.get('api/status', { cookie: changed })).status, 401, what);
    }
    t.equal((await consoleClient(gateway.admin).get('api/status', { cookie })).status, 200, 'the right one does');
  });
});

t.test('the reader reads', async (t) => {
  const reader = await signedIn(gateway, KEYS.readOnly);
  t.equal((await reader.get('api/status')).status, 200);
  const before = gateway.events().length;
  const refused = await reader.post('api/reload', {});
  t.equal(refused.status, 403);
  t.match(refused.json, { error: 'this session may read only' });
  t.strictSame(gateway.events().slice(before), [], 'nothing was done');
  for (const path of [
    'api/RELOAD',
    'api/reload/',
    'api//reload',
    'api/./reload',
    'api/%72eload',
    'api/reload%00',
    'api/__proto__',
    'api/constructor',
  ]) {
    const { status } = await reader.post(path, {});
    t.ok([404, 400].includes(status), `${path}: ${status}`);
  }
});

t.test('a session ends with its key, and is narrowed with it', async (t) => {
  const own = await startSupervised({ settings: ON });
  t.teardown(() => own.close());
  const client = await signedIn(own);
  own.next = () => own.stateWith({ 'service.api_key': 'another-key-after-the-rotation-0123456789' });
  t.match(await own.supervisor.reload('admin'), { ok: true });
  t.equal((await client.get('api/status')).status, 401, 'after the rotation');
  own.next = () => own.stateWith({ 'service.api_key': KEYS.admin });
  t.match(await own.supervisor.reload('admin'), { ok: true });
  t.equal((await client.get('api/status')).status, 401, 'the key is back, and the session is not');
  const again = await signedIn(own);
  own.next = () =>
    own.stateWith({
      'service.api_key': 'yet-another-key-0123456789-0123456789',
      'service.read_only_api_key': KEYS.admin,
    });
  t.match(await own.supervisor.reload('admin'), { ok: true });
  t.match((await again.get('api/session')).json, { signed_in: true, role: 'read' }, 'the key reads only now');
  t.equal((await again.post('api/reload', {})).status, 403);
});

t.test('a body out of shape changes nothing', async (t) => {
  const { cookie } = await signedIn();
  const headers = { host, cookie, origin: `http://${host}`, 'x-qdrant-console': '1', ...json };
  for (const [name, body, status] of [
    ['a repeated member', '{"key":"a","key":"b"}', 400],
    ['a list', '[]', 400],
    ['no JSON', '{', 400],
    ['nothing', '', 400],
    ['a prototype', '{"__proto__":{"key":"a"}}', 400],
    ['a number', '{"key":1}', 400],
    ['a deep one', `{"key":${'['.repeat(5000)}${']'.repeat(5000)}}`, 400],
    ['a large one', `{"key":"${'a'.repeat(20_000)}"}`, 400],
    ['a very large one', `{"key":"${'a'.repeat(300_000)}"}`, 413],
  ] as const) {
    const answer = await askAdmin(gateway.admin, '/-/console/api/login', { method: 'POST', headers, body });
    t.equal(answer.status, status, name);
    t.strictSame(
      cookieLines(answer).filter((line) => !line.includes('Max-Age=0')),
      [],
      name,
    );
  }
});

t.test('one network guesses thirty keys a minute, on connections of any number', async (t) => {
  const guessed = await startSupervised({ settings: { 'gateway.console.enabled': true }, audit: true });
  t.teardown(() => guessed.close());
  const guesses = 60;
  const statuses = await Promise.all(
    Array.from({ length: guesses }, (_, at) => consoleClient(guessed.admin).login(`a wrong one ${at}`)),
  );
  const judged = statuses.filter((status) => status === 401).length;
  t.ok(judged >= 30 && judged <= 32, `${judged} are judged`);
  t.equal(statuses.filter((status) => status === 429).length, guesses - judged, 'the others are not');
  const late = await consoleClient(guessed.admin).post('api/login', { key: KEYS.admin });
  t.match(late, { status: 429, headers: { 'retry-after': /^\d$/ }, text: /try again in \d s/ }, 'nor is a right one');
  const failed = guessed.events().filter(({ event }) => event === 'console_login_failed');
  t.equal(failed.length, judged, 'each that is judged is in the audit');
});

t.test('the options that belong together are asked for together', async (t) => {
  for (const settings of [
    { 'gateway.console.enabled': true, 'gateway.admin.port': null },
    { 'gateway.console.enabled': false, 'gateway.console.on_rest_port': true },
    { 'gateway.console.enabled': true, 'gateway.console.oidc.issuer': 'https://login.example' },
    { 'gateway.console.enabled': true, 'gateway.console.oidc.issuer': 'http://login.example' },
  ]) {
    t.throws(() => gateway.stateWith(settings), { name: 'ConfigError' }, JSON.stringify(settings));
  }
});
