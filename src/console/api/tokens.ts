/** Shapes of JSON of the page Tokens. */

/** `GET api/tokens/options`: what the form offers. */
export interface TokenOptions {
  /** False = the gateway takes no tokens: `service.jwt_rbac` is off, or there is no key to sign with. */
  readonly on: boolean;
  /** Ids of keys that sign tokens, the default first. */
  readonly signing_keys: readonly string[];
  /** True = names may end in `*`. */
  readonly patterns: boolean;
  readonly require_exp: boolean;
  /** Seconds; null = no limit. */
  readonly max_lifetime: number | null;
  readonly refuse_manage: boolean;
  /** Claims that entries of `tenants` take values from. */
  readonly tenant_claims: readonly string[];
  /** Names that the policy or recent requests mention. */
  readonly collections: readonly string[];
  readonly listeners: readonly { readonly protocol: 'rest' | 'grpc'; readonly port: number; readonly tls: boolean }[];
  /** Where a revocation is kept; null = in memory alone, until the next restart. */
  readonly revocations_in: 'redis' | 'file' | null;
}

/** `POST api/tokens/mint`. */
export interface MintRequest {
  readonly access?: 'r' | 'm';
  readonly collections?: readonly { readonly collection: string; readonly access: string }[];
  /** `7d`, or an ISO date; absent = it never ends. */
  readonly exp?: string;
  readonly subject?: string;
  readonly signing_key?: string;
  readonly value_exists?: object;
  readonly claims?: Readonly<Record<string, string>>;
}

export interface Minted {
  readonly token: string;
  readonly id: string;
  readonly claims: object;
  /** RFC 3339; null = it never ends. */
  readonly expires_at: string | null;
  /** The verdict of this gateway on the new token. */
  readonly accepted: boolean;
  readonly verdict: string;
  readonly warnings: readonly string[];
}

/** `POST api/tokens/inspect`. */
export interface Inspected {
  readonly header: unknown;
  readonly claims: unknown;
  /** Sentences for a person. */
  readonly id: string;
  readonly issued: string;
  readonly expiry: string;
  readonly signature: string;
  /** The `jti`; null = it cannot be revoked by it. */
  readonly token_id: string | null;
  readonly accepted: boolean;
  readonly verdict: string;
  readonly code: string | null;
  readonly means: string | null;
  readonly remedy: string | null;
  readonly tenants: readonly string[];
}

/** A revocation in force. */
export interface Revocation {
  readonly kind: 'token' | 'subject' | 'key' | 'before';
  /** Of `before` an ISO time. */
  readonly value: string;
  readonly subject: string | null;
  readonly until: string | null;
  readonly at: string | null;
  readonly reason: string | null;
}

/** `GET api/tokens/revocations`. */
export interface Revocations {
  readonly unknown: boolean;
  readonly entries: readonly Revocation[];
  /** Number of entries that were left out. */
  readonly left_out: number;
}

/** `POST api/tokens/revoke`. */
export interface RevokeRequest {
  readonly kind: Revocation['kind'];
  readonly value: string;
  readonly subject?: string;
  readonly reason?: string;
}

/** `POST api/tokens/lift`: takes a revocation out, whatever its end. */
export interface LiftRequest {
  readonly kind: Revocation['kind'];
  readonly value: string;
  readonly subject?: string;
}

export interface LiftAnswer {
  /** Number of entries that were taken out. */
  readonly lifted: number;
}

export interface RevokeAnswer {
  readonly stored: 'redis' | 'file' | 'memory';
  readonly warnings: readonly string[];
}
