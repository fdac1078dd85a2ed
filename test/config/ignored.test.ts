import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

const ROOT = join(import.meta.dirname, '..', '..');
const hasGit = existsSync(join(ROOT, '.git')) && spawnSync('git', ['--version']).status === 0;
const SKIP = hasGit ? false : 'needs git and a clone';

/** Is a path, from the top of the project, ignored by git? */
const isIgnored = (path: string): boolean => spawnSync('git', ['check-ignore', '-q', path], { cwd: ROOT }).status === 0;

/** Relative paths of keys, certificates and secrets that a document tells its reader to write. */
function pathsIn(file: string): readonly string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const named = text.matchAll(
    /(?<![\w/.<-])(?:\.\/)?((?:tls|certs|secrets|docker\/secrets)\/[\w./-]+?)(?=[`\s:;,)]|$)/gm,
  );
  const folder = file.startsWith('docker/') ? 'docker/' : '';
  return [...named]
    .map(([, path = '']) => `${folder}${path}`)
    .filter((path) => !/\.(ts|md)$/.test(path))
    .map((path) => (path === 'certs/dev' ? 'certs/dev/' : path));
}

t.test('keys and certificates are ignored by git where the documents have them written', { skip: SKIP }, async (t) => {
  const found = [
    'README.md',
    'docs/guides/tutorial.md',
    'docs/guides/deploying.md',
    'certs/README.md',
    'docker/compose.yaml',
  ].flatMap(pathsIn);
  for (const path of ['tls/key.pem', 'certs/own-key.pem', 'certs/dev/ca.pem', 'docker/secrets/api-key']) {
    t.ok(found.includes(path), `${path} is in a document`);
  }
  const more = ['tls/cacert.pem', 'secrets/api-key', 'api.key', 'storage/audit/audit.2026-11-25.log', '.env'];
  for (const path of new Set([...found, ...more])) t.ok(isIgnored(path), path);
  for (const path of [
    'src/config/secrets.ts',
    'docker/compose.yaml',
    'certs/README.md',
    'test/hardening/secrets.test.ts',
  ]) {
    t.notOk(isIgnored(path), path);
  }
});
