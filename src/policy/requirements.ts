import { type Access, isTrusted, lists, modeOn, type ScopedAccess } from './access.ts';
import { type Denial, GLOBAL_MANAGE_REQUIRED, GLOBAL_REQUIRED, notListed } from './denial.ts';
import { grantedGlobally, grantedOn, grantedToRead } from './grants.ts';
import { meetsMode } from './mode.ts';
import type { Operation } from './operation.ts';

/**
 * Checks an operation on all collections at once. `undefined` = met.
 *
 * Upstream: a global `r` passes reads with or without extras and fails write and manage with one text.
 */
export function meetsGlobally(access: Access, operation: Operation): Denial | undefined {
  if (access.kind === 'list') return GLOBAL_REQUIRED;
  if (access.kind === 'grants') return grantedGlobally(access, operation) ? undefined : GLOBAL_REQUIRED;
  if (access.kind === 'joint') return firstOf(access.parts, (part) => meetsGlobally(part, operation));
  if (isTrusted(access) || operation.requires.level === 'read') return undefined;
  return GLOBAL_MANAGE_REQUIRED;
}

/** Checks an operation on `collection`. `undefined` = met. */
export function meetsOnCollection(access: Access, operation: Operation, collection: string): Denial | undefined {
  if (access.kind === 'list') return meetsMode(modeOn(access, collection), operation.requires, collection);
  if (access.kind === 'grants') return grantedOn(access, operation, collection);
  if (access.kind === 'joint') return firstOf(access.parts, (part) => meetsOnCollection(part, operation, collection));
  return meetsGlobally(access, operation);
}

/**
 * The denial of the first reference, in checking order, that `access` does not let the operation read.
 *
 * Upstream: any mode is sufficient; a global access may name any collection. Of a grant by operations, the operation
 * itself is needed on the other collection, too: a grant that only writes there does not read.
 */
export function meetsOnReferences(
  access: ScopedAccess,
  operation: Operation,
  references: readonly string[],
): Denial | undefined {
  for (const name of references) if (!mayRefer(access, operation, name)) return notListed(name);
  return undefined;
}

/** True = a body may name this other collection. */
export function mayRefer(access: Access, operation: Operation, name: string): boolean {
  if (access.kind === 'grants') return grantedToRead(access, operation, name);
  if (access.kind === 'joint') return access.parts.every((part) => mayRefer(part, operation, name));
  return lists(access, name);
}

/** The first denial; `undefined` = none. */
export function firstOf<T>(parts: readonly T[], check: (part: T) => Denial | undefined): Denial | undefined {
  for (const part of parts) {
    const denied = check(part);
    if (denied) return denied;
  }
  return undefined;
}
