import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket, type TLSSocketOptions, type Server as TlsServer } from 'node:tls';
import type { Guard } from '../../lifetime/guard.ts';
import { clientNetworkOf } from '../../limits/peer-address.ts';
import { clientAddressOf, noteCarrier } from '../client-address.ts';
import type { BeginHandshake } from '../tls-sniff.ts';
import { Below, writeAtOnce } from './below.ts';
import { type CertificateBounds, CertificateBytes, type HandshakeStep } from './certificate-bytes.ts';
import { isSocketHandle, releaseControl, type SocketHandle, streamBelow, unknownNode, verify } from './internals.ts';
import { type Passed, type RecordBounds, RecordTurns } from './record-turns.ts';

/** Node reads no more at a time. */
const READ_BYTES = 65_536;
/** The bytes of the connection that is read at this moment. */
const shared = Buffer.allocUnsafeSlow(READ_BYTES);
/** Shortest and longest pause before the budget of certificates is asked again, in milliseconds. */
const LEAST_WAIT_MS = 10;
const MOST_WAIT_MS = 500;

/** Bounds of the connections of one listener. */
export interface ReadingBounds extends RecordBounds, CertificateBounds {
  /** Told of a client that sends more than a handshake may have, and of one whose records carry nothing. */
  readonly faulted: ((fault: 'handshake_size' | 'tls_records') => void) | undefined;
  readonly timeoutMs: number;
  /** Told of each connection when its handshake begins. */
  readonly begun?: (socket: Socket) => void;
  /** Chooses a certificate. Default: that of the server. */
  readonly SNICallback?: TLSSocketOptions['SNICallback'];
}

/** A TLS server, and what it keeps without naming it in its documents (`lib/internal/tls/wrap.js`). */
type Server = TlsServer & {
  readonly _sharedCreds?: SecureContext;
  readonly ALPNProtocols?: Buffer;
  readonly ALPNCallback?: TLSSocketOptions['ALPNCallback'];
  readonly requestCert?: boolean;
  readonly rejectUnauthorized?: boolean;
};

/**
 * Begins handshakes of a TLS server, which tells of them as of its own: `secureConnection`, `tlsClientError`. One that fails ends its
 * connection.
 *
 * By itself Node gives OpenSSL up to two megabytes of a socket at a time, and nothing in JavaScript runs between them. Here the bytes
 * come to JavaScript first, into a buffer that all connections share, and go to OpenSSL record by record (`RecordTurns`), those of a
 * handshake that asks for certificates within bounds (`CertificateBytes`).
 *
 * INVARIANT: no connection is read in another way, whatever is known of its client.
 */
export function readingTls(server: Server, bounds: ReadingBounds): BeginHandshake {
  return (socket, guard) => {
    const { _sharedCreds: secureContext, ALPNProtocols, ALPNCallback, requestCert, rejectUnauthorized } = server;
    const handle = '_handle' in socket ? socket._handle : undefined;
    if (!isSocketHandle(handle) || !secureContext) throw unknownNode();
    bounds.begun?.(socket);
    const early: unknown = socket.read();
    const below = new Below(socket, handle);
    // Of a socket it takes no more than a stream has.
    const secure = new TLSSocket(below as unknown as Socket, {
      ...{ isServer: true, server, secureContext, handshakeTimeout: bounds.timeoutMs },
      ...{ requestCert: requestCert === true, rejectUnauthorized: rejectUnauthorized === true },
      ...(ALPNProtocols ? { ALPNProtocols } : {}),
      ...(ALPNCallback ? { ALPNCallback } : {}),
      ...(bounds.SNICallback ? { SNICallback: bounds.SNICallback } : {}),
    });
    // TLS ends its own half.
    socket.allowHalfOpen = true;
    const certificates = requestCert
      ? new CertificateBytes(bounds, clientNetworkOf(clientAddressOf(socket).address))
      : undefined;
    noteCarrier(secure, socket);
    const stream = streamBelow(secure);
    writeAtOnce(stream, socket, guard);
    const give = (bytes: Buffer): void => stream._handle?.readBuffer(bytes);
    const reading = new TlsReading(socket, handle, { secure, below, give, bounds, guard, certificates });
    asServer(server, secure, guard, () => reading.done());
    if (early instanceof Buffer) reading.came(early);
  };
}

/** Tells the server of a handshake, as it does itself of its own (`tlsConnectionListener`). */
function asServer(server: Server, secure: TLSSocket, guard: Guard, done: () => void): void {
  let isTold = false;
  const failed = guard.entry((error: unknown) => {
    if (isTold) return;
    isTold = true;
    server.emit('tlsClientError', error, secure);
    secure.destroy();
  });
  secure.on(
    'secure',
    guard.entry(() => {
      if (server.requestCert && !verify(secure) && server.rejectUnauthorized) secure.destroy();
      if (secure.destroyed || !releaseControl(secure)) return;
      isTold = true;
      done();
      server.emit('secureConnection', secure);
    }),
  );
  secure.on('_tlsError', failed);
  secure.on('error', failed);
  // It has told before, if it was done.
  secure.on('close', failed);
}

