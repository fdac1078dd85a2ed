import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { Page } from 'playwright-core';
import t from 'tap';
import { findChromium, openBrowser } from '../support/clients/browser.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { serveDashboard } from '../support/dashboard.ts';
import type { OnRest } from '../support/fake-qdrant/rest.ts';
import { KEYS, startGateway, type TestGateway } from '../support/gateway.ts';
import { tokenOf } from '../support/verdicts/principals.ts';

const ADMIN = { 'api-key': KEYS.admin };
const DOCS = [{ collection: 'docs', access: 'rw' }];

interface Scene {
  readonly onRest?: OnRest;
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** A gateway before the stub of the web interface, with two collections and an alias. */
async function startScene(t: Teardown, { onRest = serveDashboard(), settings = {} }: Scene = {}): Promise<TestGateway> {
  const gateway = await startGateway({ settings, upstream: { onRest } });
  t.teardown(gateway.close);
  const { restUrl, recorder } = gateway.upstream;
  const headers = { 'content-type': 'application/json' };
  for (const name of ['docs', 'notes']) {
    const body = JSON.stringify({ vectors: { size: 4, distance: 'Dot' } });
    await fetch(`${restUrl}/collections/${name}`, { method: 'PUT', headers, body });
  }
  const alias = { create_alias: { alias_name: 'live', collection_name: 'notes' } };
  await fetch(`${restUrl}/collections/aliases`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ actions: [alias] }),
  });
  recorder.clear();
  return gateway;
}

interface Teardown {
  readonly teardown: (close: () => Promise<void>) => void;
}

const PRINCIPALS: readonly (readonly [who: string, headers: Readonly<Record<string, string>>])[] = [
  ['the admin key', ADMIN],
  ['the read-only key', { 'api-key': KEYS.readOnly }],
  ['a token with global manage', { 'api-key': tokenOf({ access: 'm' }) }],
  ['a token with global read', { 'api-key': tokenOf({ access: 'r' }) }],
  ['a list', { 'api-key': tokenOf({ access: DOCS }) }],
  ['an empty list', { 'api-key': tokenOf({ access: [] }) }],
];

/** Numbers beyond 2^53, float texts, escapes and blanks that a parser would not give back. */
const TELEMETRY =
  '{ "result" : {"id":"x","app":{"name":"qdrant","version":"1.18.3","startup":"s"},"collections":{"number_of_collections":2,' +
  '"collections":[{"id":"docs","n":18446744073709551615,"f":1.0,"g":1e-7,"e":"\\u00e4"},{"id":"notes","n":1}]},' +
  '"cluster":{"enabled":false}} ,"status":"ok","time":0.00010}';

t.test(
  'telemetry tells the settings of the gateway to every principal, and everything else as upstream does',
  async (t) => {
    const cases: readonly (readonly [settings: Readonly<Record<string, unknown>>, added: string])[] = [
      [{}, '"jwt_rbac":true,'],
      [{ 'service.jwt_rbac': false }, '"jwt_rbac":false,'],
      [{ 'service.jwt_rbac': null }, ''],
      [{ 'service.hide_jwt_dashboard': true }, '"jwt_rbac":true,"hide_jwt_dashboard":true,'],
      [{ 'service.jwt_rbac': null, 'service.hide_jwt_dashboard': false }, '"hide_jwt_dashboard":false,'],
    ];
    const onRest: OnRest = (request, response) => {
      if (!request.url?.startsWith('/telemetry')) return false;
      response.writeHead(200, { 'content-type': 'application/json', 'x-of-upstream': 'kept' }).end(TELEMETRY);
      return true;
    };
    for (const [settings, added] of cases) {
      const gateway = await startScene(t, { onRest, settings });
      const withTokens = settings['service.jwt_rbac'] === undefined;
      for (const [who, headers] of PRINCIPALS.slice(0, withTokens ? undefined : 2)) {
        for (const query of ['', '?details_level=3']) {
          const { status, body, headers: got } = await ask(gateway, 'GET', `/telemetry${query}`, headers);
          const name = `${JSON.stringify(settings)}: ${who}, telemetry${query}`;
          const lists = who.includes('list');
          t.equal(status, 200, name);
          if (!lists) {
            t.equal(body, TELEMETRY.replace('"app":{', `"app":{${added}`), name);
            t.equal(got['x-of-upstream'], 'kept', 'headers pass');
            const length = added === '' ? undefined : String(Buffer.byteLength(body));
            t.equal(got['content-length'], length, 'a changed answer has its own length');
          } else {
            const app = { name: 'qdrant', version: '1.18.3', startup: 's', jwt_rbac: true };
            const shown =
              settings['service.hide_jwt_dashboard'] === undefined ? app : { ...app, hide_jwt_dashboard: true };
            t.same(JSON.parse(body).result.app, shown, name);
            t.equal(body.includes('18446744073709551615'), who === 'a list' && query !== '', 'digits survive');
            t.notMatch(body, /notes/, `${name} shows no other collection`);
          }
        }
      }
      const { status, body } = await ask(gateway, 'GET', '/telemetry');
      t.strictSame([status, body], [401, 'Must provide an API key or an Authorization bearer token'], 'nobody');
    }
  },
);

