import type { CollectionNames } from './names/collection-names.ts';
/**
 * The access of a principal.
 *
 * Upstream: `access` claim and keys of Qdrant v1.19.0. A global access passes or fails alike on every collection; a
 * list permits the collections it names, byte for byte (no patterns, no alias resolution). Grants and their
 * intersections are the gateway's own.
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

/** Rights over collections as a whole, which natively need global manage. `aliases` covers both ends of an alias. */
export type ManageRight = 'create' | 'update' | 'delete' | 'aliases';

/** One grant: everything it permits, it permits alone. Plain data. */
export interface Grant extends CollectionNames {
  /** Upper bound of the operations on a collection; `undefined` = `operations` alone decides. */
  readonly mode: CollectionMode | undefined;
  /**
   * The permitted operations, by row name or audit name; `undefined` = all of `mode`. In a grant without collections:
   * operations that read what belongs to no single collection.
   */
  readonly operations: ReadonlySet<string> | undefined;
  readonly manage: ReadonlySet<ManageRight>;
  /** Most collections of this grant that may exist after `create`; `undefined` = no limit. */
  readonly maxCollections: number | undefined;
}

/** A set of grants: permits all that any of them permits. The maps find the grants of a name without trying each. Plain data. */
export interface GrantAccess {
  readonly kind: 'grants';
  readonly grants: readonly Grant[];
  readonly byName: ReadonlyMap<string, readonly Grant[]>;
  /** One entry per length of a prefix, in UTF-16 units. */
  readonly byPrefix: readonly PrefixLevel[];
}

/** The grants whose prefixes have this length, by prefix. */
export interface PrefixLevel {
  readonly length: number;
  readonly grants: ReadonlyMap<string, readonly Grant[]>;
}

/** An intersection: permits only what every part permits. */
export interface JointAccess {
  readonly kind: 'joint';
  readonly parts: readonly (GlobalAccess | ListAccess | GrantAccess)[];
}

/** An access that depends on the collection. */
export type ScopedAccess = ListAccess | GrantAccess | JointAccess;

export type Access = GlobalAccess | ScopedAccess;

export const GLOBAL_MANAGE: GlobalAccess = Object.freeze({ kind: 'global', mode: 'm' });
export const GLOBAL_READ: GlobalAccess = Object.freeze({ kind: 'global', mode: 'r' });

/** True = `access` permits something on `name`. A global access permits every collection. */
export function lists(access: Access, name: string): boolean {
  if (access.kind === 'list') return access.modes.has(name);
  if (access.kind === 'global') return true;
  if (access.kind === 'grants') return grantsOn(access, name).length > 0;
  return access.parts.every((part) => lists(part, name));
}

/** The mode of a list on `name`; `undefined` = not listed. */
export function modeOn(access: ListAccess, name: string): CollectionMode | undefined {
  return access.modes.get(name);
}

/** The sets of grants that an access is made of: each of them must permit. */
export function grantsIn(access: Access): readonly GrantAccess[] {
  if (access.kind === 'grants') return [access];
  return access.kind === 'joint' ? access.parts.filter((part) => part.kind === 'grants') : [];
}

/** A list, entry by entry: what each of them permits alone. */
export function entriesOf({ modes }: ListAccess): readonly ListAccess[] {
  return [...modes].map((entry) => ({ kind: 'list', modes: new Map([entry]) }));
}

/** True = global access, which sees everything. `undefined` (no principal) does not. */
export function seesAll(access: Access | undefined): boolean {
  return access?.kind === 'global';
}

/** True = global manage. `undefined` (no principal) is not. */
export function isTrusted(access: Access | undefined): boolean {
  return access?.kind === 'global' && access.mode === 'm';
}

const NO_GRANTS: readonly Grant[] = Object.freeze([]);

/** The grants that cover `name`. Time grows with the number of different lengths of prefixes, not with the grants. */
export function grantsOn({ byName, byPrefix }: GrantAccess, name: string): readonly Grant[] {
  let found = byName.get(name) ?? NO_GRANTS;
  for (const { length, grants } of byPrefix) {
    if (length > name.length) continue;
    const more = grants.get(name.slice(0, length));
    if (more) found = found.length === 0 ? more : [...found, ...more];
  }
  return found;
}

/** Builds the access of these grants. */
export function grantAccess(grants: readonly Grant[]): GrantAccess {
  const byName = new Map<string, Grant[]>();
  const byPrefix = new Map<number, Map<string, Grant[]>>();
  for (const grant of grants) {
    for (const name of grant.names) add(byName, name, grant);
    for (const prefix of new Set(grant.prefixes)) {
      const level = byPrefix.get(prefix.length) ?? new Map<string, Grant[]>();
      byPrefix.set(prefix.length, level);
      add(level, prefix, grant);
    }
  }
  const levels = [...byPrefix].map(([length, level]) => Object.freeze({ length, grants: level }));
  return Object.freeze({ kind: 'grants', grants: Object.freeze([...grants]), byName, byPrefix: Object.freeze(levels) });
}

function add(map: Map<string, Grant[]>, key: string, grant: Grant): void {
  const before = map.get(key);
  if (before) before.push(grant);
  else map.set(key, [grant]);
}

/** The names that an access mentions, and its prefixes with a `*` at the end. */
export function textsIn(access: Access): readonly string[] {
  if (access.kind === 'global') return [];
  if (access.kind === 'list') return [...access.modes.keys()];
  if (access.kind === 'joint') return access.parts.flatMap(textsIn);
  const prefixes = access.byPrefix.flatMap(({ grants }) => [...grants.keys()].map((prefix) => `${prefix}*`));
  return [...access.byName.keys(), ...prefixes];
}
