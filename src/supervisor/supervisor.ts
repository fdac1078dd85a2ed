import type { AdminPort, AdminPortOptions } from '../admin/port.ts';
import { type Clock, machineClock } from '../config/files/clock.ts';
import type { LoadedState, State } from '../config/state.ts';
import type { Fleet } from '../gateway/fleet.ts';
import type { Listening } from '../gateway/gateway.ts';
import { checkUsable } from '../gateway/usable.ts';
import { openFleet, workersOf } from '../gateway/workers/open-fleet.ts';
import { createLearnedWriter } from '../learning/write.ts';
import { createLog, describeFault } from '../observability/log.ts';
import type { Operator } from '../observability/operator.ts';
import { signingKeyIds } from '../revocation/check-entry.ts';
import { revocationSettings } from '../revocation/settings.ts';
import { createRevocationStore } from '../revocation/store.ts';
import { createReloader, warnOfMode } from './reload.ts';

/** A running gateway with its operation: reloads, revocations, admin port. */
export interface Supervisor extends Operator {
  /** `admin` = address of the admin port, null without one. */
  start(): Promise<{ readonly rest: Listening; readonly grpc: Listening | null; readonly admin: Listening | null }>;
  stop(graceMs: number): Promise<void>;
}

export interface SupervisorOptions {
  readonly state: LoadedState;
  /** Reads all files; throws `ConfigError`. */
  readonly load: () => LoadedState;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** The clock of waits for files. */
  readonly clock?: Clock;
}

/** Creates the fleet with reloads, revocations and the admin port. Rejects with `ConfigError`. */
export async function createSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { state, load, now = Date.now, clock = machineClock } = options;
  checkUsable(state);
  const log = createLog(state.config.log_level);
  const settings = revocationSettings(state.config);
  const fleet: Fleet = await openFleet(state, {
    replaced: (pid, restarts) => log.error({ pid, restarts }, 'a worker ended and is replaced'),
    failed: (error) => log.error(describeFault(error), 'a worker did not start; trying again'),
  });
  const revocations = createRevocationStore({
    settings,
    now,
    log,
    changed: (next) => fleet.setRevocations(next),
    knownKeys: () => keyIds(reloads.current()),
    clock,
  });
  const reloads = createReloader({
    state,
    load,
    prepare: () => revocations.prepare(),
    apply: (next) => fleet.apply(next),
    done: (reload) => admin?.reloaded(reload, reloads.current()),
    log,
    now,
    clock,
  });

  const learned = createLearnedWriter({
    file: () => {
      const { mode, learn_file: file } = reloads.current().config.gateway;
      return mode === 'learn' ? file : undefined;
    },
    snapshots: () => fleet.snapshots(),
    log,
  });

  const operator: Operator = {
    reload: reloads.reload,
    revoke: (request) => revocations.revoke(request),
    revocations: () => revocations.report(),
  };
  const admin = await adminPortOf({ state, fleet, operator, workers: workersOf(state.config), log, now });

  return {
    ...operator,
    async start() {
      warnOfMode(log, state.config.gateway.mode);
      try {
        // INVARIANT: revocations are loaded, or marked as unknown, before the first request.
        await revocations.start();
        const port = await admin?.open();
        const listening = await fleet.start();
        reloads.begin();
        admin?.serving(listening);
        return { ...listening, admin: port ?? null };
      } catch (error) {
        await admin?.close();
        await revocations.close();
        throw error;
      }
    },
    async stop(graceMs) {
      admin?.drain();
      reloads.stop();
      learned.stop();
      // Before and after the stop: ended workers cannot be asked, and the last requests arrive during the stop.
      await learned.write();
      await fleet.stop(graceMs);
      await learned.write();
      await revocations.close();
      await admin?.close();
    },
  };
}

/** Loads the admin port only if one is configured: the metrics library takes a tenth of the time of a start. */
async function adminPortOf(options: AdminPortOptions): Promise<AdminPort | undefined> {
  if (options.state.config.gateway.admin.port === null) return undefined;
  const { createAdminPort } = await import('../admin/port.ts');
  return createAdminPort(options);
}

function keyIds({ secrets, policy }: State): readonly string[] {
  return signingKeyIds(secrets.apiKey, secrets.altApiKey, policy.signingKeys);
}
