import type { TLSSocket } from 'node:tls';
import { noteCertificate, refusedHandshake, VerifiedCertificate } from './presented.ts';
import type { CertificateTrust } from './trust.ts';

/** The trust in force: asked again for each handshake. */
export type ClientTrust = () => CertificateTrust | undefined;

/**
 * The handshakes of one listener whose client certificates are identities. A handshake that began before a reload was verified under
 * the trust of then, whatever is in force at its end.
 */
export class Handshakes {
  readonly #trust: ClientTrust;
  readonly #begun = new WeakMap<object, CertificateTrust>();

  constructor(trust: ClientTrust) {
    this.#trust = trust;
  }

  /** To be called in the turn in which the TLS server takes the connection. @param carrier the connection below TLS */
  begun(carrier: object): void {
    const trust = this.#trust();
    if (trust) this.#begun.set(carrier, trust);
  }

  /** Reads the client certificate of a connection whose handshake is done, for its requests. */
  done(socket: TLSSocket, carrier: object | undefined): void {
    const trust = carrier && this.#begun.get(carrier);
    noteCertificate(socket, trust ? VerifiedCertificate.presentedOn(socket, trust) : refusedHandshake(socket));
  }
}
