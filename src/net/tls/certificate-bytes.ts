import type { TLSSocket } from 'node:tls';
import type { HandshakeBudget } from '../../limits/handshake-budget.ts';

/** More bytes than these after a ClientHello may be certificates: without any a client sends about 100. */
const FLIGHT_BYTES = 512;
/** Header of a record and of the message in it (RFC 8446, sections 5.1 and 4): the length of the message is in the last three bytes. */
const HEADERS_BYTES = 9;

/** Bounds of handshakes that ask for certificates. */
export interface CertificateBounds {
  /** Most bytes that a client sends before its handshake is done. */
  readonly maxBytes: number;
  readonly budget: HandshakeBudget;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** So many of the bytes go to OpenSSL now; all of them wait for so long (ms); or there are more than a handshake may have. */
export type HandshakeStep = { readonly bytes: number } | { readonly waitMs: number } | 'too-many';

/**
 * The bytes of one handshake that asks for a certificate. OpenSSL takes 100 KB of certificates from any client, and checks each signature
 * before the handshake is done. So they are bounded, and wait while their network has used up its budget: what comes in one packet with
 * the ClientHello as what comes behind it.
 */
export class CertificateBytes {
  readonly #bounds: CertificateBounds;
  /** That of the client. */
  readonly #network: string;
  #received = 0;
  /** Those of them after the ClientHello, as far as they waited or went on. */
  #flight = 0;
  /** Charged so far, in milliseconds of processor time. */
  #charged = 0;
  #isHarmless = false;

  constructor(bounds: CertificateBounds, network: string) {
    this.#bounds = bounds;
    this.#network = network;
  }

  /** @param chunk what has come, from the first byte that OpenSSL has not got */
  next(chunk: Buffer): HandshakeStep {
    const { maxBytes } = this.#bounds;
    const isFirst = this.#received === 0;
    const own = isFirst ? helloBytes(chunk) : chunk.length;
    const waitMs = isFirst ? 0 : this.#waitMs(chunk.length);
    if (waitMs > 0) return { waitMs };
    const bytes = Math.min(own, maxBytes - this.#received);
    if (bytes === 0) return 'too-many';
    this.#received += bytes;
    return { bytes };
  }

  /** Gives bytes to OpenSSL with `give`, and charges for what it does with them. */
  charged<T>(give: () => T): T {
    const before = process.threadCpuUsage();
    const given = give();
    const { user, system } = process.threadCpuUsage(before);
    // Nothing was checked, or it was good.
    const ms = this.#isHarmless ? -this.#charged : (user + system) / 1000;
    this.#charged += ms;
    this.#bounds.budget.charge(this.#network, ms, this.#bounds.now());
    return given;
  }

  /** The handshake is done. */
  done(secure: TLSSocket): void {
    this.#isHarmless = secure.authorized || secure.getPeerX509Certificate() === undefined;
    if (secure.authorized) this.#bounds.budget.verified(this.#network, this.#bounds.now());
  }

  #waitMs(bytes: number): number {
    const { maxBytes, budget, now } = this.#bounds;
    this.#flight = Math.min(maxBytes, this.#flight + bytes);
    const wait = this.#flight > FLIGHT_BYTES ? budget.wait(this.#network, this.#flight, now()) : 0;
    if (wait > 0) this.#flight -= Math.min(this.#flight, bytes);
    return wait;
  }
}

/**
 * The number of the first bytes that are a ClientHello and no more. With TLS 1.2 a client can send certificates behind it at once, even
 * in the same record.
 */
function helloBytes(chunk: Buffer): number {
  return chunk.length < HEADERS_BYTES ? chunk.length : Math.min(chunk.length, HEADERS_BYTES + chunk.readUIntBE(6, 3));
}
