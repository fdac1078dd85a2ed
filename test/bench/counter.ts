import { execFile, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { cpuOf, findProgram } from './processes.ts';

/** Counts what processes use. */
export interface Counter {
  readonly name: string;
  /** Begins to count; the function that comes back ends it and says how much it was. */
  begin(pids: readonly number[]): Promise<() => Promise<number>>;
}

const run = promisify(execFile);
const EVENT = 'instructions:u';

/**
 * The count of one event in the output of `perf stat -x,` (fields: count, unit, event); null when it says that the
 * machine does not count it.
 */
export function perfCount(output: string, event: string): number | null {
  const fields = output
    .split('\n')
    .map((line) => line.split(','))
    .find((one) => one[2] === event);
  return /^\d+(\.\d+)?$/.test(fields?.[0] ?? '') ? Number(fields?.[0]) : null;
}

/** Time that `perf` takes to attach. */
const ATTACH_MS = 150;
const STAT = ['stat', '-x,', '-e', EVENT];
const ENV = { ...process.env, LC_ALL: 'C' };

const CPU_TIME: Counter = {
  name: 'CPU time',
  begin: async (pids) => {
    const before = cpuOf(pids);
    return async () => cpuOf(pids) - before;
  },
};

/** Counts until it is interrupted, as `perf stat -p` does. */
function perfCounter(perf: string): Counter {
  return {
    name: 'retired instructions',
    begin: async (pids) => {
      const child = spawn(perf, [...STAT, '-p', pids.join(',')], { env: ENV, stdio: ['ignore', 'ignore', 'pipe'] });
      let output = '';
      child.stderr.on('data', (bytes: Buffer) => {
        output += bytes.toString();
      });
      const ended = new Promise<void>((resolve) => {
        child.once('close', () => resolve());
        child.once('error', () => resolve());
      });
      await sleep(ATTACH_MS);
      return async () => {
        child.kill('SIGINT');
        await ended;
        const count = perfCount(output, EVENT);
        if (count === null) throw new Error('`perf` did not count');
        return count;
      };
    },
  };
}

/** Retired instructions of user code where the machine counts them: a busy neighbour does not change them. Else CPU time. */
export async function bestCounter(): Promise<Counter> {
  const perf = findProgram('perf');
  if (perf === null) return CPU_TIME;
  try {
    const { stderr } = await run(perf, [...STAT, 'true'], { env: ENV });
    return perfCount(stderr, EVENT) === null ? CPU_TIME : perfCounter(perf);
  } catch {
    return CPU_TIME;
  }
}
