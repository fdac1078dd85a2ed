import { NO_FEATURES, type ReleaseFeatures } from '../policy/tenants/rewriting.ts';
import type { UpstreamLookup } from './lookup.ts';
import { compareReleases, type NodeSet } from './nodes/node-set.ts';

/** Age of an answer after which upstream is asked again, and after which the answer does not count any more. Milliseconds. */
const REFRESH_MS = 5_000;
/** The same while nothing is known, so that an outage ends soon for who needs the release. Milliseconds. */
const UNKNOWN_MS = 1_000;
const STALE_MS = 15_000;
/** Time limit of a question, in milliseconds. */
const PATIENCE_MS = 2_000;

/** The release of upstream as it is known now. */
export interface KnownRelease {
  /** For example `1.19.0`; of several nodes the lowest. `undefined` = not known, or not any more. */
  readonly current: string | undefined;
  /** Has upstream asked if the answer is not new any more. */
  readonly refresh: () => void;
  /** Ends with upstream's answer, or with its time limit; `undefined` = the release is known, or was asked for just now. */
  readonly settled: () => Promise<void> | undefined;
}

export interface ReleaseWatchOptions {
  readonly ask: UpstreamLookup['version'];
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * The release of one upstream, which is asked for on demand. An answer that is too old counts as none, so an upstream that
 * was replaced by an older one is not taken for the newer one.
 */
export class ReleaseWatch implements KnownRelease {
  readonly #options: ReleaseWatchOptions;
  #release: string | undefined;
  #knownAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  constructor(options: ReleaseWatchOptions) {
    this.#options = options;
  }

  get current(): string | undefined {
    return this.#options.now() - this.#knownAt < STALE_MS ? this.#release : undefined;
  }

  refresh(): void {
    if (!this.#asking && this.#isDue) void this.look();
  }

  settled(): Promise<void> | undefined {
    if (this.current !== undefined) return undefined;
    return this.#asking ?? (this.#isDue ? this.look() : undefined);
  }

  /** Asks now. Never rejects. */
  look(): Promise<void> {
    this.#asking = this.#ask();
    return this.#asking;
  }

  get #isDue(): boolean {
    return this.#options.now() - this.#askedAt >= (this.current === undefined ? UNKNOWN_MS : REFRESH_MS);
  }

  async #ask(): Promise<void> {
    this.#askedAt = this.#options.now();
    const release = await this.#answer();
    if (release !== undefined) {
      this.#release = release;
      this.#knownAt = this.#options.now();
    }
    this.#asking = undefined;
  }

  async #answer(): Promise<string | undefined> {
    try {
      const release = await this.#options.ask(AbortSignal.timeout(PATIENCE_MS));
      return typeof release === 'string' ? release : undefined;
    } catch {
      return undefined;
    }
  }
}

/**
 * The lowest release of several nodes, which their probes ask for; unknown as long as one of them is. A node that is out counts by
 * its last one, as long as another takes its requests: it is asked before it gets any.
 */
export function releaseOfNodes(nodes: Pick<NodeSet, 'all'>): KnownRelease {
  return {
    get current() {
      if (nodes.all.every(({ state }) => state === 'ejected')) return undefined;
      let lowest: string | undefined;
      for (const { state, release, lastRelease } of nodes.all) {
        const known = release ?? (state === 'ejected' ? lastRelease : undefined);
        if (known === undefined) return undefined;
        if (lowest === undefined || compareReleases(known, lowest) < 0) lowest = known;
      }
      return lowest;
    },
    refresh: () => undefined,
    settled: () => undefined,
  };
}

/** The release that checks `.` and `..` as names itself (GHSA-jwrp-6pff-wg9c). */
const CHECKS_DOT_NAMES = '1.19.1';

/** True = upstream may take `.` and `..` for names: it is older, or its release is not known. */
export function takesDotNames({ current }: Pick<KnownRelease, 'current'>): boolean {
  return current === undefined || compareReleases(current, CHECKS_DOT_NAMES) < 0;
}

/** The releases that bring what tenants need. */
const UPDATE_FILTER = '1.15.4';
const IDF_CORPUS = '1.19.0';

/** The features of the known release that tenants need; none of an unknown one. */
export function featuresOf({ current }: Pick<KnownRelease, 'current'>): ReleaseFeatures {
  if (current === undefined) return NO_FEATURES;
  if (current !== last.release) {
    const has = (release: string) => compareReleases(current, release) >= 0;
    last = { release: current, features: { updateFilter: has(UPDATE_FILTER), idfCorpus: has(IDF_CORPUS) } };
  }
  return last.features;
}

/** Each request of a tenant asks, and the release hardly ever changes. */
let last: { readonly release: string; readonly features: ReleaseFeatures } = { release: '', features: NO_FEATURES };
