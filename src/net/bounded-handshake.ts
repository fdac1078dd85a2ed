import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { TLSSocket, Server as TlsServer } from 'node:tls';
import type { Guard } from '../lifetime/guard.ts';
import type { HandshakeBudget } from '../limits/handshake-budget.ts';
import { clientNetworkOf } from '../limits/peer-address.ts';
import { Cost, type WorkScheduler } from '../limits/work-scheduler.ts';
import { clientAddressOf, noteCarrier } from './client-address.ts';
import { type Counted, RecordCount } from './record-count.ts';

/** More bytes than these after a ClientHello may be certificates: without any a client sends about 100. */
const FLIGHT_BYTES = 512;
/** Header of a record and of the message in it (RFC 8446, sections 5.1 and 4): the length of the message is in the last three bytes. */
const HEADERS_BYTES = 9;
/** Shortest and longest pause before the budget is asked again, in milliseconds. */
const LEAST_WAIT_MS = 10;
const MOST_WAIT_MS = 500;

/**
 * Records of TLS 1.3 without content, such as KeyUpdates, that a connection may send at once, and then per second. OpenSSL takes about 20 us
 * for one. It is looked after so many records.
 */
const MOST_EMPTY = 256;
const EMPTY_PER_MS = 0.008;
const LOOK_RECORDS = 64;
/** The message in a KeyUpdate (RFC 8446, sections 4 and 4.6.3): the room of its record that is no content. */
const KEY_UPDATE_BYTES = 5;

/** The client's certificate in a handshake: one that OpenSSL verified, one that it did not, or none. */
type Shown = 'verified' | 'unverified' | 'none';

/** Bounds of the connections of one listener whose bytes pass through JavaScript. */
export interface HandshakeBounds {
  /** Most bytes that a client sends before its handshake is done. */
  readonly maxBytes: number;
  readonly budget: HandshakeBudget;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Told of a client that sends more, and of one whose records carry nothing. */
  readonly faulted: ((fault: 'handshake_size' | 'tls_records') => void) | undefined;
  /** Records take turns with everything else. */
  readonly scheduler: WorkScheduler;
}

/**
 * Connections of a TLS server whose bytes pass through JavaScript below TLS, so that they can be counted before OpenSSL has them; Node
 * gives no other way. That costs each request more, and holds two floods that would stop the thread of all clients:
 * - Certificates: OpenSSL takes 100 KB of them from any client, and checks each signature before the handshake is done. The bytes of a
 *   handshake are bounded, and its certificates wait for the budget.
 * - Records without content, such as KeyUpdates of TLS 1.3: OpenSSL goes on as long as there are bytes. They are bounded.
 *
 * INVARIANT: no handshake that asks for certificates begins without it, whatever its network has shown before.
 */
export class BoundedHandshakes {
  readonly #tls: Pick<TlsServer, 'emit'>;
  readonly #bounds: HandshakeBounds;
  /** The one whose bytes OpenSSL has at this moment. */
  #fed: BoundedHandshake | undefined;

  constructor(tls: Pick<TlsServer, 'emit'>, bounds: HandshakeBounds) {
    this.#tls = tls;
    this.#bounds = bounds;
  }

  /** The handshake that `secureConnection` tells of is one of these. */
  get isDue(): boolean {
    return this.#fed?.isDone === false;
  }

  /** Begins a handshake. Nothing is listening to the socket but for its end. */
  begin(socket: Socket, guard: Guard): void {
    const network = clientNetworkOf(clientAddressOf(socket).address);
    const one = new BoundedHandshake(socket, { ...this.#bounds, network, guard }, (work) => {
      const before = this.#fed;
      this.#fed = one;
      try {
        work();
      } finally {
        this.#fed = before;
      }
    });
    this.#tls.emit('connection', one);
  }

  /**
   * To be called first on `secureConnection`, which Node emits while OpenSSL has the last bytes of the handshake. Without it the
   * connection ends at its bound.
   */
  done(socket: TLSSocket): void {
    const one = this.#fed;
    // INVARIANT: the one that is fed is the one that is done: the bytes of no other were given to OpenSSL since.
    if (!one || one.isDone) {
      socket.destroy();
      throw new TypeError('a handshake was done without bytes');
    }
    one.done(shownBy(socket), socket);
    noteCarrier(socket, one.carrier);
  }
}

