import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import type { CertificateIdentities } from '../certificates/identities.ts';
import type { PresentedCertificate } from '../certificates/presented.ts';
import { type Credential, hasCredentialHeader, readCredential } from '../credential.ts';
import type { CredentialMemo } from '../credential-memo.ts';
import { digestOf } from '../key-ring.ts';
import { type ExchangeSource, findSource, type NotExchanged, type SourceUse } from '../minted/source.ts';
import type { Identity } from '../principal.ts';
import type { Identification } from './identification.ts';

/** The certificate and the headers of a request. */
export interface Shown {
  readonly certificate: PresentedCertificate | undefined;
  readonly rawHeaders: readonly string[];
}

/** Client certificates in the place of credentials, or beside them. */
export class WithCertificate {
  readonly #keys: Identification;

  constructor(keys: Identification) {
    this.#keys = keys;
  }

  /**
   * Identifies a request where certificates count. As an identity, a certificate counts only without a header of a key or token: a
   * wrong one is refused, whatever certificate it comes with, and one that counts as none natively too. Beside a key, the
   * certificate is looked at first.
   */
  identify(
    certificates: CertificateIdentities,
    { certificate, rawHeaders }: Shown,
    credential: Credential | undefined,
    memo?: CredentialMemo,
    remote?: string,
  ): Identity | Promise<Identity> {
    const { now, revocations } = this.#keys;
    if (certificates.mode === 'identity') {
      if (credential || !certificate || hasCredentialHeader(rawHeaders))
        return this.#keys.identify(credential, memo, remote);
      return certificates.identify(certificate, now, revocations);
    }
    const holder = certificates.identify(certificate, now, revocations);
    if (holder.kind === 'denial') return holder;
    const identity = this.#keys.identify(credential, memo, remote);
    return identity instanceof Promise
      ? identity.then((known) => this.#beside(known, certificate))
      : this.#beside(identity, certificate);
  }

  /** INVARIANT: the certificate is looked at again, by the ring in force, after a wait. */
  #beside(identity: Identity, certificate: PresentedCertificate | undefined): Identity {
    const { certificates } = this.#keys.ring;
    if (identity.kind === 'denial') return identity;
    if (!certificates) return INTERNAL_FAULT;
    return certificates.beside(identity, certificate, this.#keys.now, this.#keys.revocations);
  }

  /** As `Authenticator.sourceOf`. */
  async sourceOf(
    text: string,
    remote: string,
    certificate: PresentedCertificate | undefined,
    use?: SourceUse,
  ): Promise<ExchangeSource | Denial | NotExchanged> {
    const credential = readCredential(['api-key', text]);
    for (;;) {
      const { inForce: started, ring } = this.#keys;
      const holder = this.#holderBeside(certificate);
      if (holder?.kind === 'denial') return holder;
      // INVARIANT: a certificate is never exchanged, nor is what it takes: it takes that again from each request with the token.
      const identity = await this.#keys.identify(credential, undefined, remote);
      if (identity.kind === 'denial') return identity;
      const presented = { text, digest: digestOf(text), remote, now: this.#keys.now };
      const source = await findSource(identity, presented, ring, this.#keys.keySets, use);
      // INVARIANT: both are of the ring in force when it is returned.
      if (started === this.#keys.inForce) return source;
    }
  }

  /** The holder of a certificate that is needed beside a key; `undefined` = none is. */
  #holderBeside(certificate: PresentedCertificate | undefined): Identity | undefined {
    const { certificates } = this.#keys.ring;
    if (certificates?.mode !== 'beside_key') return undefined;
    return certificates.identify(certificate, this.#keys.now, this.#keys.revocations);
  }
}
