import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { LRUCache } from 'lru-cache';
import type { Guard } from '../lifetime/guard.ts';
import { standingOf } from '../lifetime/standing.ts';
import { clientNetworkOf } from '../limits/peer-address.ts';
import { Tokens } from '../limits/tokens.ts';
import { UNIX_PEER } from './addresses.ts';
import { carrierOf, clientAddressOf } from './client-address.ts';
import type { BeginHandshake } from './tls-sniff.ts';

/** Milliseconds between two turns of the watch, and how late one has to be for a look. */
const TURN_MS = 50;
const LATE_MS = 50;
/** Every so many turns there is a look in any case: once a second. */
const LOOK_TURNS = 20;
/**
 * Bytes of records that a byte of content explains. Records of one byte each have 23 (RFC 8446, section 5.2): no client does worse. Small
 * requests and frames of callers have 1.6 at most, those of strangers 1.1 but for the first few: more is a reason to count.
 */
const PER_BYTE_AT_WORST = 32;
const PER_BYTE = { known: 1.6, stranger: 1.1 } as const;
/**
 * Bytes in a look that need no content: that no network pays for; that end no connection after a hold-up; and that end none at all.
 * Records that are padded (RFC 8446, section 5.4) have many, and cost little.
 */
const FREE_BYTES = 4096;
const HELD_UP_BYTES = 65_536;
const MOST_BYTES = 524_288;
/** Milliseconds of processor time per byte of KeyUpdates, and what a network may use of it per second. */
const MS_PER_BYTE = 0.001;
const PER_NETWORK = 100;
/** Milliseconds for which the connections of a network that used more are counted below TLS. */
const SUSPECT_MS = 600_000;
const MAX_NETWORKS = 10_000;
/** Connections of one network at a time, without a good credential, whose bytes OpenSSL gets as they come. */
const MOST_STRANGERS = 40;

interface Watched {
  readonly socket: TLSSocket;
  readonly carrier: Socket;
  readonly network: string;
  /** At the last look: bytes of records, and those of content. */
  raw: number;
  content: number;
}

/**
 * Holds connections of TLS 1.3 whose records carry next to nothing. OpenSSL derives new keys for each KeyUpdate of 27 bytes, inside of
 * Node's reads: nothing in JavaScript sees them, and one turn of the event loop gives OpenSSL all that has come on all connections.
 *
 * So the connections that it has at a time as they come are bounded for a network, until a credential on them is good, and the bytes below
 * TLS are compared with those above it once a second, and when the event loop was held up. Other connections of the network, and all of
 * one that was found, are counted below TLS (`BoundedHandshakes`): they wait for nothing, but each request costs more.
 */
export class IdleRecords {
  readonly #open = new Set<Watched>();
  readonly #used = new LRUCache<string, Tokens>({ max: MAX_NETWORKS });
  /** Networks that used more than they may, and until when that counts. */
  readonly #suspects = new LRUCache<string, number>({ max: MAX_NETWORKS });
  readonly #strangers = new Map<string, number>();
  readonly #leave = new WeakMap<object, () => void>();
  readonly #faulted: ((fault: 'tls_records') => void) | undefined;
  readonly #now: () => number;
  #turns = 0;
  #last: number;

  /** @param now monotonic milliseconds @param faulted told of each connection that is ended */
  constructor(now: () => number, faulted: ((fault: 'tls_records') => void) | undefined) {
    this.#now = now;
    this.#faulted = faulted;
    this.#last = now();
  }

