import { type Access, type Grant, grantAccess } from '../access.ts';
import {
  askForNames,
  type Conditional,
  type Decision,
  type Permit,
  permitForTenant,
  replaced,
  type TenantOutcome,
} from '../decide.ts';
import {
  type Denial,
  INTERNAL_FAULT,
  notListed,
  tenantLookup,
  tenantOperation,
  tenantValueMissing,
  UNKNOWN_OPERATION,
} from '../denial.ts';
import { narrow } from '../narrow.ts';
import type { Target } from '../operation.ts';
import { tenantUse } from './operations.ts';
import { rulingOn, type Tenancy, type TenantCondition } from './tenancy.ts';

/* A tenancy on a decision: it only narrows. What access, rules and guards refuse stays refused, in their words. */

/** The conditions on a collection; none = it is free. A `Denial` = the principal has no place in it. */
export function conditionsOn(tenancy: Tenancy, collection: string): readonly TenantCondition[] | Denial {
  const ruling = rulingOn(tenancy, collection);
  if (ruling === 'free') return NO_CONDITIONS;
  if (ruling === 'none') return notListed(collection);
  return ruling === 'missing' ? tenantValueMissing(collection) : ruling;
}

const NO_CONDITIONS: readonly TenantCondition[] = Object.freeze([]);

/** The refusal of points of this collection in an answer that cannot be filtered (`with_lookup`). `undefined` = it is free. */
export function lookupRefused(tenancy: Tenancy, collection: string): Denial | undefined {
  const conditions = conditionsOn(tenancy, collection);
  if ('kind' in conditions) return conditions;
  return conditions.length > 0 ? tenantLookup(collection) : undefined;
}

/**
 * The decision within the tenancy, before the body is read. A permit that needs no rewriting says so; every other one, and every
 * conditional, goes on to `settledWithin`.
 */
export function decideWithinTenancy(
  { tenancy, access }: { readonly tenancy: Tenancy; readonly access: Access },
  decision: Decision,
  target: Target,
): Decision {
  if (decision.kind === 'denial') return decision;
  const { operation } = decision;
  // As a secured Qdrant answers what it does not know.
  if (operation.unlisted) return UNKNOWN_OPERATION;
  const use = tenantUse(operation.name);
  if (use === undefined) return tenantOperation(operation.name);
  if (target.kind === 'collection') {
    const conditions = conditionsOn(tenancy, target.name);
    if ('kind' in conditions) return conditions;
    const asItIs = use === 'pass' || (conditions.length === 0 && operation.inspect === undefined);
    return asItIs ? asItIsWithin(decision, tenancy, access) : decision;
  }
  if (target.kind === 'none') return use === 'pass' ? asItIsWithin(decision, tenancy, access) : INTERNAL_FAULT;
  return use === 'pass' && decision.kind === 'permit' ? askForNames(decision, target) : decision;
}

/** A conditional waits for more than the tenancy; it is judged again when it is settled. */
function asItIsWithin(decision: Permit | Conditional, tenancy: Tenancy, access: Access): Decision {
  if (decision.kind === 'conditional') return decision;
  const visible = decision.operation.filter && narrow(access, coveredBy(tenancy));
  return permitForTenant(decision, visible && visible.kind !== 'global' ? visible : undefined);
}

/**
 * The permit within the tenancy, with what was found in the body. The last word: without an outcome a `rewrite` operation does
 * not go upstream.
 *
 * @param target the collection, from path or message; `undefined` = not known, or there is none
 */
export function settledWithin(
  { tenancy, access }: { readonly tenancy: Tenancy; readonly access: Access },
  permit: Permit,
  target: string | undefined,
  outcome: TenantOutcome | Denial | undefined,
): Permit | Denial {
  if (permit.tenant !== undefined) return permit;
  const use = tenantUse(permit.operation.name);
  if (use === undefined) return tenantOperation(permit.operation.name);
  if (target !== undefined) {
    const conditions = conditionsOn(tenancy, target);
    if ('kind' in conditions) return conditions;
    if (outcome === 'as-it-is' && conditions.length > 0) return INTERNAL_FAULT;
  }
  if (use === 'rewrite') {
    if (outcome === undefined) return INTERNAL_FAULT;
    return typeof outcome === 'object' && 'kind' in outcome ? outcome : replaced(permit, outcome);
  }
  const judged = target === undefined ? INTERNAL_FAULT : asItIsWithin(permit, tenancy, access);
  return judged.kind === 'conditional' ? INTERNAL_FAULT : judged;
}

/** Access to all that the tenancy covers, for answers that list names. */
function coveredBy({ scopes }: Tenancy): Access {
  const usable = scopes.filter(({ holds }) => holds !== 'missing');
  return grantAccess(
    usable.map(
      ({ names, prefixes }): Grant => ({
        ...{ names, prefixes, mode: 'r', operations: undefined, manage: new Set(), maxCollections: undefined },
      }),
    ),
  );
}
