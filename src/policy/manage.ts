import { type Access, type Grant, type GrantAccess, grantsOn, isTrusted, type ManageRight } from './access.ts';
import {
  COLLECTIONS_UNKNOWN,
  type Denial,
  GLOBAL_MANAGE_REQUIRED,
  GLOBAL_REQUIRED,
  notListed,
  tooManyCollections,
} from './denial.ts';
import { covers } from './names/collection-names.ts';
import { firstOf } from './requirements.ts';

/*
 * Rights over collections as a whole: natively global manage, here also what a grant gives inside its names.
 */

/** The names of a request that creates, changes or deletes a collection, or changes aliases. */
export interface ManagedNames {
  /** The collection; `undefined` for aliases. */
  readonly target: string | undefined;
  /** Other names in the body: a collection to copy from, or every name of an alias change. */
  readonly others: readonly string[];
  /** All collections there are; `undefined` = unknown. Read only where a grant limits their number. */
  readonly existing: readonly string[] | undefined;
}

/** The denial of a right that no part of the body can turn into a permit; `undefined` = it depends on the names. */
export function mayManage(access: Access, right: ManageRight): Denial | undefined {
  if (access.kind === 'global') return isTrusted(access) ? undefined : GLOBAL_MANAGE_REQUIRED;
  if (access.kind === 'list') return GLOBAL_REQUIRED;
  if (access.kind === 'joint') return firstOf(access.parts, (part) => mayManage(part, right));
  return access.grants.some(({ manage }) => manage.has(right)) ? undefined : GLOBAL_REQUIRED;
}

/** True = the number of existing collections decides. */
export function countsCollections(access: Access): boolean {
  if (access.kind === 'joint') return access.parts.some(countsCollections);
  return access.kind === 'grants' && access.grants.some(({ maxCollections }) => maxCollections !== undefined);
}

/** Checks a right on these names. `undefined` = met. */
export function meetsManaging(access: Access, right: ManageRight, found: ManagedNames): Denial | undefined {
  if (access.kind === 'joint') return firstOf(access.parts, (part) => meetsManaging(part, right, found));
  const never = mayManage(access, right);
  if (never || access.kind !== 'grants') return never;
  if (right === 'aliases') return onAliases(access, found.others);
  const { target } = found;
  if (target === undefined) return GLOBAL_REQUIRED; // INVARIANT: a managed collection has a name
  const grants = grantsOn(access, target).filter(({ manage }) => manage.has(right));
  if (grants.length === 0) return notListed(target);
  if (right !== 'create') return undefined;
  for (const name of found.others) if (!mayCopy(access, name)) return notListed(name);
  return withinNumber(grants, target, found.existing);
}

/**
 * Aliases: every name of the request must lie inside one grant.
 *
 * INVARIANT: an alias gives its collection all access that its name has, so one grant must cover both ends.
 */
function onAliases(access: GrantAccess, others: readonly string[]): Denial | undefined {
  const [first] = others;
  if (first === undefined) return undefined;
  const grants = grantsOn(access, first).filter(({ manage }) => manage.has('aliases'));
  let nearest = first;
  let reached = -1;
  for (const grant of grants) {
    const outside = others.findIndex((name) => !covers(grant, name));
    if (outside < 0) return undefined;
    if (outside > reached) nearest = others[outside] ?? first;
    reached = Math.max(reached, outside);
  }
  return notListed(nearest);
}

/** True = a new collection may be filled from this one: some grant reads all of its points. */
function mayCopy(access: GrantAccess, name: string): boolean {
  return grantsOn(access, name).some(({ mode, operations }) => mode !== undefined && operations === undefined);
}

/** One grant must have room for the collection. A collection that exists takes no room: upstream answers it. */
function withinNumber(
  grants: readonly Grant[],
  target: string,
  existing: readonly string[] | undefined,
): Denial | undefined {
  let limit = -1;
  for (const grant of grants) {
    const { maxCollections } = grant;
    if (maxCollections === undefined) return undefined;
    if (existing === undefined) continue;
    if (existing.includes(target)) return undefined;
    if (existing.filter((name) => covers(grant, name)).length < maxCollections) return undefined;
    limit = Math.max(limit, maxCollections);
  }
  return existing === undefined ? COLLECTIONS_UNKNOWN : tooManyCollections(limit);
}
