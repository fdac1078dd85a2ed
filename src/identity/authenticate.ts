import type { Denial } from '../policy/denial.ts';
import type { KeySetInForce } from '../policy/mapping/issuer.ts';
import type { NamedKeysInForce } from '../policy/named-key.ts';
import { type AuthenticatorOptions, Identification } from './authenticator/identification.ts';
import { WithCertificate } from './authenticator/with-certificate.ts';
import type { PresentedCertificate } from './certificates/presented.ts';
import { readCredential } from './credential.ts';
import type { CredentialMemo } from './credential-memo.ts';
import type { KeyRing } from './key-ring.ts';
import { consoleSource, type ExchangeSource, type NotExchanged, type SourceUse } from './minted/source.ts';
import type { NamedKeys } from './named-keys.ts';
import type { Identity } from './principal.ts';

/** Steps 2 and 3 of an exchange. */
export interface Authenticator {
  /**
   * Synchronous for keys, unless they are chosen ones that are not remembered, cached tokens and credentials that are no token. Rejects only for internal errors.
   *
   * @param memo of the connection, if there is one: saves work, and does not change the result
   * @param remote the client's address; a key for some networks needs it
   * @param certificate that of the connection
   */
  readonly authenticate: (
    rawHeaders: readonly string[],
    memo?: CredentialMemo,
    remote?: string,
    certificate?: PresentedCertificate,
  ) => Identity | Promise<Identity>;
  /** Another object after each change of keys and of the policy that is applied to them: what callers are identified by. */
  readonly inForce: () => object;
  /**
   * The source of a minted token. The credential is authenticated whole, as in a request.
   *
   * @param text the credential @param remote the client's address
   * @param certificate that of the connection: where one is needed beside a key, it is needed here
   */
  readonly sourceOf: (
    text: string,
    remote: string,
    certificate?: PresentedCertificate,
    use?: SourceUse,
  ) => Promise<ExchangeSource | Denial | NotExchanged>;
  /** The source for sessions of the console that no credential has opened. */
  readonly consoleSource: () => ExchangeSource | 'off';
  /** Replaces the keys. The cache of the old ring is dropped; pending verifications start again. */
  readonly replaceRing: (ring: KeyRing) => void;
  /**
   * Replaces the named keys alone: the cache of accepted tokens stays.
   *
   * @param first builds them if the ring has none
   */
  readonly replaceNamed: (keys: NamedKeysInForce, first: () => NamedKeys | undefined) => void;
  /** Replaces fetched key sets of issuers; tokens that they still verify stay remembered. */
  readonly setKeySets: (sets: readonly KeySetInForce[]) => void;
  /** True = no key is set, so every request is permitted. */
  readonly isOpen: () => boolean;
  /** Minutes since 1970 of the last use of named keys, by id. */
  readonly used: () => readonly (readonly [id: string, minute: number])[];
  /** Figures of the cache of accepted tokens. */
  readonly remembered: () => { readonly size: number; readonly hits: number; readonly misses: number };
}

/**
 * The authenticator over a ring.
 *
 * Only accepted tokens are cached. A refused one costs one or two HMACs each time. A cache of those could be filled by
 * any client, and would only help against a repeated token.
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const identification = new Identification(options);
  const withCertificate = new WithCertificate(identification);
  return {
    authenticate: (rawHeaders, memo, remote, certificate) => {
      const credential = memo ? memo.read(rawHeaders) : readCredential(rawHeaders);
      const { certificates } = identification.ring;
      return certificates
        ? withCertificate.identify(certificates, { certificate, rawHeaders }, credential, memo, remote)
        : identification.identify(credential, memo, remote);
    },
    inForce: () => identification.inForce,
    sourceOf: (text, remote, certificate, use) => withCertificate.sourceOf(text, remote, certificate, use),
    consoleSource: () => consoleSource(identification.ring),
    replaceRing: (next) => identification.replaceRing(next),
    replaceNamed: (keys, first) => identification.replaceNamed(keys, first),
    setKeySets: (sets) => identification.keySets.set(sets),
    isOpen: () => identification.ring.open,
    remembered: () => identification.remembered(),
    used: () => identification.used(),
  };
}
