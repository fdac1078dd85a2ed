import { NO_KEY } from '../config/policy/issuers/key-set.ts';
import type { IssuerSettings, KeySetInForce, RemoteSource } from '../policy/mapping/issuer.ts';
import { type FetchKeys, fetchKeys } from './fetch-keys.ts';
import { KeyFetchFault } from './get.ts';

/** Longest wait for the first key sets at the start, in milliseconds; then the gateway starts without them. */
const START_WAIT_MS = 5000;
/** After a failed fetch the next one comes sooner than after a good one, in milliseconds. */
const FIRST_RETRY_MS = 5000;

export interface KeySourceOptions {
  readonly issuers: readonly IssuerSettings[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: {
    readonly info: (fields: object, text: string) => void;
    readonly warn: (fields: object, text: string) => void;
    readonly error: (fields: object, text: string) => void;
  };
  /** Applies the sets in every serving process. */
  readonly changed: (sets: readonly KeySetInForce[]) => Promise<void>;
  /** Default: over the network. */
  readonly fetch?: FetchKeys;
}

/** The state of one fetched key set. Times in milliseconds since 1970. */
export interface KeySetReport {
  readonly issuer: string;
  /** 0 = never fetched. */
  readonly fetchedAt: number;
  readonly keys: number;
  /** Failed fetches since the start. */
  readonly failures: number;
  /** Fetches since the start. */
  readonly fetches: number;
  /** Why the last fetch failed; `undefined` = it did not. */
  readonly problem: string | undefined;
  /** False = there is no set, or it is too old: the tokens of the issuer are refused. */
  readonly usable: boolean;
}

/** Fetches the key sets of all issuers, once for all serving processes. */
export interface KeySource {
  /** Resolves when each issuer has answered or failed once, or after a time limit. */
  readonly start: () => Promise<void>;
  /** The issuers of another state. Unchanged sources keep their keys. */
  readonly configure: (issuers: readonly IssuerSettings[]) => void;
  /** Fetches now, unless a token asked for it within the cool-down; resolves when the keys are in force. Never rejects. */
  readonly ask: (issuer: string) => Promise<void>;
  readonly report: () => readonly KeySetReport[];
  readonly close: () => void;
}

export function createKeySource(options: KeySourceOptions): KeySource {
  return new Fetching(options);
}

/** An issuer whose keys are fetched. */
interface Remote {
  readonly settings: IssuerSettings;
  readonly source: RemoteSource;
  set: KeySetInForce | undefined;
  /** Begin of the last fetch that a token asked for; `undefined` = none. */
  askedAt: number | undefined;
  under: Promise<void> | undefined;
  timer: NodeJS.Timeout | undefined;
  failures: number;
  fetches: number;
  /** Failures in a row. */
  inARow: number;
  problem: string | undefined;
  toldUnusable: boolean;
}

class Fetching implements KeySource {
  readonly #options: KeySourceOptions;
  #remotes = new Map<string, Remote>();
  #closed = false;
  #started = false;

  constructor(options: KeySourceOptions) {
    this.#options = options;
    this.configure(options.issuers);
  }

