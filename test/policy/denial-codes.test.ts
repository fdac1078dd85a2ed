import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { DENIAL_CODES } from '../../src/policy/denial-codes.ts';
import { denialCodesPage, PAGE } from '../support/denial-codes-page.ts';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

t.test('a denial is made by denial() alone, which takes its kind from the code', async (t) => {
  const files = globSync('**/*.ts', { cwd: SRC }).filter((path) => path !== 'policy/denial.ts');
  const made = files.filter((path) => /\bkind: 'denial'/.test(readFileSync(`${SRC}/${path}`, 'utf8')));
  t.strictSame(made, []);
});

t.test('codes are snake_case and every row has its sentences', async (t) => {
  for (const [code, { means, remedy }] of Object.entries(DENIAL_CODES)) {
    t.match(code, /^[a-z]+(_[a-z]+)*$/);
    t.match([means, remedy].join(' '), /^[A-Z`].*\. ?[A-Z`].*\.$/, code);
  }
});

t.test('the reference page is what the table says', async (t) => {
  t.equal(readFileSync(PAGE, 'utf8'), denialCodesPage(), 'run `npm run docs:denials`');
});
