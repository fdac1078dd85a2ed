import { ConfigError } from '../config/problem.ts';
import { stderrDestination } from '../observability/destination.ts';
import { exitCode } from './exit-code.ts';

/** Where a command writes: results to `out`, everything meant for a person to `err`. */
export type Output = { readonly out: (text: string) => void; readonly err: (text: string) => void };

/** The streams of the process. */
export const processOutput: Output = {
  out: (text) => process.stdout.write(text),
  // In line with the log, and as little held up by a reader that stops.
  err: (text) => stderrDestination().write(text),
};

/** A mistake of the caller: its text is all that is shown. */
export class UsageError extends Error {
  readonly code = 'ERR_USAGE';
}

/** Writes warnings, one a line. */
export function writeWarnings(output: Output, warnings: readonly string[]): void {
  for (const warning of warnings) output.err(`warning: ${warning}\n`);
}

function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function failedPort(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'port' in error) return String(error.port);
  return '';
}

function portInUse(error: unknown): string {
  const port = failedPort(error);
  return `error: port ${port} is in use: stop what listens there, or choose others with \`--http-port\` and \`--grpc-port\`\n`;
}

/** Tells a person what went wrong and returns the exit code for it. */
export function explainFailure(output: Output, error: unknown): number {
  if (error instanceof ConfigError) {
    const noun = error.problems.length === 1 ? 'problem' : 'problems';
    output.err(`configuration: ${error.problems.length} ${noun}\n`);
    for (const { place, message } of error.problems) output.err(`  ${place}: ${message}\n`);
    return exitCode.usage;
  }
  if (error instanceof UsageError) {
    output.err(`error: ${error.message}\n`);
    return exitCode.usage;
  }
  const code = systemCode(error);
  if (code === 'EADDRINUSE') output.err(portInUse(error));
  else if (code === 'EACCES') output.err(`error: not allowed to listen on port ${failedPort(error)}\n`);
  else output.err(`error: ${error instanceof Error ? error.message : 'unknown error'}\n`);
  return exitCode.failure;
}
