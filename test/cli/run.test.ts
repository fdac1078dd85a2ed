import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runTests } from '../support/run.ts';
import { runScript } from '../support/run-script.ts';

const PASSING = `console.log('TAP version 14\\n# Subtest: outer\\n    ok 1 - a\\n    ok 2 - b\\n    1..2\\nok 1 - outer\\nok 2 - c\\n1..2')`;
const FAILING = `console.log('TAP version 14\\nok 1 - a\\nnot ok 2 - breaks\\n  ---\\n  found: 7\\n  ...\\n1..2'); console.error('seen')`;
const SKIPPING = `console.log('TAP version 14\\nok 1 - a\\nok 2 - later # SKIP no server\\n1..2')`;
const CRASHING = `console.log('TAP version 14\\nok 1 - a'); process.exit(3)`;
const QUIET_CRASH = `console.log('TAP version 14\\nok 1 - a\\n1..1'); process.exitCode = 3`;
const HANGING = `console.log('TAP version 14\\nok 1 - a\\n1..1'); setInterval(() => {}, 1000)`;

const CASES: [name: string, files: string[], code: number, last: string, within: string[]][] = [
  ['a passing file counts its leaves', [PASSING], 0, '3 passed, 0 failed', []],
  ['a failing file', [FAILING], 1, '1 passed, 1 failed', ['breaks\n    found: 7', 'standard error:\n    seen']],
  ['a skip is listed with its reason', [SKIPPING], 0, '1 passed, 0 failed, 1 skipped', ['later: no server']],
  ['a file that ends before its plan', [CRASHING], 1, '1 passed, 1 failed', ['no plan']],
  ['a file whose exit code alone is wrong', [QUIET_CRASH], 1, '1 passed, 1 failed', ['exit code 3']],
  ['an empty file', [''], 1, '0 passed, 1 failed', ['the file ran no test']],
  ['an empty file beside a passing one', ['', PASSING], 1, '3 passed, 1 failed', []],
  ['a file that does not end', [HANGING], 1, '1 passed, 1 failed', ['still running after 4 s']],
  ['no file', [], 1, '0 passed, 0 failed', []],
];

t.test('the closing line and exit code', async (t) => {
  for (const [name, files, code, last, within] of CASES) {
    const folder = t.testdir();
    const paths = files.map((source, index) => {
      const path = join(folder, `case${index}.test.mjs`);
      writeFileSync(path, source);
      return path;
    });
    const lines: string[] = [];
    t.equal(
      await runTests(paths, (line) => lines.push(line), files.includes(HANGING) ? 4000 : 20_000),
      code,
      `${name}: exit code`,
    );
    t.equal(lines.at(-1), last, `${name}: last line`);
    for (const text of within) t.match(lines.join('\n'), text, `${name}: report`);
  }
});

t.test('as a process the closing line stands alone at the end', async (t) => {
  const folder = t.testdir({ 'x.test.mjs': PASSING });
  const { code, out } = await runScript(['test/support/run.ts', join(folder, 'x.test.mjs')]);
  t.equal(code, 0);
  t.match(out, /\n3 passed, 0 failed\n$/);
});
