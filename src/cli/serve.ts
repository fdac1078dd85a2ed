import type { Flags } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { type LoadedState, loadState } from '../config/state.ts';
import type { Listening } from '../gateway.ts';
import { OPERATION_NAMES } from '../operations/names.ts';
import { createSupervisor } from '../supervisor.ts';
import { processLifecycle, reloadOnSignal, stopOnSignal } from './lifecycle.ts';
import { type Output, writeWarnings } from './output.ts';
import { warnUnprotected } from './unprotected.ts';

/** `https://host:port` (or http without TLS) of a listener. */
export function listenUrl(config: Config, { host, port }: Listening): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  return `${config.service.enable_tls ? 'https' : 'http'}://${shown}:${port}`;
}

/**
 * Starts a gateway; reloads it on SIGHUP; stops it, then calls `after`, on SIGTERM and SIGINT. Resolves once it listens.
 */
export async function run(
  state: LoadedState,
  load: () => LoadedState,
  output: Output,
  after: () => Promise<void> = async () => {},
): Promise<{ readonly rest: Listening; readonly grpc: Listening | null }> {
  const gateway = await createSupervisor({ state, load });
  // Before it listens: the signal would end a process that does not mind it.
  reloadOnSignal(() => void gateway.reload('signal'), processLifecycle);
  const { rest, grpc } = await gateway.start();
  const stop = async (graceMs: number) => {
    await gateway.stop(graceMs);
    await after();
  };
  stopOnSignal(stop, state.config.gateway.shutdown_grace_ms, output, processLifecycle);
  return { rest, grpc };
}

/** `serve`: loads everything, starts, and runs until a signal. Throws `ConfigError` before anything listens. */
export async function serve(flags: Flags, output: Output): Promise<void> {
  const load = () => loadState({ argv: flags, operations: OPERATION_NAMES });
  const state = load();
  const { config } = state;
  writeWarnings(output, state.warnings);
  warnUnprotected(output, config.gateway);
  const { rest, grpc } = await run(state, load, output);
  const { rest_url: restUpstream, grpc_url: grpcUpstream } = config.gateway.upstream;
  output.err(`rest listens on ${listenUrl(config, rest)}, upstream ${restUpstream}\n`);
  if (grpc !== null) output.err(`grpc listens on ${listenUrl(config, grpc)}, upstream ${grpcUpstream}\n`);
}
