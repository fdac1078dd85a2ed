import { envName } from '../config/options.ts';
import type { Config } from '../config/schema.ts';

/** A port that could not be had, with the option it is set by. */
export class PortFailure extends Error {
  readonly code: 'EADDRINUSE' | 'EACCES';
  readonly port: number;
  /** As it is shown, with the flag or variable that sets it. */
  readonly option: string;

  constructor(code: PortFailure['code'], port: number, option: string) {
    super(`port ${port} could not be had`);
    this.code = code;
    this.port = port;
    this.option = option;
  }
}

const ADMIN = 'gateway.admin.port';

function portOptions({ service, gateway }: Config): readonly (readonly [port: number | null, option: string])[] {
  return [
    [service.http_port, '`service.http_port` (`--http-port`)'],
    [service.grpc_port, '`service.grpc_port` (`--grpc-port`)'],
    [gateway.admin.port, `\`${ADMIN}\` (\`${envName(ADMIN)}\`)`],
  ];
}

/** The error of a start, with the option of the port where it is about one; any other error as it is. */
export function namingPort(error: unknown, config: Config): unknown {
  const { code, port } = Object(error) as { code?: unknown; port?: unknown };
  if ((code !== 'EADDRINUSE' && code !== 'EACCES') || typeof port !== 'number') return error;
  // No two of them may be the same: the configuration would have been refused.
  const option = portOptions(config).find(([configured]) => configured === port)?.[1];
  return option === undefined ? error : new PortFailure(code, port, option);
}
