import { type Access, type Grant, grantAccess, type ManageRight } from '../../policy/access.ts';
import { narrow } from '../../policy/narrow.ts';
import type { Bounds } from '../../policy/rules.ts';
import type { Tenancy } from '../../policy/tenants/tenancy.ts';
import type { Principal } from '../principal.ts';

/**
 * The principal of a key or token that is presented beside a certificate: it stays who it is, and may what both may. Rules and
 * tenants of both hold.
 */
export function narrowedBy(principal: Principal, holder: Principal): Principal {
  const tenancy = tenancyOfBoth(principal.tenancy, holder.tenancy);
  const access = narrow(principal.access, holder.access);
  return Object.freeze({
    ...principal,
    // INVARIANT: a collection that only one of two tenancies covers is refused, as each of them alone refuses the other's.
    access: principal.tenancy && holder.tenancy ? within(within(access, principal.tenancy), holder.tenancy) : access,
    bounds: boundsOfBoth(principal.bounds, holder.bounds),
    tenancy,
    ...(holder.mappings && { mappings: holder.mappings }),
  });
}

function boundsOfBoth(one: Bounds | undefined, other: Bounds | undefined): Bounds | undefined {
  if (!one || !other) return one ?? other;
  const [enforced, shadow] = [new Set([...one.enforced, ...other.enforced]), new Set([...one.shadow, ...other.shadow])];
  return Object.freeze({ enforced: [...enforced], shadow: [...shadow] });
}

/** Conditions of several scopes hold together. */
function tenancyOfBoth(one: Tenancy | undefined, other: Tenancy | undefined): Tenancy | undefined {
  if (!one || !other) return one ?? other;
  return Object.freeze({ scopes: Object.freeze([...one.scopes, ...other.scopes]) });
}

const EVERYTHING: ReadonlySet<ManageRight> = new Set(['create', 'update', 'delete', 'aliases']);

function within(access: Access, { scopes }: Tenancy): Access {
  const grants = scopes.map(
    ({ names, prefixes }): Grant => ({
      ...{ names, prefixes, mode: 'rw', operations: undefined, manage: EVERYTHING, maxCollections: undefined },
    }),
  );
  return narrow(access, grantAccess(grants));
}
