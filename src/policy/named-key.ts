import type { AccessSettings } from './settings.ts';
import type { TenantScalar } from './tenants/settings.ts';

/** The stored form of a key's text: one way only. */
export type KeyHash =
  /** Of a generated key, which has 256 random bits. 64 hexadecimal digits. */
  | { readonly kind: 'sha256'; readonly digest: string }
  /** Of a chosen key. Salt and hash in base64url. */
  | {
      readonly kind: 'scrypt';
      readonly cost: number;
      readonly blockSize: number;
      readonly parallelization: number;
      readonly salt: string;
      readonly hash: string;
    };

/** A named key: plain data that can be sent to another process. Times in milliseconds since 1970. */
export interface NamedKeySettings {
  readonly id: string;
  readonly name: string;
  readonly owner: string | undefined;
  /** Last characters of its text, for lists; `undefined` = not kept. */
  readonly postfix: string | undefined;
  readonly access: AccessSettings;
  readonly hash: KeyHash;
  /** The key's text before a rotation, valid until then. */
  readonly previous: { readonly hash: KeyHash; readonly until: number } | undefined;
  /** `undefined` = never. */
  readonly expiresAt: number | undefined;
  readonly notBefore: number | undefined;
  readonly disabled: boolean;
  /** Addresses and ranges that may present it; `undefined` = all. */
  readonly networks: readonly string[] | undefined;
  /** Ids of limits of the policy that it carries; absent = none. */
  readonly limits?: readonly string[];
  /** Its tenants, for entries of the policy that ask for them; absent = none. */
  readonly tenant?: readonly TenantScalar[];
  /** Set = each request with it needs a reason, and it lives for hours. */
  readonly breakGlass?: true;
}

/** The named keys of a store beside the files, as a serving process gets them. */
export interface NamedKeysInForce {
  readonly keys: readonly NamedKeySettings[];
  /** True = they cannot be known, so every named key is refused. */
  readonly unknown: boolean;
}
