import type { Principal } from '../../identity/principal.ts';
import type { Denial } from '../../policy/denial.ts';
import type { OfflineParts } from '../parts.ts';

/** A caller under one state, or the refusal of its credential. */
export type Identity = Principal | Denial;

/** A caller, or a class of callers that no policy tells apart. */
export interface PrincipalClass {
  /** The same under every policy: `key k7f3`, `token api_key: docs rw, subject alice`. */
  readonly label: string;
  readonly kind: 'anonymous' | 'key' | 'named_key' | 'token' | 'issued' | 'certificate';
  /** The id of the key, of the key that signs the token, or of the issuer; `client_certificates` for those. */
  readonly key: string;
  readonly name?: string;
  /** The kind of caller in words, whatever its traits: `token of api_key`. Set with traits. */
  readonly family?: string;
  /** Traits of the tokens of one key or mapping, in words: access, subject, tenant, life. Empty ones are not said. */
  readonly traits?: readonly string[];
  /** Of a token. `any other` stands for subjects that nothing mentions. */
  readonly subject?: string | undefined;
  /** @param target another collection that the credential lists with `rw` */
  readonly identify: (parts: OfflineParts, collection: string, target?: string) => Promise<Identity>;
  /** Headers of a credential of the class, as far as one can be made: that of a token. */
  readonly headersFor: (parts: OfflineParts, collection: string) => Promise<readonly string[]>;
  /** True = its credential depends on the collection: its access lists it. */
  readonly byCollection: boolean;
}
