import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
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
import { timesOf } from './chain.ts';
import { certificateClaims, fingerprintOf } from './claims.ts';
import { type CertificateTrust, type ChainStanding, refusalAt, type Standing } from './trust.ts';

/** A certificate that a client has shown and that is no identity: its refusal. */
export interface RefusedCertificate {
  readonly kind: 'refused-certificate';
  readonly denial: Denial;
}

/** The certificate of a connection. `undefined` where it is used = the client has shown none. */
export type PresentedCertificate = VerifiedCertificate | RefusedCertificate;

/** Most certificates beside its own that are taken from a client. */
const MOST_SENT = 10;
/** Milliseconds for which a resumed session counts whose CA is not known: as long as a ticket holds. */
const UNKNOWN_CA_MS = 3_600_000;

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
  /** Its own, then others: of the chains of its handshake, or what the client has sent. */
  readonly #leaf: X509Certificate;
  readonly #above: readonly X509Certificate[];
  #seen: CertificateTrust;
  #standing: Standing;
  /** True = no CA of a resumed session is known, and no request has come yet. */
  #isAlone = false;

  private constructor(leaf: X509Certificate, above: readonly X509Certificate[], origin: CertificateTrust) {
    const { claims, subject } = certificateClaims(leaf);
    this.claims = claims;
    this.subject = subject;
    this.fingerprint = fingerprintOf(leaf);
    this.issuedAt = Math.floor(leaf.validFromDate.getTime() / 1000);
    this.#leaf = leaf;
    this.#above = above;
    this.#seen = origin;
    this.#standing = [];
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
      if (Number.isNaN(leaf.validFromDate.getTime())) return refused(CERTIFICATE_UNFIT);
      const chains = origin.chainsOf(leaf, sentWith(leaf), true);
      const made = new VerifiedCertificate(leaf, [...new Set(chains.flatMap((chain) => chain.slice(1)))], origin);
      if (chains.length > 0) made.#standing = origin.standingOf(chains);
      else made.#isAlone = socket.isSessionReused() && !origin.hasLists;
      return made;
    } catch (error) {
      // Fails closed: a certificate that cannot be read is none.
      if (error instanceof UnreadableDer) return refused(CERTIFICATE_UNFIT);
      throw error;
    }
  }

  /** Its refusal under the trust in force, at this time in milliseconds since 1970. */
  refusal(trust: CertificateTrust, now: number): Denial | undefined {
    if (this.#isAlone) this.#standing = [standingAlone(this.#leaf, now)];
    this.#isAlone = false;
    if (this.#seen !== trust) {
      this.#standing = trust.standingOf(trust.chainsOf(this.#leaf, this.#above, false));
      this.#seen = trust;
    }
    return refusalAt(this.#standing, now);
  }
}

/**
 * The standing of a certificate without a chain that can be checked. A resumed session has no CAs of the client any more: OpenSSL has
 * checked them when it began, so that it counts for an hour. With lists all CAs are in the file. In a whole handshake the client has sent them,
 * unless it has hidden them behind others: then it is refused.
 */
function standingAlone(leaf: X509Certificate, now: number): ChainStanding {
  const { notBefore, notAfter } = timesOf([leaf]);
  const until = Math.min(notAfter, now + UNKNOWN_CA_MS);
  return { denial: undefined, notBefore, notAfter: until, listsFrom: -Infinity, listsUntil: Infinity };
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

/**
 * The certificates that a client has sent beside its own. None of them is verified.
 *
 * @param leaf of the connection
 */
function sentWith(leaf: X509Certificate): readonly X509Certificate[] {
  const sent: X509Certificate[] = [];
  let { issuerCertificate: above } = leaf;
  while (above && sent.length < MOST_SENT) {
    sent.push(above);
    above = above.issuerCertificate;
  }
  return sent;
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
