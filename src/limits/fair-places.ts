import type { Guard } from '../lifetime/guard.ts';
import { FairQueue, type Turn } from './fair-queue.ts';

/** The holder of a share: an owner (a tenant, a principal, an address), and one of its connections. */
export interface Sharer {
  readonly owner: unknown;
  readonly client: unknown;
}

/** Numbers of places. Default: as many as there are one level above. */
export interface PlaceNumbers {
  readonly all: number;
  readonly ofOwner?: number;
  readonly ofClient?: number;
}

/** The queue of one owner or client, and how many of its requests have or wait for a place. */
interface Level {
  readonly queue: FairQueue;
  count: number;
}

/**
 * Places for all, of which one owner may have some, and one client of it some of those. Requests of one client wait among themselves first,
 * then those of one owner by turns of its clients, then all by turns of the owners: so none fills a queue in which others wait.
 */
export class FairPlaces {
  readonly #numbers: Required<PlaceNumbers>;
  #taken = 0;
  readonly #all: FairQueue;
  readonly #owners = new Map<unknown, Level & { readonly clients: Map<unknown, Level> }>();

  constructor({ all, ofOwner = all, ofClient = ofOwner }: PlaceNumbers) {
    this.#numbers = { all, ofOwner, ofClient };
    this.#all = new FairQueue(all);
  }

  /** Places that are taken, and requests that wait for one. */
  get size(): number {
    let size = 0;
    for (const { count } of this.#owners.values()) size += count;
    return size;
  }

  /** Places that are taken. */
  get taken(): number {
    return this.#taken;
  }

  /** A request waits for a place. */
  get wanted(): boolean {
    return this.size > this.#taken;
  }

  /** A request waits for a place that one of this client could free. */
  wantedFrom({ owner, client }: Sharer): boolean {
    const level = this.#owners.get(owner);
    return this.#all.wanted || (level?.queue.wanted ?? false) || (level?.clients.get(client)?.queue.wanted ?? false);
  }

  /**
   * @param guard `go` runs under it
   * @param go there is a place: called now, or in a turn of the event loop of its own
   */
  take(sharer: Sharer, guard: Guard, go: () => void): Turn {
    const { owner, client } = sharer;
    const { ofOwner, ofClient } = this.#numbers;
    const ofThis = this.#owners.get(owner) ?? { queue: new FairQueue(ofOwner), count: 0, clients: new Map() };
    this.#owners.set(owner, ofThis);
    const own = ofThis.clients.get(client) ?? { queue: new FairQueue(ofClient), count: 0 };
    ofThis.clients.set(client, own);
    ofThis.count += 1;
    own.count += 1;
    const place = new NestedTurn(() => {
      if (place.running) this.#taken -= 1;
      ofThis.count -= 1;
      own.count -= 1;
      if (own.count === 0) ofThis.clients.delete(client);
      if (ofThis.count === 0) this.#owners.delete(owner);
    });
    const last = (): void => {
      place.running = true;
      this.#taken += 1;
      go();
    };
    const second = (): void => place.keep(this.#all.take(owner, guard, last));
    place.keep(own.queue.take(client, guard, () => place.keep(ofThis.queue.take(client, guard, second))));
    return place;
  }
}

/** The turns of one request at each level. */
class NestedTurn implements Turn {
  running = false;
  readonly #turns: Turn[] = [];
  readonly #left: () => void;
  #over = false;

  constructor(left: () => void) {
    this.#left = left;
  }

  /** Ends with the place; at once when that has ended. */
  keep(turn: Turn): void {
    if (this.#over) turn.end();
    else this.#turns.push(turn);
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#left();
    this.running = false;
    for (const turn of this.#turns) turn.end();
  }
}
