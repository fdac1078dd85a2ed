import { pathText } from '../../policy/tenants/payload-path.ts';
import type { Tenancy, TenantScope, TenantValue } from '../../policy/tenants/tenancy.ts';

/** A tenancy as lines for a person, one for each entry of the policy. */
export function tenancyLines({ scopes }: Tenancy): readonly string[] {
  return scopes.map(({ names, prefixes, holds }) => {
    const collections = [...names, ...prefixes.map((prefix) => `${prefix}*`)].join(', ');
    return `tenant: ${collections}: ${heldText(holds)}\n`;
  });
}

function heldText(holds: TenantScope['holds']): string {
  if (holds === 'free') return 'without a condition';
  if (holds === 'missing') return 'refused, it carries no tenant';
  const values = holds.values.map(valueText).join(' or ');
  return `${pathText(holds.field)} = ${values}`;
}

/** Text in quotes, so that `"1"` is told from 1. */
function valueText(value: TenantValue): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