function shownBy(socket: TLSSocket): Shown {
  if (socket.authorized) return 'verified';
  return socket.getPeerX509Certificate() ? 'unverified' : 'none';
}

interface ConnectionBounds extends HandshakeBounds {
  /** That of the client. */
  readonly network: string;
  /** Of the connection. */
  readonly guard: Guard;
}

/**
 * The connection below TLS, as the stream that Node asks for: its events and methods are those of the socket, without buffers of
 * its own, so that a byte costs little once the handshake is done.
 */
class BoundedHandshake extends EventEmitter {
  readonly carrier: Socket;
  readonly readable = true;
  readonly writable = true;
  readonly allowHalfOpen = false;
  readonly #bounds: ConnectionBounds;
  /** Runs what gives bytes to OpenSSL. */
  readonly #feeding: (work: () => void) => void;
  readonly #records = new RecordCount();
  #shown: Shown | undefined;
  #isOld = false;
  /** The connection above, once the handshake is done. */
  #secure: TLSSocket | undefined;
  /** Records without content, less those that it may send; not below 0. And when (ms) they were counted. */
  #empty = 0;
  #emptyAt = 0;
  /** The client has ended its half while bytes before the end waited. */
  #endWaits = false;
  /** Bytes of the handshake so far. */
  #received = 0;
  /** Those of them after the ClientHello. */
  #flight = 0;
  /** Charged so far, in milliseconds of processor time. */
  #charged = 0;
  /** Bytes that wait for the budget. */
  #held: Buffer | undefined;
  #paused = false;

