import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { optionsTable } from '../../src/config/document.ts';
import { CONFIG_FILE_VARIABLE } from '../../src/config/environment.ts';
import { options } from '../../src/config/options.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const FOLDERS = ['.', 'config', 'certs', 'docker', 'docs', 'test/bench'];

function filesIn(folders: readonly string[], name: RegExp): string[] {
  return folders
    .map((folder) => join(ROOT, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((entry) => join(folder, entry)))
    .filter((path) => name.test(path))
    .sort();
}

function read(path: string): string {
  return readFileSync(path, 'utf8');
}

/** What stands between two marker lines; empty when there are none. */
function marked(text: string, name: string): string {
  const [, rest = ''] = text.split(`<!-- ${name} -->\n`, 2);
  return rest.split(`<!-- /${name} -->`, 1)[0] ?? '';
}

/** The cells of a Markdown table, whatever a formatter did to their width. */
function cellsOf(table: string): string[][] {
  const rows = table.split('\n').filter((line) => line.startsWith('|'));
  return rows.map((row) => row.split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/^-+$/, '---')));
}

/** Relative targets of links and pictures, without their fragment. Code blocks do not count. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target.split('#', 1)[0] ?? '')
    .filter((target) => target !== '' && !/^[a-z]+:/.test(target));
}

/** Settings a text names by their variable; `QDRANT__STORAGE__...` stands for a whole section. */
function variablesOf(text: string): string[] {
  const found = text.match(/\bQDRANT(?:_GATEWAY)?__[A-Z0-9_]+\b(?!\.\.\.)/g) ?? [];
  return [...new Set(found)].filter((name) => !name.endsWith('__'));
}

const DOCUMENTS = filesIn(FOLDERS, /\.md$/);
const EXAMPLES = filesIn(['docker'], /(?:\.yaml|Dockerfile)$/);

t.test('the table of settings in the README is the one the command prints', async (t) => {
  const shown = cellsOf(marked(read(join(ROOT, 'README.md')), 'options'));
  t.ok(shown.length > options.length, 'the table is found at all');
  t.same(shown, cellsOf(optionsTable()));
});

t.test('every relative link leads to a file', async (t) => {
  const links = DOCUMENTS.flatMap((path) => linksOf(read(path)).map((target) => ({ path, target })));
  t.ok(links.length > 20, 'links are found at all');
  const broken = links.filter(({ path, target }) => !existsSync(join(dirname(path), target)));
  t.same(
    broken.map(({ path, target }) => `${relative(ROOT, path)}: ${target}`),
    [],
  );
});

t.test('every setting that documents and examples name is an option', async (t) => {
  const known = new Set([CONFIG_FILE_VARIABLE, ...options.map(({ env }) => env)]);
  const named = [...DOCUMENTS, ...EXAMPLES].flatMap((path) => variablesOf(read(path)).map((name) => ({ path, name })));
  t.ok(named.length > 50, 'settings are found at all');
  const unknown = named.filter(({ name }) => !known.has(name));
  t.same(
    unknown.map(({ path, name }) => `${relative(ROOT, path)}: ${name}`),
    [],
  );
});

t.test('the example manifests are well-formed', async (t) => {
  for (const path of EXAMPLES.filter((one) => one.endsWith('.yaml'))) {
    const documents = parseAllDocuments(read(path));
    const problems = [...documents].flatMap(({ errors }) => errors.map(({ message }) => message));
    t.same(problems, [], relative(ROOT, path));
  }
});

t.test('what this test reads documents with can tell right from wrong', async (t) => {
  t.equal(marked('no markers here', 'options'), '');
  t.same(cellsOf('| a |b\\|c|\n|-----|---|\n'), [
    ['', 'a', 'b\\|c', ''],
    ['', '---', '---', ''],
  ]);
  t.same(linksOf('see [a](b.md#c), [d](https://e.f), `[g](h)`\n```\n[i](j)\n```\n'), ['b.md']);
  t.same(variablesOf('`QDRANT__A__B`, `QDRANT__STORAGE__...` and QDRANT_GATEWAY__X__Y=1'), [
    'QDRANT__A__B',
    'QDRANT_GATEWAY__X__Y',
  ]);
});
