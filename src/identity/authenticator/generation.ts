import { LRUCache } from 'lru-cache';
import type { Denial } from '../../policy/denial.ts';
import type { AcceptedToken } from '../accept-claims.ts';
import type { KeyRing } from '../key-ring.ts';
import type { SourceMemo } from '../minted/accept.ts';

/** A ring with the cache of its results, which is dropped with it. */
export interface KeyGeneration {
  readonly ring: KeyRing;
  /** Keyed by SHA-256 of the whole token, signature included, so that no token is kept in memory. */
  readonly accepted: LRUCache<string, AcceptedToken> | undefined;
  readonly underWay: Map<string, Promise<AcceptedToken | Denial>>;
  /** Sources of minted tokens; `undefined` = no key mints. */
  readonly sources: SourceMemo | undefined;
}

/** Sources of minted tokens that are remembered. */
const MAX_SOURCES = 1000;

/** @param cacheEntries size of the cache of accepted tokens; 0 = none */
export function beginGeneration(ring: KeyRing, cacheEntries: number): KeyGeneration {
  return {
    ring,
    accepted: cacheEntries > 0 ? new LRUCache({ max: cacheEntries }) : undefined,
    underWay: new Map(),
    sources: ring.jwtSecrets.some(({ mints }) => mints) ? new LRUCache({ max: MAX_SOURCES }) : undefined,
  };
}

/** The verification of a token. */
export type Accept = () => Promise<AcceptedToken | Denial>;

/** Requests that present the same token at the same time share one verification. */
export function verifyOnce(generation: KeyGeneration, digest: string, accept: Accept): Promise<AcceptedToken | Denial> {
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
