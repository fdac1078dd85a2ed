import { ConfigError } from '../../config/problem.ts';
import type { Fault } from './messages.ts';

/** The part of an error that is sent to the other process: its text for the operator. */
export function faultOf(error: unknown): Fault {
  const { message, code, port } = Object(error) as { message?: unknown; code?: unknown; port?: unknown };
  return {
    message: typeof message === 'string' ? message : 'unknown error',
    code: typeof code === 'string' ? code : undefined,
    port: typeof port === 'number' ? port : undefined,
    problems: error instanceof ConfigError ? error.problems : undefined,
  };
}

/** Restores the error, in the classes that `explainFailure` and a reload distinguish. */
export function errorOf({ message, code, port, problems }: Fault): Error {
  if (problems) return new ConfigError(problems);
  return Object.assign(new Error(message), code === undefined ? {} : { code }, port === undefined ? {} : { port });
}
