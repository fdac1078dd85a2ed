import type { Page } from 'playwright-core';
import t from 'tap';
import { findChromium, openBrowser } from '../support/clients/browser.ts';
import { consoleClient } from '../support/console.ts';
import { logInAs, send, someTraffic, startConsoleScene } from '../support/console-scene/scene.ts';
import { KEYS } from '../support/gateway.ts';
import { listOf, StandInNode } from '../support/nodes.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { until } from '../support/until.ts';
import { tokenOf } from '../support/verdicts/principals.ts';

/* Changes on the pages, in a browser: each is in force at once, and its row says so. */

const chromium = findChromium();
const browser = chromium === undefined ? undefined : await openBrowser(chromium);
t.teardown(() => browser?.close());
browser?.context.setDefaultTimeout(PATIENCE_MS);
const options = { skip: browser ? false : 'there is no Chromium' };

/** A page of a browser without a session. */
async function newPage(t: { readonly teardown: (close: () => Promise<void>) => void }): Promise<Page> {
  if (!browser) throw new TypeError('there is no Chromium');
  await browser.context.clearCookies();
  const page = await browser.context.newPage();
  t.teardown(() => page.close());
  return page;
}

t.test('a key: made, rotated with an overlap and without, disabled, enabled, ended', options, async (t) => {
  const gateway = await startConsoleScene();
  t.teardown(gateway.close);
  await someTraffic(gateway);
  const page = await newPage(t);
  await page.goto(`${gateway.page}#/keys`);
  await logInAs(page, KEYS.admin);
  const status = (key: string): Promise<number> => send(gateway, 'GET', '/collections/docs', { 'api-key': key });
  const row = page.locator('tbody tr', { hasText: 'search-service' });
  const newText = async (): Promise<string> => {
    const told = page.getByLabel('the text of the key', { exact: true });
    await told.waitFor();
    const text = (await told.textContent()) ?? '';
    await page.getByRole('button', { name: 'I have copied it' }).click();
    await told.waitFor({ state: 'detached' });
    return text;
  };
  const open = async (): Promise<void> => {
    await row.getByRole('button').click();
    await page.getByRole('dialog').getByText('Last used').waitFor();
  };
  const isIn = (state: string): Promise<void> => row.getByText(state, { exact: true }).waitFor();

  await page.getByRole('button', { name: 'Make the first key' }).click();
  await page.getByLabel('Name', { exact: true }).fill('search-service');
  await page.getByLabel('Collection 1', { exact: true }).fill('docs');
  await page.getByRole('button', { name: 'Make the key' }).click();
  const first = await newText();
  t.equal(await status(first), 200, 'the new key works');

  await open();
  await page.getByLabel('Accept the present text for').selectOption('24h');
  await page.getByRole('button', { name: 'Rotate', exact: true }).click();
  const second = await newText();
  t.not(second, first);
  t.strictSame([await status(first), await status(second)], [200, 200], 'both texts work in the overlap');
  await open();
  await page.getByText(/accepted until \d{4}-/).waitFor();
  t.match(await page.getByRole('dialog').textContent(), /Last hour3 allowed, 0 refused/, 'its requests are counted');
  await page.getByLabel('Accept the present text for').selectOption('0s');
  await page.getByRole('button', { name: 'Rotate', exact: true }).click();
  const third = await newText();
  t.strictSame([await status(second), await status(third)], [401, 200], 'without an overlap the former one ends');

  await open();
  await page.getByRole('button', { name: 'Disable' }).click();
  await isIn('disabled');
  t.equal(await status(third), 401);
  await page.getByRole('button', { name: 'Enable' }).click();
  await isIn('active');
  t.equal(await status(third), 200);
  await page.getByRole('button', { name: 'End it now' }).click();
  await page.getByRole('button', { name: 'Keep it' }).click();
  t.equal(await status(third), 200, 'not without the second press');
  await page.getByRole('button', { name: 'End it now' }).click();
  await page.getByRole('button', { name: 'Yes, end it' }).click();
  await isIn('expired');
  t.equal(await status(third), 403);
});

