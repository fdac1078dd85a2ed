import { envName } from '../config/options.ts';
import type { Config } from '../config/schema.ts';

/** A port that is in use or not permitted, with the option that sets it. */
export class PortFailure extends Error {
  readonly code: 'EADDRINUSE' | 'EACCES';
  readonly port: number;
  /** The option for messages, with its flag or variable. */
  readonly option: string;

  constructor(code: PortFailure['code'], port: number, option: string) {
    super(`port ${port} is not available`);
    this.code = code;
    this.port = port;
    this.option = option;
  }
}

const ADMIN = 'gateway.admin.port';
const ACME = 'gateway.acme.http_port';

function portOptions({ service, gateway }: Config): readonly (readonly [port: number | null, option: string])[] {
  return [
    [service.http_port, '`service.http_port` (`--http-port`)'],
    [service.grpc_port, '`service.grpc_port` (`--grpc-port`)'],
    [gateway.admin.port, `\`${ADMIN}\` (\`${envName(ADMIN)}\`)`],
    [gateway.acme.http_port, `\`${ACME}\` (\`${envName(ACME)}\`)`],
  ];
}

/** Adds the option's name to an error about a port; returns any other error unchanged. */
export function namingPort(error: unknown, config: Config): unknown {
  const { code, port } = Object(error) as { code?: unknown; port?: unknown };
  if ((code !== 'EADDRINUSE' && code !== 'EACCES') || typeof port !== 'number') return error;
  // Ports are distinct: the configuration check rejects duplicates.
  const option = portOptions(config).find(([configured]) => configured === port)?.[1];
  return option === undefined ? error : new PortFailure(code, port, option);
}
