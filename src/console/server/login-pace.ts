import { LRUCache } from 'lru-cache';
import { clientNetworkOf } from '../../limits/peer-address.ts';
import { Tokens } from '../../limits/tokens.ts';

/** Wrong keys of one network: so many at once, and as many a minute. */
const QUOTA = { per: 'minute', most: 30 } as const;
/** The sentence for a try that comes too early. */
export function tooEarly(earlyMs: number): string {
  return `too many wrong keys came from your network: try again in ${Math.ceil(earlyMs / 1000)} s`;
}

/** Networks that are remembered; of more, the one that was seen last longest ago begins anew. */
const MOST_NETWORKS = 10_000;

/**
 * Bounds the wrong keys of one network (an IPv4 address, an IPv6 /64), whatever number of connections it has. A key that is right
 * counts nothing.
 */
export class LoginPace {
  readonly #networks = new LRUCache<string, Tokens>({ max: MOST_NETWORKS });
  readonly #now: () => number;

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts a try before its key is looked at. Returns the milliseconds that it comes too early; 0 = it may go on. */
  begin(remote: string): number {
    const tokens = this.#of(remote);
    const early = tokens.wait(1, this.#now());
    if (early === 0) tokens.take(1);
    return early;
  }

  /** The key was right: the try counts nothing. */
  right(remote: string): void {
    this.#of(remote).settle(1, 0, this.#now());
  }

  #of(remote: string): Tokens {
    const network = clientNetworkOf(remote);
    const tokens = this.#networks.get(network) ?? new Tokens(QUOTA, this.#now());
    this.#networks.set(network, tokens);
    return tokens;
  }
}
