import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { entryOf, parseLines, until } from '../fixture.ts';

const ROOT = join(import.meta.dirname, '../../..');

/*
 * A process of its own, since standard output belongs to a whole process. It writes entries, says on standard error what
 * its sink says of itself, and stops at SIGTERM as the gateway does.
 */
const WRITER = `
import { Sink } from '${ROOT}/src/audit/sinks/sink.ts';
import { stdoutDestination } from '${ROOT}/src/audit/sinks/stdout.ts';
const [count, capacity, bytes, shared] = process.argv.slice(2).map(Number);
const sink = new Sink(stdoutDestination(shared === 1), { capacity, changed: () => {}, progressed: () => {}, retry: { firstMs: 5, mostMs: 20 } });
let turns = 0;
setInterval(() => (turns += 1), 10);
process.on('SIGTERM', async () => {
  const left = await sink.close(1500);
  process.stderr.write(JSON.stringify({ left }) + '\\n', () => process.exit(0));
});
for (let i = 1; i <= count; i++) sink.push({ event: {}, line: JSON.stringify({ id: 'test-' + i, pid: process.pid, pad: 'x'.repeat(bytes) }) }, false);
setInterval(() => process.stderr.write(JSON.stringify({ ...sink.snapshot(), turns }) + '\\n'), 20);
`;

function folderWithWriter(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-stdout-'));
  writeFileSync(join(folder, 'writer.mjs'), WRITER);
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Said {
  readonly written?: number;
  readonly dropped?: number;
  readonly queued?: number;
  readonly fault?: string;
  /** How often the process has turned to a timer of its own. */
  readonly turns?: number;
  readonly left?: number;
}

function startWriter(t: Test, stdout: number | 'pipe', args: readonly number[]) {
  const script = join(folderWithWriter(t), 'writer.mjs');
  const child = spawn(process.execPath, [script, ...args.map(String)], { stdio: ['ignore', stdout, 'pipe'] });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  t.teardown(() => child.kill('SIGKILL'));
  const last = (): Said => JSON.parse(said.split('\n').at(-2) ?? '{}') as Said;
  return { child, last, all: () => said };
}

async function ended(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null];
  return code;
}

/** A shell that joins a writer to a reader by a pipe of the system, as a container's log driver does. */
function startPiped(t: Test, reader: string, args: readonly number[]) {
  const folder = folderWithWriter(t);
  const run = `${process.execPath} ${folder}/writer.mjs ${args.join(' ')} 2>${folder}/said & echo $! >${folder}/pid; wait $!; echo $? >${folder}/code`;
  const child = spawn('bash', ['-c', `( ${run} ) | ( echo $BASHPID >${folder}/reader; ${reader} )`], {
    stdio: 'ignore',
    detached: true,
  });
  const read = (name: string): string => {
    try {
      return readFileSync(join(folder, name), 'utf8');
    } catch {
      return '';
    }
  };
  t.teardown(() => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // All of it has ended.
    }
  });
  const last = (): Said => JSON.parse(read('said').split('\n').at(-2) ?? '{}') as Said;
  return { folder, read, last, pid: () => Number(read('pid')), reader: () => Number(read('reader')) };
}

t.test('all entries reach a reader, in order', async (t) => {
  const { child, last } = startWriter(t, 'pipe', [5000, 10_000, 100]);
  let out = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  await until(() => last().written === 5000);
  child.kill('SIGTERM');
  t.equal(await ended(child), 0);
  t.strictSame(
    parseLines(out).map(({ id }) => id),
    Array.from({ length: 5000 }, (_, index) => `test-${index + 1}`),
  );
});