t.test('files are open, and framing is denied whatever upstream says', async (t) => {
  for (const deniesFraming of [true, false]) {
    const gateway = await startScene(t, { onRest: serveDashboard({ deniesFraming }) });
    for (const path of ['/dashboard', '/dashboard/', '/dashboard/index.html']) {
      const { status, headers, body } = await ask(gateway, 'GET', path);
      t.strictSame([status, headers['x-frame-options'], headers.location], [200, 'DENY', undefined], path);
      t.match(body, /Qdrant Web UI/, 'the page, no redirect');
    }
    const missing = await ask(gateway, 'GET', '/dashboard/cloud/data.json', ADMIN);
    t.strictSame([missing.status, missing.body, missing.headers['x-frame-options']], [404, '', 'DENY'], 'no fallback');
    const { headers } = await ask(gateway, 'GET', '/dashboard/openapi.json');
    t.match(headers.etag, /^"/, 'marks of the file pass');
    const again = await ask(gateway, 'GET', '/dashboard/openapi.json', { 'if-none-match': String(headers.etag) });
    t.equal(again.status, 304, 'and are understood');
    const coded = await ask(gateway, 'GET', '/dashboard', { 'accept-encoding': 'br' });
    t.equal(coded.headers['content-encoding'], 'br', 'codings pass');
    const api = await ask(gateway, 'GET', '/collections', ADMIN);
    t.equal(api.headers['x-frame-options'], undefined, 'only the files say so');
  }
});

const TRAPS = [
  '/dashboard\\..\\collections',
  '/dashboard\\../collections',
  '/dashboard/..\\collections',
  '/dashboard/..\\..\\collections',
  '/dashboard/..%5ccollections',
  '/dashboard%5c..%5ccollections',
  '/dashboard/../collections',
  '/dashboard/..%2fcollections',
  '/dashboard/..%2Fcollections',
  '/dashboard/%2e%2e/collections',
  '/dashboard/%2E%2E%2Fcollections',
  '/dashboard/.%2e/collections',
  '/dashboard/%2e./collections',
  '/dashboard/%252e%252e/collections',
  '/dashboard/..;/collections',
  '/dashboard/./../collections',
  '/dashboard//../collections',
  '//dashboard/../collections',
  '/dashboard/assets/../../collections',
  '/dashboard/%00/../collections',
  '/dashboard/..%00/collections',
  '/dashboard/%c0%ae%c0%ae/collections',
  '/dashboard/\u00e4/../collections',
  '/dashboard?/../collections',
  '/dashboard#/../collections',
  '/dashboard/..?/collections',
  'http://localhost/dashboard/../collections',
  'https://localhost/dashboard\\..\\collections',
  '/x/../dashboard/../collections',
  '/Dashboard/../collections',
  '/dashboard%2f..%2fcollections',
  '/%64ashboard/../collections',
  '/dashboardx/../collections',
];

t.test('no path below the open files leads to anything else', async (t) => {
  const gateway = await startScene(t);
  const { recorder } = gateway.upstream;
  const session = connect(gateway.rest.url, { ca: gateway.ca });
  t.teardown(async () => session.destroy());
  const answers = [overHttp1, (_: TestGateway, path: string) => overHttp2(session, path)];
  for (const [i, send] of answers.entries()) {
    for (const path of TRAPS) {
      recorder.clear();
      const { status, text } = await send(gateway, path);
      const name = `${path} over HTTP/${i + 1} is ${status}`;
      t.notMatch(text, /"result"|docs|notes/, name);
      // What upstream gets has no step back, in any spelling, and stays below the files.
      const sent = recorder.rest.map(({ target }) => target.split(/[?#]/, 1)[0] ?? '');
      t.ok(
        sent.every((target) => /^\/dashboard(\/(?!\.)[\w%~-][\w.%~;-]*)*$/.test(target)),
        `${name}: ${sent}`,
      );
      t.notOk(
        sent.some((target) => /%2e|%2f|%5c|%00/i.test(target)),
        `${name}: ${sent}`,
      );
    }
  }
  const allowed = await overHttp1(gateway, '/dashboard/assets/../index.html');
  t.not(allowed.status, 200, 'not even within the files');
});

async function overHttp1(gateway: TestGateway, path: string): Promise<{ status: number; text: string }> {
  const { host, port } = gateway.rest;
  const socket = connectTls({ host, port, servername: 'localhost', ca: gateway.ca, ALPNProtocols: ['http/1.1'] });
  socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`, 'latin1');
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return { status: Number(text.split(' ', 2)[1]), text };
}

/** Status 0 = refused by resetting the stream. */
function overHttp2(session: ClientHttp2Session, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve) => {
    const stream = session.request({ ':path': path });
    const chunks: Buffer[] = [];
    let status = 0;
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
    });
    stream.on('error', () => undefined);
    stream.on('close', () => resolve({ status, text: Buffer.concat(chunks).toString() }));
  });
}

t.test('without static content the files are like any unknown path', async (t) => {
  const gateway = await startScene(t, { settings: { 'service.enable_static_content': false } });
  const answers = [];
  for (const headers of [{}, ADMIN]) answers.push((await ask(gateway, 'GET', '/dashboard', headers)).status);
  t.strictSame(answers, [401, 404]);
  t.strictSame(gateway.upstream.recorder.rest, []);
});

const executable = findChromium();

t.test('in a browser', { skip: executable === undefined && 'no Chromium on the PATH' }, async (t) => {
  const { context, close } = await openBrowser(executable ?? '');
  t.teardown(close);

  /** A page of its own origin; faults of scripts end the test that uses it. */
  async function open(gateway: TestGateway, hash = ''): Promise<{ page: Page; faults: string[] }> {
    const page = await context.newPage();
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    const response = await page.goto(`${gateway.rest.url}/dashboard${hash}`);
    t.equal(response?.status(), 200, `/dashboard${hash} loads`);
    await page.waitForSelector('body[data-ready]');
    return { page, faults };
  }

  async function enterKey(page: Page, key: string): Promise<void> {
    await page.waitForSelector('#dialog:not([hidden])');
    await page.fill('#key', key);
    await Promise.all([page.waitForEvent('load'), page.click('#apply')]);
    await page.waitForSelector('body[data-ready]');
  }

  const textOf = (page: Page, id: string) => page.textContent(`#${id}`);
  const api = (page: Page, ...args: unknown[]) =>
    page.evaluate<{ status: number; data: { result?: unknown; status?: { error?: string } } }>(
      `ui.api(${args.map((value) => JSON.stringify(value) ?? 'undefined').join(', ')})`,
    );

  await t.test('the page asks for a key, then shows collections and mints a token that works', async (t) => {
    const gateway = await startScene(t);
    const { page, faults } = await open(gateway);
    t.equal(await textOf(page, 'refusal'), '401 Must provide an API key or an Authorization bearer token');
    t.strictSame(
      [await textOf(page, 'cloud'), await textOf(page, 'openapi'), await textOf(page, 'worker')],
      ['404', 'v1.18.3', 'worker runs'],
    );
    t.equal(await textOf(page, 'banner'), 'no banner', 'a third party that does not answer does not matter');

    await enterKey(page, 'not-the-key');
    t.equal(await textOf(page, 'refusal'), '401 Invalid API key or JWT', 'a wrong key brings the dialog back');
    await enterKey(page, KEYS.admin);
    t.equal(await page.evaluate('localStorage.settings'), JSON.stringify({ apiKey: KEYS.admin }));
    await page.waitForSelector('body[data-route="/collections"]');
    t.strictSame(await page.locator('#collections li').allTextContents(), ['docs green', 'notes green']);
    t.strictSame(await page.locator('#aliases li').allTextContents(), ['live']);
    t.equal(await page.getAttribute('#access-tokens', 'class'), 'enabled', 'the token page is offered');

    await page.click('#access-tokens');
    await page.waitForSelector('body[data-route="/jwt"]');
    t.equal(await page.evaluate('isSecureContext'), true);
    t.equal(await page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol"), 'h2');
    await page.fill('#claims', JSON.stringify({ access: DOCS }));
    await page.click('#create');
    await page.waitForSelector('#token:not(:empty)');
    const token = (await textOf(page, 'token')) ?? '';
    t.equal(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString(), '{"alg":"HS256"}');

    const upsert = { points: [{ id: 1, vector: [1, 0, 0, 0] }] };
    t.equal(
      (await api(page, 'PUT', '/collections/docs/points', upsert, token)).status,
      200,
      'it writes its collection',
    );
    const other = await api(page, 'PUT', '/collections/notes/points', upsert, token);
    t.strictSame([other.status, other.data.status?.error], [403, 'Forbidden: Access to collection notes is required']);
    t.equal((await api(page, 'DELETE', '/collections/docs', {}, token)).status, 403, 'and manages nothing');
    t.strictSame((await api(page, 'GET', '/collections', undefined, token)).data.result, {
      collections: [{ name: 'docs' }],
    });
    t.equal((await api(page, 'GET', '/collections/docs', undefined, `${token.slice(0, -4)}AAAA`)).status, 403);
    t.strictSame(faults, []);
    t.notOk(carriesCredential(gateway), 'no credential has reached upstream');
    await page.close();
  });

  await t.test('a token instead of a key shows what it may', async (t) => {
    const gateway = await startScene(t);
    const { page, faults } = await open(gateway);
    await enterKey(page, tokenOf({ exp: 1, access: 'm' }));
    t.equal(await textOf(page, 'refusal'), '403 ExpiredSignature', 'one that has expired brings the dialog back');
    await enterKey(page, tokenOf({ access: [{ collection: 'notes', access: 'prw' }] }));
    await page.waitForSelector('body[data-route="/collections"]');
    t.strictSame(await page.locator('#collections li').allTextContents(), ['notes green']);
    t.strictSame(await page.locator('#aliases li').allTextContents(), []);
    t.equal((await api(page, 'GET', '/collections/notes/cluster')).status, 403);
    t.equal((await api(page, 'DELETE', '/collections/notes', {})).status, 403, 'a body on DELETE does not matter');
    t.strictSame(faults, []);
    await page.close();
  });

  await t.test('every form of token that the page makes is taken', async (t) => {
    const gateway = await startScene(t);
    const { page } = await open(gateway, '#/jwt');
    await enterKey(page, KEYS.admin);
    await api(page, 'PUT', '/collections/docs/points', {
      points: [{ id: 1, vector: [1, 0, 0, 0], payload: { user: 'ann' } }],
    });
    const inAWeek = Math.floor(Date.now() / 1000) + 7 * 86_400;
    const valueExists = (value: string) => ({ collection: 'docs', matches: [{ key: 'user', value }] });
    const cases: readonly (readonly [claims: object, docs: number, notes: number, create: number])[] = [
      [{ access: 'r' }, 200, 200, 403],
      [{ access: 'm' }, 200, 200, 200],
      [{ access: [] }, 403, 403, 403],
      [{ access: DOCS }, 200, 403, 403],
      [{ access: DOCS, exp: inAWeek }, 200, 403, 403],
      [{ access: DOCS, value_exists: valueExists('ann') }, 200, 403, 403],
      [{ access: DOCS, value_exists: valueExists('bob') }, 401, 401, 401],
    ];
    for (const [claims, ...expected] of cases) {
      const token = await page.evaluate<string>(`ui.mint(${JSON.stringify(claims)})`);
      const answers = [
        await api(page, 'GET', '/collections/docs', undefined, token),
        await api(page, 'GET', '/collections/notes', undefined, token),
        await api(page, 'PUT', '/collections/fresh', { vectors: { size: 4, distance: 'Dot' } }, token),
      ];
      t.strictSame(
        answers.map(({ status }) => status),
        expected,
        JSON.stringify(claims),
      );
    }
    await page.close();
  });

  await t.test('the token page is offered as the settings say', async (t) => {
    const cases: readonly (readonly [settings: Readonly<Record<string, unknown>>, item: string | null])[] = [
      [{ 'service.jwt_rbac': null }, 'greyed'],
      [{ 'service.hide_jwt_dashboard': true }, null],
    ];
    for (const [settings, item] of cases) {
      const gateway = await startScene(t, { settings });
      const { page } = await open(gateway);
      await enterKey(page, KEYS.admin);
      const found = page.locator('#access-tokens');
      t.equal((await found.count()) > 0 ? await found.getAttribute('class') : null, item, JSON.stringify(settings));
      await page.close();
    }
  });

  await t.test('a snapshot is uploaded with progress, or refused with an answer that can be read', async (t) => {
    const gateway = await startScene(t);
    const size = 8 << 20;
    const { page } = await open(gateway);
    await enterKey(page, KEYS.admin);
    const upload = () =>
      page.evaluate<{ status: number; text: string; progressed: number }>(
        `ui.upload('/collections/docs/snapshots/upload', ${size})`,
      );
    const done = await upload();
    t.strictSame([done.status, done.progressed > size], [200, true]);
    const sent = gateway.upstream.recorder.rest.find(({ target }) => target.endsWith('/upload'));
    t.ok((sent?.received.length ?? 0) > size, 'upstream has all of it');
    await page.evaluate(`localStorage.setItem('settings', '{"apiKey":"${KEYS.readOnly}"}')`);
    await page.reload();
    await page.waitForSelector('body[data-ready]');
    const refused = await upload();
    t.strictSame([refused.status, refused.text], [403, 'Forbidden: Global manage access is required']);
    await page.close();
  });

  await t.test('the page cannot be framed', async (t) => {
    const gateway = await startScene(t, { onRest: serveDashboard({ deniesFraming: false }) });
    const { page } = await open(gateway);
    await page.evaluate(`new Promise((resolve) => {
      const frame = Object.assign(document.createElement('iframe'), { src: '/dashboard/index.html', onload: resolve });
      document.body.append(frame);
    })`);
    const [, framed] = page.frames();
    t.ok(framed, 'there is a frame');
    t.equal(await framed?.locator('#dialog').count(), 0, 'and the page is not in it');
    await page.close();
  });
});

function carriesCredential({ upstream }: TestGateway): boolean {
  const names = upstream.recorder.rest.flatMap(({ rawHeaders }) => rawHeaders.filter((_, i) => i % 2 === 0));
  return names.some((name) => /^(api-key|authorization)$/i.test(name));
}
