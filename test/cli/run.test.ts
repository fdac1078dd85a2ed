import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Allowance, measurePace, slowestFirst, slownessNow } from '../support/process/run-pace.ts';
import { runScript } from '../support/process/run-script.ts';
import { type RunOptions, runTests } from '../support/run.ts';
import { until } from '../support/until.ts';

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
  ['a file that does not end', [HANGING], 1, '1 passed, 1 failed', ['still running after']],
  ['no file', [], 1, '0 passed, 0 failed', []],
];

async function run(files: readonly string[], options: RunOptions = {}): Promise<{ lines: string[]; code: number }> {
  const lines: string[] = [];
  const code = await runTests(files, (line) => lines.push(line), options);
  return { lines, code };
}

t.test('the closing line and exit code', async (t) => {
  for (const [name, files, code, last, within] of CASES) {
    const folder = t.testdir();
    const paths = files.map((source, index) => {
      const path = join(folder, `case${index}.test.mjs`);
      writeFileSync(path, source);
      return path;
    });
    const { lines, code: ended } = await run(paths, files.includes(HANGING) ? { limitMs: 2000 } : {});
    t.equal(ended, code, `${name}: exit code`);
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

/** Two processes that do not end: one beside the file, one that has left its process group. Their ids go to a file. */
const children = (pids: string) => `import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
const start = (detached) => spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached, stdio: 'ignore' });
const started = [start(false), start(true)];
writeFileSync(${JSON.stringify(pids)}, started.map(({ pid }) => pid).join());
for (const child of started) child.unref();
console.log('TAP version 14\\nok 1 - a\\n1..1');
`;

const lives = (pid: number): boolean => {
  try {
    // A process that has ended and that nothing has waited for is still listed.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
};
const linux = { skip: process.platform === 'linux' ? false : 'needs /proc' };

t.test('what a file leaves behind is named and ended, also where it has left the process group', linux, async (t) => {
  const folder = t.testdir();
  const [file, pids] = [join(folder, 'leaves.test.mjs'), join(folder, 'pids')];
  writeFileSync(file, children(pids));
  const { lines, code } = await run([file]);
  t.equal(code, 0, 'no verdict changes');
  t.match(lines[0], /leaves\.test\.mjs {2}1 passed, 2 left behind {2}/);
  for (const pid of readFileSync(pids, 'latin1').split(',').map(Number)) {
    t.match(lines.join('\n'), new RegExp(`left behind: .*leaves\\.test\\.mjs process ${pid}, ended: .*setInterval`));
    await until(() => !lives(pid), `${pid} has ended`);
  }
});

t.test('a file that is given up is ended with all it started', linux, async (t) => {
  const folder = t.testdir();
  const [file, pids] = [join(folder, 'hangs.test.mjs'), join(folder, 'pids')];
  writeFileSync(file, `${children(pids)}setInterval(() => {}, 1000);`);
  const { lines, code } = await run([file], { limitMs: 2000 });
  t.equal(code, 1);
  t.match(lines.join('\n'), 'still running after');
  for (const pid of readFileSync(pids, 'latin1').split(',').map(Number)) {
    await until(() => !lives(pid), `${pid} has ended`);
  }
});

t.test(
  'a run that is interrupted ends what runs, and says what has passed and what has not been run',
  linux,
  async (t) => {
    const folder = t.testdir({ 'a.test.mjs': PASSING, 'b.test.mjs': FAILING });
    const [file, pids] = [join(folder, 'hangs.test.mjs'), join(folder, 'pids')];
    writeFileSync(file, `${children(pids)}setInterval(() => {}, 1000);`);
    // At most four run at a time: the last one does not begin.
    const later = ['v', 'w', 'x', 'y', 'z'].map((name) => join(folder, `${name}.test.mjs`));
    for (const path of later) writeFileSync(path, HANGING);
    const files = [join(folder, 'a.test.mjs'), join(folder, 'b.test.mjs'), file, ...later];
    const interrupt = new AbortController();
    let ended = 0;
    const going = run(files, { signal: interrupt.signal, ended: () => (ended += 1) });
    await until(() => ended === 2 && existsSync(pids) && readFileSync(pids).length > 0, 'two have ended, others run');
    interrupt.abort();
    const { lines, code } = await going;
    const text = lines.join('\n');
    t.equal(code, 1);
    t.match(text, /interrupted after \d+:\d\d: 2 of 8 files had ended/);
    t.match(text, /was running: .*hangs\.test\.mjs/);
    t.match(text, /was running: .*v\.test\.mjs/);
    t.match(text, /not run: .*z\.test\.mjs/);
    t.match(text, /FAILED .*b\.test\.mjs\n {2}breaks/);
    t.match(lines.at(-1), /^[4-8] passed, 1 failed$/);
    for (const pid of readFileSync(pids, 'latin1').split(',').map(Number)) {
      await until(() => !lives(pid), `${pid} has ended`);
    }
  },
);

for (const [signal, expected] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  t.test(`${signal} to the runner ends the run with the summary`, linux, async (t) => {
    const folder = t.testdir();
    const [file, pids] = [join(folder, 'hangs.test.mjs'), join(folder, 'pids')];
    writeFileSync(file, `${children(pids)}setInterval(() => {}, 1000);`);
    const child = spawn(process.execPath, ['test/support/run.ts', file], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
    await until(() => existsSync(pids) && readFileSync(pids).length > 0, 'the file runs');
    child.kill(signal);
    t.equal(await closed, expected);
    t.match(out, /was running: .*hangs\.test\.mjs/);
    t.match(out, /\n\d passed, 0 failed\n$/);
    for (const pid of readFileSync(pids, 'latin1').split(',').map(Number)) {
      await until(() => !lives(pid), `${pid} has ended`);
    }
  });
}

t.test(
  'each line says how many files have ended, and the slowest and the busiest are named before the closing line',
  async (t) => {
    const folder = t.testdir({ 'a.test.mjs': PASSING, 'b.test.mjs': PASSING, 'c.test.mjs': PASSING });
    const { lines } = await run(['a', 'b', 'c'].map((name) => join(folder, `${name}.test.mjs`)));
    for (const index of [0, 1, 2])
      t.match(lines[index], new RegExp(`^ok {5}${index + 1} of 3 {2}\\d+:\\d\\d {2}.*3 passed`));
    const list = '(\n +\\d+\\.\\d s {2}.*\\.test\\.mjs){3}';
    const busiest = existsSync('/proc/self/stat')
      ? `\n\nbusiest files, of \\d+ s of processor time in all:${list}`
      : '';
    t.match(lines.slice(3).join('\n'), new RegExp(`slowest files:${list}${busiest}\n9 passed, 0 failed$`));
  },
);

t.test(
  'the slowest files start first: as recorded, else as listed, and an unknown one before the short ones',
  async (t) => {
    const files = ['test/a.test.ts', 'test/b.test.ts', 'test/hardening/bodies.test.ts', 'test/new.test.ts'];
    t.strictSame(slowestFirst(files, { 'test/a.test.ts': 1, 'test/b.test.ts': 50 }), [
      'test/hardening/bodies.test.ts',
      'test/b.test.ts',
      'test/new.test.ts',
      'test/a.test.ts',
    ]);
    t.strictSame(slowestFirst(['test/hardening/bodies.test.ts', 'test/b.test.ts'], { 'test/b.test.ts': 500 }), [
      'test/b.test.ts',
      'test/hardening/bodies.test.ts',
    ]);
  },
);

t.test('the limit follows the speed of the machine and its load', async (t) => {
  let clock = 0;
  const ticking = (step: number) => () => (clock += step);
  t.equal(measurePace(ticking(1)), 1, 'a fast machine gets no less than the limit');
  const [slow, slower] = [measurePace(ticking(60)), measurePace(ticking(120))];
  t.equal(slower, 2 * slow, 'half the speed is twice the pace');
  t.equal(slownessNow(2, 1, 2), 2, 'work that fits the processors costs nothing');
  t.equal(slownessNow(2, 15, 2), 15, 'a load of 15 on two processors');
  const over = (slowness: number) => {
    const allowance = new Allowance(120_000);
    let seconds = 1;
    while (!allowance.use(1000, slowness)) seconds += 1;
    return seconds;
  };
  t.equal(over(1), 120);
  t.equal(over(0.1), 120, 'never less');
  t.equal(over(8), 960);
});
