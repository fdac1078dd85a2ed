/** Asks upstream for the names of all collections; anything but an array = they are unknown. */
export type ListCollections = (signal: AbortSignal) => Promise<readonly string[] | object>;

/** Milliseconds until the list counts as unknown. */
const TIMEOUT_MS = 5000;
/** Milliseconds for which a list counts collections: a creation whose body takes longer asks again. */
const MAX_AGE_MS = 30_000;
/** Milliseconds for which a creation counts whose answer did not come: Qdrant runs it to its end, also when its client has left. */
const UNANSWERED_MS = 120_000;

/** One creation that was let through. */
interface Creation {
  readonly name: string;
  /** Turn of its end; infinite = not ended. */
  ended: number;
  /** Monotonic milliseconds until which it is remembered. */
  until: number;
  /** True = it may be carried out yet, so that no list shows that it was not. */
  unanswered: boolean;
}

/**
 * Counts collections where a grant limits their number: what upstream lists, and creations of this process that the list
 * may not show yet. Several processes do not see each other's creations of the same moment.
 */
export class Creations {
  readonly #list: ListCollections;
  readonly #now: () => number;
  /** Orders lists and ends of creations. */
  #turn = 0;
  readonly #asked = new WeakMap<readonly string[], { readonly turn: number; readonly at: number }>();
  readonly #open = new Map<object, Creation>();
  #ended: Creation[] = [];

  /** @param now monotonic milliseconds */
  constructor(list: ListCollections, now: () => number) {
    this.#list = list;
    this.#now = now;
  }

  /** The names of all collections; `undefined` = unknown. Never rejects. */
  async existing(): Promise<readonly string[] | undefined> {
    const asked = { turn: ++this.#turn, at: this.#now() };
    const found = await this.#ask();
    if (!isNames(found)) return undefined;
    const names = [...found];
    this.#asked.set(names, asked);
    return names;
  }

  async #ask(): Promise<unknown> {
    try {
      return await this.#list(AbortSignal.timeout(TIMEOUT_MS));
    } catch {
      return undefined;
    }
  }

  /** The names with the creations that the list may not show; `undefined` = the list is unknown or too old. */
  current(names: readonly string[] | undefined): readonly string[] | undefined {
    const asked = names && this.#asked.get(names);
    if (!names || !asked || this.#now() - asked.at > MAX_AGE_MS) return undefined;
    const all = new Set(names);
    for (const { name } of this.#open.values()) all.add(name);
    const now = this.#now();
    for (const { name, ended, unanswered, until } of this.#ended) {
      if (ended > asked.turn || (unanswered && now <= until)) all.add(name);
    }
    return [...all];
  }

  /** A creation goes upstream. @param owner its exchange */
  begin(owner: object, name: string): void {
    this.#open.set(owner, { name, ended: Number.POSITIVE_INFINITY, until: 0, unanswered: false });
  }

  /** The exchange has ended, whatever it was. @param unanswered it went upstream, and no answer came */
  end(owner: object, unanswered: boolean): void {
    if (this.#open.size === 0) return;
    const creation = this.#open.get(owner);
    if (!creation) return;
    this.#open.delete(owner);
    const now = this.#now();
    creation.ended = ++this.#turn;
    creation.unanswered = unanswered;
    creation.until = now + (unanswered ? UNANSWERED_MS : MAX_AGE_MS);
    this.#ended = this.#ended.filter(({ until }) => now <= until);
    this.#ended.push(creation);
  }
}

function isNames(found: unknown): found is readonly string[] {
  return Array.isArray(found);
}
