/**
 * The access of a principal, in upstream's letters.
 *
 * Upstream: `access` claim and keys of Qdrant v1.19.0. A global access passes or fails alike on every collection; a
 * list permits the collections it names, byte for byte (no patterns, no alias resolution).
 */
export type GlobalMode = 'r' | 'm';

/**
 * `r` reads, `rw` reads and writes, `prw` reads and writes points and nothing else of the collection. `pr` reads points
 * only: no token carries it; it is `prw` narrowed by a rule that only allows reading.
 */
export type CollectionMode = 'r' | 'rw' | 'prw' | 'pr';

/** Read (`r`) or manage (`m`) all collections. */
export interface GlobalAccess {
  readonly kind: 'global';
  readonly mode: GlobalMode;
}

/** Only the named collections; an empty map permits none. */
export interface ListAccess {
  readonly kind: 'list';
  readonly modes: ReadonlyMap<string, CollectionMode>;
}

export type Access = GlobalAccess | ListAccess;

export const GLOBAL_MANAGE: GlobalAccess = Object.freeze({ kind: 'global', mode: 'm' });
export const GLOBAL_READ: GlobalAccess = Object.freeze({ kind: 'global', mode: 'r' });

/** True = `access` permits `name` in some mode. A global access permits every collection. */
export function lists(access: Access, name: string): boolean {
  return access.kind === 'global' || access.modes.has(name);
}

/** The mode of a list on `name`; `undefined` = not listed. */
export function modeOn(access: ListAccess, name: string): CollectionMode | undefined {
  return access.modes.get(name);
}

/** True = global access, which sees everything. `undefined` (no principal) does not. */
export function seesAll(access: Access | undefined): boolean {
  return access?.kind === 'global';
}

/** True = global manage. `undefined` (no principal) is not. */
export function isTrusted(access: Access | undefined): boolean {
  return access?.kind === 'global' && access.mode === 'm';
}
