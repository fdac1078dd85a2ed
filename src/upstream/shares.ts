import type { Guard } from '../lifetime/guard.ts';

/** The share of a pool that one owner may use at once. */
export interface Share {
  /** Compared by identity. */
  readonly owner: unknown;
  /** Requests under way at once; further ones of the owner wait for each other, in their order. */
  readonly most: number;
  /** Requests of the owner that may wait; one more is not taken. */
  readonly mostWaiting: number;
  /** False = the request is not wanted any more: it is left out when its turn comes. */
  readonly isWanted: () => boolean;
  /** The request begins now; `leave` is to be called once, when it is over. */
  readonly entered: (leave: () => void) => void;
  /** Of the request. */
  readonly guard: Guard;
}

/** One owner with requests under way. */
interface Owner {
  running: number;
  readonly waiting: { readonly share: Share; readonly start: () => void }[];
}

/** Keeps one owner from using up a pool that others need, too. */
export class Shares {
  readonly #owners = new Map<unknown, Owner>();

  /** Requests that wait for their owner's share. */
  get waiting(): number {
    let waiting = 0;
    for (const owner of this.#owners.values()) waiting += owner.waiting.length;
    return waiting;
  }

  /** Calls `start` now, or once the owner has a free place. `false` = too many wait already. */
  enter(share: Share, start: () => void): boolean {
    const owner = this.#owners.get(share.owner) ?? { running: 0, waiting: [] };
    this.#owners.set(share.owner, owner);
    if (owner.running < share.most) {
      owner.running += 1;
      this.#start(share, start);
      return true;
    }
    if (owner.waiting.length >= share.mostWaiting) return false;
    owner.waiting.push({ share, start });
    return true;
  }

  #start(share: Share, start: () => void): void {
    share.entered(() => this.#leave(share.owner));
    start();
  }

  /** INVARIANT: the next request begins in a turn of its own, not in the stack of the one that is over. */
  #leave(key: unknown): void {
    const owner = this.#owners.get(key);
    if (!owner) return;
    const next = owner.waiting.shift();
    if (next) {
      const { share, start } = next;
      share.guard.soon(() => {
        if (share.isWanted()) this.#start(share, start);
        else this.#leave(key);
      });
      return;
    }
    owner.running -= 1;
    if (owner.running === 0) this.#owners.delete(key);
  }
}
