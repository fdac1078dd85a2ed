import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import t from 'tap';
import { findChromium, openBrowser } from '../support/clients/browser.ts';
import { logInAs, startConsoleScene } from '../support/console-scene/scene.ts';
import { KEYS } from '../support/gateway.ts';
import { PATIENCE_MS } from '../support/patience.ts';
import { until } from '../support/until.ts';

/* The console in a browser: from nothing to a scoped key, used with curl, seen, revoked and refused; and sessions that end. */

const chromium = findChromium();
const run = promisify(execFile);

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

/** Runs a command as it is shown, and returns the status of the answer. */
async function statusOf(command: string): Promise<string> {
  const { stdout } = await run('sh', ['-c', `${command} -s -o /dev/null -w '%{http_code}'`]);
  return stdout;
}

/** Text of the command that the page shows. */
async function shownCommand(page: Page): Promise<string> {
  return (await page.getByLabel('the command', { exact: true }).textContent()) ?? '';
}

t.test('the first minute', options, async (t) => {
  const gateway = await startConsoleScene();
  t.teardown(gateway.close);
  const headers = { 'api-key': KEYS.admin, 'content-type': 'application/json' };
  for (const name of ['docs', 'notes']) {
    const body = JSON.stringify({ vectors: { size: 4, distance: 'Dot' } });
    await fetch(`${gateway.rest.url}/collections/${name}`, { method: 'PUT', headers, body });
  }
  const page = await newPage(t);
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));

  await page.goto(gateway.page);
  await logInAs(page, 'wrong');
  await page.getByRole('alert').waitFor();
  t.match(await page.getByRole('alert').textContent(), /key/i, 'a wrong key is told in place');
  await logInAs(page, KEYS.admin);
  await page.getByRole('link', { name: 'Tokens' }).click();
  await page.getByLabel('Collection 1', { exact: true }).fill('docs');
  await page.getByLabel('For whom').fill('search-service');
  await page.getByRole('button', { name: 'Make the token' }).click();
  const command = await shownCommand(page);
  t.equal(await statusOf(command), '200', 'the command works as it is shown');
  t.equal(await statusOf(command.replace('/docs', '/notes')), '403', 'and not on another collection');

  await page.getByRole('link', { name: 'Audit', exact: true }).first().click();
  const rows = page.locator('tbody tr', { hasText: 'search-service' });
  await until(async () => (await rows.count()) === 2, 'both requests are shown');
  t.match(await rows.allTextContents(), [/collection_not_listed.*notes/, /ok.*docs/]);
  await rows.first().click();
  await page.getByText('What to do').waitFor();
  t.match(await page.getByRole('dialog').textContent(), /denied \(collection_not_listed\)/, 'the decision now');
  await page.keyboard.press('Escape');

  await page.getByRole('link', { name: 'Tokens' }).click();
  await page.getByRole('tab', { name: 'Revocations' }).click();
  await page.getByLabel('Subject').fill('search-service');
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  await page.getByText('Revoked. ').waitFor();
  t.equal(await statusOf(command), '401', 'it is refused from then on');
  await page.getByRole('link', { name: 'Audit', exact: true }).first().click();
  await page.locator('tr.refused', { hasText: 'token_revoked' }).waitFor();
  t.strictSame(faults, [], 'no fault in the browser');
});

t.test('a session that ends', options, async (t) => {
  const gateway = await startConsoleScene();
  t.teardown(gateway.close);
  const page = await newPage(t);
  await page.goto(gateway.page);
  await logInAs(page, KEYS.admin);

  const second = await page.context().newPage();
  t.teardown(() => second.close());
  await second.goto(`${gateway.page}#/tokens`);
  await second.getByLabel('Collection 1', { exact: true }).fill('half-typed');
  t.equal(await second.getByText('Logged in as').count(), 1, 'a second tab needs no login');

  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  t.equal(await page.getByText('Logged in as').count(), 0, 'nothing of the pages is left');
  const storage = await page.evaluate<string>(
    'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])',
  );
  t.notMatch(storage, KEYS.admin, 'no key is in the storage of the browser');

  await second.getByRole('button', { name: 'Make the token' }).click();
  await second.getByText('Log in again').waitFor();
  await logInAs(second, KEYS.admin);
  await second.getByText('Your new token').waitFor();
  t.equal(await second.getByLabel('Collection 1', { exact: true }).inputValue(), 'half-typed', 'nothing is lost');

  gateway.write('api.key', 'another-admin-key-0123456789');
  await gateway.supervisor.reload('signal');
  await second.getByRole('link', { name: 'Audit', exact: true }).first().click();
  await second.getByText('Log in again').waitFor();
  await logInAs(second, 'another-admin-key-0123456789');
  await second.locator('tbody tr').first().waitFor();
  t.pass('a session of a key that is gone asks for another login, and goes on');
});

t.test('the read-only role', options, async (t) => {
  const gateway = await startConsoleScene();
  t.teardown(gateway.close);
  const page = await newPage(t);
  await page.goto(`${gateway.page}#/tokens`);
  await logInAs(page, KEYS.readOnly);
  await page.getByText('You are logged in read-only').waitFor();
  t.equal(await page.getByRole('tab', { name: 'Make a token' }).count(), 0, 'no form for tokens');
  t.equal(await page.getByRole('button', { name: /Make the token|Revoke/ }).count(), 0);
  const asked = await page.evaluate(async () => {
    const bodies = { 'tokens/mint': { access: 'm' }, 'tokens/revoke': { kind: 'subject', value: 'x' }, reload: {} };
    const answers: (readonly [string, number])[] = [];
    for (const [name, body] of Object.entries(bodies)) {
      const settings = { 'content-type': 'application/json', 'x-qdrant-console': '1' };
      const answer = await fetch(`api/${name}`, { method: 'POST', headers: settings, body: JSON.stringify(body) });
      answers.push([name, answer.status]);
    }
    return answers;
  });
  t.strictSame(
    asked,
    [
      ['tokens/mint', 403],
      ['tokens/revoke', 403],
      ['reload', 403],
    ],
    'and the server refuses',
  );
});
