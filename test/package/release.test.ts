import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findProgram, runProgram } from '../support/process/programs.ts';

/** The release job stops before anything is made where the checkout is not that of a release. */
const ROOT = join(import.meta.dirname, '../..');
const missing = ['git', 'bash'].filter((name) => findProgram(name) === undefined);

const CASES: readonly (readonly [
  name: string,
  steps: (git: (...args: string[]) => void, folder: string) => void,
  why: string,
])[] = [
  ['changes', (_git, folder) => writeFileSync(join(folder, 'new'), ''), 'the checkout has changes'],
  ['no tag', () => undefined, 'this commit is not tagged v0.1.0'],
  ['the tag of another release', (git) => git('tag', 'v0.2.0'), 'this commit is not tagged v0.1.0'],
  ['no section in the changelog', (git) => git('tag', 'v0.1.0'), 'CHANGELOG.md has no section for 0.1.0'],
];

for (const [name, steps, why] of CASES) {
  t.test(`no release of a checkout with ${name}`, { skip: missing.join(', ') || false }, async (t) => {
    const folder = t.testdir({
      'package.json': '{\n  "name": "qdrant-gateway",\n  "version": "0.1.0",\n  "type": "module"\n}\n',
      'CHANGELOG.md': '## [Unreleased]\n',
    });
    mkdirSync(join(folder, '.ci'));
    copyFileSync(join(ROOT, '.ci/release'), join(folder, '.ci/release'));
    const git = (...args: string[]) => {
      const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.com', '-c', 'commit.gpgsign=false'];
      execFileSync('git', [...who, ...args], { cwd: folder, stdio: 'ignore' });
    };
    git('init', '--quiet');
    git('add', '--all');
    git('commit', '--quiet', '--message', 'first');
    steps(git, folder);
    t.strictSame(await runProgram('bash', [join(folder, '.ci/release'), 'image']), {
      code: 1,
      out: '',
      err: `release: ${why}\n`,
    });
  });
}

t.test('without the name of an image it says how it is used', { skip: missing.join(', ') || false }, async (t) => {
  const { code, err } = await runProgram('bash', [join(ROOT, '.ci/release')]);
  t.not(code, 0);
  t.match(err, /usage: \.ci\/release IMAGE \[--publish\]/);
});
