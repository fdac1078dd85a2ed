import { LRUCache } from 'lru-cache';
import {
  CERTIFICATE_MISSING,
  CERTIFICATE_REVOKED,
  claimUnfit,
  type Denial,
  REVOCATION_UNKNOWN,
} from '../../policy/denial.ts';
import type { CertificateUse } from '../../policy/mapping/certificates.ts';
import {
  type ClaimPath,
  type Claims,
  claimAt,
  claimPath,
  comparedValues,
  tenantValuesIn,
} from '../../policy/mapping/claims.ts';
import { createMapper, type Mapper } from '../../policy/mapping/mapper.ts';
import type { Rule } from '../../policy/rules.ts';
import type { Tenants } from '../../policy/tenants/settings.ts';
import { mappedPrincipal } from '../issuers/mapped-principal.ts';
import type { Principal } from '../principal.ts';
import { isRevoked, type Revocations } from '../revocations.ts';
import { narrowedBy } from './both.ts';
import type { PresentedCertificate, VerifiedCertificate } from './presented.ts';
import type { CertificateTrust } from './trust.ts';

/** Parts of a state that the identities of certificates are made of. */
export interface CertificateSources {
  readonly use: CertificateUse;
  readonly trust: CertificateTrust;
}

/** Restrictions of the policy. */
interface Around {
  readonly rules: readonly Rule[];
  readonly tenants?: Tenants | undefined;
}

/** Principals that are remembered, by fingerprint. */
const MOST_HOLDERS = 10_000;

/** The holder of one certificate, under one ring. */
interface Holder {
  /** A denial where its claims give no access. */
  readonly identity: Principal | Denial;
  /** By principal of a key or token that it was presented beside. */
  readonly beside: WeakMap<Principal, Principal>;
}

/**
 * Client certificates as identities, under one ring. What a certificate maps to is remembered; whether it is good is looked at on
 * each request.
 */
export class CertificateIdentities {
  /** `identity`: a certificate counts where there is no key or token; `beside_key`: each request needs both. */
  readonly mode: CertificateUse['mode'];
  readonly #trust: CertificateTrust;
  readonly #id: string;
  readonly #subject: ClaimPath | undefined;
  readonly #subjectText: string;
  readonly #mapper: Mapper;
  readonly #around: Around;
  readonly #holders = new LRUCache<string, Holder>({ max: MOST_HOLDERS });

  constructor({ use, trust }: CertificateSources, around: Around) {
    this.mode = use.mode;
    this.#trust = trust;
    this.#id = use.id;
    this.#subject = use.subject === undefined ? undefined : claimPath(use.subject);
    this.#subjectText = use.subject ?? '';
    this.#mapper = createMapper(use.mappings);
    this.#around = around;
  }

  /** The principal of a connection's certificate at this time, or its refusal. @param now milliseconds since 1970 */
  identify(
    certificate: PresentedCertificate | undefined,
    now: number,
    revocations: Revocations | undefined,
  ): Principal | Denial {
    const holder = this.#holderOf(certificate, now, revocations);
    return 'kind' in holder ? holder : holder.identity;
  }

  /** A principal beside a connection's certificate. */
  beside(
    principal: Principal,
    certificate: PresentedCertificate | undefined,
    now: number,
    revocations: Revocations | undefined,
  ): Principal | Denial {
    const holder = this.#holderOf(certificate, now, revocations);
    if ('kind' in holder) return holder;
    const { identity, beside } = holder;
    if (identity.kind === 'denial') return identity;
    const known = beside.get(principal);
    if (known) return known;
    const narrowed = narrowedBy(principal, identity);
    beside.set(principal, narrowed);
    return narrowed;
  }

  #holderOf(
    certificate: PresentedCertificate | undefined,
    now: number,
    revocations: Revocations | undefined,
  ): Holder | Denial {
    if (!certificate) return CERTIFICATE_MISSING;
    if (certificate.kind === 'refused-certificate') return certificate.denial;
    const refusal = certificate.refusal(this.#trust, now);
    if (refusal) return refusal;
    const holder = this.#holders.get(certificate.fingerprint) ?? this.#newHolder(certificate);
    return this.#revoked(certificate, holder, revocations) ?? holder;
  }

  #newHolder(certificate: VerifiedCertificate): Holder {
    const holder = { identity: this.#mapped(certificate), beside: new WeakMap<Principal, Principal>() };
    this.#holders.set(certificate.fingerprint, holder);
    return holder;
  }

  /** As tokens are revoked: by fingerprint (in the place of `jti`), by subject, by the id of the entry, by begin of validity. */
  #revoked(
    certificate: VerifiedCertificate,
    { identity }: Holder,
    revocations: Revocations | undefined,
  ): Denial | undefined {
    if (!revocations) return undefined;
    if (revocations.unknown) return REVOCATION_UNKNOWN;
    const { fingerprint, issuedAt, subject: own } = certificate;
    const subject = identity.kind === 'principal' ? identity.subject : undefined;
    const revoked = isRevoked(revocations, { jti: fingerprint, sub: own, subject, issuedAt, keyId: this.#id });
    return revoked ? CERTIFICATE_REVOKED : undefined;
  }

  #mapped(certificate: VerifiedCertificate): Principal | Denial {
    const { claims } = certificate;
    const subject = this.#subjectOf(certificate);
    if (typeof subject !== 'string') return subject;
    return certifiedPrincipal({ id: this.#id, mapper: this.#mapper }, claims, subject, this.#around);
  }

  #subjectOf({ claims, subject, fingerprint }: VerifiedCertificate): string | Denial {
    if (!this.#subject) return subject ?? `sha256:${fingerprint}`;
    const value = claimAt(claims, this.#subject);
    const [one, ...more] = (value !== undefined && comparedValues(value)) || [];
    return typeof one === 'string' && one !== '' && more.length === 0 ? one : claimUnfit(this.#subjectText);
  }
}

/** The holder of a certificate with these claims under rules and tenants, or why they give no access. Pure. */
export function certifiedPrincipal(
  { id, mapper }: { readonly id: string; readonly mapper: Mapper },
  claims: Claims,
  subject: string,
  around: Around,
): Principal | Denial {
  const mapped = mapper.map(claims);
  if (mapped.kind === 'denial') return mapped;
  const valuesFrom = (claim: string) => {
    const path = claimPath(claim);
    return path && tenantValuesIn(claimAt(claims, path));
  };
  return mappedPrincipal({ authType: 'Certificate', keyId: id, subject, mapped, valuesFrom }, around);
}
