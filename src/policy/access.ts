/**
 * What a principal may do, in upstream's letters.
 *
 * Upstream: `access` claim and keys of Qdrant v1.19.0. A global access passes or fails the same way on every
 * collection; a list names each collection it opens, byte for byte (no patterns, no alias resolution).
 */
export type GlobalMode = 'r' | 'm';

/**
 * `r` reads, `rw` reads and writes, `prw` reads and writes points but nothing else of the collection. `pr` reads points
 * and nothing else: no token carries it, it is what is left of `prw` under a rule that allows reading only.
 */
export type CollectionMode = 'r' | 'rw' | 'prw' | 'pr';

/** Read (`r`) or manage (`m`) everything. */
export interface GlobalAccess {
  readonly kind: 'global';
  readonly mode: GlobalMode;
}

/** Only the named collections; an empty map opens none. */
export interface ListAccess {
  readonly kind: 'list';
  readonly modes: ReadonlyMap<string, CollectionMode>;
}

export type Access = GlobalAccess | ListAccess;

export const GLOBAL_MANAGE: GlobalAccess = Object.freeze({ kind: 'global', mode: 'm' });
export const GLOBAL_READ: GlobalAccess = Object.freeze({ kind: 'global', mode: 'r' });