t.test('a reader that is stopped holds nothing up; what waits then comes, in order', async (t) => {
  const out = join(t.testdir(), 'out');
  const piped = startPiped(t, `kill -STOP $BASHPID; exec cat >${out}`, [3000, 2000, 400]);
  await until(() => (piped.last().dropped ?? 0) > 0);
  t.match(piped.last(), { dropped: 1000, written: 0, queued: 2000 }, 'the queue is bounded, and drops are counted');
  const turns = piped.last().turns ?? 0;
  await until(() => (piped.last().turns ?? 0) >= turns + 20);
  t.match(piped.last(), { written: 0, queued: 2000 }, 'the process goes on turning to its timers meanwhile');
  process.kill(piped.reader(), 'SIGCONT');
  await until(() => piped.last().written === 2000);
  process.kill(piped.pid(), 'SIGTERM');
  await until(() => piped.read('code').trim() === '0');
  t.strictSame(
    parseLines(readFileSync(out, 'utf8')).map(({ id }) => id),
    Array.from({ length: 2000 }, (_, index) => `test-${index + 1}`),
    'none is missing, none is there twice',
  );
});

t.test('several processes write to one pipe, and no line is mixed with that of another', async (t) => {
  const folder = folderWithWriter(t);
  const writer = `${process.execPath} ${folder}/writer.mjs 3000 5000 300 1 2>/dev/null &`;
  const script = `( ${writer} ${writer} ${writer} jobs -p >${folder}/pids; wait ) | cat >${folder}/out`;
  const child = spawn('bash', ['-c', script], { stdio: 'ignore' });
  const lines = (): number => readFileSync(join(folder, 'out'), 'latin1').split('\n').length - 1;
  await until(() => existsSync(join(folder, 'out')) && lines() === 9000);
  for (const pid of readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n')) process.kill(Number(pid), 'SIGTERM');
  await ended(child);
  const byProcess = new Map<unknown, string[]>();
  for (const event of parseLines(readFileSync(join(folder, 'out'), 'utf8')) as readonly {
    id: string;
    pid?: number;
  }[]) {
    byProcess.set(event.pid, [...(byProcess.get(event.pid) ?? []), event.id]);
  }
  const all = Array.from({ length: 3000 }, (_, index) => `test-${index + 1}`);
  t.strictSame([...byProcess.values()], [all, all, all]);
});

t.test('SIGTERM without a reader: it ends in time, with 0, and says what is left', async (t) => {
  const piped = startPiped(t, 'exec sleep 600', [3000, 3000, 400]);
  await until(() => (piped.last().queued ?? 0) > 0);
  process.kill(piped.pid(), 'SIGTERM');
  await until(() => piped.read('code') !== '');
  t.equal(piped.read('code').trim(), '0');
  t.match(piped.read('said'), /"left":3000/);
});

t.test('a reader that is gone: the process lives, and counts', async (t) => {
  const piped = startPiped(t, 'exec true', [10, 5, 100_000]);
  await until(() => piped.last().fault !== undefined);
  t.match(piped.last(), { written: 0, dropped: 5, queued: 5, fault: /EPIPE|ENXIO/ });
  process.kill(piped.pid(), 'SIGTERM');
  await until(() => piped.read('code').trim() === '0');
});

t.test('/dev/full: entries wait, the process lives and ends', async (t) => {
  const { child, last } = startWriter(t, openSync('/dev/full', 'w'), [10, 100, 100]);
  await until(() => last().fault === 'ENOSPC');
  t.match(last(), { written: 0, queued: 10, dropped: 0 });
  child.kill('SIGTERM');
  t.equal(await ended(child), 0);
  t.match(last(), { left: 10 });
});

t.test('a file: lines are appended to what is there', async (t) => {
  const path = join(t.testdir(), 'out');
  writeFileSync(path, `${entryOf(1).line}\n`);
  const { child, last } = startWriter(t, openSync(path, 'a'), [3, 100, 10]);
  await until(() => last().written === 3);
  child.kill('SIGTERM');
  t.equal(await ended(child), 0);
  t.strictSame(
    parseLines(readFileSync(path, 'utf8')).map(({ id }) => id),
    ['test-1', 'test-1', 'test-2', 'test-3'],
  );
});
