import { LRUCache } from 'lru-cache';
import {
  badRequest,
  type Denial,
  INTERNAL_FAULT,
  INVALID_CREDENTIAL,
  MISSING_CREDENTIAL,
  REVOCATION_UNKNOWN,
  REVOKED,
} from '../policy/denial.ts';
import type { KeySetInForce } from '../policy/mapping/issuer.ts';
import type { NamedKeysInForce } from '../policy/named-key.ts';
import { type AcceptedToken, isExpired } from './accept-claims.ts';
import { acceptToken } from './accept-token.ts';
import type { CertificateIdentities } from './certificates/identities.ts';
import type { PresentedCertificate } from './certificates/presented.ts';
import { type Credential, hasCredentialHeader, readCredential } from './credential.ts';
import type { CredentialMemo } from './credential-memo.ts';
import { acceptIssued } from './issuers/accept-issued.ts';
import { issuedBy } from './issuers/issuer.ts';
import { type AskForKeys, KeySets } from './issuers/key-sets.ts';
import { digestOf, type KeyRing } from './key-ring.ts';
import type { SourceMemo } from './minted/accept.ts';
import { consoleSource, type ExchangeSource, findSource, type NotExchanged, type SourceUse } from './minted/source.ts';
import type { NamedKeys, Presented } from './named-keys.ts';
import type { Principal } from './principal.ts';
import { isRevoked, type Revocations } from './revocations.ts';
import { readTokenShape } from './token-shape.ts';
import type { CheckValueExists } from './value-exists.ts';

export interface AuthenticatorOptions {
  readonly ring: KeyRing;
  /** Size of the cache of accepted tokens; 0 = no cache, every request verifies. */
  readonly cacheEntries: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Without it, tokens with a `value_exists` claim are refused. */
  readonly valueExists?: CheckValueExists;
  /** Asks for the fetched keys of an issuer. Default: there are none. */
  readonly askForKeys?: AskForKeys | undefined;
  /** The current revocations, read on every request with a token. Default: none. */
  readonly revocations?: () => Revocations;
}

/** The principal, or the refusal of its credential. */
export type Identity = Principal | Denial;

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

/** Upstream: a control byte in a header is 400 with an empty body. */
const MALFORMED_HEADER = badRequest('malformed_header', '');

/** A ring with the cache of its results, which is dropped with it. */
interface KeyGeneration {
  readonly ring: KeyRing;
  /** Keyed by SHA-256 of the whole token, signature included, so that no token is kept in memory. */
  readonly accepted: LRUCache<string, AcceptedToken> | undefined;
  readonly underWay: Map<string, Promise<AcceptedToken | Denial>>;
  /** Sources of minted tokens; `undefined` = no key mints. */
  readonly sources: SourceMemo | undefined;
}

/** Sources of minted tokens that are remembered. */
const MAX_SOURCES = 1000;

/**
 * The authenticator over a ring.
 *
 * Only accepted tokens are cached. A refused one costs one or two HMACs each time. A cache of those could be filled by
 * any client, and would only help against a repeated token.
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const identification = new Identification(options);
  return {
    authenticate: (rawHeaders, memo, remote, certificate) => {
      const credential = memo ? memo.read(rawHeaders) : readCredential(rawHeaders);
      const { certificates } = identification;
      return certificates
        ? identification.identifyWith(certificates, { certificate, rawHeaders }, credential, memo, remote)
        : identification.identify(credential, memo, remote);
    },
    inForce: () => identification.inForce,
    sourceOf: (text, remote, certificate, use) => identification.sourceOf(text, remote, certificate, use),
    consoleSource: () => consoleSource(identification.ring),
    replaceRing: (next) => identification.replaceRing(next),
    replaceNamed: (keys, first) => identification.replaceNamed(keys, first),
    setKeySets: (sets) => identification.keySets.set(sets),
    isOpen: () => identification.isOpen,
    remembered: () => identification.remembered(),
    used: () => identification.used(),
  };
}

/** The certificate and the headers of a request. */
interface Shown {
  readonly certificate: PresentedCertificate | undefined;
  readonly rawHeaders: readonly string[];
}

