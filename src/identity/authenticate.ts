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
import { type AcceptedToken, acceptToken, isExpired } from './accept-token.ts';
import { type Credential, readCredential } from './credential.ts';
import type { CredentialMemo } from './credential-memo.ts';
import { digestOf, type KeyRing } from './key-ring.ts';
import type { Principal } from './principal.ts';
import { isRevoked, type Revocations } from './revocations.ts';
import { readTokenShape, type TokenShape } from './token-shape.ts';
import type { CheckValueExists } from './value-exists.ts';

export interface AuthenticatorOptions {
  readonly ring: KeyRing;
  /** Size of the cache of accepted tokens; 0 = no cache, every request verifies. */
  readonly cacheEntries: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Without it, tokens with a `value_exists` claim are refused. */
  readonly valueExists?: CheckValueExists;
  /** The current revocations, read on every request with a token. Default: none. */
  readonly revocations?: () => Revocations;
}

/** The principal, or the refusal of its credential. */
export type Identity = Principal | Denial;

/** Steps 2 and 3 of an exchange. */
export interface Authenticator {
  /**
   * Synchronous for keys, cached tokens and credentials that are no token. Rejects only for internal errors.
   *
   * @param memo of the connection, if there is one: saves work, and does not change the result
   */
  readonly authenticate: (rawHeaders: readonly string[], memo?: CredentialMemo) => Identity | Promise<Identity>;
  /** Replaces the keys. The cache of the old ring is dropped; pending verifications start again. */
  readonly replaceRing: (ring: KeyRing) => void;
  /** True = no key is set, so every request is permitted. */
  readonly isOpen: () => boolean;
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
}

/**
 * The authenticator over a ring.
 *
 * Only accepted tokens are cached. A refused one costs one or two HMACs each time. A cache of those could be filled by
 * any client, and would only help against a repeated token.
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { ring, cacheEntries, now, valueExists, revocations } = options;
  const beginGeneration = (next: KeyRing): KeyGeneration => ({
    ring: next,
    accepted: cacheEntries > 0 ? new LRUCache({ max: cacheEntries }) : undefined,
    underWay: new Map(),
  });
  let generation = beginGeneration(ring);
  let hits = 0;
  let misses = 0;

  const identify = (credential: Credential | undefined, memo?: CredentialMemo): Identity | Promise<Identity> => {
    if (generation.ring.open) return generation.ring.openPrincipal;
    if (!credential) return MISSING_CREDENTIAL;
    if (credential.kind === 'malformed') return MALFORMED_HEADER;
    const digest = memo ? memo.digestOf(credential.text) : digestOf(credential.text);
    const byKey = generation.ring.match(digest);
    if (byKey) return byKey;
    if (generation.ring.jwtSecrets.length === 0) return INVALID_CREDENTIAL;
    const known = generation.accepted?.get(digest);
    if (known && !isExpired(known.exp, now())) {
      hits += 1;
      if (known.valueExists) return identifyByToken(credential, generation, known);
      return takenBack(known) ?? known.principal;
    }
    misses += 1;
    const shape = readTokenShape(credential.text);
    return shape
      ? identifyByToken(credential, generation, verifyOnce(generation, digest, shape, now))
      : INVALID_CREDENTIAL;
  };

  /** Waits for the verification, then for the stateful check. */
  const identifyByToken = async (
    credential: Credential,
    started: KeyGeneration,
    verification: AcceptedToken | Promise<AcceptedToken | Denial>,
  ): Promise<Identity> => {
    const verified = await verification;
    let identity: Identity = verified.kind === 'accepted' ? verified.principal : verified;
    if (verified.kind === 'accepted') {
      let denial = takenBack(verified);
      if (!denial && verified.valueExists) {
        denial = valueExists ? await valueExists(verified.valueExists) : INTERNAL_FAULT;
        // INVARIANT: a token revoked during the look-up is refused.
        denial ??= takenBack(verified);
      }
      if (denial) identity = denial;
    }
    // INVARIANT: the result is that of the ring in force when it is returned.
    return started === generation ? identity : identify(credential);
  };

  /** The denial of an accepted token that has been revoked. */
  const takenBack = (token: AcceptedToken): Denial | undefined => {
    const current = revocations?.();
    if (!current) return undefined;
    if (current.unknown) return REVOCATION_UNKNOWN;
    return isRevoked(current, token.revocable) ? REVOKED : undefined;
  };

  return {
    authenticate: (rawHeaders, memo) => identify(memo ? memo.read(rawHeaders) : readCredential(rawHeaders), memo),
    replaceRing: (next) => {
      generation = beginGeneration(next);
    },
    isOpen: () => generation.ring.open,
    remembered: () => ({ size: generation.accepted?.size ?? 0, hits, misses }),
  };
}

/** Requests that present the same token at the same time share one verification. */
function verifyOnce(
  generation: KeyGeneration,
  digest: string,
  shape: TokenShape,
  now: () => number,
): Promise<AcceptedToken | Denial> {
  const shared = generation.underWay.get(digest);
  if (shared) return shared;
  generation.accepted?.delete(digest);
  const verification = acceptToken(shape, generation.ring, now())
    .then((verified) => {
      if (verified.kind === 'accepted') generation.accepted?.set(digest, verified);
      return verified;
    })
    .finally(() => generation.underWay.delete(digest));
  generation.underWay.set(digest, verification);
  return verification;
}
