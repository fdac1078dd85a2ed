import { ConfigError } from '../config/problem.ts';
import { KeyFault } from '../named-keys/fault.ts';
import { stderrDestination } from '../observability/destination.ts';
import { exitCode } from './exit-code.ts';
import { PortFailure } from './port-failure.ts';

/** Output of a command: results go to `out`, texts for a person to `err`. */
export type Output = { readonly out: (text: string) => void; readonly err: (text: string) => void };

/** The streams of the process. */
export const processOutput: Output = {
  out: (text) => {
    if (process.stdout.listenerCount('error', explainLoss) === 0) process.stdout.on('error', explainLoss);
    process.stdout.write(text);
  },
  // The log's own destination: keeps the order with log lines, and a stalled reader does not block it.
  err: (text) => stderrDestination().write(text),
};

let isLost = false;

/** The reader is gone, or the disk is full. Said once; a key whose text went there has to be replaced or deleted. */
function explainLoss({ code = 'unknown error' }: NodeJS.ErrnoException): void {
  process.exitCode = exitCode.failure;
  if (isLost) return;
  isLost = true;
  stderrDestination().write(
    `error: standard output takes nothing (${code}): what the command has changed stays changed\n`,
  );
}

/** A mistake in the arguments. Only its text is shown, without a stack. */
export class UsageError extends Error {
  readonly code = 'ERR_USAGE';
}

/** No error was found, but the check is incomplete. The text names the missing part. */
export class Unproven extends Error {
  readonly code = 'ERR_UNPROVEN';
}

/** Writes warnings, one a line. */
export function writeWarnings(output: Output, warnings: readonly string[]): void {
  for (const warning of warnings) output.err(`warning: ${warning}\n`);
}

function explainPort({ code, port, option }: PortFailure): string {
  const other = `choose another with ${option}`;
  return code === 'EADDRINUSE'
    ? `error: port ${port} is in use: stop what listens there, or ${other}\n`
    : `error: not allowed to listen on port ${port}: ${other}\n`;
}

/** Writes an error for a person and returns its exit code. */
export function explainFailure(output: Output, error: unknown): number {
  if (error instanceof ConfigError) {
    const noun = error.problems.length === 1 ? 'problem' : 'problems';
    output.err(`configuration: ${error.problems.length} ${noun}\n`);
    for (const { place, message } of error.problems) output.err(`  ${place}: ${message}\n`);
    return exitCode.usage;
  }
  if (error instanceof UsageError || error instanceof KeyFault) {
    output.err(`error: ${error.message}\n`);
    return exitCode.usage;
  }
  if (error instanceof Unproven) {
    output.err(`not proven: ${error.message}\n`);
    return exitCode.unproven;
  }
  if (error instanceof PortFailure) output.err(explainPort(error));
  else output.err(`error: ${error instanceof Error ? error.message : 'unknown error'}\n`);
  return exitCode.failure;
}