/** Identifies credentials by the ring in force. */
class Identification {
  readonly #options: AuthenticatorOptions;
  readonly keySets: KeySets;
  #generation: KeyGeneration;
  #hits = 0;
  #misses = 0;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.keySets = new KeySets(options.now, options.askForKeys);
    this.#generation = this.#begin(options.ring);
  }

  get inForce(): object {
    return this.#generation;
  }

  get ring(): KeyRing {
    return this.#generation.ring;
  }

  get isOpen(): boolean {
    return this.#generation.ring.open;
  }

  get certificates(): CertificateIdentities | undefined {
    return this.#generation.ring.certificates;
  }

  /**
   * Identifies a request where certificates count. As an identity, a certificate counts only without a header of a key or token: a
   * wrong one is refused, whatever certificate it comes with, and one that counts as none natively too. Beside a key, the
   * certificate is looked at first.
   */
  identifyWith(
    certificates: CertificateIdentities,
    { certificate, rawHeaders }: Shown,
    credential: Credential | undefined,
    memo?: CredentialMemo,
    remote?: string,
  ): Identity | Promise<Identity> {
    const now = this.#options.now();
    const revocations = this.#options.revocations?.();
    if (certificates.mode === 'identity') {
      if (credential || !certificate || hasCredentialHeader(rawHeaders)) return this.identify(credential, memo, remote);
      return certificates.identify(certificate, now, revocations);
    }
    const holder = certificates.identify(certificate, now, revocations);
    if (holder.kind === 'denial') return holder;
    const identity = this.identify(credential, memo, remote);
    return identity instanceof Promise
      ? identity.then((known) => this.#beside(known, certificate))
      : this.#beside(identity, certificate);
  }

  /** INVARIANT: the certificate is looked at again, by the ring in force, after a wait. */
  #beside(identity: Identity, certificate: PresentedCertificate | undefined): Identity {
    const { certificates } = this;
    if (identity.kind === 'denial') return identity;
    if (!certificates) return INTERNAL_FAULT;
    return certificates.beside(identity, certificate, this.#options.now(), this.#options.revocations?.());
  }

  replaceRing(next: KeyRing): void {
    const former = this.#generation.ring.named;
    if (former) next.named?.inherit(former);
    this.#generation = this.#begin(next);
  }

  replaceNamed(keys: NamedKeysInForce, first: () => NamedKeys | undefined): void {
    const { ring, ...remembered } = this.#generation;
    const named = ring.named ? ring.named.with(keys) : first();
    this.#generation = { ring: { ...ring, named }, ...remembered };
  }

  used(): ReturnType<Authenticator['used']> {
    return this.#generation.ring.named?.used() ?? [];
  }

  remembered(): ReturnType<Authenticator['remembered']> {
    return { size: this.#generation.accepted?.size ?? 0, hits: this.#hits, misses: this.#misses };
  }

  identify(credential: Credential | undefined, memo?: CredentialMemo, remote = ''): Identity | Promise<Identity> {
    const generation = this.#generation;
    const { now } = this.#options;
    if (generation.ring.open) return generation.ring.openPrincipal;
    if (!credential) return MISSING_CREDENTIAL;
    if (credential.kind === 'malformed') return MALFORMED_HEADER;
    const digest = memo ? memo.digestOf(credential.text) : digestOf(credential.text);
    const byKey = generation.ring.match(digest);
    if (byKey) return byKey;
    if (generation.ring.named?.names(credential.text)) {
      return this.#identifyByName(generation, generation.ring.named, {
        text: credential.text,
        digest,
        remote,
        now: now(),
      });
    }
    if (generation.ring.jwtSecrets.length === 0 && !generation.ring.issuers) return INVALID_CREDENTIAL;
    const known = generation.accepted?.get(digest);
    if (known && !isExpired(known.exp, now()) && (known.stands?.(now()) ?? true)) {
      this.#hits += 1;
      if (known.valueExists) return this.#identifyByToken(credential, generation, known, remote);
      return this.#revocationOf(known) ?? this.#principalOf(known, remote);
    }
    this.#misses += 1;
    const accept = this.#acceptorOf(generation, credential.text);
    return accept
      ? this.#identifyByToken(credential, generation, verifyOnce(generation, digest, accept), remote)
      : INVALID_CREDENTIAL;
  }

  /** The verification of a text; `undefined` = it is no token. */
  #acceptorOf({ ring, sources }: KeyGeneration, text: string): Accept | undefined {
    const { now } = this.#options;
    const issued = ring.issuers && issuedBy(ring.issuers, text);
    if (issued) return () => acceptIssued(issued.token, issued.issuer, { ring, sets: this.keySets, now });
    const shape = ring.jwtSecrets.length > 0 ? readTokenShape(text) : undefined;
    return shape && (() => acceptToken(shape, ring, now(), { sets: this.keySets, sources }));
  }

  async sourceOf(
    text: string,
    remote: string,
    certificate: PresentedCertificate | undefined,
    use?: SourceUse,
  ): Promise<ExchangeSource | Denial | NotExchanged> {
    const credential = readCredential(['api-key', text]);
    for (;;) {
      const started = this.#generation;
      const holder = this.#holderBeside(certificate);
      if (holder?.kind === 'denial') return holder;
      // INVARIANT: a certificate is never exchanged, nor is what it takes: it takes that again from each request with the token.
      const identity = await this.identify(credential, undefined, remote);
      if (identity.kind === 'denial') return identity;
      const presented = { text, digest: digestOf(text), remote, now: this.#options.now() };
      const source = await findSource(identity, presented, started.ring, this.keySets, use);
      // INVARIANT: both are of the ring in force when it is returned.
      if (started === this.#generation) return source;
    }
  }

  /** The holder of a certificate that is needed beside a key; `undefined` = none is. */
  #holderBeside(certificate: PresentedCertificate | undefined): Identity | undefined {
    const { certificates } = this;
    if (certificates?.mode !== 'beside_key') return undefined;
    return certificates.identify(certificate, this.#options.now(), this.#options.revocations?.());
  }

  #begin(ring: KeyRing): KeyGeneration {
    const { cacheEntries } = this.#options;
    this.keySets.configure([...(ring.issuers?.values() ?? [])].map(({ settings }) => settings));
    return {
      ring,
      accepted: cacheEntries > 0 ? new LRUCache({ max: cacheEntries }) : undefined,
      underWay: new Map(),
      sources: ring.jwtSecrets.some(({ mints }) => mints) ? new LRUCache({ max: MAX_SOURCES }) : undefined,
    };
  }

  #identifyByName(started: KeyGeneration, named: NamedKeys, presented: Presented): Identity | Promise<Identity> {
    const identity = named.identify(presented);
    if (!(identity instanceof Promise)) return identity;
    // INVARIANT: the result is that of the ring in force when it is returned.
    return identity.then((verified) =>
      started === this.#generation
        ? verified
        : this.identify({ kind: 'given', text: presented.text }, undefined, presented.remote),
    );
  }

  /** Waits for the verification, then for the stateful check. */
  async #identifyByToken(
    credential: Credential,
    started: KeyGeneration,
    verification: AcceptedToken | Promise<AcceptedToken | Denial>,
    remote: string,
  ): Promise<Identity> {
    const { valueExists } = this.#options;
    const verified = await verification;
    let identity: Identity = verified.kind === 'accepted' ? INTERNAL_FAULT : verified;
    if (verified.kind === 'accepted') {
      let denial = this.#revocationOf(verified);
      if (!denial && verified.valueExists) {
        denial = valueExists ? await valueExists(verified.valueExists) : INTERNAL_FAULT;
        // INVARIANT: a token revoked during the look-up is refused.
        denial ??= this.#revocationOf(verified);
      }
      identity = denial ?? this.#principalOf(verified, remote);
    }
    // INVARIANT: the result is that of the ring in force when it is returned.
    return started === this.#generation ? identity : this.identify(credential, undefined, remote);
  }

  /** The principal of an accepted token. A named key that it stands for is asked now. */
  #principalOf({ principal }: AcceptedToken, remote: string): Identity {
    if (principal.kind === 'principal') return principal;
    return principal.principal(this.#generation.ring.named, { remote, now: this.#options.now() });
  }

  /** The denial of an accepted token that has been revoked. */
  #revocationOf(token: AcceptedToken): Denial | undefined {
    const current = this.#options.revocations?.();
    if (!current) return undefined;
    if (current.unknown) return REVOCATION_UNKNOWN;
    if (isRevoked(current, token.revocable)) return REVOKED;
    // INVARIANT: a minted token is revoked with the token it was exchanged for.
    return token.source && isRevoked(current, token.source) ? REVOKED : undefined;
  }
}

type Accept = () => Promise<AcceptedToken | Denial>;

/** Requests that present the same token at the same time share one verification. */
function verifyOnce(generation: KeyGeneration, digest: string, accept: Accept): Promise<AcceptedToken | Denial> {
  const shared = generation.underWay.get(digest);
  if (shared) return shared;
  generation.accepted?.delete(digest);
  const verification = accept()
    .then((verified) => {
      if (verified.kind === 'accepted') generation.accepted?.set(digest, verified);
      return verified;
    })
    .finally(() => generation.underWay.delete(digest));
  generation.underWay.set(digest, verification);
  return verification;
}
