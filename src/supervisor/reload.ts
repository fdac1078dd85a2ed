import { resolve } from 'node:path';
import { type Clock, machineClock } from '../config/files/clock.ts';
import type { FileProbe, Readings } from '../config/files/file-reads.ts';
import { SettledFiles } from '../config/files/settled-files.ts';
import { type WatchResult, watchFiles } from '../config/files/watch.ts';
import { lostProtection, shortened, withoutEndMark } from '../config/lost-protection.ts';
import { ConfigError } from '../config/problem.ts';
import { keepingIssued, type LoadedState, type State, StateError, withCertificates } from '../config/state.ts';
import type { Applied } from '../gateway/gateway.ts';
import { describeChanges } from '../gateway/live-options.ts';
import type { Log } from '../observability/log.ts';
import type { Reload, ReloadCause } from '../observability/operator.ts';

/** Upper limit of Node's timers. */
const MAX_TIMER_MS = 2_147_483_647;
/** Longest time, in milliseconds, that a requested reload waits for files that are being written. */
export const ASKED_WAIT_MS = 15_000;

/** Holds the state in force, and replaces it. */
export interface Reloader {
  /** The state in force. */
  readonly current: () => LoadedState;
  /** See `Operator`. A request before `begin` waits for it. */
  readonly reload: (cause: ReloadCause) => Promise<Reload>;
  /** Call once the first state is served: starts watching files and reloading. */
  readonly begin: () => void;
  /** Stops: no other state is applied. */
  readonly stop: () => void;
}

export interface ReloaderOptions {
  /** The initial state. */
  readonly state: LoadedState;
  /** Reads all files; throws `ConfigError`. */
  readonly load: () => LoadedState;
  /** Reads what is long ahead of `load`, while requests are served. Never rejects. */
  readonly ahead?: (state: State) => Promise<void>;
  /**
   * Reads stores beside the state that are not watched here, for a requested reload. Resolves to the function that
   * applies them. Rejects with `ConfigError` and changes nothing.
   */
  readonly prepare?: () => Promise<() => Promise<void>>;
  /** Applies a state, all or nothing; rejects with `ConfigError`. */
  readonly apply: (state: State) => Promise<Applied>;
  /** Called after each reload, regardless of its trigger, when `current` has been updated. */
  readonly done?: (reload: Reload) => void;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly clock?: Clock;
  readonly probe?: FileProbe;
}

/** Reloads by file changes, by time (`tls.cert_ttl`) and on request, one after the other. */
export function createReloader(options: ReloaderOptions): Reloader {
  return new ReloadQueue(options);
}

/** Required time without a change of the files. */
type Stillness = 'settled' | 'lasting';

