import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { startSupervised } from '../support/admin-gateway.ts';
import { findChromium, openBrowser } from '../support/clients/browser.ts';
import type { OnRest } from '../support/fake-qdrant/rest.ts';
import { KEYS } from '../support/gateway.ts';

/* Qdrant's Web UI behind the login, and pages of another origin, in a real Chromium. */

/** The page as it is built: files by absolute paths, the API beside the page (web-ui 0.2.13, `getBaseURL`). */
const FILES: Readonly<Record<string, readonly [type: string, content: string]>> = {
  '/dashboard': [
    'text/html; charset=utf-8',
    `<!doctype html><html lang="en"><head><title>UI | Qdrant</title>
<script type="module" crossorigin src="/dashboard/assets/index.js"></script>
<link rel="stylesheet" crossorigin href="/dashboard/assets/index.css"></head><body><div id="root"></div></body></html>`,
  ],
  '/dashboard/assets/index.css': ['text/css', '#root { color: rgb(1, 2, 3); }'],
  '/dashboard/openapi.json': ['application/json', '{"openapi":"3.0.1"}'],
  '/dashboard/assets/index.js': [
    'text/javascript',
    `const url = new URL(window.location.href);
const base = new URL(url.pathname.replace(/dashboard\\/(index\\.html)?$/, '').replace(/dashboard$/, ''), url.href).href;
const style = document.createElement('style');
style.textContent = '#root { font-size: 33px; }';
document.head.append(style);
const ask = async (path, init) => (await fetch(new URL(path, base), { headers: { 'x-inference-proxy': 'true' }, ...init })).status;
document.getElementById('root').textContent = [
  await ask('telemetry'), await ask('collections'), (await fetch('/dashboard/./openapi.json')).status,
  await ask('collections/made', { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"vectors":{"size":4,"distance":"Dot"}}' }),
].join(' ');`,
  ],
};
const serve: OnRest = (request, response) => {
  const file = FILES[(request.url ?? '').split('?', 1)[0] ?? ''];
  if (!file || request.method !== 'GET') return false;
  response.writeHead(200, { 'content-type': file[0] }).end(file[1]);
  return true;
};

const executable = findChromium();
const skip = executable === undefined ? 'no Chromium on this machine' : false;

t.test('the Web UI works without a key, and other pages cannot use the session', { skip }, async (t) => {
  const gateway = await startSupervised({
    settings: { 'gateway.console.enabled': true },
    audit: true,
    upstream: { onRest: serve },
  });
  t.teardown(() => gateway.close());
  const origin = `http://localhost:${gateway.admin}`;
  const evil = createServer((_request, response) => {
    response
      .writeHead(200, { 'content-type': 'text/html' })
      .end('<!doctype html><title>other</title><p id="seen"></p>');
  });
  await new Promise<void>((resolve) => void evil.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void evil.close());
  const { context, close } = await openBrowser(executable ?? '');
  t.teardown(close);
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('console', (message) => void (message.type() === 'error' && problems.push(message.text())));
  for (const [key, shown] of [
    [KEYS.readOnly, '200 200 200 403'],
    [KEYS.admin, '200 200 200 200'],
  ] as const) {
    await page.goto(`${origin}/-/console/`);
    const status = await page.evaluate(`(async () => {
      const headers = { 'x-qdrant-console': '1', 'content-type': 'application/json' };
      const body = ${JSON.stringify(JSON.stringify({ key }))};
      return (await fetch('api/login', { method: 'POST', headers, body })).status;
    })()`);
    t.equal(status, 200);
    problems.length = 0;
    await page.goto(`${origin}/-/console/qdrant/dashboard`);
    await page.locator('#root:not(:empty)').waitFor();
    t.equal(await page.textContent('#root'), shown, 'what the page asked for');
    const look = await page.evaluate(`getComputedStyle(document.getElementById('root')).color`);
    t.equal(look, 'rgb(1, 2, 3)', 'its styles count');
    t.strictSame(
      problems.filter((text) => !/status of 40[34]/.test(text)),
      [],
      'the policy of the page refuses nothing of it',
    );
    t.strictSame(
      await page.evaluate(`[JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie]`),
      ['{}', '{}', ''],
    );
  }
  const before = gateway.events().length;
  const other = await context.newPage();
  await other.goto(`http://localhost:${(evil.address() as AddressInfo).port}/`);
  const tried = await other.evaluate(`(async () => {
    const target = ${JSON.stringify(origin)};
    const text = { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}' };
    await fetch(target + '/-/console/api/reload', text).catch(() => undefined);
    await fetch(target + '/-/console/qdrant/collections/made/points', text).catch(() => undefined);
    const own = { credentials: 'include', headers: { 'x-qdrant-console': '1' } };
    const read = await fetch(target + '/-/console/api/status', own).then(() => 'answered', () => 'refused');
    const frame = document.createElement('iframe');
    frame.src = target + '/-/console/';
    const loaded = new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }));
    document.body.append(frame);
    await loaded;
    return read;
  })()`);
  t.equal(tried, 'refused');
  const frames = other.frames().filter((frame) => frame !== other.mainFrame());
  t.notOk(
    frames.some((frame) => frame.url().startsWith(origin)),
    'no frame shows the console',
  );
  await other.setContent(`<form method="post" action="${origin}/-/console/api/logout"><button>x</button></form>`);
  await Promise.all([other.waitForNavigation(), other.click('button')]);
  t.match(await other.textContent('body'), 'the header');
  t.strictSame(gateway.events().slice(before), [], 'nothing was done');
  const still = await page.evaluate(
    `fetch('/-/console/api/status', { headers: { 'x-qdrant-console': '1' } }).then(({ status }) => status)`,
  );
  t.equal(still, 200, 'the session stands');
});
