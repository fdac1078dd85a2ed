import { type Flags, previewConfig } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { askAsStranger, takesConnections } from './doctor/stranger.ts';
import { exitCode } from './exit-code.ts';
import type { Report } from './frame/declare.ts';
import { UsageError } from './output.ts';

/** A host that a listener on all addresses is reached at, from the same machine. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

interface Health {
  readonly healthy: boolean;
  /** A sentence with the address that was asked, and its answer. */
  readonly text: string;
}

async function ask({ gateway: { admin, listen }, service }: Config): Promise<Health> {
  const at = (host: string, port: number) => ({ host: LOOPBACK[host] ?? host, port });
  if (admin.port !== null) {
    const { host, port } = at(admin.host, admin.port);
    // The certificate is for the names of clients, and this asks by a loopback address.
    const answer = await askAsStranger({ tls: admin.enable_tls, host, port }, '/-/ready', { isVerified: false });
    const said = 'status' in answer ? `answers ${answer.status}` : `does not answer (${answer.failure})`;
    return { healthy: 'status' in answer && answer.status === 200, text: `/-/ready of the admin port ${port} ${said}` };
  }
  if (listen.rest !== null) throw new UsageError('REST listens on a unix socket: set `gateway.admin.port` to be asked');
  const { host, port } = at(service.host, service.http_port);
  const healthy = await takesConnections(host, port);
  return { healthy, text: `the REST port ${port} takes ${healthy ? '' : 'no '}connections` };
}

/**
 * `health`: whether the gateway of this configuration serves on this machine. The admin port is asked for readiness where it is on, which
 * includes Qdrant; otherwise the REST port has to take a connection. Throws `ConfigError` and `UsageError`.
 */
export async function health(flags: Flags): Promise<Report> {
  const { config, problems } = previewConfig({ argv: flags });
  if (config === null) throw new ConfigError([...problems]);
  const { healthy, text } = await ask(config);
  return { json: { healthy, text }, text: `${text}\n`, code: healthy ? exitCode.ok : exitCode.negative };
}
