import { type Grant, type GrantAccess, grantsOn } from './access.ts';
import { type Denial, notListed, operationNotAllowed } from './denial.ts';
import type { DenialCode } from './denial-codes.ts';
import { meetsMode } from './mode.ts';
import type { Operation } from './operation.ts';

/** True = the set holds the operation, by the name of its row or by its name in the audit log. */
export function names(operations: ReadonlySet<string>, { name, audit }: Operation): boolean {
  return operations.has(name) || (audit !== null && operations.has(audit));
}

/** True = some grant permits an operation that reads what belongs to no single collection. */
export function grantedGlobally({ grants }: GrantAccess, operation: Operation): boolean {
  if (operation.requires.level !== 'read' || operation.unlisted) return false;
  return grants.some(
    (grant) => !isBound(grant) && grant.operations !== undefined && names(grant.operations, operation),
  );
}

/** True = the grant is for collections. */
export function isBound(grant: Grant): boolean {
  return grant.names.size > 0 || grant.prefixes.length > 0;
}

/**
 * Checks an operation on `collection` grant by grant: one must permit it alone. `undefined` = met.
 *
 * The denial is that of the nearest grant, whatever the order of the grants: the one that fails at the last check.
 */
export function grantedOn(access: GrantAccess, operation: Operation, collection: string): Denial | undefined {
  let nearest: Denial | undefined;
  for (const grant of grantsOn(access, collection)) {
    const denied = refusalOf(grant, operation, collection);
    if (!denied) return undefined;
    if (!nearest || rank(denied.code) > rank(nearest.code)) nearest = denied;
  }
  return nearest ?? notListed(collection);
}

function refusalOf(grant: Grant, operation: Operation, collection: string): Denial | undefined {
  const { mode, operations } = grant;
  if (mode === undefined && operations === undefined) return operationNotAllowed(operation.name);
  if (operations && !names(operations, operation)) return operationNotAllowed(operation.name);
  return mode && meetsMode(mode, operation.requires, collection);
}

/** Of a grant's denials, from the first check to the last. */
const RANKS: readonly DenialCode[] = ['operation_not_allowed', 'points_only', 'write_required', 'manage_required'];

function rank(code: DenialCode): number {
  return RANKS.indexOf(code);
}

/** True = the operation, which reads, may read this other collection: some grant permits it there. */
export function grantedToRead(access: GrantAccess, operation: Operation, name: string): boolean {
  return grantsOn(access, name).some(({ mode, operations }) =>
    operations ? names(operations, operation) : mode !== undefined,
  );
}
