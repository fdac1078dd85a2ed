import type { AccessSettings } from '../settings.ts';
import type { MappingSettings } from './mapper.ts';

/** Signature algorithms of issuers (RFC 7518, 8037, 9864): asymmetric ones only. */
export const ISSUER_ALGORITHMS = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
] as const;
export type IssuerAlgorithm = (typeof ISSUER_ALGORITHMS)[number];

/** A public key of a key set, with the members that verification needs. Plain data. */
export interface PublishedKey {
  readonly kty: 'RSA' | 'EC' | 'OKP';
  readonly kid: string | undefined;
  /** The only algorithm it is for; `undefined` = any of its type. */
  readonly alg: string | undefined;
  /** `n` and `e`; `crv`, `x` and `y`; or `crv` and `x`; base64url (RFC 7518 section 6). */
  readonly members: Readonly<Record<string, string>>;
}

/** Where the keys of an issuer come from. Plain data. */
export type KeySource = { readonly from: 'file'; readonly keys: readonly PublishedKey[] } | RemoteSource;

/** Key sets that are fetched. Times in milliseconds. */
export interface RemoteSource {
  /** `discovery`: the URL is that of the provider's metadata, which name the key set. */
  readonly from: 'url' | 'discovery';
  readonly url: string;
  /** PEM; `undefined` = the CAs of the runtime. */
  readonly ca: string | undefined;
  /** File whose content is sent as bearer token, read for each fetch. */
  readonly bearerTokenFile: string | undefined;
  /** Time between two fetches. */
  readonly refreshMs: number;
  /** Least time between two fetches, whatever tokens ask for. */
  readonly coolDownMs: number;
  /** Age from which a set that cannot be fetched again is not used any more. */
  readonly maxStaleMs: number;
}

/** An issuer of the policy file: plain data that can be sent to another process. */
export interface IssuerSettings {
  readonly id: string;
  /** Exact text of `iss`. */
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly source: KeySource;
  readonly algorithms: readonly IssuerAlgorithm[];
  /** Allowed `typ` in lower case, without `application/`; `none` = absent. */
  readonly types: readonly string[];
  /** Longest life of a token in seconds, from `iat` or else from now; `undefined` = any. */
  readonly maxLifetime: number | undefined;
  /** Seconds. */
  readonly clockSkew: number;
  /** Path of the claim with the subject. */
  readonly subject: string;
  readonly mappings: readonly MappingSettings[];
  readonly examples: readonly ExampleSettings[];
}

/** Claims with what the mappings must give for them: proven by `check-config` and at the start. */
export interface ExampleSettings {
  /** Place in the file. */
  readonly place: string;
  /** JSON text of the claims. */
  readonly claims: string;
  /** Exactly one of `access` and `refused`. */
  readonly access: AccessSettings | undefined;
  /** A denial code. */
  readonly refused: string | undefined;
}

/** The key set of an issuer, as a serving process gets it. Plain data. */
export interface KeySetInForce {
  /** Id of the issuer. */
  readonly id: string;
  /** URL of the source it was fetched from, as configured: a set of another source is not used. */
  readonly url: string;
  readonly keys: readonly PublishedKey[];
  /** Milliseconds since 1970 of the fetch. */
  readonly fetchedAt: number;
}
