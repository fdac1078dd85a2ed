import type { Clients, Slot } from './clients.ts';

/** A load that runs until it is closed. Counters only grow. */
export interface Load {
  /** Requests answered as they must be. */
  readonly completed: number;
  /** Requests answered otherwise, and connections lost. */
  readonly failed: number;
  /** What went wrong first; null while nothing has. */
  readonly firstFailure: string | null;
  /** Ends all connections. */
  close(): void;
}

/** The counters of a load. */
export class Tally {
  completed = 0;
  failed = 0;
  firstFailure: string | null = null;

  /** Counts an answer, as failed when something is wrong with it. The first failure is kept as text. */
  count(fault: string | null): void {
    if (fault === null) {
      this.completed++;
    } else {
      this.failed++;
      this.firstFailure ??= fault;
    }
  }
}

/** Slots that are free, the one that waited longest first. */
export class FreeSlots {
  readonly #ring: (Slot | undefined)[];
  #from = 0;
  #count = 0;

  constructor(slots: readonly Slot[]) {
    this.#ring = [...slots];
    this.#count = slots.length;
  }

  take(): Slot | undefined {
    if (this.#count === 0) return undefined;
    const slot = this.#ring[this.#from];
    this.#from = (this.#from + 1) % this.#ring.length;
    this.#count--;
    return slot;
  }

  give(slot: Slot): void {
    this.#ring[(this.#from + this.#count) % this.#ring.length] = slot;
    this.#count++;
  }
}

/**
 * Keeps `inFlight` requests open, the next one as soon as an answer is in, on the slot that has been free longest. With
 * fewer requests than slots, the connections take turns.
 */
export function closedLoop(clients: Clients, inFlight: number): Load {
  const tally = new Tally();
  const free = new FreeSlots(clients.slots);
  clients.listen({
    answered: (slot, fault) => {
      tally.count(fault);
      free.give(slot);
      free.take()?.send();
    },
    lost: (why) => tally.count(why),
  });
  for (let sent = 0; sent < inFlight; sent++) free.take()?.send();
  return Object.assign(tally, { close: () => clients.close() });
}

/**
 * Loads two programs alike: every slot of both sends at the same time, and again when all answers of both are in. Both get
 * the same number of requests in the same portions, so that neither profits from being asked for more at a time.
 */
export function lockstep(pair: readonly [Clients, Clients]): readonly [Load, Load] {
  const tallies = [new Tally(), new Tally()] as const;
  const total = pair[0].slots.length + pair[1].slots.length;
  let answers = 0;
  let wave = 0;
  const sendAll = (): void => {
    const order = wave++ % 2 === 0 ? pair : [pair[1], pair[0]];
    for (const { slots } of order) for (const slot of slots) slot.send();
  };
  for (const [index, clients] of pair.entries()) {
    const tally = tallies[index] ?? tallies[0];
    clients.listen({
      answered: (_, fault) => {
        tally.count(fault);
        answers = (answers + 1) % total;
        if (answers === 0) sendAll();
      },
      lost: (why) => tally.count(why),
    });
  }
  sendAll();
  const loadOf = (index: 0 | 1): Load => Object.assign(tallies[index], { close: () => pair[index].close() });
  return [loadOf(0), loadOf(1)];
}

/**
 * Sends on every slot, and again when all answers are in, as long as `goesOn` says so between two waves. Resolves with the
 * number of answers; nothing is under way then. Rejects when one is not as it must be.
 */
export function inWaves(clients: Clients, goesOn: (waves: number) => boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    const { slots } = clients;
    let open = 0;
    let waves = 0;
    const next = (): void => {
      if (waves > 0 && !goesOn(waves)) {
        resolve(waves * slots.length);
        return;
      }
      waves += 1;
      open = slots.length;
      for (const slot of slots) slot.send();
    };
    const fail = (why: string): void => reject(new Error(why));
    clients.listen({
      answered: (_, fault) => {
        if (fault !== null) fail(fault);
        else if (--open === 0) next();
      },
      lost: fail,
    });
    next();
  });
}

/** Sends one request on each slot. Resolves when all are answered as they must be; the connections stay open. */
export function sendOnEach(clients: Clients, limitMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error('an answer did not come')), limitMs);
    let open = clients.slots.length;
    const settle = (fault: string | null): void => {
      open--;
      if (fault !== null) reject(new Error(fault));
      if (fault !== null || open === 0) clearTimeout(limit);
      if (open === 0) resolve();
    };
    clients.listen({ answered: (_, fault) => settle(fault), lost: settle });
    for (const slot of clients.slots) slot.send();
  });
}
