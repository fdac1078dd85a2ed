import { readFileSync } from 'node:fs';
import t from 'tap';
import { operationsPage, PAGE } from '../support/operations-page.ts';

t.test('the page of the operations has a row for every route and method, as the rows say', async (t) => {
  const page = operationsPage();
  t.ok(page.split('\n').filter((line) => line.startsWith('| `')).length > 150, 'operations are found');
  t.equal(readFileSync(PAGE, 'utf8'), page, 'node setup.mjs test/support/operations-page.ts');
});
