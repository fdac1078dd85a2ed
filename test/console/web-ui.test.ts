import t from 'tap';
import { askAdmin, startSupervised } from '../support/admin-gateway.ts';
import { type ConsoleClient, consoleClient } from '../support/console.ts';
import { serveDashboard } from '../support/dashboard.ts';
import { KEYS } from '../support/gateway.ts';

/* Qdrant's Web UI behind the login: through the gateway's own REST port, with a short token for the session. */

const ON = { 'gateway.console.enabled': true };

for (const { name, tls, workers, jwt } of [
  { name: 'plain, one process, tokens of clients on', tls: false, workers: 1, jwt: true },
  { name: 'TLS by a private CA, two processes, tokens of clients off', tls: true, workers: 2, jwt: null },
]) {
  t.test(`a session has the Web UI and no more than its role: ${name}`, async (t) => {
    const sent: Record<string, unknown>[] = [];
    const dashboard = serveDashboard();
    const gateway = await startSupervised({
      audit: true,
      settings: {
        ...ON,
        ...{ 'service.enable_tls': tls, 'gateway.admin.enable_tls': tls },
        ...{ 'gateway.workers': workers, 'service.jwt_rbac': jwt },
      },
      upstream: {
        onRest: (request, response) => {
          sent.push({ url: request.url, ...request.headers });
          return dashboard(request, response);
        },
      },
    });
    t.teardown(() => gateway.close());
    const origin = `${tls ? 'https' : 'http'}://localhost:${gateway.admin}`;
    const put = (client: ConsoleClient, collection: string, headers: Readonly<Record<string, string>> = {}) =>
      askAdmin(gateway.admin, `/-/console/qdrant/collections/${collection}`, {
        method: 'PUT',
        headers: {
          ...{ host: `localhost:${gateway.admin}`, origin, cookie: client.cookie, 'content-type': 'application/json' },
          ...headers,
        },
        body: '{"vectors":{"size":4,"distance":"Dot"}}',
        ...(tls && { ca: gateway.ca }),
      });
    for (const { key, keyId, created } of [
      { key: KEYS.readOnly, keyId: 'read_only_api_key', created: 403 },
      { key: KEYS.admin, keyId: 'api_key', created: 200 },
    ]) {
      const client = consoleClient(gateway.admin, tls ? gateway.ca : undefined);
      const without = await client.get('qdrant/dashboard');
      t.strictSame([without.status, without.headers.location], [303, '/-/console/'], 'without a session: to the login');
      t.equal((await client.get('qdrant/collections')).status, 401, 'without a session: no data');
      t.equal(await client.login(key), 200);
      t.match((await client.get('api/session')).json, { web_ui: '/-/console/qdrant/dashboard' });
      const page = await client.get('qdrant/dashboard');
      t.equal(page.status, 200);
      t.match(page.text, 'Qdrant Web UI');
      t.match(page.headers['content-security-policy'], /frame-ancestors 'none'/);
      const [, script = ''] = /src="([^"]+\.js)"/.exec(page.text) ?? [];
      const asked = {
        headers: { host: `localhost:${gateway.admin}`, cookie: client.cookie },
        ...(tls && { ca: gateway.ca }),
      };
      t.equal((await askAdmin(gateway.admin, script, asked)).status, 200, `the page finds its file ${script}`);
      t.equal((await askAdmin(gateway.admin, script, { ...asked, headers: { host: 'localhost' } })).status, 401);
      const listed = await client.get('qdrant/collections', { 'api-key': 'of the page', authorization: 'Bearer x' });
      t.equal(listed.status, 200, 'a key that the page sends does not count');
      t.match(listed.headers, { 'set-cookie': undefined, 'access-control-allow-origin': undefined });
      t.equal((await put(client, `by-${keyId}`)).status, created, `${keyId} creates a collection`);
      t.equal((await put(client, 'other', { origin: 'http://evil.example' })).status, 403, 'from another origin');
      t.equal(
        (await put(client, 'other', { 'sec-fetch-site': 'same-site' })).status,
        403,
        'from another port of this host',
      );
      t.equal((await client.post('api/logout', {})).status, 200);
      t.equal((await client.get('qdrant/collections')).status, 401, 'after the logout');
    }
    const told = gateway.events().filter(({ operation }) => operation === 'collections.create');
    t.strictSame(
      told.map(({ key, result, auth_type }) => [key, result, auth_type]),
      [
        ['read_only_api_key', 'denied', 'Jwt'],
        ['api_key', 'ok', 'Jwt'],
      ],
      'the audit names the key of the session',
    );
    t.ok(sent.length > 0);
    t.strictSame(
      sent.filter((headers) => 'cookie' in headers || 'authorization' in headers || 'api-key' in headers),
      [],
      'upstream sees no cookie and no credential',
    );
  });
}

t.test('no path leads past the prefix or to the gateway itself', async (t) => {
  const gateway = await startSupervised({ settings: { ...ON, 'gateway.console.on_rest_port': true } });
  t.teardown(() => gateway.close());
  const client = consoleClient(gateway.admin);
  t.equal(await client.login(KEYS.admin), 200);
  for (const [path, status] of [
    ['qdrant/../api/status', 400],
    ['qdrant/%2e%2e/api/status', 400],
    ['qdrant/a\\..\\b', 400],
    ['qdrant/-/console/api/status', 404],
    ['qdrant/-/token', 404],
    ['%71drant/collections', 404],
    ['qdrant//collections', 400],
    ['qdrant', 404],
  ] as const) {
    t.equal((await client.get(path)).status, status, path);
  }
  const upgraded = await client.get('qdrant/collections', { connection: 'upgrade', upgrade: 'websocket' });
  t.equal(upgraded.status, 501, 'no other protocol');
});
