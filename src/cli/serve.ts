import { join, resolve } from 'node:path';
import { loadSettled } from '../config/files/at-start.ts';
import { type Flags, serviceVariables } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { type LoadedState, loadState } from '../config/state.ts';
import { nodeName } from '../config/upstream/node-list.ts';
import { listedNodes } from '../config/upstream/rules.ts';
import { trustText } from '../dev-certs/trust.ts';
import type { Listening } from '../gateway/gateway.ts';
import { setRuntimeFlags } from '../gateway/runtime-flags.ts';
import { type Log, logOf } from '../observability/log.ts';
import { isPretty } from '../observability/log-format.ts';
import { OPERATION_NAMES } from '../operations/names.ts';
import { createSupervisor, type Supervisor } from '../supervisor/supervisor.ts';
import { gatewayVersion } from '../version.ts';
import { processLifecycle, reloadOnSignal, stopOnSignal } from './lifecycle.ts';
import type { Output } from './output.ts';
import { namingPort } from './port-failure.ts';
import { serviceManagerOf } from './service-manager.ts';
import { unprotectedText, warnUnprotected } from './unprotected.ts';

/** `https://host:port` (or http without TLS) of a listener. */
export function listenUrl(config: Config, listening: Listening): string {
  return urlOf(config.service.enable_tls, listening);
}

function urlOf(tls: boolean, { host, port }: Listening): string {
  if (host.startsWith('unix:')) return host;
  const shown = host.includes(':') ? `[${host}]` : host;
  return `${tls ? 'https' : 'http'}://${shown}:${port}`;
}

/**
 * Starts a gateway, reloads it on SIGHUP, and on SIGTERM or SIGINT stops it, then calls `after`. Resolves once it listens.
 */
export async function run(
  state: LoadedState,
  load: () => LoadedState,
  output: Output,
  after: () => Promise<void> = async () => {},
): Promise<Awaited<ReturnType<Supervisor['start']>>> {
  setRuntimeFlags();
  const gateway = await createSupervisor({ state, load });
  // Before it listens: SIGHUP without a handler would end the process.
  reloadOnSignal(() => void gateway.reload('signal'), processLifecycle);
  const listening = await gateway.start().catch((error: unknown) => {
    throw namingPort(error, state.config);
  });
  const manager = serviceManagerOf(serviceVariables(), output);
  manager.ready(`rest listens on ${listenUrl(state.config, listening.rest)}`);
  const stop = async (graceMs: number) => {
    manager.stopping();
    await gateway.stop(graceMs);
    await after();
  };
  const { drain_delay_ms: delayMs, shutdown_grace_ms: graceMs } = state.config.gateway;
  const depart = () => {
    manager.stopping();
    return gateway.depart();
  };
  stopOnSignal({ depart, stop }, { delayMs, graceMs }, output, processLifecycle);
  return listening;
}

/** `serve`: loads everything, starts, and runs until a signal. Throws `ConfigError` before anything listens. */
export async function serve(flags: Flags, output: Output): Promise<void> {
  const load = () => loadState({ argv: flags, operations: OPERATION_NAMES });
  const state = await loadSettled(load);
  const { config } = state;
  const log = logOf(config);
  const { mode } = config.gateway;
  const more = { release: gatewayVersion(), node: process.version, pid: process.pid, mode, config: flags.config };
  log.announce(more, 'qdrant-gateway starts');
  for (const warning of state.warnings) log.warn(warning);
  if (isPretty(config.gateway.log.format)) warnUnprotected(output, config.gateway);
  else if (mode !== 'enforce') log.announce({ mode }, unprotectedText(config.gateway));
  const { rest, grpc, admin } = await run(state, load, announcing(log, output));
  if (admin !== null) log.announce({}, `admin listens on ${urlOf(config.gateway.admin.enable_tls, admin)}`);
  const listens = (protocol: 'rest' | 'grpc', listening: Listening) =>
    log.announce(
      {},
      `${protocol} listens on ${listenUrl(config, listening)}, upstream ${upstreamOf(config, protocol)}`,
    );
  listens('rest', rest);
  if (grpc !== null) listens('grpc', grpc);
  if (config.gateway.certs === 'dev' && isPretty(config.gateway.log.format)) {
    const folder = resolve(config.gateway.dev_certs.folder);
    output.err(`\n${trustText({ ca: join(folder, 'ca.pem'), caKey: join(folder, 'ca-key.pem') })}\n`);
  }
}

/** An output whose texts for a person are lines of the log. */
function announcing(log: Log, { out }: Output): Output {
  return { out, err: (text) => log.announce({}, text.trimEnd()) };
}

/** The upstream of a protocol in words: an address, the nodes of a list, or the name that DNS is asked for. */
function upstreamOf(config: Config, protocol: 'rest' | 'grpc'): string {
  const { upstream } = config.gateway;
  const { dns } = upstream.discovery;
  if (dns !== null) return `nodes of ${dns}`;
  const nodes = listedNodes(config);
  if (nodes.length > 0) return nodes.map(({ rest }) => nodeName(rest)).join(', ');
  return String(upstream[`${protocol}_url`]);
}
