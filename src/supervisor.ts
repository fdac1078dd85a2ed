import { ConfigError } from './config/problem.ts';
import type { LoadedState, State } from './config/state.ts';
import type { Fleet } from './fleet.ts';
import type { Listening } from './gateway.ts';
import { createLog, describeFault } from './observability/log.ts';
import type { Operator, Reload, ReloadCause } from './observability/operator.ts';
import { revocationSettings } from './revocation/settings.ts';
import { createRevocationStore } from './revocation/store.ts';
import { openFleet } from './workers/open-fleet.ts';

/** A running gateway with everything that belongs to operating it. */
export interface Supervisor extends Operator {
  start(): Promise<{ readonly rest: Listening; readonly grpc: Listening | null }>;
  stop(graceMs: number): Promise<void>;
}

export interface SupervisorOptions {
  readonly state: LoadedState;
  /** Reads everything anew; throws `ConfigError`. */
  readonly load: () => LoadedState;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Puts a fleet under the care of one place: reloads, revocations, the admin port. */
export async function createSupervisor({ state, load, now = Date.now }: SupervisorOptions): Promise<Supervisor> {
  const log = createLog(state.config.log_level);
  const settings = revocationSettings(state.config);
  const fleet: Fleet = await openFleet(state, {
    replaced: (pid, restarts) => log.error({ pid, restarts }, 'a worker ended; another takes its place'),
    failed: (error) => log.error(describeFault(error), 'a worker did not start; it is tried again'),
  });
  let current: State = state;
  const revocations = createRevocationStore({
    settings,
    now,
    log,
    changed: (next) => fleet.setRevocations(next),
    knownKeys: () => keyIds(current),
  });
  let reloading: Promise<unknown> = Promise.resolve();

  async function reloadNow(cause: ReloadCause): Promise<Reload> {
    try {
      const next = load();
      const revoke = revocations.prepare();
      const { generation, restartNeeded } = await fleet.apply(next);
      current = next;
      await revoke();
      return { ok: true, cause, at: now(), generation, warnings: next.warnings, restartNeeded };
    } catch (error) {
      return { ok: false, cause, at: now(), problems: problemsOf(error) };
    }
  }

  return {
    async start() {
      try {
        // INVARIANT: what is revoked is known, or known to be unknown, before anybody can ask.
        await revocations.start();
        return await fleet.start();
      } catch (error) {
        await revocations.close();
        throw error;
      }
    },
    reload(cause) {
      // One after the other: the last one that began reads what is there last.
      const done = reloading.then(() => reloadNow(cause));
      reloading = done;
      return done;
    },
    revoke: (request) => revocations.revoke(request),
    revocations: () => revocations.report(),
    async stop(graceMs) {
      await fleet.stop(graceMs);
      await revocations.close();
    },
  };
}

/** Ids of the keys that tokens are verified with. */
function keyIds({ secrets, policy }: State): readonly string[] {
  const admin = [secrets.apiKey === null ? [] : 'api_key', secrets.altApiKey === null ? [] : 'alt_api_key'];
  return [...admin.flat(), ...policy.signingKeys.map(({ id }) => id)];
}

function problemsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.problems.map(({ place, message }) => `${place}: ${message}`);
  return [error instanceof Error ? `internal error (${error.name})` : 'internal error'];
}
