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
  /** Accepted tokens that are remembered; 0 = none, every request verifies. */
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
   * Synchronous for keys, remembered tokens and what is no token at all. Rejects only for a fault of ours.
   *
   * @param memo of the connection, where there is one: it saves work, and says nothing of the outcome
   */
  readonly authenticate: (rawHeaders: readonly string[], memo?: CredentialMemo) => Identity | Promise<Identity>;
  /** Changes the keys. Everything remembered under the old ring is forgotten; who is being verified starts again. */
  readonly replaceRing: (ring: KeyRing) => void;
  /** True = no key is set, so every request is permitted. */
  readonly isOpen: () => boolean;
  /** Figures of the cache of accepted tokens. */
  readonly remembered: () => { readonly size: number; readonly hits: number; readonly misses: number };
}

/** Upstream: a control byte in a header is 400 with an empty body. */
const MALFORMED_HEADER = badRequest('malformed_header', '');

/** A ring and everything that was found out with it. Never outlives it. */
interface KeyGeneration {
  readonly ring: KeyRing;
  /** By SHA-256 of the whole token, signature included, so that no token is kept in memory. */
  readonly accepted: LRUCache<string, AcceptedToken> | undefined;
  readonly underWay: Map<string, Promise<AcceptedToken | Denial>>;
}

/**
 * The authenticator over a ring.
 *
 * Only accepted tokens are cached. A refused one costs one or two HMACs each time. Caching those would let any client fill
 * the memory, and would help against a repeated token only.
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
        // INVARIANT: revoked while the look-up ran is revoked.
        denial ??= takenBack(verified);
      }
      if (denial) identity = denial;
    }
    // INVARIANT: the ring in place when the answer is given has given it.
    return started === generation ? identity : identify(credential);
  };

  /** The denial of a token that was good and has been revoked. */
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
