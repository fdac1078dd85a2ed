import { loadSettled } from '../config/files/at-start.ts';
import type { Flags } from '../config/load.ts';
import { loadState } from '../config/state.ts';
import type { Listening } from '../gateway/gateway.ts';
import type { Reload } from '../observability/operator.ts';
import { OPERATION_NAMES } from '../operations/names.ts';
import { createSupervisor } from './supervisor.ts';

/** Where a gateway in a program of yours gets its options. All may be left out; what stands further down wins. */
export interface GatewaySources {
  /** Values by dotted path, for example `{ 'service.http_port': 6333 }`, over the built-in defaults only. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  /** Path of a configuration file. Default: the one that `QDRANT_GATEWAY__CONFIG` names, or none. */
  readonly config?: string;
  /** Variables `QDRANT__*` and `QDRANT_GATEWAY__*`. Default: those of the process; `{}` = none. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Folder that relative paths begin at. Default: the working directory. */
  readonly cwd?: string;
}

/** Where a gateway listens. */
export interface Addresses {
  readonly rest: Listening;
  /** `null` = gRPC is off. */
  readonly grpc: Listening | null;
  /** `null` = the admin port is off. */
  readonly admin: Listening | null;
}

/** A gateway with all that the command line runs: worker processes, reloads of changed files, revocations, admin port. */
export interface EmbeddedGateway {
  /** Warnings about the configuration, for the operator. */
  readonly warnings: readonly string[];
  /** Listens. Rejects, and listens nowhere, if a port is not available or the revocations cannot be read. */
  start(): Promise<Addresses>;
  /** Reads all sources again and applies them; an invalid configuration changes nothing. Never rejects. */
  reload(): Promise<Reload>;
  /**
   * Takes no more requests, lets open ones finish, then ends the rest.
   *
   * @param graceMs time for open requests, in milliseconds. Default: `gateway.shutdown_grace_ms`
   */
  stop(graceMs?: number): Promise<void>;
}

/**
 * Reads and checks everything; nothing listens before `start`. Rejects with `ConfigError`, which names every problem and its place.
 * Signals, exit codes and output are the caller's.
 */
export async function embedGateway(sources: GatewaySources = {}): Promise<EmbeddedGateway> {
  const { config, ...rest } = sources;
  const argv: Flags = config === undefined ? {} : { config };
  const load = () => loadState({ ...rest, argv, operations: OPERATION_NAMES });
  const state = await loadSettled(load);
  const supervisor = await createSupervisor({ state, load });
  return {
    warnings: state.warnings,
    start: () => supervisor.start(),
    reload: () => supervisor.reload('admin'),
    stop: (graceMs = state.config.gateway.shutdown_grace_ms) => supervisor.stop(graceMs),
  };
}
