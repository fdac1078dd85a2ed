import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** What came of one call of a client; `error` is null where its answer was read and was right. */
export interface ClientCall {
  readonly call: string;
  readonly error: string | null;
}

/**
 * Runs a program that drives a client and writes one JSON line for each call, the last one named `end`. A program that does
 * not get there adds a call with what it wrote to standard error.
 */
export async function clientCalls(command: string, args: readonly string[]): Promise<readonly ClientCall[]> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const calls = out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ClientCall);
  return calls.at(-1)?.call === 'end' ? calls : [...calls, { call: 'end', error: err }];
}
