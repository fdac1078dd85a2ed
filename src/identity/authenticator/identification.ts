import {
  badRequest,
  type Denial,
  INTERNAL_FAULT,
  INVALID_CREDENTIAL,
  MISSING_CREDENTIAL,
} from '../../policy/denial.ts';
import type { NamedKeysInForce } from '../../policy/named-key.ts';
import { type AcceptedToken, isExpired } from '../accept-claims.ts';
import { acceptToken } from '../accept-token.ts';
import type { Credential } from '../credential.ts';
import type { CredentialMemo } from '../credential-memo.ts';
import { acceptIssued } from '../issuers/accept-issued.ts';
import { issuedBy } from '../issuers/issuer.ts';
import { type AskForKeys, KeySets } from '../issuers/key-sets.ts';
import { digestOf, type KeyRing } from '../key-ring.ts';
import type { NamedKeys, Presented } from '../named-keys.ts';
import type { Identity } from '../principal.ts';
import type { Revocations } from '../revocations.ts';
import { readTokenShape } from '../token-shape.ts';
import type { CheckValueExists } from '../value-exists.ts';
import { type Accept, beginGeneration, type KeyGeneration, verifyOnce } from './generation.ts';
import { revocationOf } from './revoked.ts';

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

/** Upstream: a control byte in a header is 400 with an empty body. */
const MALFORMED_HEADER = badRequest('malformed_header', '');

/** Identifies credentials by the ring in force. */
export class Identification {
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

  /** Milliseconds since 1970. */
  get now(): number {
    return this.#options.now();
  }

  get revocations(): Revocations | undefined {
    return this.#options.revocations?.();
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

  used(): readonly (readonly [id: string, minute: number])[] {
    return this.#generation.ring.named?.used() ?? [];
  }

  remembered(): { readonly size: number; readonly hits: number; readonly misses: number } {
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
      return revocationOf(known, this.revocations) ?? this.#principalOf(known, remote);
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

  #begin(ring: KeyRing): KeyGeneration {
    this.keySets.configure([...(ring.issuers?.values() ?? [])].map(({ settings }) => settings));
    return beginGeneration(ring, this.#options.cacheEntries);
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
      let denial = revocationOf(verified, this.revocations);
      if (!denial && verified.valueExists) {
        denial = valueExists ? await valueExists(verified.valueExists) : INTERNAL_FAULT;
        // INVARIANT: a token revoked during the look-up is refused.
        denial ??= revocationOf(verified, this.revocations);
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
}
