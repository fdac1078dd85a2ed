import t from 'tap';
import { askAdmin, startSupervised } from '../support/admin-gateway.ts';
import { consoleClient, cookieLines } from '../support/console.ts';
import { KEYS } from '../support/gateway.ts';

/* Login, sessions and roles of the console on the admin port. */

const ON = { 'gateway.console.enabled': true };

t.test('a key that reads or manages everything opens a session, and no other does', async (t) => {
  const gateway = await startSupervised({ settings: ON, audit: true });
  t.teardown(() => gateway.close());
  for (const { name, key, status, role } of [
    { name: 'the admin key', key: KEYS.admin, status: 200, role: 'full' },
    { name: 'the read-only key', key: KEYS.readOnly, status: 200, role: 'read' },
    { name: 'a wrong key', key: 'wrong', status: 401, role: undefined },
    { name: 'a key that no header can carry', key: 'a\r\nb', status: 401, role: undefined },
    { name: 'an empty key', key: '', status: 400, role: undefined },
  ]) {
    const client = consoleClient(gateway.admin);
    t.equal(await client.login(key), status, name);
    const { status: found, json } = await client.get('api/session');
    t.equal(found, 200);
    t.match(json, role === undefined ? { signed_in: false } : { signed_in: true, role }, name);
    t.equal((await client.get('api/status')).status, role === undefined ? 401 : 200, `${name}: data`);
    t.notMatch(client.cookie, key || 'no key', 'the cookie does not tell the key');
  }
  t.strictSame(
    gateway.events().map(({ event, result, key, via }) => [event, result, key, via]),
    [
      ['console_login', 'ok', 'api_key', 'console'],
      ['console_login', 'ok', 'read_only_api_key', 'console'],
      ['console_login_failed', 'denied', undefined, 'console'],
      ['console_login_failed', 'denied', undefined, 'console'],
    ],
  );
});

t.test('right keys count as no guess', async (t) => {
  const gateway = await startSupervised({ settings: ON });
  t.teardown(() => gateway.close());
  const statuses: number[] = [];
  for (let at = 0; at < 40; at += 1) statuses.push(await consoleClient(gateway.admin).login(KEYS.admin));
  t.same(new Set(statuses), new Set([200]));
});

t.test('the cookie is for this host, for the server alone, and for no request of another site', async (t) => {
  for (const { name, settings, tls, cookie } of [
    {
      name: 'without TLS',
      settings: ON,
      tls: false,
      cookie: /^qdrant-console=[\w.-]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/,
    },
    {
      name: 'with TLS',
      settings: {
        ...ON,
        'service.enable_tls': true,
        'gateway.admin.enable_tls': true,
        'gateway.console.session_minutes': 5,
      },
      tls: true,
      cookie: /^__Host-qdrant-console=[\w.-]+; Path=\/; Max-Age=300; HttpOnly; SameSite=Strict; Secure$/,
    },
  ]) {
    const gateway = await startSupervised({ settings });
    t.teardown(() => gateway.close());
    const client = consoleClient(gateway.admin, tls ? gateway.ca : undefined);
    const answer = await client.post('api/login', { key: KEYS.admin });
    t.match(cookieLines(answer).join('\n'), cookie, name);
    t.equal((await client.get('api/status')).status, 200, name);
  }
});

t.test('a page of the console needs no session, and holds no data', async (t) => {
  const gateway = await startSupervised({ settings: ON });
  t.teardown(() => gateway.close());
  const page = await askAdmin(gateway.admin, '/-/console/');
  t.equal(page.status, 200);
  t.match(page.headers['content-security-policy'], /default-src 'none'.*frame-ancestors 'none'/);
  t.notMatch(page.text, /<script(?![^>]*src=)/, 'no script stands in it');
  for (const [, path = ''] of page.text.matchAll(/(?:href|src)="(\/[^"]+)"/g)) {
    const asset = await askAdmin(gateway.admin, path, { headers: { 'accept-encoding': 'br' } });
    t.strictSame([asset.status, asset.headers['content-encoding']], [200, 'br'], path);
    t.match(asset.headers['cache-control'], /immutable/);
    t.equal(asset.headers['x-content-type-options'], 'nosniff');
  }
  const root = await askAdmin(gateway.admin, '/-/console');
  t.strictSame([root.status, root.headers.location], [303, '/-/console/']);
});

t.test('without the option there is no console', async (t) => {
  const gateway = await startSupervised();
  t.teardown(() => gateway.close());
  for (const path of ['/-/console', '/-/console/', '/-/console/api/session']) {
    t.equal((await askAdmin(gateway.admin, path)).status, 404, path);
  }
});
