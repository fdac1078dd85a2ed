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

/** Does `access` open `name` in any mode? A global access opens every collection. */
export function lists(access: Access, name: string): boolean {
  return access.kind === 'global' || access.modes.has(name);
}

/** The mode of a list on `name`; `undefined` = the list does not open it. */
export function modeOn(access: ListAccess, name: string): CollectionMode | undefined {
  return access.modes.get(name);
}

/** Is this global manage? `undefined` (no principal) is not. */
export function isTrusted(access: Access | undefined): boolean {
  return access?.kind === 'global' && access.mode === 'm';
}
