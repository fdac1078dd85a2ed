import type { Mapped } from '../../policy/mapping/mapper.ts';
import { applyRules, type Rule } from '../../policy/rules.ts';
import { type Tenants, tenancyOf } from '../../policy/tenants/settings.ts';
import type { TenantValue } from '../../policy/tenants/tenancy.ts';
import type { AuthType, Principal } from '../principal.ts';

/** A caller whose claims were mapped. */
export interface MappedIdentity {
  readonly authType: AuthType;
  /** Id of the issuer in the policy. */
  readonly keyId: string;
  readonly subject: string;
  readonly mapped: Mapped;
  /** The values of a claim of this name, where no mapping names a tenant; `undefined` = none. */
  readonly valuesFrom: (claim: string) => readonly TenantValue[] | undefined;
}

/** The principal of an identity under the rules and tenants of the policy: restricted as every other one. */
export function mappedPrincipal(
  { authType, keyId, subject, mapped, valuesFrom }: MappedIdentity,
  { rules, tenants }: { readonly rules: readonly Rule[]; readonly tenants?: Tenants | undefined },
): Principal {
  const left = applyRules(rules, { access: mapped.access, keyId, subject });
  const { tenant } = mapped;
  const tenancy = tenancyOf(tenants, {
    ...{ keyId, subject, credential: 'tokens' },
    valuesFrom: tenant ? () => tenant : valuesFrom,
  });
  return Object.freeze({
    ...{ kind: 'principal', ...left, tenancy, authType, keyId, subject },
    mappings: mapped.mappings,
  } as const);
}
