import type { OfflineParts } from '../parts.ts';

/** The claims that name tenants, of one caller. */
export interface TenantForm {
  readonly label: string;
  readonly claims: readonly string[];
}

/** A caller whom no claim tells apart. */
export const NO_TENANTS: TenantForm = Object.freeze({ label: '', claims: Object.freeze([]) });

/**
 * The forms of callers under tenants: with all claims that name some, without any, and without each one. Whatever claims two
 * policies ask for, one of these has those of the one and not those of the other.
 */
export function tenantForms(states: readonly Pick<OfflineParts, 'ring'>[]): readonly TenantForm[] {
  const claims = [...new Set(states.flatMap(({ ring }) => [...(ring.tenants?.claims ?? [])]))];
  if (claims.length === 0) return [NO_TENANTS];
  const without = claims.length === 1 ? [] : claims.map((one) => claims.filter((other) => other !== one));
  return [claims, ...without, []].map((own) => {
    const absent = claims.filter((one) => !own.includes(one));
    const parts = [
      own.length > 0 ? `with ${own.join(', ')}` : '',
      absent.length > 0 ? `without ${absent.join(', ')}` : '',
    ];
    return { label: parts.filter((one) => one !== '').join(' and '), claims: own };
  });
}

/** The value that a claim has, where it names a tenant: another one for each claim. */
export function tenantNamed(claim: string): string {
  return `the ${claim}`;
}
