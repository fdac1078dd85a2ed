import { LRUCache } from 'lru-cache';
import type { Principal } from '../identity/principal.ts';
import { Tokens } from '../limits/tokens.ts';

/** Sources whose rate is remembered. */
const MAX_SOURCES = 10_000;

/** Bounds the tokens that are minted for each key with each subject, in this process. */
export class MintingRate {
  readonly #buckets = new LRUCache<string, Tokens>({ max: MAX_SOURCES });

  /** Takes one. Returns whole seconds to wait if there is none, else 0. @param now monotonic milliseconds */
  take({ keyId, subject }: Principal, perMinute: number, now: number): number {
    const name = JSON.stringify([keyId, subject]);
    let bucket = this.#buckets.get(name);
    if (bucket?.quota.most !== perMinute) bucket = new Tokens({ per: 'minute', most: perMinute }, now);
    this.#buckets.set(name, bucket);
    const waitMs = bucket.wait(1, now);
    if (waitMs > 0) return Math.max(1, Math.ceil(waitMs / 1000));
    bucket.take(1);
    return 0;
  }
}
