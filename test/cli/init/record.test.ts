import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { init } from '../../../src/cli/init/init.ts';

const NOW = Date.now();
const COMPOSE = 'services:\n  db:\n    image: qdrant/qdrant\n    ports: ["6333:6333"]\n';

function project(t: Test): string {
  return t.testdir({ 'compose.yaml': COMPOSE, 'other.txt': 'mine' });
}

/** Every file below a folder with its content and permissions. */
function filesIn(folder: string, start = folder): Readonly<Record<string, string>> {
  return Object.assign(
    {},
    ...readdirSync(folder, { withFileTypes: true }).map((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return { [relative(start, path)]: 'folder', ...filesIn(path, start) };
      return { [relative(start, path)]: `${(statSync(path).mode & 0o777).toString(8)} ${readFileSync(path, 'utf8')}` };
    }),
  );
}

t.test('without --yes it shows every file, no secret, and writes nothing', async (t) => {
  const folder = project(t);
  const before = filesIn(folder);
  const { text, json } = await init(undefined, {}, NOW, folder);
  t.strictSame(filesIn(folder), before, 'the folder is as it was');
  t.match(json, { state: 'planned' });
  for (const line of [
    'compose.override.yaml  (mode 0644)',
    'qdrant-gateway/secrets/api-key  (mode 0600)',
    '+     ports: !reset []',
  ]) {
    t.match(text, line);
  }
  t.notMatch(text, /PRIVATE KEY|[\w-]{48}/, 'no key is shown');
});

t.test('secrets are for their owner alone', async (t) => {
  const folder = project(t);
  await init(undefined, { yes: true }, NOW, folder);
  const modes = ['secrets/api-key', 'secrets/read-only-api-key', 'tls/key.pem', 'tls/cert.pem'].map((name) =>
    (statSync(join(folder, 'qdrant-gateway', name)).mode & 0o777).toString(8),
  );
  t.strictSame(modes, ['600', '600', '600', '644']);
  t.match(readFileSync(join(folder, 'qdrant-gateway/.gitignore'), 'utf8'), '*');
});

t.test('undo removes what was written and nothing else', async (t) => {
  const folder = project(t);
  const before = filesIn(folder);
  await init(undefined, { yes: true }, NOW, folder);
  await init(undefined, { undo: true }, NOW, folder);
  t.strictSame(filesIn(folder), before);
  await t.rejects(init(undefined, { undo: true }, NOW, folder), /nothing to undo/, 'and only once');
});

