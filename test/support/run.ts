import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Point, startTally, type Tally } from './tap-tally.ts';

/*
 * Runs every test file as a process of its own and closes with one line that counts the tests:
 *   node test/support/run.ts [part of a path | test file]...
 */

const CONCURRENCY = 2;
const TIMEOUT_MS = 120_000;
const STDERR_LIMIT = 20_000;

type Outcome = { readonly file: string; readonly tally: Tally; readonly seconds: number; readonly stderr: string };

const running = new Set<ChildProcess>();

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** Test files below a folder whose path contains one of the filters; a filter that is a file is taken as it is. */
export function findTests(folder: string, filters: readonly string[]): string[] {
  const named = filters.filter(isFile);
  if (filters.length > 0 && named.length === filters.length) return named;
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => relative('', join(folder, name)))
    .filter((path) => path.endsWith('.test.ts') && !path.endsWith('.soak.test.ts'))
    .filter((path) => !relative(folder, path).startsWith('bench/'));
  const wanted = found.filter((path) => filters.length === 0 || filters.some((part) => path.includes(part)));
  return [...new Set([...named, ...wanted])].sort();
}

type Ending = { readonly code: number | null; readonly signal: string | null; readonly timedOut: boolean };

function waitFor(child: ChildProcess, timeoutMs: number): Promise<Ending> {
  return new Promise((resolve) => {
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.on('exit', () => {
      // A process the test left behind may hold the pipes open: the file itself has ended.
      setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, 2000).unref();
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ code, signal, timedOut });
    });
  });
}

function endingProblem(ending: Ending, tally: Tally, timeoutMs: number): Point | null {
  if (ending.timedOut) return { name: 'timeout', detail: `still running after ${timeoutMs / 1000} s, ended` };
  if (ending.signal !== null) return { name: 'crash', detail: `ended by ${ending.signal}` };
  if (ending.code !== 0 && tally.failures.length === 0) {
    return { name: 'crash', detail: `exit code ${ending.code}` };
  }
  if (tally.passed + tally.failures.length + tally.skips.length === 0) {
    return { name: 'empty', detail: 'the file ran no test' };
  }
  return null;
}

async function runFile(file: string, timeoutMs: number): Promise<Outcome> {
  const began = performance.now();
  const { parser, tally } = startTally();
  // A test may take as long as its file: the machine may be busy with the one beside it.
  const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', TAP_TIMEOUT: String(timeoutMs / 1000) };
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'], env });
  running.add(child);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_LIMIT);
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => parser.write(text));
  const ending = await waitFor(child, timeoutMs);
  parser.end();
  const problem = endingProblem(ending, tally, timeoutMs);
  if (problem !== null) tally.failures.push(problem);
  return { file, tally, seconds: (performance.now() - began) / 1000, stderr };
}

function indent(text: string, by: string): string {
  return text
    .split('\n')
    .map((line) => `${by}${line}`.trimEnd())
    .join('\n');
}

function progressLine({ file, tally, seconds }: Outcome): string {
  const verdict = tally.failures.length === 0 ? 'ok    ' : 'FAILED';
  const skipped = tally.skips.length === 0 ? '' : `, ${tally.skips.length} skipped`;
  const failed = tally.failures.length === 0 ? '' : `, ${tally.failures.length} failed`;
  return `${verdict} ${file}  ${tally.passed} passed${failed}${skipped}  ${seconds.toFixed(1)} s`;
}

function failureReport({ file, tally, stderr }: Outcome): string {
  const points = tally.failures.map(({ name, detail }) => `  ${name}\n${indent(detail, '    ')}`);
  const extra = tally.extra.length === 0 ? [] : [`  output:\n${indent(tally.extra.slice(-50).join('\n'), '    ')}`];
  const errors = stderr.trim() === '' ? [] : [`  standard error:\n${indent(stderr.trimEnd(), '    ')}`];
  return [`\nFAILED ${file}`, ...points, ...extra, ...errors].join('\n');
}

function closingLine(outcomes: readonly Outcome[]): { line: string; ok: boolean } {
  const sum = (count: (tally: Tally) => number) => outcomes.reduce((total, { tally }) => total + count(tally), 0);
  const passed = sum((tally) => tally.passed);
  const failed = sum((tally) => tally.failures.length);
  const skipped = sum((tally) => tally.skips.length);
  const line = `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
  return { line, ok: failed === 0 && passed > 0 };
}

/** Runs the files, writes the report, and returns the exit code: 1 for any failure and when nothing passed. */
export async function runTests(
  files: readonly string[],
  write: (line: string) => void,
  timeoutMs: number = TIMEOUT_MS,
): Promise<number> {
  const queue = [...files];
  const outcomes: Outcome[] = [];
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const outcome = await runFile(file, timeoutMs);
      outcomes.push(outcome);
      write(progressLine(outcome));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  for (const outcome of outcomes) {
    for (const note of outcome.tally.notes) write(`note: ${outcome.file} ${note}`);
    for (const { name, detail } of outcome.tally.skips) write(`skipped: ${outcome.file} ${name}: ${detail}`);
  }
  for (const outcome of outcomes) {
    if (outcome.tally.failures.length > 0) write(failureReport(outcome));
  }
  const { line, ok } = closingLine(outcomes);
  write(line);
  return ok ? 0 : 1;
}

if (import.meta.main) {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      for (const child of running) child.kill('SIGKILL');
      process.exit(130);
    });
  }
  const files = findTests('test', process.argv.slice(2));
  process.exitCode = await runTests(files, (line) => process.stdout.write(`${line}\n`));
}
