import type { ExampleSettings } from './issuer.ts';
import type { MappingSettings } from './mapper.ts';

/** The use of client certificates, with their mappings. */
export interface CertificateUse extends CertificateSettings {
  /** `identity`: where a request has no key or token; `beside_key`: each request needs both. */
  readonly mode: 'identity' | 'beside_key';
}

/** `client_certificates` of the policy file: plain data. */
export interface CertificateSettings {
  /** The name of their holders in rules, limits, tenants, revocations and the audit log. */
  readonly id: string;
  /** Path of the claim with the subject; unset: the SPIFFE id, else the subject of the certificate. */
  readonly subject?: string | undefined;
  readonly mappings: readonly MappingSettings[];
  readonly examples?: readonly ExampleSettings[];
}
