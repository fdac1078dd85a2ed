import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { missingForPacking, PackedPackage } from '../support/process/packed-package.ts';

/* The tarball: what is in it, how large it is, that it is the same wherever it is made, and that npm takes it without a word. */
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-tarball-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const missing = missingForPacking();
const skip = missing.length > 0 ? `not here: ${missing.join(', ')}` : false;
const delivered = new PackedPackage(folder);

/** What it may hold, by pattern: so many files at least, at most. */
const CONTENT: readonly (readonly [pattern: RegExp, least: number, most: number])[] = [
  [/^dist\/[\w/-]+\.js$/, 600, 1100],
  [/^dist\/[\w/-]+\.d\.ts$/, 600, 1100],
  [/^dist\/console\/browser\/[\w-]+\.css$/, 1, 10],
  [/^config\/[\w.-]+\.(ya?ml|json|md)$/, 10, 30],
  [/^config\/recipes\/[\w-]+\.yaml$/, 10, 40],
  [/^docs\/(guides|reference|decisions)\/[\w.-]+\.md$/, 60, 160],
  [/^docs\/[\w.-]+\.(md|svg|json|txt)$/, 3, 15],
  [/^docs\/guides\/[\w-]+\.png$/, 3, 8],
  [/^(README\.md|CHANGELOG\.md|SECURITY\.md|LICENSE|package\.json)$/, 5, 5],
];
/** Without any of these it would not be the product. */
const NEEDED = [
  ...['dist/cli/main.js', 'dist/cli/program.js', 'dist/cli/demo/demo.js', 'dist/index.js', 'dist/index.d.ts'],
  ...['dist/gateway/workers/worker.js', 'dist/rest/body/thread.js', 'config/README.md', 'config/gateway.schema.json'],
  ...['docs/guides/operating.md', 'docs/reference/api.md'],
];
const MOST_PACKED_BYTES = 2_000_000;
const MOST_UNPACKED_BYTES = 8_000_000;

/** Names in the tarball, without its top folder, with their sizes and permissions. */
async function listed(tarball: string) {
  const { out } = await delivered.run('tar', ['-tvzf', tarball], folder);
  return out
    .trim()
    .split('\n')
    .map((line) => {
      const [mode = '', , size = '', , , name = ''] = line.split(/\s+/);
      return { mode, size: Number(size), name: name.replace(/^package\//, '') };
    });
}

/** A checkout in which an earlier release and a careless hand have left files. */
function used(name: string): string {
  const clone = delivered.checkout(name);
  mkdirSync(join(clone, 'dist'));
  writeFileSync(join(clone, 'dist/gone.js'), '');
  mkdirSync(join(clone, 'secrets'));
  for (const path of ['secrets/api-key', 'dist/key.pem', '.env', 'tls.key', 'config/tls.key', 'docs/cert.pem']) {
    writeFileSync(join(clone, path), 'a secret\n');
  }
  return clone;
}

const tarballs: string[] = [];
t.before(async () => {
  if (skip !== false) return;
  // One after the other, so that the times differ, in folders with names of different lengths.
  tarballs.push(await delivered.pack(used('one/clone')));
  tarballs.push(await delivered.pack(used('another-place/deeper/clone')));
});

t.test('it holds the build, its documents and nothing else, within its bounds', { skip }, async (t) => {
  const files = await listed(tarballs[0] ?? '');
  const names = files.map(({ name }) => name);
  t.strictSame(
    NEEDED.filter((name) => !names.includes(name)),
    [],
    'what is needed is in it',
  );
  const kinds = CONTENT.map(([pattern]) => names.filter((name) => pattern.test(name)));
  t.strictSame(
    names.filter((name) => !kinds.some((kind) => kind.includes(name))),
    [],
    'nothing else is',
  );
  for (const [at, [pattern, least, most]] of CONTENT.entries()) {
    const found = kinds[at]?.length ?? 0;
    t.ok(found >= least && found <= most, `${pattern}: ${found} files, ${least} to ${most} are expected`);
  }
  t.strictSame(
    names.filter((name) => /gone|key\.pem|tls\.key|cert\.pem|api-key/.test(name)),
    [],
    'no file of an earlier build, and no key',
  );
  const unpacked = files.reduce((sum, { size }) => sum + size, 0);
  t.ok(unpacked < MOST_UNPACKED_BYTES, `${unpacked} bytes unpacked`);
  const packed = readFileSync(tarballs[0] ?? '').length;
  t.ok(packed < MOST_PACKED_BYTES, `${packed} bytes packed`);
  const executable = files.filter(({ mode }) => mode.includes('x')).map(({ name }) => name);
  t.strictSame(executable, ['dist/cli/main.js'], 'the program alone may be executed');
});

t.test('made twice, in other places, it is the same', { skip }, async (t) => {
  const digests = tarballs.map((path) => createHash('sha256').update(readFileSync(path)).digest('hex'));
  t.equal(digests.length, 2);
  t.equal(digests[0], digests[1]);
});

t.test('npm has nothing to say against publishing it', { skip }, async (t) => {
  // Nothing is sent with --dry-run. With a token npm does not ask for a login.
  const registry = ['--registry=http://127.0.0.1:9/', '--//127.0.0.1:9/:_authToken=none', '--fetch-retries=0'];
  const { code, err } = await delivered.run('npm', ['publish', '--dry-run', ...registry, tarballs[0] ?? ''], folder);
  t.equal(code, 0, code === 0 ? 'npm publish --dry-run' : err);
  t.match(err, /qdrant-gateway@/, 'it was looked at');
  t.strictSame(
    err.split('\n').filter((line) => /npm (warn|error|ERR)/i.test(line)),
    [],
  );
});
