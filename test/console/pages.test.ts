import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t from 'tap';
import { findChromium, openBrowser } from '../support/clients/browser.ts';
import { logInAs, POLICY, send, someTraffic, startConsoleScene } from '../support/console-scene/scene.ts';
import { KEYS } from '../support/gateway.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { until } from '../support/until.ts';
import { tokenOf } from '../support/verdicts/principals.ts';

/* Every page of the console: accessible, narrow, harmless whatever callers write; and the policy from draft to force. */

const chromium = findChromium();
const browser = chromium === undefined ? undefined : await openBrowser(chromium);
t.teardown(() => browser?.close());
browser?.context.setDefaultTimeout(PATIENCE_MS);
const options = { skip: browser ? false : 'there is no Chromium' };
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PLACES = ['#/', '#/tokens', '#/keys', '#/access', '#/try', '#/audit', '#/policy'];

/** Faults of accessibility that are serious or worse, as `rule: element`. */
async function faultsOf(page: Page): Promise<readonly string[]> {
  const found = await page.evaluate<string>(
    `(async () => { ${AXE}; const { violations } = await axe.run(); return JSON.stringify(violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').flatMap(({ id, nodes }) => nodes.map(({ target }) => id + ': ' + target.join(' ')))); })()`,
  );
  return JSON.parse(found) as string[];
}

async function show(page: Page, place: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(place)}`);
  await page.locator('main h1').waitFor();
  await until(async () => (await page.locator('.loading').count()) === 0, `${place} is loaded`);
}

t.test('every page: light and dark, wide and narrow, whatever callers write', options, async (t) => {
  if (!browser) return;
  const gateway = await startConsoleScene();
  t.teardown(gateway.close);
  await someTraffic(gateway);
  const hostile = '<img src=x onerror="window.hit=1">\u202egnp\u0000\u200b';
  const odd = encodeURIComponent('<script>window.hit=1</script>');
  const token = tokenOf({ access: 'r', subject: hostile });
  await send(gateway, 'GET', `/collections/${odd}`, { 'api-key': token, 'user-agent': '<b>agent</b>' });
  await send(gateway, 'GET', `/${odd}`, { 'api-key': token, 'x-request-id': '<i>id</i>' });
  const page = await browser.context.newPage();
  t.teardown(() => page.close());
  await page.goto(gateway.page);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    t.strictSame(await faultsOf(page), [], `login, ${colorScheme}`);
  }
  await page.evaluate("document.body.append(document.createElement('button'))");
  t.match(await faultsOf(page), [/^button-name: /], 'a button without a name is found');
  await page.evaluate('document.body.lastElementChild.remove()');
  await logInAs(page, KEYS.admin);
  await page.getByText('Logged in as').waitFor();
  for (const place of PLACES) {
    await show(page, place);
    for (const [colorScheme, width] of [
      ['light', 1280],
      ['dark', 360],
    ] as const) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      t.strictSame(await faultsOf(page), [], `${place}, ${colorScheme}, ${width} pixels`);
      const wide = await page.evaluate<number>('document.documentElement.scrollWidth');
      t.ok(wide <= width, `${place} fits into ${width} pixels (${wide})`);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  }
  await show(page, '#/audit');
  const row = page.locator('tbody tr', { hasText: '<img src=x' }).first();
  await row.waitFor();
  const shown = (await row.textContent()) ?? '';
  t.match(shown, '\\u202egnp', 'characters that reorder are written out');
  t.notMatch(shown, /[\u202e\u200b]/, 'and are not there');
  await row.click();
  await page.getByText('Request id').first().waitFor();
  t.equal(await page.evaluate('window.hit'), undefined, 'no text of a caller runs');
  t.equal(await page.locator('main img, main script, main b > img').count(), 0, 'and none is markup');
});

t.test('a policy: drafted, compared, refused, and put in force', options, async (t) => {
  if (!browser) return;
  const gateway = await startConsoleScene();
  t.teardown(gateway.close);
  const file = (): string => readFileSync(join(gateway.folder, 'policy.yaml'), 'utf8');
  await someTraffic(gateway);
  const shop = { 'api-key': tokenOf({ access: 'm', subject: 'shop' }), 'content-type': 'application/json' };
  const points = JSON.stringify({ points: [{ id: 9, vector: [1, 0, 0, 0] }] });
  const write = (): Promise<number> => send(gateway, 'PUT', '/collections/docs/points', shop, points);
  await browser.context.clearCookies();
  const page = await browser.context.newPage();
  t.teardown(() => page.close());
  await page.goto(`${gateway.page}#/policy`);
  await logInAs(page, KEYS.admin);
  const draft = page.getByLabel('Policy', { exact: true });
  await draft.fill('rules: [nonsense]');
  await page.getByRole('button', { name: 'Put in force' }).click();
  await page.getByRole('button', { name: 'Yes, write it' }).click();
  await page.getByRole('alert').waitFor();
  t.equal(file(), POLICY, 'a draft that is refused changes nothing');
  t.equal(await write(), 403, 'nor does it decide');
  const next = POLICY.replace('access: r }', 'access: rw }');
  await draft.fill(next);
  await page.getByRole('button', { name: 'Compare' }).click();
  await page.getByText('classes of requests change').waitFor();
  t.match(await page.locator('section.notice').first().textContent(), /gains/);
  await page.getByRole('tab', { name: 'Tests' }).click();
  await page.getByRole('button', { name: 'Run on the draft' }).click();
  await page.getByText(/\d passed, \d failed/).waitFor();
  await page.getByRole('button', { name: 'Put in force' }).click();
  await page.getByRole('button', { name: 'Yes, write it' }).click();
  await page.getByText('In force, revision').first().waitFor();
  t.equal(file(), next, 'the file is written');
  t.equal(await write(), 200, 'and decides from then on');
});
