import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ROOT, read } from './markdown.ts';

/** Paths of the source that stand in strings and comments, where neither compiler nor linter follows a file that moves. */
const PATH = /\bsrc\/[\w./-]*\w\.(?:ts|mjs)\b/g;

t.test('every path of the source that tests, scripts and examples name is that of a file', async (t) => {
  const tests = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' });
  const files = [
    ...tests.filter((name) => name.endsWith('.ts') && !name.startsWith('documents/')).map((name) => join('test', name)),
    ...[
      '.ci/run',
      'package.json',
      'setup.mjs',
      'docker/Dockerfile',
      'tsconfig.build.json',
      'src/cli/init/dev-certs.ts',
    ],
  ].filter((path) => existsSync(join(ROOT, path)));
  const named = files.flatMap((file) => (read(file).match(PATH) ?? []).map((path) => ({ file, path })));
  t.ok(named.length > 200, `${named.length} paths are found`);
  t.strictSame(
    named.filter(({ path }) => !existsSync(join(ROOT, path))).map(({ file, path }) => `${file}: ${path}`),
    [],
  );
});
