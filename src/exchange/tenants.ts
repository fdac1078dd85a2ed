import type { Principal } from '../identity/principal.ts';
import { isRewritten } from '../policy/body-checks.ts';
import type { Conditional, Decision, Permit, References, TenantOutcome } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import { decideWithinTenancy, settledWithin } from '../policy/tenants/within.ts';
import type { Exchange } from './exchange.ts';
import { resolutionOf } from './shadow.ts';

/* The tenancy of a principal on one exchange: after access, rules and guards, before anything of it goes upstream. */

/** The result of a body check for a tenancy; `undefined` = none, which refuses a request that must be made anew. */
export type TenantFinding = TenantOutcome | Denial | undefined;

/** The decision within the tenancy of the principal, if it has one. */
export function withinTenancy(exchange: Exchange, { tenancy, access }: Principal, decision: Decision): Decision {
  if (tenancy === undefined) return decision;
  return decideWithinTenancy({ tenancy, access }, decision, resolutionOf(exchange).target);
}

/** The permit within the tenancy of the caller, once the body has been read. */
export function settledWithinTenancy(
  exchange: Exchange,
  permit: Permit,
  found: References | undefined,
  outcome: TenantFinding,
): Permit | Denial {
  const { principal } = exchange;
  if (principal?.tenancy === undefined) return permit;
  const { tenancy, access } = principal;
  const { target } = resolutionOf(exchange);
  const name = target.kind === 'collection' ? target.name : found?.target;
  const within = settledWithin({ tenancy, access }, permit, name, outcome);
  if (within.kind === 'denial') exchange.decision = within;
  return within;
}

/** True = the permit may not be sent: its principal has a tenancy, which has not judged it. */
export function lacksTenant({ principal }: Exchange, permit: Permit): boolean {
  return principal?.tenancy !== undefined && permit.tenant === undefined;
}

/** True = upstream's release decides how the request is made anew. */
export function needsFeatures({ principal }: Exchange, decision: Permit | Conditional): boolean {
  return principal?.tenancy !== undefined && isRewritten(decision);
}
