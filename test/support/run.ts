import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, constants, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { CERTS_DIR } from './certs.ts';
import { type Outcome, runFile } from './process/run-file.ts';
import { measurePace, readDurations, recordDurations, slowestFirst, slownessNow } from './process/run-pace.ts';
import { progressLine, report } from './process/run-report.ts';

/*
 * Runs every test file as a process of its own and closes with one line that counts the tests:
 *   node test/support/run.ts [part of a path | test file]...
 */

/**
 * Files at a time: one more than there are processors, since they wait for a third of their time, for clocks and other programs, and
 * no more than memory has room for.
 */
const CONCURRENCY = Math.min(4, availableParallelism() + 1);
/** What a file may take on the machine that `run-pace.ts` has as its reference; longer where that is slower or busy. */
const LIMIT_MS = 120_000;
/** What one run leaves to the next: how long the files took, and compiled modules. Nothing depends on it. */
const CACHE = 'node_modules/.cache/tests';

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

/** How a run goes; everything has a default. */
export interface RunOptions {
  /** Time of one file at most, on the reference machine. */
  readonly limitMs?: number;
  /** Times slower than the reference a process is now. */
  readonly slowness?: () => number;
  /** Ends the run: the files that run are ended with all they started, and the report says what was not run. */
  readonly signal?: AbortSignal;
  readonly env?: NodeJS.ProcessEnv;
  /** Told of each file that ended by itself. */
  readonly ended?: (outcome: Outcome) => void;
}

/** Runs the files in their order, writes the report, and returns the exit code: 1 for any failure, for nothing passed and for a run that was interrupted. */
export async function runTests(
  files: readonly string[],
  write: (line: string) => void,
  options: RunOptions = {},
): Promise<number> {
  const { limitMs = LIMIT_MS, slowness = () => 1, signal = new AbortController().signal, env = process.env } = options;
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  const queue = [...files];
  const outcomes: Outcome[] = [];
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const outcome = await runFile(file, { limitMs, slowness, signal, env });
      outcomes.push(outcome);
      if (signal.aborted) return;
      write(progressLine(outcome, outcomes.length, files.length, elapsed()));
      options.ended?.(outcome);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  const { lines, ok } = report(outcomes, queue, elapsed());
  for (const line of lines) write(line);
  return ok ? 0 : 1;
}

if (import.meta.main) {
  const interrupt = new AbortController();
  let code = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      code ||= 128 + constants.signals[signal];
      interrupt.abort();
    });
  }
  const timings = join(CACHE, 'seconds.json');
  const seconds: Record<string, number> = {};
  const certs = mkdtempSync(join(tmpdir(), 'qdrant-gateway-run-'));
  await makeDevCerts(certs);
  const pace = measurePace();
  const files = slowestFirst(findTests('test', process.argv.slice(2)), readDurations(timings));
  const verdict = await runTests(files, (line) => process.stdout.write(`${line}\n`), {
    slowness: () => slownessNow(pace),
    signal: interrupt.signal,
    // Most of what a short file costs is reading the same modules again.
    env: { ...process.env, NODE_COMPILE_CACHE: join(process.cwd(), CACHE, 'modules'), [CERTS_DIR]: certs },
    ended: (outcome) => {
      seconds[outcome.file] = Math.round(outcome.seconds * 10) / 10;
    },
  });
  rmSync(certs, { recursive: true, force: true });
  recordDurations(timings, seconds);
  process.exitCode = code || verdict;
}
