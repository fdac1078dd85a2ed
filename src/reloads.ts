import type { Stamps } from './config/file-reads.ts';
import { ConfigError } from './config/problem.ts';
import { readTls } from './config/secrets.ts';
import { type LoadedState, type State, StateError } from './config/state.ts';
import { type FileWatch, watchFiles } from './config/watch.ts';
import type { Applied } from './gateway.ts';
import type { Log } from './observability/log.ts';
import type { Reload, ReloadCause } from './observability/operator.ts';
import { describeChanges } from './reload.ts';

/** Node's timers overflow beyond. */
const MAX_TIMER_MS = 2_147_483_647;

/** Which state is in force, and everything that puts another one in its place. */
export interface Reloads {
  /** The state in force. */
  readonly current: () => LoadedState;
  /** See `Operator`. What is asked before `begin` waits for it. */
  readonly reload: (cause: ReloadCause) => Promise<Reload>;
  /** The first state is being served: from here on files are watched, and reloads carried out. */
  readonly begin: () => void;
  /** Nothing is put in force any more. */
  readonly stop: () => void;
}

export interface ReloadsOptions {
  /** What is in force at first. */
  readonly state: LoadedState;
  /** Reads everything anew; throws `ConfigError`. */
  readonly load: () => LoadedState;
  /** Reads what stands beside the state and returns what puts it in force. Throws `ConfigError` and changes nothing. */
  readonly prepare?: () => () => Promise<void>;
  /** Puts a state in force, all or nothing; rejects with `ConfigError`. */
  readonly apply: (state: State) => Promise<Applied>;
  /** Told what came of each reload, whoever asked for it, once `current` is what it says. */
  readonly done?: (reload: Reload) => void;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Reloads by file changes, by time (`tls.cert_ttl`) and on request, one after the other. */
export function createReloads({ state: first, load, prepare, apply, done, log, now }: ReloadsOptions): Reloads {
  let state = first;
  let generation = 1;
  let stopped = false;
  let watch: FileWatch | undefined;
  let timer: NodeJS.Timeout | undefined;
  const begun = Promise.withResolvers<void>();
  // One after the other: the last one that began reads what is there last.
  let queue: Promise<unknown> = begun.promise;

  const reload = (cause: ReloadCause): Promise<Reload> => {
    const next = queue.then(async () => {
      const reload = await reloadNow(cause);
      done?.(reload);
      return reload;
    });
    queue = next;
    return next;
  };

  const lookAgain = (stamps: Stamps): void => {
    watch?.expect(state.config.gateway.reload.watch ? stamps : new Map());
    clearTimeout(timer);
    const { service, tls } = state.config;
    if (stopped || !service.enable_tls || tls.cert_ttl === 0) return;
    timer = setTimeout(() => void reload('interval'), Math.min(tls.cert_ttl * 1000, MAX_TIMER_MS)).unref();
  };

  const failed = (cause: ReloadCause, problems: readonly string[], stamps: Stamps): Reload => {
    // What was in force, and what was tried: a change of either may mend it.
    lookAgain(new Map([...state.stamps, ...stamps]));
    log.error({ cause, problems }, 'not reloaded: the old state stays in force');
    return { ok: false, cause, at: now(), problems };
  };

  const reloadNow = async (cause: ReloadCause): Promise<Reload> => {
    if (stopped) return { ok: false, cause, at: now(), problems: ['the gateway is stopping'] };
    let next: LoadedState | undefined;
    try {
      next = cause === 'interval' ? withCertificates(state) : load();
      const commit = prepare?.();
      const changed = describeChanges(state, next);
      const applied = changed.length === 0 ? { generation, restartNeeded: [] } : await apply(next);
      generation = applied.generation;
      tell(log, cause, { before: state, after: next, changed, applied });
      state = next;
      await commit?.();
      lookAgain(next.stamps);
      return { ok: true, cause, at: now(), warnings: next.warnings, ...applied };
    } catch (error) {
      const stamps = error instanceof StateError ? error.stamps : next?.stamps;
      return failed(cause, problemsOf(error), stamps ?? new Map());
    }
  };

  return {
    current: () => state,
    reload,
    begin: () => {
      watch = watchFiles(() => void reload('files'));
      lookAgain(state.stamps);
      begun.resolve();
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      watch?.stop();
    },
  };
}

/** The same state with the certificate files as they are now. Upstream: all that `tls.cert_ttl` means. */
function withCertificates(state: LoadedState): LoadedState {
  const { tls, warnings } = readTls(state.config);
  return { ...state, secrets: { ...state.secrets, tls }, warnings: [...new Set([...state.warnings, ...warnings])] };
}

interface Told {
  readonly before: LoadedState;
  readonly after: LoadedState;
  readonly changed: readonly string[];
  readonly applied: Applied;
}

/** One line for a reload that changed something. Without a change there is nothing to say, but that it was looked. */
function tell(log: Log, cause: ReloadCause, { before, after, changed, applied }: Told): void {
  const { generation, restartNeeded } = applied;
  if (changed.length === 0) {
    log.debug({ cause, generation }, 'reloaded: nothing has changed');
    return;
  }
  log.setLevel(after.config.log_level);
  const warnings = after.warnings.filter((one) => !before.warnings.includes(one));
  const more = {
    ...(restartNeeded.length > 0 ? { restart_needed: restartNeeded } : {}),
    ...(warnings.length > 0 ? { warnings } : {}),
  };
  log.info({ cause, generation, changed, ...more }, 'reloaded');
  const { mode } = after.config.gateway;
  if (mode !== before.config.gateway.mode) warnOfMode(log, mode);
}

/** The log line of a gateway that protects nothing; none while the policy is enforced. */
export function warnOfMode(log: Log, mode: State['config']['gateway']['mode']): void {
  if (mode !== 'enforce') log.warn({ mode }, 'nothing is protected: what would be refused is let pass');
}

/** What went wrong, for a person: `place: message` of each problem. Never what a library says. */
function problemsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.problems.map(({ place, message }) => `${place}: ${message}`);
  return [error instanceof Error ? `internal error (${error.name})` : 'internal error'];
}
