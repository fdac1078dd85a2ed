import type { Access } from '../policy/access.ts';
import type { Denial } from '../policy/denial.ts';
import type { Bounds } from '../policy/rules.ts';
import type { Tenancy } from '../policy/tenants/tenancy.ts';

/** The kind of credential, in the words of upstream's audit log (Qdrant v1.17.0). `Certificate` is the gateway's own. */
export type AuthType = 'None' | 'ApiKey' | 'Jwt' | 'Certificate';

/** The authenticated caller and its access. Immutable; shared by every exchange that presents the same credential. */
export interface Principal {
  readonly kind: 'principal';
  /** The credential's access, restricted by the policy's rules. */
  readonly access: Access;
  /** Further restrictions by the rules; `undefined` = no rule applies to this principal. */
  readonly bounds: Bounds | undefined;
  /** Conditions on every point it reads or writes; `undefined` = none. */
  readonly tenancy?: Tenancy | undefined;
  readonly authType: AuthType;
  /**
   * The configured key that authenticated it or signed its token: `api_key`, `alt_api_key`, `read_only_api_key`, the id
   * of a signing key, of a named key or of an issuer; `none` without keys.
   */
  readonly keyId: string;
  /** The `subject` claim, or that of the issuer's entry. Rules, limits and tenants may be for it. */
  readonly subject: string | undefined;
  /** Set for a named key, for the audit log. */
  readonly key?: { readonly name: string; readonly owner: string | undefined };
  /** Ids of limits that a named key carries; absent = none. */
  readonly carries?: readonly string[];
  /** Ids of the mappings that gave its access, for the audit log; absent = it was not mapped. */
  readonly mappings?: readonly string[];
  /** Set for a break-glass key. */
  readonly breakGlass?: true;
  /** Set for a token that the gateway has minted: its id (`jti`), and the principal of the credential it stands for. */
  readonly minted?: { readonly id: string; readonly source: Principal };
}

/** The principal that shares of memory, places and turns are counted for: tokens that were minted for one credential have one share. */
export function sharerOf(principal: Principal): Principal {
  return principal.minted?.source ?? principal;
}

/** The principal, or the refusal of its credential. */
export type Identity = Principal | Denial;
