import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Allowance } from './run-pace.ts';
import { endedSeconds, endProcesses, type Left, MARK, processesOf } from './run-processes.ts';
import { type Point, startTally, type Tally } from './tap-tally.ts';

const STDERR_LIMIT = 20_000;
/** How long a file may take at most, in multiples of its limit, however slow the machine is. */
const MOST = 10;
/** How long processes that a file has left may take to end by themselves. */
const LEAVING_MS = 2000;
const LOOK_MS = 50;
const BEFORE = new URL('without-domains.ts', import.meta.url).href;

/** How one test file ended. */
export interface Outcome {
  readonly file: string;
  readonly tally: Tally;
  readonly seconds: number;
  /** Seconds of processor time, with that of the processes whose end the file waited for; null where it is not known. */
  readonly processor: number | null;
  readonly stderr: string;
  /** Processes that were still there when the file had ended; they have been ended. */
  readonly left: readonly Left[];
  /** The run was given up while it ran: what it counted is not the whole. */
  readonly interrupted: boolean;
}

/** What a file gets. */
export interface FileOptions {
  /** Time at most on the reference machine. */
  readonly limitMs: number;
  /** Times slower than the reference it is now. */
  readonly slowness: () => number;
  /** Ends the file and what it started. */
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
}

interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly why: 'itself' | 'limit' | 'interrupted';
  readonly left: readonly Left[];
  readonly processor: number | null;
}

/** What files that have ended had used of the processors, so that the next one to end is told the rest. */
let accounted = 0;

/** Processor time of the one process that has just ended. Files are all that a run starts. */
function processorOfEnded(): number | null {
  const all = endedSeconds();
  if (all === null) return null;
  const used = all - accounted;
  accounted = all;
  return used;
}

/** Waits until nothing that carries the mark is there, or for `LEAVING_MS`: then it is named and ended. */
async function sweep(group: number, mark: string): Promise<readonly Left[]> {
  const end = performance.now() + LEAVING_MS;
  let left = processesOf(group, mark);
  while (left.length > 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    left = processesOf(group, mark);
  }
  if (left.length > 0) endProcesses(group, mark);
  return left;
}

function waitFor(child: ChildProcess, mark: string, options: FileOptions): Promise<Ending> {
  const { limitMs, slowness, signal } = options;
  const group = child.pid ?? 0;
  let why: Ending['why'] = 'itself';
  let left: readonly Left[] = [];
  let processor: number | null = null;
  const give = (reason: 'limit' | 'interrupted') => {
    why = reason;
    if (group > 0) endProcesses(group, mark);
  };
  const allowance = new Allowance(limitMs);
  const began = performance.now();
  let last = began;
  const timer = setInterval(
    () => {
      const now = performance.now();
      const over = allowance.use(now - last, slowness()) || now - began > limitMs * MOST;
      last = now;
      if (over && why === 'itself') give('limit');
    },
    Math.min(500, limitMs / 4),
  );
  const interrupt = () => give('interrupted');
  signal.addEventListener('abort', interrupt);
  return new Promise((resolve) => {
    let swept: Promise<void> = Promise.resolve();
    child.on('error', () => undefined);
    child.on('exit', () => {
      processor = processorOfEnded();
      clearInterval(timer);
      signal.removeEventListener('abort', interrupt);
      // A process the test left behind may hold the pipes open: the file itself has ended.
      swept = sweep(group, mark).then((found) => {
        if (why === 'itself') left = found;
        child.stdout?.destroy();
        child.stderr?.destroy();
      });
    });
    child.on('close', (code, ended) => {
      clearInterval(timer);
      void swept.then(() => resolve({ code, signal: ended, why, left, processor }));
    });
  });
}

function endingProblem(ending: Ending, tally: Tally, seconds: number): Point | null {
  if (ending.why === 'limit') return { name: 'timeout', detail: `still running after ${seconds.toFixed(0)} s, ended` };
  if (ending.signal !== null) return { name: 'crash', detail: `ended by ${ending.signal}` };
  if (ending.code !== 0 && tally.failures.length === 0) {
    return { name: 'crash', detail: `exit code ${ending.code}` };
  }
  if (tally.passed + tally.failures.length + tally.skips.length === 0) {
    return { name: 'empty', detail: 'the file ran no test' };
  }
  return null;
}

/**
 * Runs a test file in a process group of its own and waits for its end. When the file is given up, all of the group is
 * ended, and so is what left the group.
 */
export async function runFile(file: string, options: FileOptions): Promise<Outcome> {
  const began = performance.now();
  const { parser, tally } = startTally();
  const mark = randomUUID();
  // A test may take as long as its file: the machine may be busy with the one beside it.
  const seconds = String(Math.ceil((options.limitMs * MOST) / 1000));
  const env = { ...options.env, NO_COLOR: '1', FORCE_COLOR: '0', TAP_TIMEOUT: seconds, [MARK]: mark };
  const child = spawn(process.execPath, ['--import', BEFORE, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    detached: true,
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_LIMIT);
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => parser.write(text));
  const stop = () => endProcesses(child.pid ?? 0, mark);
  if (child.pid !== undefined) process.on('exit', stop);
  const ending = await waitFor(child, mark, options);
  process.off('exit', stop);
  const interrupted = ending.why === 'interrupted';
  const failed = tally.failures.length;
  parser.end();
  // A cut stream of results is no failure of the file.
  if (interrupted) tally.failures.length = failed;
  const took = (performance.now() - began) / 1000;
  const problem = interrupted ? null : endingProblem(ending, tally, took);
  if (problem !== null) tally.failures.push(problem);
  return { file, tally, seconds: took, processor: ending.processor, stderr, left: ending.left, interrupted };
}