interface Connection {
  readonly secure: TLSSocket;
  readonly below: Below;
  /** Gives bytes to OpenSSL. */
  readonly give: (bytes: Buffer) => void;
  readonly bounds: ReadingBounds;
  /** Of the connection. */
  readonly guard: Guard;
  readonly certificates: CertificateBytes | undefined;
}

/** Reads one connection. */
class TlsReading {
  readonly #secure: TLSSocket;
  readonly #bounds: ReadingBounds;
  readonly #guard: Guard;
  readonly #turns: RecordTurns;
  readonly #below: Below;
  readonly #give: (bytes: Buffer) => void;
  /** Of a handshake that asks for a certificate, until it is done. */
  #certificates: CertificateBytes | undefined;
  /** Bytes of it that may go to OpenSSL, and have not yet. */
  #granted = 0;
  /** Bytes that wait for the turn of the connection, or for the budget. */
  #held: Buffer | undefined;
  /** The client has ended its half while bytes before the end waited. */
  #endWaits = false;

  constructor(socket: Socket, handle: SocketHandle, { secure, below, give, bounds, guard, certificates }: Connection) {
    this.#secure = secure;
    this.#bounds = bounds;
    this.#guard = guard;
    this.#certificates = certificates;
    this.#turns = new RecordTurns(bounds);
    this.#below = below;
    this.#give = give;
    // Its own reader knows of ends and errors, and tells `socket` of them.
    const { onread } = handle;
    let before = handle.bytesRead;
    handle.useUserBuffer(shared);
    handle.onread = guard.entry(() => {
      const bytes = handle.bytesRead - before;
      before += bytes;
      if (bytes > 0) this.came(shared.subarray(0, bytes));
      else Reflect.apply(onread, handle, []);
    });
    socket.once(
      'close',
      guard.entry(() => {
        below.emit('close');
        // In the same turn, as above a socket: who closes the socket may look at what is above it next.
        secure.destroy();
      }),
    );
    socket.once(
      'end',
      guard.entry(() => {
        // INVARIANT: the end passes no byte that waits.
        if (this.#held) this.#endWaits = true;
        else this.#end();
      }),
    );
  }

  /** The handshake is done, while OpenSSL has its last bytes. */
  done(): void {
    this.#turns.done(this.#secure);
    this.#certificates?.done(this.#secure);
    this.#certificates = undefined;
  }

  /** Bytes of the client, which are good until it returns. */
  came(bytes: Buffer): void {
    if (this.#secure.destroyed) return;
    if (this.#bounds.scheduler.crowded) this.#wait(bytes);
    else this.#take(bytes);
  }

  #take(bytes: Buffer): void {
    let left = bytes;
    while (left.length > 0 && !this.#secure.destroyed) {
      const step = this.#stepOf(left);
      if (step === 'too-many') {
        this.#refuse('handshake_size');
        return;
      }
      if ('waitMs' in step) {
        this.#waitForBudget(left, step.waitMs);
        return;
      }
      const piece = left.subarray(0, step.bytes);
      const passed = this.#certificates?.charged(() => this.#pass(piece)) ?? this.#pass(piece);
      if (passed === 'flood') {
        this.#refuse('tls_records');
        return;
      }
      this.#granted = this.#certificates ? step.bytes - passed : 0;
      left = left.subarray(passed);
      if (passed < piece.length) {
        this.#wait(left);
        return;
      }
    }
  }

  #pass(piece: Buffer): Passed {
    return this.#turns.pass(piece, this.#give);
  }

  #stepOf(left: Buffer): HandshakeStep {
    if (!this.#certificates) return { bytes: left.length };
    return this.#granted > 0 ? { bytes: Math.min(this.#granted, left.length) } : this.#certificates.next(left);
  }

  #refuse(fault: 'handshake_size' | 'tls_records'): void {
    this.#bounds.faulted?.(fault);
    this.#secure.destroy();
  }

  /** INVARIANT: no byte passes one that waits. */
  #hold(bytes: Buffer): void {
    // The buffer is the next connection's.
    this.#held = Buffer.from(bytes);
    this.#below.held = true;
  }

  #wait(bytes: Buffer): void {
    if (this.#secure.destroyed) return;
    this.#hold(bytes);
    this.#bounds.scheduler.wait(this.#guard.entry(() => this.#goOn()));
  }

  #waitForBudget(bytes: Buffer, waitMs: number): void {
    this.#hold(bytes);
    this.#guard.after(Math.min(Math.max(waitMs, LEAST_WAIT_MS), MOST_WAIT_MS), () => this.#goOn()).unref();
  }

  #goOn(): void {
    const held = this.#held;
    this.#held = undefined;
    if (!held || this.#secure.destroyed) return;
    this.#take(held);
    if (this.#held || this.#secure.destroyed) return;
    if (this.#endWaits) this.#end();
    else this.#below.held = false;
  }

  #end(): void {
    if (!this.#secure.destroyed) this.#below.emit('end');
  }
}