  readonly start = async (): Promise<void> => {
    this.#started = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, START_WAIT_MS);
    await Promise.race([Promise.all([...this.#remotes.values()].map((remote) => this.#fetch(remote))), promise]);
    clearTimeout(timer);
  };

  readonly configure = (issuers: readonly IssuerSettings[]): void => {
    const next = new Map<string, Remote>();
    for (const settings of issuers) {
      const { source } = settings;
      if (source.from === 'file') continue;
      const before = this.#remotes.get(settings.id);
      const same = before?.settings.issuer === settings.issuer && isSame(before.source, source);
      next.set(settings.id, same ? before : newRemote(settings, source));
    }
    for (const [id, { timer }] of this.#remotes) if (next.get(id) !== this.#remotes.get(id)) clearTimeout(timer);
    const added = [...next.values()].filter((remote) => this.#remotes.get(remote.settings.id) !== remote);
    this.#remotes = next;
    if (this.#started) for (const remote of added) void this.#fetch(remote);
  };

  readonly ask = async (issuer: string): Promise<void> => {
    const remote = this.#remotes.get(issuer);
    if (!remote || this.#closed) return;
    if (remote.under) return await remote.under;
    const { askedAt, source } = remote;
    // INVARIANT: tokens cause at most one fetch per cool-down. One may follow a fetch by time at once: a key is often replaced then.
    if (askedAt !== undefined && this.#options.now() - askedAt < source.coolDownMs) return;
    remote.askedAt = this.#options.now();
    await this.#fetch(remote);
  };

  readonly report = (): readonly KeySetReport[] =>
    [...this.#remotes.values()].map((remote) => ({
      issuer: remote.settings.id,
      fetchedAt: remote.set?.fetchedAt ?? 0,
      keys: remote.set?.keys.length ?? 0,
      ...{ failures: remote.failures, fetches: remote.fetches, problem: remote.problem },
      usable: this.#isUsable(remote),
    }));

  readonly close = (): void => {
    this.#closed = true;
    for (const { timer } of this.#remotes.values()) clearTimeout(timer);
  };

  #isUsable({ set, source }: Remote): boolean {
    return set !== undefined && this.#options.now() < set.fetchedAt + source.maxStaleMs;
  }

  /** Requests that need keys at the same time share one fetch. */
  #fetch(remote: Remote): Promise<void> {
    remote.under ??= this.#fetchOnce(remote).finally(() => {
      remote.under = undefined;
      this.#later(remote);
    });
    return remote.under;
  }

  async #fetchOnce(remote: Remote): Promise<void> {
    const { now, fetch = fetchKeys, changed } = this.#options;
    const { settings, source } = remote;
    clearTimeout(remote.timer);
    remote.fetches += 1;
    try {
      const keys = await fetch(source, settings.issuer);
      if (this.#remotes.get(settings.id) !== remote || this.#closed) return;
      remote.set = { id: settings.id, url: source.url, keys, fetchedAt: now() };
      if (keys.length > 0) this.#recovered(remote);
      else this.#emptied(remote);
      await changed(this.#sets());
    } catch (error) {
      this.#failed(remote, error instanceof KeyFetchFault ? error.message : 'internal error');
    }
  }

  #sets(): readonly KeySetInForce[] {
    return [...this.#remotes.values()].flatMap(({ set }) => set ?? []);
  }

  /** The provider has answered that it trusts no key: its tokens are refused from now on, and the former keys are gone. */
  #emptied(remote: Remote): void {
    if (remote.problem !== NO_KEY) {
      this.#options.log.error({ issuer: remote.settings.id }, 'the issuer publishes no key: its tokens are refused');
    }
    remote.problem = NO_KEY;
    remote.inARow = 0;
  }

  #recovered(remote: Remote): void {
    if (remote.problem !== undefined) {
      this.#options.log.info(
        { issuer: remote.settings.id, keys: remote.set?.keys.length },
        'the keys of the issuer are fetched again',
      );
    }
    remote.problem = undefined;
    remote.inARow = 0;
    remote.toldUnusable = false;
  }

  /** One line when it begins, and one when the tokens of the issuer are refused for it. */
  #failed(remote: Remote, problem: string): void {
    if (this.#remotes.get(remote.settings.id) !== remote || this.#closed) return;
    const fields = { issuer: remote.settings.id, problem };
    const usable = this.#isUsable(remote);
    remote.failures += 1;
    remote.inARow += 1;
    if (!usable && !remote.toldUnusable) {
      this.#options.log.error(fields, 'the keys of the issuer cannot be fetched: its tokens are refused');
      remote.toldUnusable = true;
    } else if (usable && remote.problem === undefined) {
      this.#options.log.warn(fields, 'the keys of the issuer cannot be fetched: the known ones stay in use');
    }
    remote.problem = problem;
  }

  #later(remote: Remote): void {
    if (this.#closed || this.#remotes.get(remote.settings.id) !== remote) return;
    const { refreshMs, coolDownMs } = remote.source;
    const retryMs = Math.max(coolDownMs, FIRST_RETRY_MS) * 2 ** Math.min(remote.inARow - 1, 6);
    const waitMs = remote.inARow === 0 ? refreshMs : Math.min(refreshMs, retryMs);
    clearTimeout(remote.timer);
    remote.timer = setTimeout(() => void this.#fetch(remote), waitMs).unref();
  }
}

function newRemote(settings: IssuerSettings, source: RemoteSource): Remote {
  return {
    ...{ settings, source, set: undefined, askedAt: undefined, under: undefined, timer: undefined },
    ...{ failures: 0, fetches: 0, inARow: 0, problem: undefined, toldUnusable: false },
  };
}

function isSame(one: RemoteSource, other: RemoteSource): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
