import type { Socket } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { Guard } from '../lifetime/guard.ts';
import { clientNetworkOf } from './peer-address.ts';
import { type Rate, Spacing } from './spacing.ts';

/** Addresses that are remembered; the longest unheard of go first. */
const REMEMBERED = 10_000;
/** Milliseconds between two connections of a suspect, after its first flood and at most. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1000;
/** A connection that would have to wait longer is refused. */
const LONGEST_WAIT_MS = 2000;

/** Milliseconds for which requests of an address that flooded keep a distance, and which. */
const RESTLESS_MS = 10_000;
const DISTANCE: Rate = { everyMs: 2.5, ahead: 20, longestMs: 1000 };

/** An address that flooded lately. */
interface Restless {
  readonly until: number;
  readonly spacing: Spacing;
}

interface Flooder {
  pauseMs: number;
  /** Clock reading (ms) at which the next connection may begin, and at which all is forgotten. */
  nextAt: number;
  until: number;
}

/**
 * Addresses of which a connection has been ended for a flood, for some time. Ending a connection alone bounds nothing:
 * the next one starts afresh and costs a handshake besides. Memory is bounded. An IPv6 address counts with its /64.
 */
export class FloodPenalty {
  readonly #forMs: number;
  readonly #now: () => number;
  readonly #records = new LRUCache<string, Flooder>({ max: REMEMBERED });
  readonly #restless = new LRUCache<string, Restless>({ max: REMEMBERED });

  /** @param forMs how long an address is remembered after its last flood; 0 = never */
  constructor(forMs: number, now: () => number) {
    this.#forMs = forMs;
    this.#now = now;
  }

  /** A connection of this address was ended for a flood. */
  report(address: string): void {
    const now = this.#now();
    const key = clientNetworkOf(address);
    const spacing = this.#restless.get(key)?.spacing ?? new Spacing(DISTANCE);
    this.#restless.set(key, { until: now + RESTLESS_MS, spacing });
    if (this.#forMs === 0) return;
    const known = this.#known(key, now);
    const pauseMs = known ? Math.min(known.pauseMs * 2, LONGEST_PAUSE_MS) : FIRST_PAUSE_MS;
    this.#records.set(key, { pauseMs, nextAt: known?.nextAt ?? now + pauseMs, until: now + this.#forMs });
  }

  /**
   * Milliseconds that one more request of this address waits, where beginning one is dear: 0 unless it flooded lately. Short
   * enough for others behind the same address: 400 requests a second.
   */
  distance(address: string): number {
    if (this.#restless.size === 0) return 0;
    const key = clientNetworkOf(address);
    const known = this.#restless.get(key);
    if (!known) return 0;
    const now = this.#now();
    if (now < known.until) return known.spacing.next(now);
    this.#restless.delete(key);
    return 0;
  }

  /** Has this address flooded lately, and is that held against it? */
  has(address: string): boolean {
    return this.#records.size > 0 && this.#known(clientNetworkOf(address), this.#now()) !== undefined;
  }

  /** Milliseconds a new connection of this address has to wait before it is looked at; `undefined` = it is refused. */
  admit(address: string): number | undefined {
    if (this.#records.size === 0) return 0;
    const now = this.#now();
    const known = this.#known(clientNetworkOf(address), now);
    if (!known) return 0;
    const at = Math.max(now, known.nextAt);
    if (at - now > LONGEST_WAIT_MS) return undefined;
    known.nextAt = at + known.pauseMs;
    return at - now;
  }

  #known(key: string, now: number): Flooder | undefined {
    const known = this.#records.get(key);
    if (!known || now < known.until) return known;
    this.#records.delete(key);
    return undefined;
  }
}

/**
 * Goes on with a new connection: at once, or for a suspect when it is its turn, or never. No byte is read before.
 *
 * @param guard of the connection
 */
export function admit(socket: Socket, floodPenalty: FloodPenalty, guard: Guard, go: () => void): void {
  const wait = floodPenalty.admit(socket.remoteAddress ?? '');
  if (wait === 0) {
    go();
    return;
  }
  socket.on(
    'error',
    guard.entry(() => void socket.destroy()),
  );
  if (wait === undefined) {
    socket.resetAndDestroy();
    return;
  }
  const timer = guard.after(wait, () => {
    if (!socket.destroyed) go();
  });
  socket.once(
    'close',
    guard.entry(() => clearTimeout(timer)),
  );
}
