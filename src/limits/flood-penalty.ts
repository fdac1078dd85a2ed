import { LRUCache } from 'lru-cache';
import { clientNetworkOf } from './peer-address.ts';
import { type Rate, Spacing } from './spacing.ts';

/** Addresses that are remembered; those not heard of for longest go first. */
const REMEMBERED = 10_000;
/** Milliseconds for which the requests of an address that flooded are spaced, and how. */
const SPACED_MS = 10_000;
const SPACING: Rate = { everyMs: 2.5, ahead: 20, longestMs: 1000 };

/** An address that flooded lately. */
interface Flooder {
  readonly until: number;
  readonly spacing: Spacing;
}

/**
 * Addresses of which a connection has been ended for a flood, for 10 seconds. Ending a connection alone bounds nothing: the
 * next one starts afresh. Memory is bounded. An IPv6 address counts with its /64.
 */
export class FloodPenalty {
  readonly #now: () => number;
  readonly #flooders = new LRUCache<string, Flooder>({ max: REMEMBERED });

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A connection of this address was ended for a flood. */
  report(address: string): void {
    const key = clientNetworkOf(address);
    const spacing = this.#flooders.get(key)?.spacing ?? new Spacing(SPACING);
    this.#flooders.set(key, { until: this.#now() + SPACED_MS, spacing });
  }

  /**
   * Milliseconds that one more request of this address waits, where beginning one is dear: 0 unless it flooded lately. Short
   * enough for others behind the same address: 400 requests a second.
   */
  distance(address: string): number {
    if (this.#flooders.size === 0) return 0;
    const key = clientNetworkOf(address);
    const known = this.#flooders.get(key);
    if (!known) return 0;
    const now = this.#now();
    if (now < known.until) return known.spacing.next(now);
    this.#flooders.delete(key);
    return 0;
  }
}
