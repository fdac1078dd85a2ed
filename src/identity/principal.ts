import type { Access } from '../policy/access.ts';
import type { Bounds } from '../policy/rules.ts';
import type { Tenancy } from '../policy/tenants/tenancy.ts';

/** The kind of credential, in the words of upstream's audit log (Qdrant v1.17.0). */
export type AuthType = 'None' | 'ApiKey' | 'Jwt';

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
   * of a signing key or of a named key; `none` without keys.
   */
  readonly keyId: string;
  /** The `subject` claim, for the audit log. No decision depends on it. */
  readonly subject: string | undefined;
  /** Set for a named key, for the audit log. */
  readonly key?: { readonly name: string; readonly owner: string | undefined };
  /** Ids of limits that a named key carries; absent = none. */
  readonly carries?: readonly string[];
  /** Set for a break-glass key. */
  readonly breakGlass?: true;
}
