import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { CONFIG_FILE_VARIABLE } from '../../src/config/environment.ts';
import { options } from '../../src/config/options.ts';
import { optionsPage } from '../../src/config/options-page.ts';
import { OPERATION_NAMES } from '../../src/operations/names.ts';
import { fragmentsOf, linksOf, markdownFiles, pathsOf, ROOT, read, rowsOf, variablesOf } from './markdown.ts';

/** The documents: what they refer to exists, what they repeat is right, and the first ones stay short. */
const DOCUMENTS = markdownFiles();
const EXAMPLES = readdirSync(join(ROOT, 'docker'))
  .filter((name) => /(?:\.yaml|Dockerfile)$/.test(name))
  .map((name) => join('docker', name));

t.test('README and ARCHITECTURE stay short enough to be read at once', async (t) => {
  for (const [path, bytes] of [
    ['README.md', 9000],
    ['ARCHITECTURE.md', 10_000],
  ] as const) {
    const { size } = statSync(join(ROOT, path));
    t.ok(size <= bytes, `${path} has ${size} bytes, ${bytes} at most: move details below docs/`);
  }
});

t.test('ARCHITECTURE names every folder of the source, and no other', async (t) => {
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const rooms = rowsOf(read('ARCHITECTURE.md').split('## Rooms')[1]?.split('\n## ')[0] ?? '');
  const named = rooms.flatMap(([first = '']) => [...first.matchAll(/([\w-]+)\//g)].map(([, name]) => name));
  t.strictSame(named.toSorted(), folders.map(({ name }) => name).toSorted());
});

t.test('every relative link leads to a file, and to a heading of it', async (t) => {
  const links = DOCUMENTS.flatMap((from) => linksOf(read(from)).map((link) => ({ from, ...link })));
  t.ok(links.length > 150, `${links.length} links are found`);
  const broken = links.filter(({ from, path, fragment }) => {
    const target = path === '' ? from : join(dirname(from), path);
    if (!existsSync(join(ROOT, target))) return true;
    return fragment !== '' && !(target.endsWith('.md') && fragmentsOf(read(target)).includes(fragment));
  });
  t.strictSame(
    broken.map(({ from, path, fragment }) => `${from}: ${path}${fragment && `#${fragment}`}`),
    [],
  );
});

t.test('every path in backticks is that of a file', async (t) => {
  const places = ['', 'src', 'test', 'test/hardening'];
  // Of files that are made when the project is used, and of what another release had.
  const made = ['dist/cli/main.js', 'certs/dev/keys.json'];
  const named = DOCUMENTS.filter((from) => from !== 'CHANGELOG.md').flatMap((from) =>
    pathsOf(read(from)).map((path) => ({ from, path })),
  );
  t.ok(named.length > 30, `${named.length} paths are found`);
  const missing = named.filter(
    ({ from, path }) =>
      !made.includes(path) && ![...places, dirname(from)].some((place) => existsSync(join(ROOT, place, path))),
  );
  t.strictSame(
    missing.map(({ from, path }) => `${from}: ${path}`),
    [],
  );
});

t.test('the index lists every decision, with its date and title', async (t) => {
  const files = readdirSync(join(ROOT, 'docs/decisions'))
    .filter((name) => name !== 'README.md')
    .sort();
  const expected = files.map((name) => {
    const text = read(`docs/decisions/${name}`);
    const [, title, date] = /^# (.+)\n\n(\d{4}-\d{2}-\d{2})\n/.exec(text) ?? [];
    t.ok(date !== undefined && name.startsWith(`${date}-`), `${name} begins with its date`);
    return [date, `[${title}](${name})`];
  });
  t.strictSame(rowsOf(read('docs/decisions/README.md')), expected);
});

t.test('the page of the options is the one that the command prints', async (t) => {
  t.equal(read('docs/reference/options.md'), optionsPage(), 'npm run --silent options > docs/reference/options.md');
});

t.test('the README shows twelve options, with their variable and default', async (t) => {
  const rows = rowsOf(read('README.md')).filter(([name = '']) => options.some(({ path }) => name === `\`${path}\``));
  t.equal(rows.length, 12);
  for (const [name = '', env, fallback] of rows) {
    const option = options.find(({ path }) => name === `\`${path}\``);
    t.equal(env, `\`${option?.env}\``, name);
    t.equal(fallback, option?.fallback === null ? 'unset' : `\`${option?.fallback}\``, name);
  }
});

t.test('every setting that documents and examples name is an option', async (t) => {
  const known = new Set([CONFIG_FILE_VARIABLE, ...options.map(({ env }) => env)]);
  const named = [...DOCUMENTS, ...EXAMPLES].flatMap((path) => variablesOf(read(path)).map((name) => ({ path, name })));
  t.ok(named.length > 50, 'settings are found at all');
  const unknown = named.filter(({ name }) => !known.has(name));
  t.strictSame(
    unknown.map(({ path, name }) => `${path}: ${name}`),
    [],
  );
});

t.test('every option that a document names in backticks exists', async (t) => {
  // Attributes of a span, a field of the status page, and a test.
  const other = ['gateway.protocol', 'gateway.operation', 'gateway.decision', 'gateway.key'];
  other.push('audit.chain_heads', 'tls.test.ts');
  const known = (path: string): boolean =>
    other.includes(path) ||
    OPERATION_NAMES.has(path) ||
    options.some((option) => `${option.path}.`.startsWith(`${path}.`));
  const named = DOCUMENTS.filter((path) => path !== 'CHANGELOG.md').flatMap((from) =>
    [...read(from).matchAll(/`((?:gateway|service|tls|audit)\.[a-z0-9_.]+)(?:: [^`]*)?`/g)].map(([, path = '']) => ({
      from,
      path,
    })),
  );
  t.ok(named.length > 150, `${named.length} options are found`);
  t.strictSame(
    named.filter(({ path }) => !known(path)).map(({ from, path }) => `${from}: ${path}`),
    [],
  );
});

t.test('every dependency has a reason, in the release that is locked', async (t) => {
  const manifest: Readonly<Record<string, Readonly<Record<string, string>>>> = JSON.parse(read('package.json'));
  const page = read('docs/reference/dependencies.md');
  const sections = ['dependencies', 'optionalDependencies', 'devDependencies'];
  for (const [name, version] of sections.flatMap((section) => Object.entries(manifest[section] ?? {}))) {
    const short = name.replace('@opentelemetry/', '');
    const row = page.split('\n').find((line) => line.startsWith('|') && line.split('|')[1]?.includes(short));
    t.ok(row?.includes(version), `${name} ${version}`);
  }
});

t.test('the example manifests are well-formed', async (t) => {
  for (const path of EXAMPLES.filter((one) => one.endsWith('.yaml'))) {
    const documents = parseAllDocuments(read(path));
    const problems = [...documents].flatMap(({ errors }) => errors.map(({ message }) => message));
    t.strictSame(problems, [], path);
  }
});

t.test('what this test reads documents with can tell right from wrong', async (t) => {
  t.strictSame(rowsOf('| a |b\\|c|\n|-----|:---|\n| d | `e` |\ntext\n'), [['d', '`e`']]);
  t.strictSame(linksOf('see [a](b.md#c), [d](https://e.f), [x](#y), `[g](h)`\n```\n[i](j)\n```\n'), [
    { path: 'b.md', fragment: 'c' },
    { path: '', fragment: 'y' },
  ]);
  t.strictSame(fragmentsOf('# One, two `three_four`\n```\n# five\n```\n## G: HTTP/2 and gRPC\n'), [
    'one-two-three_four',
    'g-http2-and-grpc',
  ]);
  t.strictSame(pathsOf('`src/a/b.ts`, `a.ts`, `test/*.test.ts`, `test/x.test.ts`, [`docs/a.md`](b), `a/b`'), [
    'src/a/b.ts',
    'test/x.test.ts',
    'docs/a.md',
  ]);
  t.strictSame(variablesOf('`QDRANT__A__B`, `QDRANT__STORAGE__...` and QDRANT_GATEWAY__X__Y=1'), [
    'QDRANT__A__B',
    'QDRANT_GATEWAY__X__Y',
  ]);
});

t.test('documents name their subjects', async (t) => {
  const vague = /\b(whoever|somebody|someone|nobody|everybody|anybody)\b/i;
  t.match('Whoever asks', vague);
  // Records of a run are as they were.
  const recorded = ['docs/reference/conformance.md'];
  const found = DOCUMENTS.filter((path) => !recorded.includes(path)).flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, at) => (vague.test(line) ? [`${path}:${at + 1}: ${line}`] : [])),
  );
  t.strictSame(found, []);
});
