import { mkdtempSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { createAdminListener } from '../../src/admin/listener.ts';
import { sharedPage } from '../../src/admin/shared-page.ts';
import type { AdminAct } from '../../src/audit/act.ts';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { QDRANT_VERSION } from '../../src/operations/qdrant-version.ts';
import { ADMIN_TOKEN, askAdmin, startSupervised } from '../support/admin-gateway.ts';
import { openRawRecords } from '../support/clients/key-updates.ts';
import { grpcClient, restClient, restOutcome } from '../support/clients/official.ts';
import { KEYS } from '../support/gateway.ts';
import { until } from '../support/until.ts';

const TOKEN = { 'gateway.admin.token': ADMIN_TOKEN };
const EVERY_PAGE = [
  ['GET', '/-/status'],
  ['GET', '/-/principals'],
  ['GET', '/-/connections'],
  ['POST', '/-/reload'],
] as const;

t.test('a client with the token reads and changes, any other only scrapes and probes', async (t) => {
  const gateway = await startSupervised({ settings: TOKEN, audit: true });
  t.teardown(gateway.close);
  const statuses = async (token?: string) => {
    const answers: Record<string, number> = {};
    for (const path of ['/metrics', '/-/live', '/-/ready']) {
      answers[path] = (await askAdmin(gateway.admin, path, token === undefined ? {} : { token })).status;
    }
    for (const [method, path] of EVERY_PAGE) {
      const answer = await askAdmin(gateway.admin, path, token === undefined ? { method } : { method, token });
      answers[path] = answer.status;
      if (answer.status === 401) t.equal(answer.headers['www-authenticate'], 'Bearer');
      t.notMatch(answer.text, new RegExp(`${ADMIN_TOKEN}|wrong-token`), `${path} repeats no token`);
    }
    return answers;
  };
  const open = { '/metrics': 200, '/-/live': 200, '/-/ready': 200 };
  const all = (status: number) => Object.fromEntries(EVERY_PAGE.map(([, path]) => [path, status]));
  t.strictSame(await statuses(ADMIN_TOKEN), { ...open, ...all(200) }, 'with the token');
  t.strictSame(await statuses(), { ...open, ...all(401) }, 'without one');
  t.strictSame(await statuses('wrong-token'), { ...open, ...all(401) }, 'with another');
  t.strictSame(await statuses(KEYS.admin), { ...open, ...all(401) }, "with qdrant's admin key");
  const token = 'the bearer token of the admin port is needed';
  await until(() => gateway.acts().length === 4, 'the audit is told');
  t.strictSame(
    gateway.acts(),
    [
      ['gateway_reload', 'ApiKey', 'admin_token', 'ok', undefined],
      ...Array.from({ length: 3 }, () => ['gateway_reload', 'None', undefined, 'denied', token]),
    ],
    'the audit is told of every attempt to change something',
  );
});

t.test('without a configured token there is nothing that needs one', async (t) => {
  const gateway = await startSupervised();
  t.teardown(gateway.close);
  for (const [method, path] of EVERY_PAGE) {
    t.equal((await askAdmin(gateway.admin, path, { method, token: '' })).status, 404, path);
  }
  t.equal((await askAdmin(gateway.admin, '/metrics')).status, 200);
});

t.test(
  'metrics ask for the token where they are protected, and everywhere beyond loopback once there is one',
  async (t) => {
    const cases = [
      ['on loopback', TOKEN, [200, 200]],
      ['on loopback, protected', { ...TOKEN, 'gateway.admin.protect_metrics': true }, [401, 200]],
      ['beyond loopback', { ...TOKEN, 'gateway.admin.host': '0.0.0.0' }, [401, 200]],
      ['beyond loopback without a token', { 'gateway.admin.host': '0.0.0.0' }, [200, 200]],
    ] as const;
    for (const [name, settings, expected] of cases) {
      const gateway = await startSupervised({ settings });
      const without = await askAdmin(gateway.admin, '/metrics');
      const having = await askAdmin(gateway.admin, '/metrics', { token: ADMIN_TOKEN });
      t.strictSame([without.status, having.status], expected, name);
      t.equal((await askAdmin(gateway.admin, '/-/ready')).status, 200, `${name}: probes never ask`);
      await gateway.close();
    }
  },
);

t.test('what cannot be is refused at the start', async (t) => {
  const cases = [
    ['gateway.admin.protect_metrics', { 'gateway.admin.protect_metrics': true }],
    ['gateway.admin.enable_tls', { 'gateway.admin.enable_tls': true }],
    ['gateway.admin.port', { 'gateway.admin.port': 6999, 'service.http_port': 6999 }],
  ] as const;
  for (const [place, settings] of cases) {
    const error = await startSupervised({ settings }).catch((error: unknown) => error);
    t.strictSame(error instanceof ConfigError && error.problems.map((problem) => problem.place), [place]);
  }
});

t.test('a page of the web cannot read it through a name of its own', async (t) => {
  const gateway = await startSupervised({ settings: TOKEN });
  t.teardown(gateway.close);
  const cases = [
    ['localhost', 200],
    ['localhost:9091', 200],
    [`127.0.0.1:${gateway.admin}`, 200],
    ['127.1.2.3', 200],
    ['[::1]:80', 200],
    ['LOCALHOST', 200],
    ['rebound.example', 421],
    ['localhost.example', 421],
    ['127.0.0.1.example', 421],
    ['evil.example:9091', 421],
    ['localhost@evil.example', 421],
    ['10.0.0.1', 421],
  ] as const;
  for (const [host, status] of cases) {
    const answer = await askAdmin(gateway.admin, '/metrics', { headers: { host } });
    t.equal(answer.status, status, host);
    t.equal(answer.headers['access-control-allow-origin'], undefined);
  }
  const twice = await new Promise<string>((resolve, reject) => {
    const socket = connect(gateway.admin, '127.0.0.1', () =>
      socket.write('GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: rebound.example\r\nconnection: close\r\n\r\n'),
    );
    socket.once('data', (chunk) => resolve(chunk.toString('latin1'))).once('error', reject);
  });
  t.match(twice, /^HTTP\/1\.1 421 /, 'two hosts');
  const beyond = await startSupervised({ settings: { 'gateway.admin.host': '0.0.0.0' } });
  t.teardown(beyond.close);
  t.equal((await askAdmin(beyond.admin, '/-/live', { headers: { host: 'gateway.internal' } })).status, 200);
});

t.test('requests that make no sense are told what does, and nothing of them is repeated', async (t) => {
  const gateway = await startSupervised({ settings: TOKEN, audit: true });
  t.teardown(gateway.close);
  const json = { 'content-type': 'application/json' };
  const cases = [
    ['an unknown member', '/-/reload', { headers: json, body: '{"secret":"s3cr3t"}' }, 400, /^body: unknown member/],
    ['a broken body', '/-/reload', { headers: json, body: '{"s3cr3t' }, 400, /^body: must be one JSON object/],
    [
      'a member twice',
      '/-/reload',
      { headers: json, body: '{"s3cr3t":1,"s3cr3t":1}' },
      400,
      /^body: a member is given mo/,
    ],
    [
      'a member twice, once escaped',
      '/-/reload',
      { headers: json, body: '{"as":1,"a\\u0073":1}' },
      400,
      /more than once/,
    ],
    ['a member twice, inside', '/-/reload', { headers: json, body: '{"a":[{"b":1,"b":1}]}' }, 400, /more than once/],
    [
      'a name in two objects',
      '/-/reload',
      { headers: json, body: '{"a":[{"b":1},{"b":1}]}' },
      400,
      /^body: unknown member/,
    ],
    ['a large body', '/-/reload', { headers: json, body: `{"a":"${'s3cr3t'.repeat(4000)}"}` }, 413, /^body: at most/],
    ['another type', '/-/reload', { headers: { 'content-type': 'text/s3cr3t' }, body: 's3cr3t' }, 415, /^content-type/],
    ['an unknown parameter', '/-/status?s3cr3t=1', { method: 'GET' }, 400, /^query: unknown parameter/],
    ['an unknown page', '/-/s3cr3t', { method: 'GET' }, 404, /pages: GET \/metrics, /],
    ['another method', '/-/status', { method: 'DELETE' }, 404, /pages: GET \/metrics, /],
    ['a preflight', '/-/reload', { method: 'OPTIONS', headers: { origin: 'http://a.example' } }, 404, /pages/],
  ] as const;
  for (const [name, path, request, status, error] of cases) {
    const answer = await askAdmin(gateway.admin, path, { method: 'POST', token: ADMIN_TOKEN, ...request });
    t.equal(answer.status, status, name);
    t.match((JSON.parse(answer.text) as { error: string }).error, error, name);
    t.notMatch(answer.text, /s3cr3t/, name);
  }
  t.strictSame(gateway.acts(), [], 'none of it changed anything');
});

t.test('a path that cannot be read is that of no page, and the absolute form of a target is read', async (t) => {
  const gateway = await startSupervised({ settings: TOKEN });
  t.teardown(gateway.close);
  for (const [status, path, host] of [
    [404, '/-/%zz', 'localhost'],
    [404, '/-/live%', 'localhost'],
    [404, '/%c3%28', 'localhost'],
    [421, '/-/%zz', 'evil.example'],
    [200, '/-/live', 'localhost'],
    [200, '/-/%6cive', 'localhost'],
    [200, 'http://localhost/-/live', 'localhost'],
    [200, 'https://LOCALHOST/-/live?', 'localhost'],
    [404, 'http://localhost', 'localhost'],
    [421, 'http://evil.example/-/live', 'localhost'],
    [421, 'http://localhost/-/live', 'evil.example'],
    [421, 'http:///-/live', 'localhost'],
  ] as const) {
    const answer = await askAdmin(gateway.admin, path, { headers: { host } });
    t.equal(answer.status, status, `${path} at ${host}`);
    t.match(answer.headers, { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    t.notMatch(answer.text, /zz|%c3|evil|FST_/, 'nothing of it is repeated');
  }
});

t.test('a reload through the port is taken, and one that cannot be leaves everything as it was', async (t) => {
  const gateway = await startSupervised({ settings: TOKEN });
  t.teardown(gateway.close);
  const reload = () => askAdmin(gateway.admin, '/-/reload', { method: 'POST', token: ADMIN_TOKEN });
  const status = async () => JSON.parse((await askAdmin(gateway.admin, '/-/status', { token: ADMIN_TOKEN })).text);
  const unchanged = await reload();
  t.match(
    JSON.parse(unchanged.text),
    { ok: true, generation: 1 },
    'where nothing has changed, nothing is put in force',
  );
  const first = gateway.next;
  gateway.next = () => {
    const state = first();
    const service = { ...state.config.service, hide_jwt_dashboard: true };
    return { ...state, config: { ...state.config, service } };
  };
  const taken = await reload();
  t.match(JSON.parse(taken.text), { ok: true, cause: 'admin', generation: 2, warnings: [], restart_needed: [] });
  t.match(await status(), { generation: 2, reloads: { ok: 2, failed: 0, last: { ok: true } } });
  const good = gateway.next;
  gateway.next = () => {
    throw new ConfigError([{ place: 'service.api_key', message: 'is nothing' }]);
  };
  const refused = await reload();
  t.equal(refused.status, 422);
  t.match(JSON.parse(refused.text), { ok: false, cause: 'admin', problems: ['service.api_key: is nothing'] });
  t.match(await status(), { generation: 2, reloads: { ok: 2, failed: 1, last: { ok: false } } });
  t.equal(await restOutcome(restClient(gateway, KEYS.admin).getCollections()), 'ok');
  // A token that a reload takes away or sets counts from then on.
  gateway.next = () => {
    const state = good();
    return { ...state, secrets: { ...state.secrets, adminToken: 'another-token' } };
  };
  t.equal((await reload()).status, 200);
  t.equal((await reload()).status, 401, 'the old token');
  t.equal((await askAdmin(gateway.admin, '/-/status', { token: 'another-token' })).status, 200, 'the new one');
});

t.test('the status page tells what is in force', async (t) => {
  const gateway = await startSupervised({
    settings: { ...TOKEN, 'service.enable_tls': true, 'gateway.mode': 'shadow' },
  });
  t.teardown(gateway.close);
  const { text } = await askAdmin(gateway.admin, '/-/status', { token: ADMIN_TOKEN });
  const status = JSON.parse(text);
  const expiry = status.certificates[0];
  t.match(status, {
    version: /^\d+\.\d+\.\d+$/,
    mode: 'shadow',
    protecting: false,
    draining: false,
    generation: 1,
    reloads: { ok: 0, failed: 0, last: null },
    listeners: [
      { protocol: 'rest', host: '127.0.0.1', port: gateway.rest.port, tls: true },
      { protocol: 'grpc', host: '127.0.0.1', port: gateway.grpc.port, tls: true },
    ],
    upstream: { rest: true, grpc: true, version: QDRANT_VERSION.replace('v', '') },
    workers: { wanted: 1, serving: 1, processes: [{ pid: process.pid, generation: 1 }] },
    revocations: { entries: 0, unknown: false, sources: [] },
    audit: null,
    log: { lost_lines: 0 },
  });
  t.strictSame(status.certificates.length, 1);
  t.equal(expiry.certificate, 'listener');
  t.ok(Math.abs(Date.parse(expiry.expires_at) - Date.now() - expiry.expires_in_seconds * 1000) < 60_000);
  t.notMatch(text, new RegExp(`${KEYS.admin}|${ADMIN_TOKEN}`));
});

t.test('principals and connections show who asks, and only on what', async (t) => {
  const gateway = await startSupervised({ settings: TOKEN });
  t.teardown(gateway.close);
  await restOutcome(restClient(gateway, KEYS.readOnly).getCollections());
  await restOutcome(
    restClient(gateway, KEYS.readOnly).createCollection('books', { vectors: { size: 1, distance: 'Dot' } }),
  );
  await restOutcome(restClient(gateway, 'wrong').getCollections());
  await grpcClient(gateway, KEYS.admin).api('collections').list({});
  const principals = await askAdmin(gateway.admin, '/-/principals', { token: ADMIN_TOKEN });
  const shown = JSON.parse(principals.text);
  const seen = shown.principals.map(({ last_seen: at, ...rest }: { last_seen: string }) => {
    t.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000, at);
    return rest;
  });
  const remote = { subject: null, last_remote: '127.0.0.1' };
  t.strictSame(
    [shown.total, seen],
    [
      2,
      [
        { key: 'api_key', subject: null, protocol: 'grpc', allowed: 1, denied: 0, last_remote: '127.0.0.1' },
        {
          key: 'read_only_api_key',
          ...{ subject: null, protocol: 'rest', allowed: 1, denied: 1 },
          ...{ last_remote: remote.last_remote },
        },
      ],
    ],
  );
  const { text } = await askAdmin(gateway.admin, '/-/connections', { token: ADMIN_TOKEN });
  const { total, connections } = JSON.parse(text);
  t.equal(total, connections.length);
  const kinds = new Set(connections.map(({ protocol }: { protocol: string }) => protocol));
  t.strictSame([...kinds].sort(), ['grpc', 'http/1.1']);
  const requests = connections.reduce((sum: number, { requests }: { requests: number }) => sum + requests, 0);
  t.equal(requests, 4, 'every request was on one of them');
  t.match(connections[0], { remote: '127.0.0.1', open: 0, tls: null });
});

t.test('over TLS it has the certificate of the listeners, and the new one after a reload', async (t) => {
  const gateway = await startSupervised({
    settings: { ...TOKEN, 'service.enable_tls': true, 'gateway.admin.enable_tls': true },
  });
  t.teardown(gateway.close);
  const over = { ca: gateway.ca, token: ADMIN_TOKEN };
  t.equal((await askAdmin(gateway.admin, '/-/status', over)).status, 200);
  await t.rejects(askAdmin(gateway.admin, '/-/status', { token: ADMIN_TOKEN }), 'plain HTTP is not answered');
  const flood = await openRawRecords({ port: gateway.admin, ca: gateway.ca });
  flood.carrier.write(flood.keyUpdates(3000));
  await until(() => flood.socket.destroyed, 'a connection of KeyUpdates has ended');
  const made = await makeDevCerts(mkdtempSync(join(tmpdir(), 'qdrant-gateway-other-certs-')));
  const [cert, key, ca] = [made.cert, made.key, made.ca].map((file) => readFileSync(file));
  const good = gateway.next;
  gateway.next = () => {
    const state = good();
    const tls = cert && key ? { ...state.secrets.tls, cert, key, clientCa: null } : null;
    return { ...state, secrets: { ...state.secrets, tls } };
  };
  t.equal((await askAdmin(gateway.admin, '/-/reload', { ...over, method: 'POST' })).status, 200);
  await t.rejects(askAdmin(gateway.admin, '/-/status', over), 'the old CA has not signed the new certificate');
  t.equal((await askAdmin(gateway.admin, '/-/status', { ...over, ...(ca ? { ca } : {}) })).status, 200);
});

t.test('revocations and changes of keys go to who keeps them, as they came, and only with the token', async (t) => {
  const asked: unknown[] = [];
  const acts: Omit<AdminAct, 'at'>[] = [];
  const nothing = async () => ({});
  const listener = await createAdminListener({
    ...{ host: '127.0.0.1', port: 0, tls: undefined, token: () => ADMIN_TOKEN, protectMetrics: () => false },
    source: {
      metrics: async () => ({ contentType: 'text/plain', text: '' }),
      ready: async () => ({ ready: true, listeners: 'up', keys: 'loaded', upstream: { rest: 'off', grpc: 'off' } }),
      ...{ status: nothing, principals: nothing, connections: nothing, keys: nothing, key: nothing, now: Date.now },
      nodes: nothing,
      drainNode: async () => ({ ok: false, why: 'unknown', problems: ['no'] }),
      changeKey: async ({ change }) => ({ ok: false, why: change === 'delete' ? 'locked' : 'file', problems: ['no'] }),
      reload: async () => ({ ok: true, body: {} }),
      revoke: async (request) => {
        asked.push(request);
        const { kind } = Object(request) as { kind?: unknown };
        if (kind !== 'subject') return { ok: false, problems: ['kind: must be one of token, subject, key, before'] };
        return { ok: true, entry: Object(request), stored: 'memory', warnings: [] };
      },
      lift: async (request) => {
        const { value } = Object(request) as { value?: unknown };
        if (value === 'ada') return { ok: true, lifted: [{ kind: 'subject', value }] };
        return { ok: false, why: value === 'away' ? 'store' : 'unknown', problems: ['there is no such revocation'] };
      },
      revocations: () => ({ entries: [{ kind: 'subject', value: 'ada' }], unknown: false, sources: [] }),
      acted: (act) => acts.push(act),
      ...{ refused: () => undefined, fault: () => undefined },
      ...{ exchangesTokens: () => false, exchangeToken: () => Promise.reject(new Error('it is off')) },
    },
  });
  t.teardown(listener.close);
  const { port } = listener.address;
  const headers = { 'content-type': 'application/json' };
  const revoke = (body: string, token = ADMIN_TOKEN) =>
    askAdmin(port, '/-/revoke', { method: 'POST', token, headers, body });
  const good = { kind: 'subject', value: 'ada' };
  t.match(await revoke(JSON.stringify(good)), { status: 200, text: /^\{"ok":true/ });
  t.match(await revoke('{"kind":"everything"}'), { status: 400, text: /kind: must be one of/ });
  t.match(await revoke(''), { status: 400 });
  t.equal((await revoke(JSON.stringify(good), 'wrong')).status, 401);
  t.strictSame(asked, [good, { kind: 'everything' }], 'what has no token, or no sense, gets no further');
  t.equal((await askAdmin(port, '/-/revocations', { token: ADMIN_TOKEN })).status, 200);
  t.equal((await askAdmin(port, '/-/revocations')).status, 401);
  const lift = (value: string, token = ADMIN_TOKEN) =>
    askAdmin(port, '/-/revoke/lift', {
      ...{ method: 'POST', token, headers, body: JSON.stringify({ kind: 'subject', value }) },
    });
  t.match(await lift('ada'), { status: 200, text: /"lifted":\[/ });
  t.match(await lift('ben'), { status: 404, text: /no such revocation/ });
  t.match(await lift('away'), { status: 503 });
  t.equal((await lift('ada', 'wrong')).status, 401);
  t.equal((await askAdmin(port, '/-/revoke/lift?all', { method: 'POST', token: ADMIN_TOKEN })).status, 400);
  const change = (method: string, path: string) => askAdmin(port, path, { method, token: ADMIN_TOKEN });
  const locked = await change('DELETE', '/-/keys/team');
  t.match(locked, { status: 503, text: '{"ok":false,"problems":["no"]}', headers: { 'retry-after': '5' } });
  t.match(await change('POST', '/-/keys/team/enable'), { status: 409, text: '{"ok":false,"problems":["no"]}' });
  t.strictSame(
    acts.map(({ method, result }) => [method, result]),
    [
      ['gateway_revoke', 'ok'],
      ['gateway_revoke', 'failed'],
      ['gateway_revoke', 'denied'],
      ['gateway_revoke_lift', 'ok'],
      ['gateway_revoke_lift', 'failed'],
      ['gateway_revoke_lift', 'failed'],
      ['gateway_revoke_lift', 'denied'],
      ['gateway_key_delete', 'failed'],
      ['gateway_key_enable', 'failed'],
    ],
  );
});

t.test('guessing the token on one connection is slowed, and other connections do not wait', async (t) => {
  const gateway = await startSupervised({ settings: TOKEN });
  t.teardown(gateway.close);
  const guesses = 80;
  const one = 'GET /-/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n\r\n';
  const socket = connect(gateway.admin, '127.0.0.1');
  t.teardown(() => socket.destroy());
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  const refused = () => text.split('HTTP/1.1 401').length - 1;
  // As a client does that sends its next request with each answer.
  let sent = 0;
  const send = (): void => {
    for (; sent < guesses && sent < refused() + 8; sent += 1) socket.write(one);
  };
  socket.on('data', send);
  send();
  await until(() => refused() >= 50, 'the first 50 come at once');
  t.equal((await askAdmin(gateway.admin, '/-/status', { token: ADMIN_TOKEN })).status, 200);
  t.ok(refused() < guesses, 'the right token is answered before the last wrong ones');
  await until(() => refused() === guesses, 'all are answered');
});

t.test(
  'requests that come one behind the other are carried out in turn, and too many end their connection only',
  async (t) => {
    const gateway = await startSupervised({ settings: TOKEN });
    t.teardown(gateway.close);
    const answersTo = async (targets: readonly string[]): Promise<readonly string[]> => {
      const socket = connect(gateway.admin, '127.0.0.1');
      socket.on('error', () => undefined);
      const last = targets.length - 1;
      const head = (target: string, at: number) =>
        `GET ${target} HTTP/1.1\r\nhost: localhost\r\n${at === last ? 'connection: close\r\n' : ''}\r\n`;
      socket.write(targets.map(head).join(''));
      const bytes = await text(socket).catch(() => '');
      return bytes.match(/HTTP\/1\.1 \d{3}/g) ?? [];
    };
    const some = ['/metrics', '/-/live', '/-/none', '/metrics', '/-/live'];
    t.strictSame(
      await answersTo(some),
      ['200', '200', '404', '200', '200'].map((status) => `HTTP/1.1 ${status}`),
      'each is answered, in its order',
    );
    const many = await answersTo(Array.from({ length: 1000 }, () => '/metrics'));
    t.ok(many.length <= 17, `${many.length} of a thousand are answered`);
    t.equal((await askAdmin(gateway.admin, '/-/live')).status, 200);
  },
);

t.test('a page that many ask for at once is made a few times a second', async (t) => {
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  let made = 0;
  const page = sharedPage(async (kind: string) => {
    made += 1;
    return `${kind} ${made}`;
  });
  const first = await Promise.all(Array.from({ length: 40 }, () => page('a')));
  t.equal(new Set(first).size, 40, 'the first ones are made for each');
  const later = await Promise.all(Array.from({ length: 500 }, (_, at) => page(at % 2 === 0 ? 'a' : 'b')));
  t.equal(new Set(later).size, 2, 'then those who wait share one of each kind');
  t.ok(later.every((text, at) => text.startsWith(at % 2 === 0 ? 'a' : 'b')));
});