t.test('undo tells what ends the gateway, which holds the ports of Qdrant until then', async (t) => {
  const orphans = 'docker compose up -d --remove-orphans';
  const cases: [name: string, files: Readonly<Record<string, string>>, file: string, edited: string, next: string[]][] =
    [
      ['a compose project', { 'compose.yaml': COMPOSE }, 'compose.yaml', '', [orphans]],
      [
        'a second file that .env names',
        { 'compose.yaml': COMPOSE, 'compose.override.yaml': '' },
        'compose.yaml',
        '',
        [orphans],
      ],
      ['a second file that stays', { 'compose.yaml': COMPOSE }, 'compose.yaml', 'compose.override.yaml', []],
      ['values of a chart', { 'values.yaml': 'replicaCount: 1\n' }, 'values.yaml', '', []],
    ];
  for (const [name, files, file, edited, next] of cases) {
    const folder = t.testdir({ ...files });
    await init(file, { yes: true }, NOW, folder);
    if (edited !== '') writeFileSync(join(folder, edited), 'services: {}\n');
    const { text, json } = await init(undefined, { undo: true }, NOW, folder);
    const told: readonly string[] = Object(json).next;
    t.strictSame(
      told.map((line) => line.replace(/ +#.*/, '')),
      next,
      name,
    );
    t.equal(/Next:\n {2}1\. docker/.test(text), next.length > 0, `${name}: in the text, too`);
  }
});

t.test('undo leaves what the gateway wrote, and what keeps it out of a repository', async (t) => {
  const folder = project(t);
  await init(undefined, { yes: true }, NOW, folder);
  writeFileSync(join(folder, 'qdrant-gateway/state/keys.yaml'), 'a secret\n');
  const { code, json, text } = await init(undefined, { undo: true }, NOW, folder);
  t.match(json, { left: [], guarding: ['qdrant-gateway/.gitignore'] });
  t.equal(code, 0);
  t.match(text, /left qdrant-gateway\/\.gitignore: its folder holds/);
  const there = Object.keys(filesIn(folder)).filter((path) => path.startsWith('qdrant-gateway/'));
  t.strictSame(there.sort(), [
    ...['qdrant-gateway/.gitignore', 'qdrant-gateway/state', 'qdrant-gateway/state/keys.yaml'],
  ]);
});

t.test('undo leaves files that were changed since, and folders with other files', async (t) => {
  const folder = project(t);
  await init(undefined, { yes: true }, NOW, folder);
  writeFileSync(join(folder, 'compose.override.yaml'), 'services: {}\n');
  writeFileSync(join(folder, 'qdrant-gateway/secrets/mine'), 'x');
  const { code, json } = await init(undefined, { undo: true }, NOW, folder);
  t.equal(code, 4);
  t.match(json, { left: ['compose.override.yaml'] });
  t.strictSame(Object.keys(filesIn(folder)).sort(), [
    ...['compose.override.yaml', 'compose.yaml', 'other.txt', 'qdrant-gateway'],
    ...['qdrant-gateway/.gitignore', 'qdrant-gateway/secrets', 'qdrant-gateway/secrets/mine'],
  ]);
});

t.test('a run that broke off at any file is finished by the next, with the keys that are there', async (t) => {
  const whole = project(t);
  await init(undefined, { yes: true }, NOW, whole);
  const written = Object.keys(filesIn(whole)).filter((name) => !name.endsWith('.txt') && name !== 'compose.yaml');
  for (const missing of written.filter((name) => /\.\w+$|key$/.test(name) && name !== '.qdrant-gateway-init.json')) {
    const folder = project(t);
    await init(undefined, { yes: true }, NOW, folder);
    const key = readFileSync(join(folder, 'qdrant-gateway/secrets/api-key'), 'utf8');
    rmSync(join(folder, missing));
    await init(undefined, { yes: true }, NOW, folder);
    t.ok(existsSync(join(folder, missing)), `${missing} is there again`);
    if (!missing.endsWith('secrets/api-key')) {
      t.equal(readFileSync(join(folder, 'qdrant-gateway/secrets/api-key'), 'utf8'), key, `${missing}: the key stays`);
    }
    t.match((await init(undefined, {}, NOW, folder)).json, { state: 'done' }, `${missing}: nothing is left to do`);
    await init(undefined, { undo: true }, NOW, folder);
    t.strictSame(Object.keys(filesIn(folder)).sort(), ['compose.yaml', 'other.txt'], `${missing}: all of it is undone`);
  }
});

t.test('a file in the way is refused, and nothing is written', async (t) => {
  const folder = project(t);
  mkdirSync(join(folder, 'qdrant-gateway'));
  writeFileSync(join(folder, 'qdrant-gateway/.gitignore'), 'secrets\n');
  const before = filesIn(folder);
  await t.rejects(init(undefined, { yes: true }, NOW, folder), /`qdrant-gateway\/\.gitignore` is there/);
  t.strictSame(filesIn(folder), before);
});

t.test('other choices change what was written', async (t) => {
  const folder = project(t);
  await init(undefined, { yes: true }, NOW, folder);
  const { json } = await init(undefined, { yes: true, image: 'registry.example.com/gateway:2' }, NOW, folder);
  t.match(json, { state: 'written', added: [], changed: ['compose.override.yaml'] });
  chmodSync(join(folder, 'compose.override.yaml'), 0o644);
  await init(undefined, { undo: true }, NOW, folder);
  t.strictSame(Object.keys(filesIn(folder)).sort(), ['compose.yaml', 'other.txt']);
});

t.test('a record that leads out of its folder is refused: it may come with a repository', async (t) => {
  const root = t.testdir({ 'precious.txt': 'x', project: { 'compose.yaml': COMPOSE } });
  const folder = join(root, 'project');
  const sha256 = createHash('sha256').update('x').digest('hex');
  symlinkSync(root, join(folder, 'up'));
  for (const path of ['../precious.txt', join(root, 'precious.txt'), 'up/precious.txt']) {
    writeFileSync(
      join(folder, '.qdrant-gateway-init.json'),
      JSON.stringify({ files: [{ path, sha256 }], folders: [], env: null }),
    );
    await t.rejects(init(undefined, { undo: true }, NOW, folder), /leads out of/, path);
    t.ok(existsSync(join(root, 'precious.txt')), `${path}: it is there`);
  }
  for (const text of [
    '{',
    '{}',
    '{"files":[{"path":1}],"folders":[]}',
    '{"files":[],"folders":[],"env":{"name":"PATH","after":"x"}}',
  ]) {
    writeFileSync(join(folder, '.qdrant-gateway-init.json'), text);
    await t.rejects(init(undefined, { undo: true }, NOW, folder), /cannot be read/, text);
  }
});
