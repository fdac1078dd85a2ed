import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { FILE_MS } from '../patience.ts';
import { cachedModules } from './cached-modules.ts';

/** How a script ended and what it wrote. */
export type Ended = { readonly code: number | null; readonly out: string; readonly err: string };

const ROOT = join(import.meta.dirname, '../../..');

/**
 * Runs a script of the project with the current Node and waits for its end, `FILE_MS` at most. The environment holds
 * only `PATH` and what is given; standard input is `input`.
 */
export function runScript(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly input?: string; readonly cwd?: string } = {},
): Promise<Ended> {
  const [script = '', ...rest] = args;
  const env = { PATH: process.env.PATH ?? '', ...cachedModules(), ...options.env };
  const child = spawn(process.execPath, [join(ROOT, script), ...rest], {
    cwd: options.cwd ?? ROOT,
    env,
    stdio: 'pipe',
    timeout: FILE_MS,
    killSignal: 'SIGKILL',
  });
  const ended = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.err += text;
  });
  // A program may end before it has read all.
  child.stdin.on('error', () => undefined).end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...ended }));
  });
}
