import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_LIMIT_MS = 15_000;
const STOP_LIMIT_MS = 5000;
const OUTPUT_KEPT = 4000;

/** A program this run has started. */
export type Running = { readonly pid: number; readonly child: ChildProcess; readonly output: () => string };

/** Path of a program on the PATH, or null. */
export function findProgram(name: string): string | null {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  return null;
}

/** The cores to pin to, or why there is no pinning. */
export type Pinning = { readonly load: number; readonly gateway: number } | { readonly none: string };

/** Takes the first and the last core this process may use. */
export function choosePinning(): Pinning {
  if (findProgram('taskset') === null) return { none: '`taskset` was not found' };
  const status = readFileSync('/proc/self/status', 'latin1');
  const cores = (/^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] ?? '').split(/[,-]/).map(Number);
  const [load, gateway] = [cores[0], cores.at(-1)];
  if (load === undefined || gateway === undefined || load === gateway) return { none: 'only one core' };
  return { load, gateway };
}

/** Pins this process, all its threads, and with them what it starts without a core of its own. */
export function pinSelf(pinning: Pinning): void {
  if ('none' in pinning) return;
  execFileSync('taskset', ['-apc', String(pinning.load), String(process.pid)], { stdio: 'ignore' });
}

/** A port of 127.0.0.1 that was free just now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

const running = new Set<Running>();
let stopping = false;

// The last resort, when this process ends without `stopAll`.
process.on('exit', () => {
  for (const { pid } of running) for (const one of treeOf(pid)) kill(one, 'SIGKILL');
});

/** Starts a program on a core (null: where this process runs). Its output is kept for the message when it fails. */
export function startProgram(
  command: readonly [program: string, ...args: string[]],
  env: Readonly<Record<string, string>>,
  core: number | null,
): Running {
  if (stopping) throw new Error('the run is being ended');
  const words = core === null ? command : (['taskset', '-c', String(core), ...command] as const);
  const child = spawn(words[0], words.slice(1), {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (bytes: Buffer): void => {
    output = (output + bytes.toString()).slice(-OUTPUT_KEPT);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.on('error', (error) => keep(Buffer.from(error.message)));
  const one = { pid: child.pid ?? -1, child, output: () => output };
  if (one.pid !== -1) running.add(one);
  child.on('exit', () => running.delete(one));
  return one;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Resolves once a program accepts connections on all ports. Rejects with its output when it ends or takes too long. */
export async function untilListening(one: Running, ports: readonly number[]): Promise<void> {
  const until = Date.now() + START_LIMIT_MS;
  for (const port of ports) {
    while (!(await accepts(port))) {
      if (one.child.exitCode !== null || one.pid === -1) throw new Error(`it ended: ${one.output().trim()}`);
      if (Date.now() > until) throw new Error(`it does not listen: ${one.output().trim()}`);
      await sleep(50);
    }
  }
}

/** Fields of /proc/<pid>/stat after the name, which may hold anything; null once the process is gone. */
function statOf(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** A process and all its living descendants. */
export function treeOf(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    const stat = Number.isInteger(pid) ? statOf(pid) : null;
    if (stat !== null) parents.set(pid, Number(stat[1]));
  }
  const tree = [root];
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  return tree;
}

const TICK_MICROSECONDS =
  process.platform === 'linux' ? 1e6 / Number(execFileSync('getconf', ['CLK_TCK']).toString()) : Number.NaN;

/** CPU microseconds, user and system, that the processes have used so far: utime + stime, all threads. See proc(5). */
export function cpuOf(pids: readonly number[]): number {
  const ticks = pids.map(statOf).map((stat) => (stat === null ? 0 : Number(stat[11]) + Number(stat[12])));
  return ticks.reduce((sum, one) => sum + one, 0) * TICK_MICROSECONDS;
}

/** The same to the microsecond, for short windows: of threads that are alive. See proc(5), schedstat. */
export function fineCpuOf(pids: readonly number[]): number {
  let nanoseconds = 0;
  for (const pid of pids) {
    for (const thread of threadsOf(pid)) nanoseconds += Number(schedstatOf(pid, thread).split(' ')[0]);
  }
  return nanoseconds / 1000;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function schedstatOf(pid: number, thread: string): string {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1');
  } catch {
    return '0';
  }
}

/** CPU microseconds that all programs together, and the hypervisor, have taken of a core so far. See proc(5), /proc/stat. */
export function coreTaken(core: number): number {
  const line = readFileSync('/proc/stat', 'latin1')
    .split('\n')
    .find((one) => one.startsWith(`cpu${core} `));
  const [, user, nice, system, , , , , steal] = (line ?? '').split(' ').map(Number);
  return ((user ?? 0) + (nice ?? 0) + (system ?? 0) + (steal ?? 0)) * TICK_MICROSECONDS;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {}
}

/** Ends a program and what it has started: asked first, killed after a while. */
export async function stopProgram(one: Running): Promise<void> {
  if (one.pid === -1 || one.child.exitCode !== null || one.child.signalCode !== null) return;
  const tree = treeOf(one.pid);
  const gone = new Promise<boolean>((resolve) => one.child.once('exit', () => resolve(true)));
  kill(one.pid, 'SIGTERM');
  const limit = new AbortController();
  const late = sleep(STOP_LIMIT_MS, false, { signal: limit.signal }).catch(() => false);
  const ended = await Promise.race([gone, late]);
  limit.abort();
  if (!ended) for (const pid of tree) kill(pid, 'SIGKILL');
}

/** Ends everything that is still running; nothing can be started afterwards. */
export async function stopAll(): Promise<void> {
  stopping = true;
  await Promise.all([...running].map(stopProgram));
}
