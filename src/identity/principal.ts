import type { Access } from '../policy/access.ts';
import type { Bounds } from '../policy/rules.ts';

/** Which kind of credential named the principal, in the words of upstream's audit log (Qdrant v1.17.0). */
export type AuthType = 'None' | 'ApiKey' | 'Jwt';

/** The authenticated caller and its access. Immutable; shared by every exchange that presents the same credential. */
export interface Principal {
  readonly kind: 'principal';
  /** The credential's access, restricted by the policy's rules. */
  readonly access: Access;
  /** Further restrictions by the rules; `undefined` = no rule applies to this principal. */
  readonly bounds: Bounds | undefined;
  readonly authType: AuthType;
  /**
   * Which configured key let it in or signed its token: `api_key`, `alt_api_key`, `read_only_api_key`, the id of a
   * signing key; `none` without keys.
   */
  readonly keyId: string;
  /** The `subject` claim: who the audit log names. Never decides anything. */
  readonly subject: string | undefined;
}
