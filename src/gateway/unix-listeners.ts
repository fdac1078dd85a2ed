import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError, type Problem, reason } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { parseUnixAddress } from '../config/upstream-url.ts';
import { clearPath, kindAt, type PathFault } from '../net/unix-path.ts';

/** A listener's unix socket. */
export interface UnixSocket {
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
}

/** The sockets of the listeners that have one, by option. */
function socketsOf({ gateway: { listen }, service }: Config): readonly (readonly [option: string, path: string])[] {
  const both = [
    ['gateway.listen.rest', listen.rest],
    ['gateway.listen.grpc', service.grpc_port === null ? null : listen.grpc],
  ] as const;
  return both.flatMap(([option, text]) => {
    const path = parseUnixAddress(text ?? '');
    return path === null ? [] : [[option, path] as const];
  });
}

/** The socket of a listener; `undefined` = it has a port. */
export function unixSocketOf({ gateway: { listen } }: Config, protocol: 'rest' | 'grpc'): UnixSocket | undefined {
  const path = parseUnixAddress(listen[protocol] ?? '');
  return path === null ? undefined : { path, mode: Number.parseInt(listen.mode, 8) };
}

/** Paths at which no socket can be made. */
export function unixProblems(config: Config): Problem[] {
  return socketsOf(config).flatMap(([place, path]) => {
    const folder = dirname(path);
    try {
      if (!statSync(folder).isDirectory()) return [{ place, message: `\`${folder}\` is not a folder` }];
      accessSync(folder, constants.W_OK | constants.X_OK);
      return kindAt(path) === 'other' ? [problemOf(place, path, 'not a socket')] : [];
    } catch (error) {
      return [{ place, message: `no socket can be made in \`${folder}\`: ${reason(error)}` }];
    }
  });
}

/** Removes sockets that an ended process left at these paths. Rejects with `ConfigError` where something else is there. */
export async function clearUnixPaths(config: Config): Promise<void> {
  const problems: Problem[] = [];
  for (const [place, path] of socketsOf(config)) {
    try {
      const fault = await clearPath(path);
      if (fault) problems.push(problemOf(place, path, fault));
    } catch (error) {
      problems.push({ place, message: `\`${path}\` cannot be removed: ${reason(error)}` });
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

function problemOf(place: string, path: string, fault: PathFault): Problem {
  const message =
    fault === 'in use' ? `a process listens on \`${path}\` already` : `\`${path}\` is no socket, and is not removed`;
  return { place, message };
}
