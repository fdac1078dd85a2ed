import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import t from 'tap';
import { findChromium, openBrowser } from '../support/clients/browser.ts';
import { logInAs, POLICY, send, someTraffic, startConsoleScene } from '../support/console-scene/scene.ts';
import { KEYS } from '../support/gateway.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { tokenOf } from '../support/verdicts/principals.ts';

/* The page Policy: from draft to force; a reload that refuses; and two tabs. */

const chromium = findChromium();
const browser = chromium === undefined ? undefined : await openBrowser(chromium);
t.teardown(() => browser?.close());
browser?.context.setDefaultTimeout(PATIENCE_MS);
const options = { skip: browser ? false : 'there is no Chromium' };

/** Tries on a machine that is too busy to check a draft in time. */
const MOST_TRIES = 10;

/** Puts the draft in force, until the page answers so: a check that takes too long on a busy machine is asked for again. */
async function put(page: Page, answer: Locator): Promise<void> {
  const busy = page.getByText(/No answer within|Too many questions/);
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    await page.getByRole('button', { name: 'Put in force' }).click();
    await page.getByRole('button', { name: 'Yes, write it' }).click();
    await answer.or(busy).first().waitFor();
    if ((await answer.count()) > 0) return;
  }
}

const inForce = (page: Page): Locator => page.getByText('In force, revision', { exact: false }).first();

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
  await put(page, page.getByRole('alert'));
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
  await put(page, inForce(page));
  t.equal(file(), next, 'the file is written');
  t.equal(await write(), 200, 'and decides from then on');
});

t.test('a reload that refuses: the file is put back, and the page says why', options, async (t) => {
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
  await draft.waitFor();
  gateway.remove('read.key');
  const next = POLICY.replace('access: r }', 'access: rw }');
  await draft.fill(next);
  const told = page.getByRole('alert').filter({ hasText: 'The reload refused it' });
  await put(page, told);
  t.match(await told.textContent(), /the file is as it was before.*read\.key/, 'it says why');
  t.equal(file(), POLICY, 'the file is put back');
  t.equal(await write(), 403, 'the policy of before decides');
  t.equal(await draft.inputValue(), next, 'the draft is not lost');
  gateway.write('read.key', KEYS.readOnly);
  await put(page, inForce(page));
  t.strictSame([file(), await write()], [next, 200], 'once the reload can be, the same draft is taken');
  const { last } = (await gateway.supervisor.reload('admin')).ok ? { last: 'ok' } : { last: 'failed' };
  t.equal(last, 'ok');
});

t.test('a changed draft is left only after a question', options, async (t) => {
  if (!browser) return;
  const gateway = await startConsoleScene();
  t.teardown(gateway.close);
  await browser.context.clearCookies();
  const page = await browser.context.newPage();
  t.teardown(() => page.close());
  await page.goto(`${gateway.page}#/keys`);
  await logInAs(page, KEYS.admin);
  await page.getByRole('link', { name: 'Policy' }).click();
  const draft = page.getByLabel('Policy', { exact: true });
  const question = page.getByRole('dialog', { name: 'Leave without the draft?' });
  await draft.waitFor();
  const hash = (): Promise<string> => page.evaluate<string>('location.hash');
  await page.getByRole('link', { name: 'Audit' }).click();
  await page.getByRole('heading', { name: 'Audit' }).waitFor();
  t.equal(await question.count(), 0, 'a draft that is the file is left at once');
  await page.getByRole('link', { name: 'Policy' }).click();
  await draft.fill('rules: []');
  for (const leave of [() => page.getByRole('link', { name: 'Audit' }).click(), () => page.goBack()]) {
    await leave();
    await question.waitFor();
    t.equal(await hash(), '#/policy');
    await question.getByRole('button', { name: 'Stay' }).click();
    await question.waitFor({ state: 'detached' });
    t.equal(await draft.inputValue(), 'rules: []', 'the draft is there');
  }
  await page.getByRole('link', { name: 'Audit' }).click();
  await question.getByRole('button', { name: 'Leave, and lose it' }).click();
  await page.getByRole('heading', { name: 'Audit' }).waitFor();
  t.equal(await hash(), '#/audit');
  await page.getByRole('link', { name: 'Policy' }).click();
  await draft.waitFor();
  t.equal(await draft.inputValue(), POLICY);
});

t.test('two tabs: the second one does not write over the first', options, async (t) => {
  if (!browser) return;
  const gateway = await startConsoleScene();
  t.teardown(gateway.close);
  const file = (): string => readFileSync(join(gateway.folder, 'policy.yaml'), 'utf8');
  await browser.context.clearCookies();
  const [one, two] = [await browser.context.newPage(), await browser.context.newPage()];
  t.teardown(() => Promise.all([one.close(), two.close()]));
  await one.goto(`${gateway.page}#/policy`);
  await logInAs(one, KEYS.admin);
  const edit = async (page: Page, from: string, to: string): Promise<void> => {
    const draft = page.getByLabel('Policy', { exact: true });
    await draft.fill((await draft.inputValue()).replace(from, to));
  };
  await two.goto(`${gateway.page}#/policy`);
  await edit(two, 'most: 50', 'most: 70');
  await edit(one, 'most: 50', 'most: 60');
  await put(one, inForce(one));
  await put(two, two.getByRole('alert').filter({ hasText: 'has changed since you opened it' }));
  t.match(file(), /most: 60/, 'what the first tab wrote stays');
  await two.getByRole('button', { name: 'Open the file again' }).click();
  await two.getByText('in force, revision').first().waitFor();
  t.match(await two.getByLabel('Policy', { exact: true }).inputValue(), /most: 60/);
  await edit(two, 'most: 60', 'most: 70');
  await put(two, inForce(two));
  t.match(file(), /most: 70/, 'after a look at the file it can');
});
