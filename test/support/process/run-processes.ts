import { readdirSync, readFileSync } from 'node:fs';

/** The environment variable every process of one test file inherits. */
export const MARK = 'TEST_FILE_MARK';

/** A process that a test file started. */
export interface Left {
  readonly pid: number;
  readonly command: string;
}

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};

/** The state and the process group of a process, from the fields behind its name. */
function placeOf(pid: number): { readonly state: string; readonly group: number } {
  const stat = textOf(`/proc/${pid}/stat`);
  const [state = '', , group = '0'] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state, group: Number(group) };
}

/** Ticks of `/proc/PID/stat` in a second, on every Linux. */
const TICKS = 100;

/**
 * Seconds of processor time, user and system, of all processes that this one has started and whose end it has seen,
 * with those they have seen end themselves. Null where there is no `/proc` (proc_pid_stat(5), `cutime` and `cstime`).
 */
export function endedSeconds(): number | null {
  const stat = textOf('/proc/self/stat');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[13]) + Number(fields[14]);
  return stat === '' || Number.isNaN(ticks) ? null : ticks / TICKS;
}

function groupLives(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Processes of a test file that still run: those of its process group and, where there is a `/proc`, those that carry
 * its mark in a group of their own. Where there is none, the group is named as one.
 */
export function processesOf(group: number, mark: string): Left[] {
  let pids: number[];
  try {
    pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    pids = [];
  }
  if (pids.length === 0) return groupLives(group) ? [{ pid: -group, command: 'a process of its group' }] : [];
  return pids
    .filter((pid) => {
      const place = placeOf(pid);
      if (place.state === '' || place.state === 'Z' || place.state === 'X') return false;
      return place.group === group || textOf(`/proc/${pid}/environ`).includes(`${MARK}=${mark}\0`);
    })
    .map((pid) => ({ pid, command: textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim().slice(0, 200) }));
}

const killed = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
};

/** Ends everything a test file started: its group at once, and what left the group. */
export function endProcesses(group: number, mark: string): void {
  killed(-group);
  for (const { pid } of processesOf(group, mark)) killed(pid);
}