t.test('a revocation: listed, lifted, and gone from a second tab', options, async (t) => {
  const gateway = await startConsoleScene();
  t.teardown(gateway.close);
  const page = await newPage(t);
  await page.goto(`${gateway.page}#/tokens?view=revocations`);
  await logInAs(page, KEYS.admin);
  const second = await page.context().newPage();
  t.teardown(() => second.close());
  await second.goto(`${gateway.page}#/tokens?view=revocations`);
  const shop = tokenOf({ access: 'r', subject: 'shop' });
  const status = (): Promise<number> => send(gateway, 'GET', '/collections', { 'api-key': shop });
  t.equal(await status(), 200);
  await page.getByLabel('Subject').fill('shop');
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  t.match(await page.locator('tbody tr').textContent(), /tokens of shop/);
  t.equal(await status(), 401);
  await second.locator('tbody tr', { hasText: 'tokens of shop' }).waitFor();
  await page.getByRole('button', { name: 'Lift the revocation of tokens of shop' }).click();
  t.equal(await page.evaluate('document.activeElement.textContent'), 'Yes, lift it', 'the focus goes along');
  await page.getByRole('button', { name: 'Keep it' }).click();
  t.equal(await status(), 401, 'not without the second press');
  await page.getByRole('button', { name: 'Lift the revocation of tokens of shop' }).click();
  await page.getByRole('button', { name: 'Yes, lift it' }).click();
  await page.getByText('Nothing is revoked').waitFor();
  t.equal(await status(), 200, 'its tokens are accepted again');
  await second.getByText('Nothing is revoked').waitFor();
  const page2 = await newPage(t);
  await gateway.supervisor.revoke({ kind: 'subject', value: 'shop' });
  await page2.goto(`${gateway.page}#/tokens?view=revocations`);
  await logInAs(page2, KEYS.readOnly);
  await page2.locator('tbody tr', { hasText: 'tokens of shop' }).waitFor();
  t.equal(await page2.getByRole('button', { name: /Lift|Revoke/ }).count(), 0, 'the role read lifts nothing');
});

t.test('a node: drained and taken in again, and never the last one', options, async (t) => {
  const nodes = await Promise.all([StandInNode.start({ version: '1.19.1' }), StandInNode.start({ version: '1.19.1' })]);
  const gateway = await startConsoleScene({
    settings: {
      ...{ 'gateway.upstream.rest_url': null, 'gateway.upstream.grpc_url': null },
      'gateway.upstream.nodes': listOf(nodes),
    },
  });
  t.teardown(async () => {
    await gateway.close();
    await Promise.all(nodes.map((node) => node.stop()));
  });
  const [one = '', two = ''] = nodes.map(({ name }) => name);
  const page = await newPage(t);
  await page.goto(gateway.page);
  await logInAs(page, KEYS.admin);
  await until(
    async () => (await page.locator('tbody tr').getByText('up', { exact: true }).count()) === 2,
    'both are up',
  );
  await page.getByRole('button', { name: `Drain ${one}` }).click();
  await page.getByRole('button', { name: 'Yes, drain it' }).click();
  const row = page.locator('tbody tr', { hasText: one });
  await row.getByText('drained', { exact: true }).waitFor();
  nodes[0]?.fake.recorder.clear();
  for (let at = 0; at < 6; at += 1) t.equal(await send(gateway, 'GET', '/collections', { 'api-key': KEYS.admin }), 200);
  t.strictSame(nodes[0]?.seen, [], 'it gets no requests');
  await page.getByRole('button', { name: `Drain ${two}` }).click();
  await page.getByRole('button', { name: 'Yes, drain it' }).click();
  await page.getByText('is the last node that takes requests').waitFor();
  await page.getByRole('button', { name: `Take ${one} in again` }).click();
  await page.getByRole('button', { name: 'Yes, take it in' }).click();
  await row.getByText(/up|rising/).waitFor();
  const reader = await newPage(t);
  await reader.goto(gateway.page);
  await logInAs(reader, KEYS.readOnly);
  await reader.locator('tbody tr', { hasText: two }).waitFor();
  t.equal(await reader.getByRole('button', { name: /Drain|Take/ }).count(), 0, 'the role read changes nothing');
});

t.test('sessions: who is logged in, and one is ended', options, async (t) => {
  const gateway = await startConsoleScene();
  t.teardown(gateway.close);
  const other = consoleClient(gateway.admin);
  t.equal(await other.login(KEYS.readOnly), 200);
  const page = await newPage(t);
  await page.goto(`${gateway.page}#/sessions`);
  await logInAs(page, KEYS.admin);
  const rows = page.locator('tbody tr');
  await until(async () => (await rows.count()) === 2, 'both are listed');
  t.match(await rows.allTextContents(), [/^api_key this browser.*full/, /^read_only_api_key.*read-only/]);
  await page.getByRole('button', { name: 'End the session of read_only_api_key' }).click();
  await page.getByRole('button', { name: 'Yes, end it' }).click();
  await until(async () => (await rows.count()) === 1, 'it is gone');
  t.equal((await other.get('api/status')).status, 401, 'it is over with its next request');
  await page.getByRole('button', { name: 'End the session of api_key' }).click();
  await page.getByRole('button', { name: 'Yes, end it' }).click();
  await page.getByText('Log in again').waitFor();
  t.pass('the own one ends, too');
});