  constructor(carrier: Socket, bounds: ConnectionBounds, feeding: (work: () => void) => void) {
    super();
    this.carrier = carrier;
    this.#bounds = bounds;
    this.#feeding = feeding;
    const { guard } = bounds;
    // TLS ends its own half.
    carrier.allowHalfOpen = true;
    carrier.on(
      'data',
      guard.entry((chunk: Buffer) => {
        if (!this.#secure) this.#take(chunk);
        else if (bounds.scheduler.crowded) this.#wait(chunk, this.#secure);
        else this.#pass(chunk, this.#secure);
      }),
    );
    carrier.once(
      'end',
      guard.entry(() => {
        // INVARIANT: the end passes no byte that waits. Node tells of it on a paused socket, too.
        if (this.#held) this.#endWaits = true;
        else this.emit('end');
      }),
    );
    carrier.once(
      'close',
      guard.entry(() => void this.emit('close')),
    );
  }

  get isDone(): boolean {
    return this.#shown !== undefined;
  }

  done(shown: Shown, secure: TLSSocket): void {
    this.#shown = shown;
    this.#secure = secure;
    // Before TLS 1.3 there is no message of its own behind the handshake.
    this.#isOld = secure.getProtocol() !== 'TLSv1.3';
  }

  isPaused(): boolean {
    return this.carrier.isPaused();
  }

  pause(): this {
    this.#paused = true;
    this.carrier.pause();
    return this;
  }

  resume(): this {
    this.#paused = false;
    if (!this.#held) this.carrier.resume();
    return this;
  }

  write(chunk: Buffer, written: (error?: Error | null) => void): boolean {
    return this.carrier.write(chunk, written);
  }

  cork(): void {
    this.carrier.cork();
  }

  uncork(): void {
    this.carrier.uncork();
  }

  end(ended: () => void): void {
    this.carrier.end(ended);
  }

  destroy(): void {
    this.carrier.destroy();
  }

  /** Bytes before the handshake is done. */
  #take(chunk: Buffer): void {
    const isFirst = this.#received === 0;
    const own = isFirst ? helloBytes(chunk) : chunk.length;
    if (!isFirst && this.#waits(chunk)) return;
    const room = this.#bounds.maxBytes - this.#received;
    const taken = chunk.subarray(0, Math.min(own, room));
    this.#received += taken.length;
    if (taken.length > 0) this.#feed(taken);
    if (taken.length === chunk.length || this.carrier.destroyed) return;
    const rest = chunk.subarray(taken.length);
    // The rest is what follows the handshake, if it is done.
    if (this.#secure) this.#pass(rest, this.#secure);
    else if (own > room || taken.length === 0) this.#refuse();
    else this.#take(rest);
  }

  /**
   * Bytes after the handshake. INVARIANT: OpenSSL gets no more records at a time than may be empty ones, and no more in a turn of the
   * event loop than other work gets.
   */
  #pass(chunk: Buffer, secure: TLSSocket): void {
    for (let from = 0; from < chunk.length && !this.carrier.destroyed; ) {
      const to = this.#records.advance(chunk, from, LOOK_RECORDS);
      const before = secure.bytesRead;
      this.emit('data', from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
      from = to;
      const counted = this.#records.take();
      const empty = this.#emptyOf(counted, secure.bytesRead - before);
      if (this.#empty > MOST_EMPTY) {
        this.#bounds.faulted?.('tls_records');
        this.carrier.destroy();
        return;
      }
      const cost = (counted.records - empty) * Cost.TLS_RECORD + empty * Cost.EMPTY_TLS_RECORD;
      if (!this.#bounds.scheduler.spend(cost) && from < chunk.length) {
        this.#wait(chunk.subarray(from), secure);
        return;
      }
    }
  }

  /** Counts how many of these records may be empty: small ones, as far as their room was not filled. A padded record is no small one. */
  #emptyOf({ small, room }: Counted, content: number): number {
    if (this.#isOld) return 0;
    const empty = Math.min(small, Math.max(0, Math.ceil((room - content) / KEY_UPDATE_BYTES)));
    const now = this.#bounds.now();
    this.#empty = Math.max(0, this.#empty - (now - this.#emptyAt) * EMPTY_PER_MS) + empty;
    this.#emptyAt = now;
    return empty;
  }

  /** INVARIANT: no byte passes one that waits: the socket is paused until then. */
  #wait(rest: Buffer, secure: TLSSocket): void {
    this.#held = rest;
    this.carrier.pause();
    this.#bounds.scheduler.wait(this.#bounds.guard.entry(() => this.#goOn(() => this.#pass(rest, secure))));
  }

  /** The bytes that waited go on, and what came behind them. */
  #goOn(pass: () => void): void {
    this.#held = undefined;
    if (this.carrier.destroyed) return;
    pass();
    if (this.#held) return;
    if (this.#endWaits) this.emit('end');
    else if (!this.#paused) this.carrier.resume();
  }

  /** Holds bytes that may be certificates if the budget is used up. */
  #waits(chunk: Buffer): boolean {
    const { maxBytes, budget, network, now } = this.#bounds;
    this.#flight = Math.min(maxBytes, this.#flight + chunk.length);
    const wait = this.#flight > FLIGHT_BYTES ? budget.wait(network, this.#flight, now()) : 0;
    if (wait <= 0) return false;
    this.#flight -= Math.min(this.#flight, chunk.length);
    this.#hold(chunk, wait);
    return true;
  }

  /** INVARIANT: no byte passes one that waits: the socket is paused until then. */
  #hold(chunk: Buffer, wait: number): void {
    this.#held = chunk;
    this.carrier.pause();
    const again = this.#bounds.guard.entry(() => this.#goOn(() => this.#take(chunk)));
    const timer = setTimeout(again, Math.min(Math.max(wait, LEAST_WAIT_MS), MOST_WAIT_MS));
    timer.unref();
  }

  /** Gives bytes to OpenSSL, and charges for what it does with them unless the client has a good certificate or none. */
  #feed(bytes: Buffer): void {
    const { budget, network } = this.#bounds;
    this.#records.advance(bytes, 0, Number.POSITIVE_INFINITY);
    this.#records.take();
    const before = process.threadCpuUsage();
    this.#feeding(() => void this.emit('data', bytes));
    const { user, system } = process.threadCpuUsage(before);
    const now = this.#bounds.now();
    const isHarmless = this.#shown === 'verified' || this.#shown === 'none';
    const ms = isHarmless ? -this.#charged : (user + system) / 1000;
    this.#charged += ms;
    budget.charge(network, ms, now);
    if (this.#shown === 'verified') budget.verified(network, now);
  }

  #refuse(): void {
    this.#bounds.faulted?.('handshake_size');
    this.carrier.destroy();
  }
}

/**
 * The number of the first bytes that are a ClientHello and no more. With TLS 1.2 a client can send certificates behind it at once, even
 * in the same record.
 */
function helloBytes(chunk: Buffer): number {
  return chunk.length < HEADERS_BYTES ? chunk.length : Math.min(chunk.length, HEADERS_BYTES + chunk.readUIntBE(6, 3));
}
