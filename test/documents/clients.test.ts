import { readFileSync } from 'node:fs';
import t from 'tap';
import { CLIENTS, releaseOf } from '../clients/clients.ts';
import { FRAMEWORKS_PAGE, FRAMEWORKS_RECORD, type FrameworkRow, frameworksPage } from '../clients/frameworks-page.ts';
import { clientsPage, PAGE, RECORDED_STEPS, recorded } from '../clients/page.ts';

/** The page of the clients is made from the programs and from what they showed; `npm run test:clients` runs them. */
t.test('the page is the one that the programs and the record give', async (t) => {
  t.equal(readFileSync(PAGE, 'utf8'), clientsPage(recorded()), 'npm run test:clients -- --write');
});

t.test('each client that was run is recorded in the release that it is pinned to, with every step', async (t) => {
  const known = recorded();
  t.ok(Object.keys(known).length >= 9, 'clients are recorded at all');
  for (const client of CLIENTS.filter(({ name }) => name in known)) {
    const { release, shown } = known[client.name] ?? { release: '', shown: {} };
    if (releaseOf(client) !== '') t.equal(release, releaseOf(client), client.name);
    t.strictSame(Object.keys(shown), RECORDED_STEPS, client.name);
  }
});

t.test('the page of the frameworks is the one that its record gives', async (t) => {
  const rows: readonly FrameworkRow[] = JSON.parse(readFileSync(FRAMEWORKS_RECORD, 'utf8'));
  t.ok(rows.length >= 40, `${rows.length} outcomes are recorded`);
  t.ok(
    rows.some(({ outcome }) => outcome !== 'works'),
    'refusals among them',
  );
  t.equal(readFileSync(FRAMEWORKS_PAGE, 'utf8'), frameworksPage(rows), 'npm run test:frameworks -- --write');
});

t.test('what is recorded holds no credential', async (t) => {
  t.notMatch(JSON.stringify(recorded()), /eyJ|admin-key|read-only-key/);
});
