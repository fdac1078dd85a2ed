import { X509Certificate } from 'node:crypto';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import {
  CERTIFICATE_EXPIRED,
  CERTIFICATE_REVOKED,
  CERTIFICATE_STATUS_UNKNOWN,
  CERTIFICATE_UNFIT,
  CERTIFICATE_UNVERIFIED,
  type Denial,
} from '../../policy/denial.ts';
import type { Claims } from '../../policy/mapping/claims.ts';
import { UnreadableDer } from '../../x509/der.ts';
import { certificateClaims, fingerprintOf } from './claims.ts';
import { type CertificateTrust, refusalAt, type Standing } from './trust.ts';

/** A certificate that a client has shown and that is no identity: its refusal. */
export interface RefusedCertificate {
  readonly kind: 'refused-certificate';
  readonly denial: Denial;
}

/** The certificate of a connection. `undefined` where it is used = the client has shown none. */
export type PresentedCertificate = VerifiedCertificate | RefusedCertificate;

/** Most certificates above one that are looked at; OpenSSL takes 100. */
const MOST_ABOVE = 10;

/**
 * A certificate that OpenSSL has verified.
 *
 * INVARIANT: only `presentedOn` makes one, of a connection that OpenSSL calls authorized. It holds what the certificate says, and no
 * decision: trust, revocation and times are looked at on each request.
 */
export class VerifiedCertificate {
  readonly kind = 'certificate';
  readonly claims: Claims;
  /** SPIFFE id or subject. */
  readonly subject: string | undefined;
  /** SHA-256, in hexadecimal digits. */
  readonly fingerprint: string;
  /** Begin of its validity, seconds since 1970. */
  readonly issuedAt: number;
  readonly #chain: readonly X509Certificate[];
  /** The trust of its handshake. */
  readonly #origin: CertificateTrust;
  #seen: CertificateTrust | undefined;
  #standing: Standing | undefined;

  private constructor(chain: readonly X509Certificate[], leaf: X509Certificate, origin: CertificateTrust) {
    const { claims, subject } = certificateClaims(leaf);
    this.claims = claims;
    this.subject = subject;
    this.fingerprint = fingerprintOf(leaf);
    this.issuedAt = Math.floor(leaf.validFromDate.getTime() / 1000);
    this.#chain = chain;
    this.#origin = origin;
  }

  /**
   * The certificate of a connection whose handshake is done.
   *
   * @param origin the trust that was in force when the handshake began
   */
  static presentedOn(socket: TLSSocket, origin: CertificateTrust): PresentedCertificate | undefined {
    const leaf = socket.getPeerX509Certificate();
    if (leaf === undefined) return undefined;
    if (socket.authorized !== true) return refused(denialOf(socket.authorizationError, leaf));
    try {
      return new VerifiedCertificate(chainOf(socket.getPeerCertificate(true), leaf), leaf, origin);
    } catch (error) {
      // Fails closed: a certificate that cannot be read is none.
      if (error instanceof UnreadableDer) return refused(CERTIFICATE_UNFIT);
      throw error;
    }
  }

  /** Its refusal under the trust in force, at this time in milliseconds since 1970. */
  refusal(trust: CertificateTrust, now: number): Denial | undefined {
    if (this.#seen !== trust || !this.#standing) {
      this.#standing = trust.standingOf(this.#chain, trust === this.#origin);
      this.#seen = trust;
    }
    return refusalAt(this.#standing, now);
  }
}

/** For a handshake whose trust is not known: a certificate is none. */
export function refusedHandshake(socket: TLSSocket): RefusedCertificate | undefined {
  return socket.getPeerX509Certificate() ? refused(CERTIFICATE_UNVERIFIED) : undefined;
}

function refused(denial: Denial): RefusedCertificate {
  return Object.freeze({ kind: 'refused-certificate', denial });
}

/** OpenSSL's name of a fault (`X509_V_ERR_`), as Node gives it. */
const FAULTS: Readonly<Record<string, Denial>> = {
  CERT_HAS_EXPIRED: CERTIFICATE_EXPIRED,
  CERT_NOT_YET_VALID: CERTIFICATE_EXPIRED,
  CERT_REVOKED: CERTIFICATE_REVOKED,
  CRL_HAS_EXPIRED: CERTIFICATE_STATUS_UNKNOWN,
  CRL_NOT_YET_VALID: CERTIFICATE_STATUS_UNKNOWN,
  UNABLE_TO_GET_CRL: CERTIFICATE_STATUS_UNKNOWN,
  CRL_SIGNATURE_FAILURE: CERTIFICATE_STATUS_UNKNOWN,
};

/** Node types it as an error and gives the name of one. */
function denialOf(fault: unknown, leaf: X509Certificate): Denial {
  const name = fault instanceof Error && 'code' in fault ? fault.code : fault;
  // OpenSSL names the last fault: of one that signs itself, that there is no list of its issuer.
  if (leaf.checkIssued(leaf)) return CERTIFICATE_UNVERIFIED;
  return (typeof name === 'string' ? FAULTS[name] : undefined) ?? CERTIFICATE_UNVERIFIED;
}

/** The certificate and those above it that OpenSSL has, from the client or from the CA file. */
function chainOf(peer: PeerCertificate, leaf: X509Certificate): readonly X509Certificate[] {
  const chain = [leaf];
  let above: PeerCertificate | undefined = peer;
  while (chain.length <= MOST_ABOVE) {
    const issuer: PeerCertificate | undefined =
      'issuerCertificate' in above ? (above.issuerCertificate as PeerCertificate) : undefined;
    if (!issuer?.raw || issuer === above || chain.at(-1)?.raw.equals(issuer.raw)) return chain;
    chain.push(new X509Certificate(issuer.raw));
    above = issuer;
  }
  return chain;
}

const carried = new WeakMap<object, PresentedCertificate>();

/** Keeps the certificate of a connection, where its requests find it. */
export function noteCertificate(socket: object, certificate: PresentedCertificate | undefined): void {
  if (certificate) carried.set(socket, certificate);
}

/** The certificate of a connection; `undefined` = its client has shown none, or the listener asks for none. */
export function certificateOn(socket: object): PresentedCertificate | undefined {
  return carried.get(socket);
}
