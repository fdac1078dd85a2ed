/** Facts of a collection on which queries of a tenant depend. */
export interface CollectionFacts {
  /** Names of sparse vectors whose scores come from the statistics of terms (modifier `idf`); `undefined` = not known. */
  readonly idfVectors: ReadonlySet<string> | undefined;
  /** True = its points are spread by shard keys (`sharding_method: custom`), each of which has ids of its own. */
  readonly hasShardKeys: boolean;
  /** True = there is no such collection. That is not remembered. */
  readonly isAbsent?: true;
}

/** Of a collection that is not there: upstream says so itself. */
export const NO_COLLECTION: CollectionFacts = Object.freeze({
  ...{ idfVectors: new Set<string>(), hasShardKeys: false, isAbsent: true as const },
});

/** Asks upstream; `undefined` = not known. Must not reject. */
export type AskFacts = (collection: string) => Promise<CollectionFacts | undefined>;

/** Milliseconds for which an answer is used. A vector that is made anew in another form is seen that much later. */
const FRESH_MS = 10_000;
/** Most collections that are kept. */
const MOST = 1000;

interface Known {
  readonly facts: CollectionFacts;
  readonly at: number;
}

/**
 * Facts of collections, asked for when they are needed and kept for a moment. Requests for one collection at the same time share
 * one question. What could not be known is asked again.
 */
export class FactsOfCollections {
  readonly #ask: AskFacts;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  readonly #asked = new Map<string, Promise<CollectionFacts | undefined>>();

  /** @param now monotonic milliseconds */
  constructor(ask: AskFacts, now: () => number) {
    this.#ask = ask;
    this.#now = now;
  }

  /** The facts: at once if they are known, or once upstream has answered; `undefined` = not known. */
  of(collection: string): CollectionFacts | Promise<CollectionFacts | undefined> {
    const known = this.known(collection);
    if (known) return known;
    const asked = this.#asked.get(collection) ?? this.#learn(collection);
    this.#asked.set(collection, asked);
    return asked;
  }

  /** The facts as far as they are known; nothing is asked. */
  known(collection: string): CollectionFacts | undefined {
    const known = this.#known.get(collection);
    return known && this.#now() - known.at < FRESH_MS ? known.facts : undefined;
  }

  /** Upstream has contradicted them: they are asked for again. */
  forget(collection: string): void {
    this.#known.delete(collection);
  }

  async #learn(collection: string): Promise<CollectionFacts | undefined> {
    const at = this.#now();
    try {
      const facts = await this.#ask(collection);
      this.#known.delete(collection);
      if (facts && !facts.isAbsent) this.#keep(collection, { facts, at });
      return facts;
    } finally {
      this.#asked.delete(collection);
    }
  }

  /** The oldest leaves for the newest. */
  #keep(collection: string, known: Known): void {
    this.#known.set(collection, known);
    if (this.#known.size <= MOST) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}
