import { ConfigError } from '../config/problem.ts';
import { KeyFault } from '../named-keys/fault.ts';
import { type ExitCode, exitCode } from './exit-code.ts';
import { PortFailure } from './port-failure.ts';

/** Output of a command: results go to `out`, texts for a person to `err`. */
export type Output = { readonly out: (text: string) => void; readonly err: (text: string) => void };

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
export function explainFailure(output: Output, error: unknown): ExitCode {
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

/** The same error as `--json` shows it: `{ "error": { "code", "message" } }`, with the problems of a configuration. */
export function failureValue(error: unknown): object {
  const { code } = Object(error) as { code?: unknown };
  const stable = typeof code === 'string' ? code : 'ERR_FAILED';
  const message = error instanceof Error ? error.message : 'unknown error';
  const problems = error instanceof ConfigError ? { problems: error.problems } : {};
  return { error: { code: stable, message, ...problems } };
}
