import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { LRUCache } from 'lru-cache';
import type { Guard } from '../lifetime/guard.ts';
import { clientNetworkOf } from '../limits/peer-address.ts';
import { Tokens } from '../limits/tokens.ts';
import { carrierOf, clientAddressOf } from './client-address.ts';
import type { BeginHandshake } from './tls-sniff.ts';

/** Milliseconds between two turns of the watch, and how late one has to be for a look. */
const TURN_MS = 50;
const LATE_MS = 50;
/** Every so many turns there is a look in any case: once a second. */
const LOOK_TURNS = 20;
/** Bytes that need not be explained by content, at once and then per second. */
const ALLOWED_BYTES = 65_536;
const ALLOWED_PER_LOOK = 4096;
/** Bytes of records for each byte of content: 23 in records of one byte each (RFC 8446, section 5.2). No more than that after a hold-up. */
const PER_BYTE = 32;
const PER_BYTE_HELD_UP = 24;
/** Milliseconds of processor time per byte of KeyUpdates, and what a network may use of it per second. */
const MS_PER_BYTE = 0.001;
const PER_NETWORK = 100;
const MAX_NETWORKS = 10_000;

interface Watched {
  readonly socket: TLSSocket;
  readonly carrier: Socket;
  readonly network: string;
  /** At the last look: bytes of records, those of content, and what is not explained so far. */
  raw: number;
  content: number;
  excess: number;
}

/**
 * Ends connections of TLS 1.3 whose records carry next to nothing. OpenSSL derives new keys for each KeyUpdate of 27 bytes, inside of
 * Node's reads: nothing in JavaScript sees them. So the bytes below TLS are compared with those above it, once a second, and when the
 * event loop was held up.
 */
export class IdleRecords {
  readonly #open = new Set<Watched>();
  readonly #offenders = new LRUCache<string, Tokens>({ max: MAX_NETWORKS });
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

  /** Adds a connection whose handshake is done. @param guard of the listener */
  add(socket: TLSSocket, guard: Guard): void {
    const carrier = carrierOf(socket) as Socket | undefined;
    if (!carrier || socket.getProtocol() !== 'TLSv1.3') return;
    const network = clientNetworkOf(clientAddressOf(carrier).address);
    const one = { socket, carrier, network, raw: carrier.bytesRead, content: socket.bytesRead, excess: 0 };
    this.#open.add(one);
    socket.once(
      'close',
      guard.entry(() => void this.#open.delete(one)),
    );
  }

  /** The same beginning; it waits, up to `mostMs` milliseconds, while the client's network pays for a connection that was ended. */
  delayed(begin: BeginHandshake, mostMs: number): BeginHandshake {
    return (socket, guard) => {
      const network = clientNetworkOf(clientAddressOf(socket).address);
      const wait = this.#offenders.get(network)?.wait(1, this.#now()) ?? 0;
      if (wait <= 0) begin(socket, guard);
      else guard.after(Math.min(wait, mostMs), () => socket.destroyed || begin(socket, guard)).unref();
    };
  }

  #turn(): void {
    const now = this.#now();
    const heldUp = now - this.#last > TURN_MS + LATE_MS;
    this.#last = now;
    this.#turns += 1;
    if (heldUp) this.look(PER_BYTE_HELD_UP, 0);
    else if (this.#turns % LOOK_TURNS === 0) this.look(PER_BYTE, ALLOWED_PER_LOOK);
  }

  /** @param perByte bytes of records that one of content explains @param allowed those that need no content */
  look(perByte: number, allowed: number): void {
    for (const one of this.#open) {
      const { bytesRead: raw } = one.carrier;
      const { bytesRead: content } = one.socket;
      const more = raw - one.raw - perByte * (content - one.content) - allowed;
      one.raw = raw;
      one.content = content;
      one.excess = Math.max(0, one.excess + more);
      if (one.excess > ALLOWED_BYTES) this.#end(one);
    }
  }

  #end({ socket, network, excess }: Watched): void {
    const now = this.#now();
    const used = this.#offenders.get(network) ?? new Tokens({ per: 'second', most: PER_NETWORK }, now);
    this.#offenders.set(network, used);
    used.settle(0, excess * MS_PER_BYTE, now);
    this.#faulted?.('tls_records');
    socket.destroy();
  }
}
