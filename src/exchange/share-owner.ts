import { sharerOf } from '../identity/principal.ts';
import type { Sharer } from '../limits/fair-places.ts';
import type { Tenancy } from '../policy/tenants/tenancy.ts';
import type { Exchange } from './exchange.ts';

/**
 * The owner of a fair share of memory, places and turns: the tenant of the caller, whatever key or token it shows; without one
 * the principal; before that is known, the client's address.
 */
export function shareOwner({ principal, remote }: Pick<Exchange, 'principal' | 'remote'>): unknown {
  return (principal?.tenancy && tenantOf(principal.tenancy)) ?? (principal ? sharerOf(principal) : remote);
}

/** The owner and the connection to which the share of an exchange belongs. @param client an object that is the same for all exchanges of the connection */
export function shareOf(exchange: Pick<Exchange, 'principal' | 'remote'>, client: unknown): Sharer {
  return { owner: shareOwner(exchange), client };
}

const tenants = new WeakMap<Tenancy, { readonly name: string | undefined }>();

/** The same text for the same conditions; `undefined` = there are none. */
function tenantOf(tenancy: Tenancy): string | undefined {
  const known = tenants.get(tenancy);
  if (known) return known.name;
  const conditions = tenancy.scopes.flatMap(({ holds }) =>
    typeof holds === 'object'
      ? [[holds.id, holds.field, holds.values.map((value) => [typeof value, String(value)])]]
      : [],
  );
  const name = conditions.length > 0 ? JSON.stringify(conditions) : undefined;
  tenants.set(tenancy, { name });
  return name;
}
