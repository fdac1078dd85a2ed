import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import t from 'tap';
import { findChromium, openBrowser } from '../support/clients/browser.ts';
import { logInAs, send, someTraffic, startConsoleScene } from '../support/console-scene/scene.ts';
import { KEYS } from '../support/gateway.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { until } from '../support/until.ts';
import { tokenOf } from '../support/verdicts/principals.ts';

/* Every page of the console: accessible, narrow, harmless whatever callers write. */

const chromium = findChromium();
const browser = chromium === undefined ? undefined : await openBrowser(chromium);
t.teardown(() => browser?.close());
browser?.context.setDefaultTimeout(PATIENCE_MS);
const options = { skip: browser ? false : 'there is no Chromium' };
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PLACES = [
  ...['#/', '#/tokens', '#/keys', '#/tokens?view=inspect', '#/access', '#/tokens?view=revocations'],
  ...['#/try', '#/audit', '#/policy', '#/sessions'],
];
const PHONE = { width: 360, height: 740 };
const LOOKS = [
  ['light', 1280],
  ['dark', 1280],
  ['light', 360],
  ['dark', 360],
] as const;

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
  await gateway.supervisor.revoke({ kind: 'subject', value: '<b>left</b>\u202e', reason: '<i>why</i>' });
  const hostile = '<img src=x onerror="window.hit=1">\u202egnp\u0000\u200b';
  const odd = encodeURIComponent('<script>window.hit=1</script>');
  const token = tokenOf({ access: 'r', subject: hostile });
  await send(gateway, 'GET', `/collections/${odd}`, { 'api-key': token, 'user-agent': '<b>agent</b>' });
  await send(gateway, 'GET', `/${odd}`, { 'api-key': token, 'x-request-id': '<i>id</i>' });
  const page = await browser.context.newPage();
  t.teardown(() => page.close());
  await page.goto(gateway.page);
  for (const [colorScheme, width] of LOOKS) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    t.strictSame(await faultsOf(page), [], `login, ${colorScheme}, ${width} pixels`);
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.evaluate("document.body.append(document.createElement('button'))");
  t.match(await faultsOf(page), [/^button-name: /], 'a button without a name is found');
  await page.evaluate('document.body.lastElementChild.remove()');
  await logInAs(page, KEYS.admin);
  await page.getByText('Logged in as').waitFor();
  for (const place of PLACES) {
    await show(page, place);
    for (const [colorScheme, width] of LOOKS) {
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
  t.ok((await page.locator('tbody tr').count()) <= 50, 'no more rows than are asked for');
  const shown = (await row.textContent()) ?? '';
  t.match(shown, '\\u202egnp', 'characters that reorder are written out');
  t.notMatch(shown, /[\u202e\u200b]/, 'and are not there');
  await row.click();
  await page.getByText('Request id').first().waitFor();
  t.equal(await page.evaluate('window.hit'), undefined, 'no text of a caller runs');
  t.equal(await page.locator('main img, main script, main b > img').count(), 0, 'and none is markup');
  await page.setViewportSize(PHONE);
  await page.reload();
  const first = page.locator('tbody tr').first();
  await first.waitFor();
  const { y = PHONE.height, height = PHONE.height } = (await first.boundingBox()) ?? {};
  t.ok(y + height < PHONE.height, `the first entry is on the screen of a phone (${y})`);
  t.ok(height < 100, `and one entry takes ${height} pixels`);
});