  /** Watches until the timer is cleared. */
  begin(guard: Guard): NodeJS.Timeout {
    return guard.every(TURN_MS, () => this.#turn()).unref();
  }

  /** Begins a handshake in the one or the other way. */
  choosing(native: BeginHandshake, counted: BeginHandshake): BeginHandshake {
    return (socket, guard) => {
      const { address, proxies } = clientAddressOf(socket);
      // The connection of a trusted proxy carries the requests of others.
      const isTrusted = proxies !== undefined || address === UNIX_PEER;
      const network = clientNetworkOf(address);
      const strangers = this.#strangers.get(network) ?? 0;
      if (!isTrusted && (strangers >= MOST_STRANGERS || this.#isSuspect(network))) {
        counted(socket, guard);
        return;
      }
      if (!isTrusted) this.#enter(socket, network, guard);
      native(socket, guard);
    };
  }

  /** Adds a connection whose handshake began in the native way, and is done. @param guard of the listener */
  add(socket: TLSSocket, guard: Guard): void {
    const carrier = carrierOf(socket) as Socket | undefined;
    if (!carrier) return;
    const leave = this.#leave.get(carrier) ?? ignore;
    // Before TLS 1.3 a client can ask for nothing after its handshake: a new one is refused.
    if (socket.getProtocol() !== 'TLSv1.3') {
      leave();
      return;
    }
    standingOf(socket).whenKnown(leave);
    const network = clientNetworkOf(clientAddressOf(carrier).address);
    const one = { socket, carrier, network, raw: carrier.bytesRead, content: socket.bytesRead };
    this.#open.add(one);
    socket.on(
      'close',
      guard.entry(() => {
        if (this.#open.delete(one)) this.#weigh(one);
      }),
    );
  }

  /** @param most bytes in this look that need no content */
  look(most: number): void {
    for (const one of this.#open) {
      const { idle, blatant } = this.#weigh(one);
      const mostOfSuspect = standingOf(one.socket).isKnown ? most : FREE_BYTES;
      if (blatant > most || (idle > mostOfSuspect && this.#isSuspect(one.network))) this.#end(one);
    }
  }

  #turn(): void {
    const now = this.#now();
    const heldUp = now - this.#last > TURN_MS + LATE_MS;
    this.#last = now;
    this.#turns += 1;
    if (heldUp) this.look(HELD_UP_BYTES);
    else if (this.#turns % LOOK_TURNS === 0) this.look(MOST_BYTES);
  }

  /** Bytes since the last look that content does not explain, for which the network pays; and those that it does not at worst. */
  #weigh(one: Watched): { readonly idle: number; readonly blatant: number } {
    const { bytesRead: raw } = one.carrier;
    const { bytesRead: content } = one.socket;
    const [records, bytes] = [raw - one.raw, content - one.content];
    one.raw = raw;
    one.content = content;
    const idle = records - PER_BYTE[standingOf(one.socket).isKnown ? 'known' : 'stranger'] * bytes;
    if (idle > FREE_BYTES) this.#pay(one.network, idle * MS_PER_BYTE);
    return { idle, blatant: records - PER_BYTE_AT_WORST * bytes };
  }

  #pay(network: string, ms: number): void {
    const now = this.#now();
    const used = this.#used.get(network) ?? new Tokens({ per: 'second', most: PER_NETWORK }, now);
    this.#used.set(network, used);
    used.settle(0, ms, now);
    if (used.wait(1, now) > 0) this.#suspects.set(network, now + SUSPECT_MS);
  }

  #isSuspect(network: string): boolean {
    return (this.#suspects.get(network) ?? 0) > this.#now();
  }

  #enter(carrier: Socket, network: string, guard: Guard): void {
    this.#strangers.set(network, (this.#strangers.get(network) ?? 0) + 1);
    const leave = (): void => {
      if (!this.#leave.delete(carrier)) return;
      carrier.off('close', closed);
      const left = (this.#strangers.get(network) ?? 1) - 1;
      if (left > 0) this.#strangers.set(network, left);
      else this.#strangers.delete(network);
    };
    const closed = guard.entry(leave);
    this.#leave.set(carrier, leave);
    carrier.on('close', closed);
  }

  #end(one: Watched): void {
    this.#open.delete(one);
    this.#faulted?.('tls_records');
    one.socket.destroy();
  }
}

function ignore(): void {}
