import { LRUCache } from 'lru-cache';
import { Tokens } from './tokens.ts';

/** Milliseconds of processor time per second for the certificates of one network, of which none was verified. */
const PER_NETWORK = 100;
/** The same for all networks together that have shown no verified certificate. */
const FOR_STRANGERS = 250;
/** The highest cost of a byte of certificates, in milliseconds: RSA keys of 3072 bits with an exponent as long. */
const MS_PER_BYTE = 0.0036;
/** Networks that are remembered. */
const MAX_NETWORKS = 10_000;
/** Milliseconds for which a verified certificate makes its network a known one. */
const KNOWN_MS = 3_600_000;

/**
 * The processor time that clients may use, in handshakes, for certificates that turn out not to be verified. Certificates wait while
 * their network, or all strangers together, have used theirs up. Times in monotonic milliseconds.
 */
export class HandshakeBudget {
  readonly #networks = new LRUCache<string, Tokens>({ max: MAX_NETWORKS });
  /** Until when a network is a known one. */
  readonly #known = new LRUCache<string, number>({ max: MAX_NETWORKS });
  #strangers: Tokens | undefined;

  /** Milliseconds that certificates of `bytes` bytes have to wait; 0 = they do not. Small ones wait less. */
  wait(network: string, bytes: number, now: number): number {
    const cost = bytes * MS_PER_BYTE;
    const own = this.#networks.get(network)?.wait(Math.min(cost, PER_NETWORK), now) ?? 0;
    return this.#isKnown(network, now) ? own : Math.max(own, this.#all(now).wait(Math.min(cost, FOR_STRANGERS), now));
  }

  /** Takes what certificates have used; below 0 it gives back. @param ms of processor time */
  charge(network: string, ms: number, now: number): void {
    const own = this.#networks.get(network) ?? new Tokens({ per: 'second', most: PER_NETWORK }, now);
    this.#networks.set(network, own);
    own.settle(0, ms, now);
    if (!this.#isKnown(network, now)) this.#all(now).settle(0, ms, now);
  }

  /** A certificate of the network was verified. */
  verified(network: string, now: number): void {
    this.#known.set(network, now + KNOWN_MS);
  }

  #isKnown(network: string, now: number): boolean {
    return (this.#known.get(network) ?? 0) > now;
  }

  #all(now: number): Tokens {
    this.#strangers ??= new Tokens({ per: 'second', most: FOR_STRANGERS }, now);
    return this.#strangers;
  }
}
