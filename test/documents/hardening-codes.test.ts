import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { markdownFiles, ROOT, read, rowsOf } from './markdown.ts';

/** Codes of cases, such as O5 or T5, are explained in one place: the tables of this page. */
const PAGE = 'docs/reference/hardening.md';

/** The letters of the page's tables. What else looks like a code is a byte, or the name of something else. */
const CODE = /(?<![\w%\\.#'"-])[IFPHGJBTUO]\d{1,2}(?![\w.])/g;
const OTHER = ['B64', 'F0', 'H2'];

const codesIn = (text: string): string[] => [...new Set(text.match(CODE) ?? [])];

/** Every code that stands first in a row. */
const explained = new Set(rowsOf(read(PAGE)).flatMap(([first = '']) => (/^[A-Z]\d{1,2}$/.test(first) ? first : [])));

t.test('every code of a case that tests and documents use is explained in words', async (t) => {
  t.ok(explained.size > 60, `${explained.size} codes are explained`);
  const tests = ['test', 'src'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.startsWith('documents/'))
      .map((name) => join(folder, name)),
  );
  const used = [...tests, ...markdownFiles()].flatMap((path) => codesIn(read(path)).map((code) => ({ path, code })));
  t.ok(new Set(used.map(({ code }) => code)).size > 60, 'codes are found at all');
  t.strictSame(
    used
      .filter(({ code }) => !explained.has(code) && !OTHER.includes(code))
      .map(({ path, code }) => `${path}: ${code}`),
    [],
  );
});

t.test('each row says what is tried, what must happen and where it is tested', async (t) => {
  for (const cells of rowsOf(read(PAGE)).filter(([first = '']) => explained.has(first))) {
    t.ok(cells.every((cell) => cell.length > 2 || cell === cells[0]) && cells.length >= 2, cells.join(' | '));
  }
});

t.test('every test that the page and the benchmarks name exists', async (t) => {
  const places = ['', 'test/hardening', 'test/property', 'test/soak'];
  const named = [PAGE, 'docs/benchmarks.md'].flatMap((page) => read(page).match(/[\w/-]+\.(?:test|soak)\.ts/g) ?? []);
  t.ok(named.length > 80, `${named.length} tests are found`);
  t.strictSame(
    named.filter((name) => !places.some((place) => existsSync(join(ROOT, place, name)))),
    [],
  );
});

t.test('the rule finds codes, and no bytes', async (t) => {
  t.strictSame(codesIn('O5: 100 reloads, and T5 (U13, B1 B2)'), ['O5', 'T5', 'U13', 'B1', 'B2']);
  t.strictSame(codesIn('%F0 0xF0 \\xF4 UTF8 H2Client I18n O5.5 PBKDF2 A1'), []);
});
