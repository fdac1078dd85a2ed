import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopAll } from './processes.ts';

/** Writes a line for a waiting reader. */
export const say = (line: string): void => void process.stderr.write(`${line}\n`);

/**
 * Runs something in a folder of its own. Whatever happens, and on SIGINT, SIGTERM and SIGHUP, too: the programs that were
 * started are ended, and the folder is removed. A rejection is told in one line and makes the exit code 1.
 */
export async function inScratchFolder(name: string, work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-bench-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  // The last resort, when this process ends in another way: a closed pipe, for one.
  process.on('exit', remove);
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> => {
    ending ??= stopAll().then(remove);
    return ending;
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => void end().then(() => process.exit(130)));
  }
  try {
    await work(folder);
  } catch (error) {
    say(`${name}: ${error instanceof Error ? error.message : 'unknown error'}`);
    process.exitCode = 1;
  } finally {
    await end();
  }
}
