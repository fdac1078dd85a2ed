import { LRUCache } from 'lru-cache';
import { clientNetworkOf } from './peer-address.ts';
import { type Rate, Spacing } from './spacing.ts';

/** Addresses remembered; the least recently used is evicted first. */
const REMEMBERED = 10_000;
/** Milliseconds for which requests of an address that flooded are delayed, and their rate. */
const SPACED_MS = 10_000;
const SPACING: Rate = { everyMs: 2.5, ahead: 20, longestMs: 1000 };

/** An address with a penalty in force. */
interface Flooder {
  readonly until: number;
  readonly spacing: Spacing;
}

/**
 * Delays requests of an address for 10 seconds after one of its connections was ended for a flood: without it, a new
 * connection starts with full limits. Memory is bounded. IPv6 addresses count by their /64.
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
   * The delay in milliseconds of one more HTTP/2 request of this address; 0 without a penalty. The rate is 400 requests a
   * second, enough for other clients behind the same address.
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
