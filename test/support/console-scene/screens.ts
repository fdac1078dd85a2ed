import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { findChromium, openBrowser } from '../clients/browser.ts';
import { consoleClient } from '../console.ts';
import { KEYS } from '../gateway.ts';
import { logInAs, someTraffic, startConsoleScene } from './scene.ts';

/*
 * `node setup.mjs test/support/console-scene/screens.ts FOLDER [WORD…]`: pictures of each page of the console, light and dark, wide and 360
 * pixels narrow. Words choose pages.
 */

/** A page of the console, and what is done there before the picture. */
interface Shot {
  readonly name: string;
  readonly place: string;
  readonly before?: (page: Page) => Promise<void>;
}

const SHOTS: readonly Shot[] = [
  {
    name: 'overview',
    place: '#/',
    before: async (page) => {
      for (let turn = 0; turn < 5; turn += 1) {
        for (let more = 0; more <= turn * 3; more += 1) await someTraffic(gateway);
        await page.waitForResponse(/api\/overview/);
      }
      await page.locator('.chart canvas').first().waitFor();
    },
  },
  {
    name: 'tokens',
    place: '#/tokens',
    before: async (page) => {
      await page.getByLabel('Collection 1', { exact: true }).fill('docs');
      await page.getByLabel('For whom').fill('search-service');
      await page.getByRole('button', { name: 'Make the token' }).click();
      await page.getByText('Your new token').waitFor();
    },
  },
  {
    name: 'tokens-inspect',
    place: '#/tokens?view=inspect',
  },
  {
    name: 'tokens-revocations',
    place: '#/tokens?view=revocations',
    before: async (page) => {
      for (const [value, reason] of [
        ['intern-laptop', 'laptop lost'],
        ['nightly-import', 'moved to a key'],
      ] as const) {
        await page.getByLabel('Subject').fill(value);
        await page.getByLabel('Reason').fill(reason);
        await page.getByRole('button', { name: 'Revoke', exact: true }).click();
        await page.locator('tbody tr', { hasText: value }).waitFor();
      }
    },
  },
  {
    name: 'sessions',
    place: '#/sessions',
    before: async (page) => {
      await consoleClient(gateway.admin).login(KEYS.readOnly);
      await page.locator('tbody tr').nth(1).waitFor();
    },
  },
  { name: 'audit', place: '#/audit', before: async (page) => void (await page.locator('tbody tr').first().waitFor()) },
  {
    name: 'audit-entry',
    place: '#/audit',
    before: async (page) => {
      await page.locator('tr.refused').first().click();
      await page.getByText('What to do').waitFor();
    },
  },
  {
    name: 'keys',
    place: '#/keys',
    before: async (page) => {
      for (const [name, collection] of [
        ['search-service', 'docs'],
        ['nightly-import', 'orders'],
      ] as const) {
        await page
          .getByRole('button', { name: /Make (?:a|the first) key/ })
          .first()
          .click();
        await page.getByLabel('Name', { exact: true }).fill(name);
        await page.getByLabel('Owner').fill('team-data');
        await page.getByLabel('Collection 1', { exact: true }).fill(collection);
        await page.getByRole('button', { name: 'Make the key' }).click();
        await page.getByText(`The text of ${name}`).waitFor();
      }
      await page.locator('tbody tr').nth(1).waitFor();
    },
  },
  {
    name: 'key-details',
    place: '#/keys',
    before: async (page) => {
      await page.locator('tbody tr').first().click();
      await page.getByText('another day').first().waitFor({ state: 'attached' });
    },
  },
  {
    name: 'access',
    place: '#/access',
    before: async (page) => void (await page.locator('button.heat').first().waitFor()),
  },
  {
    name: 'access-why',
    place: '#/access',
    before: async (page) => {
      await page.locator('button.heat.some').first().click();
      await page.getByText('Decided by').first().waitFor();
    },
  },
  {
    name: 'try',
    place: '#/try',
    before: async (page) => {
      await page.getByLabel('Path').fill('/collections/orders/points/query');
      await page.getByText('A token with these claims').click();
      await page.getByLabel('Claims, as JSON').fill('{"access": "r", "subject": "web-app", "tenant": "acme"}');
      await page.getByRole('button', { name: 'Ask', exact: true }).click();
      await page.getByText('Sent to Qdrant instead').waitFor();
    },
  },
  {
    name: 'policy',
    place: '#/policy',
    before: async (page) => {
      const draft = page.getByLabel('Policy', { exact: true });
      await draft.fill((await draft.inputValue()).replace('access: r }', 'access: rw }'));
      await page.getByRole('button', { name: 'Compare' }).click();
      await page.getByText('classes of requests change').waitFor({ timeout: 60_000 });
    },
  },
];

const [folder = 'screens', ...words] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const chromium = findChromium();
if (!chromium) throw new Error('there is no Chromium on this machine');
const gateway = await startConsoleScene();
await someTraffic(gateway);
const browser = await openBrowser(chromium);
const page = await browser.context.newPage();
page.on('console', (message) => process.stderr.write(`browser: ${message.text()}\n`));
page.on('pageerror', (error) => process.stderr.write(`browser: ${error.stack ?? error.message}\n`));
const wanted = (name: string): boolean => words.length === 0 || words.some((word) => name.includes(word));
try {
  await page.goto(gateway.page);
  await page.getByLabel('API key').waitFor();
  if (wanted('login')) await shoot(page, 'login');
  await logInAs(page, KEYS.admin);
  for (const { name, place, before } of SHOTS) {
    if (!wanted(name)) continue;
    await page.setViewportSize({ width: 1280, height: 860 });
    await page.goto('about:blank');
    await page.goto(`${gateway.page}${place}`);
    await page.locator('h1').waitFor();
    await before?.(page);
    await shoot(page, name);
  }
} finally {
  await browser.close();
  await gateway.close();
}

/** Light and dark, wide and narrow. */
async function shoot(page: Page, name: string): Promise<void> {
  for (const [size, width] of [
    ['', 1280],
    ['-360', 360],
  ] as const) {
    await page.setViewportSize({ width, height: 860 });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(folder, `${name}${size}-${colorScheme}.png`), fullPage: size !== '' });
    }
  }
}