class ReloadQueue implements Reloader {
  readonly #options: ReloaderOptions;
  readonly #clock: Clock;
  readonly #files: SettledFiles;
  #state: LoadedState;
  #generation = 1;
  #stopped = false;
  #watch: { readonly stop: () => void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #begun = Promise.withResolvers<void>();
  // Serialised: the last reload to start reads the latest files.
  #queue: Promise<unknown> = this.#begun.promise;

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? machineClock;
    this.#state = options.state;
    this.#files = new SettledFiles(this.#clock, options.probe);
    this.#files.expect(options.state.readings);
  }

  readonly current = (): LoadedState => this.#state;

  readonly reload = (cause: ReloadCause): Promise<Reload> => this.#next(() => this.#asked(cause));

  readonly begin = (): void => {
    this.#lookAgain(this.#state.readings);
    this.#begun.resolve();
  };

  readonly stop = (): void => {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#watch?.stop();
  };

  #next(work: () => Promise<Reload>): Promise<Reload> {
    const next = this.#queue.then(async () => {
      const reload = await work();
      this.#options.done?.(reload);
      return reload;
    });
    this.#queue = next;
    return next;
  }

  /**
   * Waits until the changed files are settled. Returns the paths of those that are not.
   *
   * @param only of these files
   */
  async #rest(need: Stillness, only?: ReadonlySet<string>): Promise<readonly string[]> {
    const end = this.#clock.now() + ASKED_WAIT_MS;
    while (!this.#stopped) {
      const changes = await this.#files.check(only);
      if (changes[need]) return [];
      if (this.#clock.now() >= end) return changes.paths;
      await this.#clock.pause(changes.nextMs);
    }
    return [];
  }

  /** A requested reload: reads the files as soon as they are settled. */
  async #asked(cause: ReloadCause): Promise<Reload> {
    const [need, only] = isOfCertificates(cause) ? (['lasting', this.#tlsFiles()] as const) : (['settled'] as const);
    for (let again = 0; again < READ_AGAIN; again += 1) {
      const moving = await this.#rest(need, only);
      if (moving.length > 0) return this.#failed(cause, moving.map(stillWritten), new Map());
      const tried = await this.#read(cause, isOfCertificates(cause) ? 'lasting' : 'asked');
      if (tried !== 'later') return tried;
    }
    return this.#failed(cause, ['files change as soon as they are read: ask again'], new Map());
  }

  #tlsFiles(): ReadonlySet<string> {
    const { cert, key, ca_cert: ca } = this.#state.config.tls;
    return new Set([cert, key, ca].map((path) => resolve(path)));
  }

  /** A reload after a change of files that are settled. */
  #fromFiles(lasting: boolean): Promise<WatchResult> {
    const { promise, resolve } = Promise.withResolvers<WatchResult>();
    this.#queue = this.#queue.then(async () => {
      const tried = await this.#read('files', lasting ? 'lasting' : 'settled');
      if (tried !== 'later') this.#options.done?.(tried);
      resolve(tried === 'later' ? 'later' : 'read');
    });
    return promise;
  }

  /** `later` = a file may be incomplete. */
  async #read(cause: ReloadCause, still: Stillness | 'asked'): Promise<Reload | 'later'> {
    const { load, ahead, prepare, apply, log, now } = this.#options;
    if (!isOfCertificates(cause)) await ahead?.(this.#state);
    if (this.#stopped) return { ok: false, cause, at: now(), problems: ['the gateway is stopping'] };
    let next: LoadedState | undefined;
    try {
      const found = isOfCertificates(cause) ? withCertificates(this.#state) : undefined;
      next = keepingIssued(this.#state, found?.state ?? load());
      if (await this.#isEarly(next, found?.read ?? next.readings, still)) return 'later';
      const commit = still === 'asked' ? await prepare?.() : undefined;
      const changed = describeChanges(this.#state, next);
      const applied = changed.length === 0 ? { generation: this.#generation, restartNeeded: [] } : await apply(next);
      this.#generation = applied.generation;
      tell(log, cause, { before: this.#state, after: next, changed, applied });
      this.#state = next;
      await commit?.();
      this.#lookAgain(next.readings);
      return { ok: true, cause, at: now(), warnings: next.warnings, ...applied };
    } catch (error) {
      const readings = error instanceof StateError ? error.readings : next?.readings;
      return this.#failed(cause, problemsOf(error), readings ?? new Map());
    }
  }

  /** @param read the readings of `next`. Throws `ConfigError` for files that lost their end mark */
  async #isEarly(next: LoadedState, read: Readings, still: Stillness | 'asked'): Promise<boolean> {
    const files = this.#files;
    files.include(read.keys());
    const changes = await files.check(new Set(read.keys()));
    if (!changes.settled || !files.holds(read)) return true;
    const inPlace = (path: string): boolean => files.arrivalOf(path) !== 'whole';
    const cut = withoutEndMark(this.#state.readings, read).filter(inPlace);
    if (cut.length > 0) throw new ConfigError(cut.map((place) => ({ place, message: NO_END_MARK })));
    if (still === 'asked' || changes.lasting) return false;
    const short = shortened(this.#state.readings, read).filter((path) => files.arrivalOf(path) === 'written');
    const lost = [...lostProtection(this.#state, next), ...short.map((path) => `${path} shorter`)];
    if (lost.length > 0) this.#options.log.info({ lost }, 'changed files are read later: they may be incomplete');
    return lost.length > 0;
  }

  #lookAgain(readings: Readings): void {
    this.#files.expect(readings);
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const { service, tls, gateway } = this.#state.config;
    if (!gateway.reload.watch) {
      this.#watch?.stop();
      this.#watch = undefined;
    } else {
      this.#watch ??= watchFiles(this.#files, this.#clock, (lasting) => this.#fromFiles(lasting));
    }
    if (!service.enable_tls || tls.cert_ttl === 0) return;
    const waitMs = Math.min(tls.cert_ttl * 1000, MAX_TIMER_MS);
    this.#timer = setTimeout(() => void this.reload('interval'), waitMs).unref();
  }

  #failed(cause: ReloadCause, problems: readonly string[], readings: Readings): Reload {
    // The files of the state in force and of the rejected one: a change of either may fix it.
    this.#lookAgain(new Map([...this.#state.readings, ...readings]));
    this.#options.log.error({ cause, problems }, 'not reloaded: the old state stays in force');
    return { ok: false, cause, at: this.#options.now(), problems };
  }
}

/** Only the files of TLS are read again. */
function isOfCertificates(cause: ReloadCause): boolean {
  return cause === 'interval' || cause === 'certificate';
}

/** Most reads for one request; beyond that the files change faster than they can be read. */
const READ_AGAIN = 5;
const NO_END_MARK = 'the end mark (`# end` or `...`) that the last line was before is missing: the file may be cut off';

function stillWritten(path: string): string {
  return `${path}: it is still being written: ask again when it stands still`;
}

interface ReloadNews {
  readonly before: LoadedState;
  readonly after: LoadedState;
  readonly changed: readonly string[];
  readonly applied: Applied;
}

/** One log line per reload with changes. A reload without changes is logged at level debug. */
function tell(log: Log, cause: ReloadCause, { before, after, changed, applied }: ReloadNews): void {
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
  const [old, next] = [before.config.gateway, after.config.gateway];
  if (old.mode !== next.mode || old.upstream.compare !== next.upstream.compare) warnOfMode(log, next);
}

/** The warning of a gateway that protects nothing; none in mode `enforce`. */
export function warnOfMode(log: Log, { mode, upstream }: State['config']['gateway']): void {
  if (mode === 'enforce') return;
  const who = upstream.compare ? 'the gateway protects nothing, qdrant decides' : 'nothing is protected';
  log.warn({ mode }, `${who}: requests that would be refused are forwarded`);
}

/** Error texts for the operator: `place: message` of each problem. Never a library's message. */
function problemsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.problems.map(({ place, message }) => `${place}: ${message}`);
  return [error instanceof Error ? `internal error (${error.name})` : 'internal error'];
}
